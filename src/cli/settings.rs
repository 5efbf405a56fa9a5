//! Where the configuration comes from: a file, the environment, or a few flags.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;

use super::{exit::Exit, output::complain};
use crate::config::{
    self, Environment, Explained, Flags, Loaded, MAX_SOURCE_BYTES, Origin, Problems, Source,
};

/// What to do when nothing was given.
const NO_CONFIGURATION: &str = "fusebox: no configuration: give --config FILE (`fusebox init` writes one), or --upstream NAME=URL, \
    or the YAML itself in FUSEBOX_CONFIG";

/// What `fusebox init` writes.
const USUAL_FILE: &str = "fusebox.yaml";

const NOT_NAMED: &str =
    "fusebox: no configuration is named; there is a fusebox.yaml here: give --config fusebox.yaml";

const NOT_A_FILE_NAME: &str = "fusebox: FUSEBOX_CONFIG holds the YAML itself, not the name of a file; for that give --config FILE";

/// The flags of every command that needs the configuration.
#[derive(Debug, Clone, Args)]
pub(super) struct Settings {
    /// The configuration file; `-` reads standard input. Without it, FUSEBOX_CONFIG may hold the
    /// YAML itself, and `--upstream` needs no file at all.
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["listen", "admin", "upstream"])]
    config: Option<PathBuf>,
    /// Where calls come in, without a file, or `unix:/path` [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS", requires = "upstream")]
    listen: Option<String>,
    /// The admin port, without a file [default: 127.0.0.1:9901].
    #[arg(long, value_name = "ADDRESS", requires = "upstream")]
    admin: Option<String>,
    /// Where the embedded store lives, without a file [default: ./data].
    #[arg(long, value_name = "DIRECTORY", requires = "upstream")]
    data_dir: Option<PathBuf>,
    /// An upstream, without a file; may be given more than once.
    #[arg(long, value_name = "NAME=URL")]
    upstream: Vec<String>,
}

/// A configuration as it was read. It is read once: of standard input nothing is left after that,
/// and a file may be another one by then.
#[derive(Debug)]
pub(super) struct Given {
    /// What it is called.
    pub(super) name: String,
    /// What it says, or what is wrong with it.
    pub(super) loaded: Result<Loaded, Problems>,
    /// What it was read from.
    pub(super) text: Text,
}

/// The text of a configuration and what its variables stand for; none where flags say it all.
#[derive(Debug)]
pub(super) struct Text(Option<(Source, Environment)>);

impl Text {
    /// Every value in force, where nothing is wrong with it.
    ///
    /// # Errors
    /// How the command ends; flags have no text.
    pub(super) fn explained(&self) -> Result<Vec<Explained>, Exit> {
        let Some((source, environment)) = &self.0 else {
            const OF_FLAGS: &str = "fusebox: values are explained of a file, not of flags";
            return Err(complain(Exit::Usage, OF_FLAGS));
        };
        config::explain(source, environment)
            .map_err(|problems| complain(Exit::Configuration, problems))
    }
}

impl Settings {
    /// The same with this file, when one is named.
    pub(super) fn with_file(&self, file: Option<&Path>) -> Self {
        let config = file.map(Path::to_owned).or_else(|| self.config.clone());
        Self { config, ..self.clone() }
    }

    /// Loads the configuration, or says everything that is wrong with it.
    ///
    /// # Errors
    /// How the command ends.
    pub(super) fn load(&self) -> Result<Loaded, Exit> {
        let loaded = self.read()?.loaded;
        loaded.map_err(|problems| complain(Exit::Configuration, problems))
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub(super) fn read(&self) -> Result<Given, Exit> {
        let environment = environment();
        if self.upstream.is_empty() {
            let source = self.source(&environment)?;
            let loaded = config::load(&source, &environment);
            let (name, text) = (source.name.clone(), Text(Some((source, environment))));
            return Ok(Given { name, loaded, text });
        }
        let flags = Flags {
            listen: self.listen.clone(),
            admin: self.admin.clone(),
            upstreams: self.upstream.clone(),
        };
        let mut loaded = config::from_flags(&flags, &environment);
        if let (Ok(loaded), Some(data_dir)) = (&mut loaded, &self.data_dir) {
            loaded.config.data_dir.clone_from(data_dir);
        }
        Ok(Given { name: "command line".to_owned(), loaded, text: Text(None) })
    }

    /// The file that it can be read from again, if it is from one.
    pub(super) fn origin(&self) -> Option<Origin> {
        let path = self.config.as_deref().filter(|path| *path != Path::new("-"))?;
        Some(Origin::new(path.to_owned(), environment()))
    }

    /// Those of this file alone, if one is named.
    pub(super) const fn of_file(config: Option<PathBuf>) -> Self {
        Self { config, listen: None, admin: None, data_dir: None, upstream: Vec::new() }
    }

    /// Whether neither a file nor a variable nor a flag says anything.
    pub(super) fn is_silent(&self) -> bool {
        self.config.is_none()
            && self.upstream.is_empty()
            && Source::from_environment(&environment()).is_none()
    }

    /// The text of the configuration.
    ///
    /// # Errors
    /// How the command ends.
    fn source(&self, environment: &Environment) -> Result<Source, Exit> {
        let problem = |problems| complain(Exit::Configuration, problems);
        match &self.config {
            Some(path) if path == Path::new("-") => {
                let mut bytes = Vec::new();
                let read =
                    io::stdin().lock().take(MAX_SOURCE_BYTES as u64 + 1).read_to_end(&mut bytes);
                read.map_err(|error| {
                    complain(Exit::Configuration, format!("fusebox: standard input: {error}"))
                })?;
                Source::from_bytes("standard input".to_owned(), bytes).map_err(problem)
            }
            Some(path) => Source::from_file(path).map_err(problem),
            None => match Source::from_environment(environment) {
                None if Path::new(USUAL_FILE).is_file() => Err(complain(Exit::Usage, NOT_NAMED)),
                None => Err(complain(Exit::Usage, NO_CONFIGURATION)),
                Some(source) if is_file_name(&source.text) => {
                    Err(complain(Exit::Configuration, NOT_A_FILE_NAME))
                }
                Some(source) => Ok(source),
            },
        }
    }
}

/// A natural mistake about FUSEBOX_CONFIG.
fn is_file_name(text: &str) -> bool {
    let text = text.trim();
    !text.contains('\n') && (text.ends_with(".yaml") || text.ends_with(".yml"))
}

/// The environment of the process, read here and nowhere else.
pub(super) fn environment() -> Environment {
    Environment::new(std::env::vars_os(), &host_name())
}

/// What people call this machine.
pub(super) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
