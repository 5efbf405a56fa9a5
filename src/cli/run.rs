//! `fusebox run` and `fusebox validate`: the two commands that are about the configuration as a whole.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{
    configuration,
    exit::Exit,
    output::{complain, say},
    settings::{Given, Settings},
    validate,
};
use crate::{
    app::{App, BuildError},
    config::{Config, Origin},
    shutdown::Signals,
};

/// What to check.
#[derive(Debug, Args)]
pub(super) struct Validate {
    /// The configuration file; the same as `--config FILE`.
    #[arg(value_name = "FILE", conflicts_with_all = ["config", "upstream"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// How the report is printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Print the report as JSON; the same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Show also every value in force and where it comes from; secrets are hidden.
    #[arg(long)]
    explain: bool,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For scripts and editors.
    Json,
}

/// Runs with the configuration that the flags name.
pub(super) fn run(settings: &Settings) -> Exit {
    match settings.load() {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(|warning| warning.to_string()).collect();
            start(loaded.config, warnings, settings.origin())
        }
        Err(exit) => exit,
    }
}

/// `fusebox validate`: says what is wrong with the configuration, or what it amounts to.
pub(super) fn validate(arguments: &Validate) -> Exit {
    let settings = arguments.settings.with_file(arguments.file.as_deref());
    let Given { name, loaded, text } = match settings.read() {
        Ok(given) => given,
        Err(exit) => return exit,
    };
    let loaded = loaded.and_then(|loaded| validate::with_files(&name, loaded));
    let values = match (&loaded, arguments.explain) {
        (Ok(_), true) => match text.explained() {
            Ok(values) => Some(values),
            Err(exit) => return exit,
        },
        _ => None,
    };
    if arguments.json || arguments.format == Format::Json {
        say(format!("{:#}", validate::json(&name, &loaded, values.as_deref())));
        return if loaded.is_ok() { Exit::Ok } else { Exit::Configuration };
    }
    let report = validate::report(&name, &loaded);
    if loaded.is_err() {
        return complain(Exit::Configuration, report.trim_end());
    }
    say(report.trim_end());
    values
        .iter()
        .for_each(|values| say(format!("\n{}", configuration::in_lines(values).trim_end())));
    Exit::Ok
}

fn start(config: Config, warnings: Vec<String>, origin: Option<Origin>) -> Exit {
    // Every call needs two sockets; shells and containers often allow 1,024 and permit far more.
    // Where it cannot be raised, accepting pauses at the limit and says so.
    let _unchanged = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(Exit::Runtime, format!("fusebox: no runtime: {error}")),
    };
    let ended: Result<(), anyhow::Error> = runtime.block_on(async {
        let signals = Signals::take()?;
        let app = App::build(config, warnings)?.of(origin);
        Ok(app.run(signals).await?)
    });
    // Whoever looks at a volume that is away, or for a name that nobody answers for, keeps a thread
    // waiting; nothing else is left, and nobody waits for that.
    runtime.shutdown_background();
    match ended {
        Ok(()) => Exit::Ok,
        Err(error) => complain(exit_of(&error), format!("fusebox: {error:#}")),
    }
}

/// Which exit code an error stands for.
fn exit_of(error: &anyhow::Error) -> Exit {
    match error.downcast_ref::<BuildError>() {
        Some(BuildError::Store(_) | BuildError::Tls(_)) => Exit::Configuration,
        _ => Exit::Runtime,
    }
}
