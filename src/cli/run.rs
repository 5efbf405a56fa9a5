//! `fusebox run` and `fusebox validate`: the two commands that are about the configuration as a whole.

use std::path::PathBuf;

use clap::Args;

use super::{
    exit::Exit,
    output::{complain, say},
    settings::{self, Settings},
    validate,
};
use crate::{
    app::{App, BuildError},
    config::Config,
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
}

/// Runs with the configuration that the flags name.
pub(super) fn run(settings: &Settings) -> Exit {
    match settings.load() {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(|warning| warning.to_string()).collect();
            start(loaded.config, warnings)
        }
        Err(exit) => exit,
    }
}

/// `fusebox validate`: says what is wrong with the configuration, or what it amounts to.
pub(super) fn validate(arguments: &Validate) -> Exit {
    match arguments.settings.with_file(arguments.file.as_deref()).read() {
        Ok((name, loaded)) => {
            let loaded = loaded.and_then(|loaded| validate::with_files(&name, loaded));
            let report = validate::report(&name, &loaded);
            if loaded.is_ok() {
                say(report.trim_end());
                Exit::Ok
            } else {
                complain(Exit::Configuration, report.trim_end())
            }
        }
        Err(exit) => exit,
    }
}

fn start(config: Config, warnings: Vec<String>) -> Exit {
    // Every call needs two sockets; shells and containers often allow 1,024 and permit far more.
    // Where it cannot be raised, accepting pauses at the limit and says so.
    let _unchanged = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(Exit::Runtime, format!("fusebox: no runtime: {error}")),
    };
    let ended: Result<(), anyhow::Error> = runtime.block_on(async {
        let signals = Signals::take()?;
        let app = App::build(config, warnings, &settings::host_name())?;
        Ok(app.run(signals).await?)
    });
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
