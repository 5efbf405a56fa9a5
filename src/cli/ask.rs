//! The commands that ask a running Fusebox: their flags, and how their answers become exit codes.

use std::{io, time::Duration};

use clap::Args;

use super::{
    client::{Address, Client, Error},
    exit::Exit,
    healthcheck::{self, Probe},
    output::complain,
    settings, status,
};
use crate::config::{Environment, Secret};

/// Where to ask.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// The admin port of the Fusebox to ask.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9901")]
    admin: Address,
    /// How long the answer may take, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    timeout_ms: u64,
}

/// `fusebox status`. With a token on the admin port, FUSEBOX_ADMIN_TOKEN must hold it.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    target: Target,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

/// `fusebox healthcheck`.
#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    #[command(flatten)]
    target: Target,
    /// Ask whether calls may be sent to it, not only whether it is alive.
    #[arg(long)]
    ready: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Target {
    /// The token comes from the environment, never from the command line, which others can read.
    pub(super) fn client(&self, environment: &Environment) -> Client {
        let token = ["FUSEBOX_ADMIN_TOKEN", "JARVIS_AUTH_TOKEN"]
            .into_iter()
            .find_map(|name| environment.get(name));
        let timeout = Duration::from_millis(self.timeout_ms);
        Client::new(self.admin.clone(), token.map(Secret::new), timeout)
    }
}

/// Runs `fusebox status`.
pub(super) fn status(arguments: &Status) -> Exit {
    let client = arguments.target.client(&settings::environment());
    finish(async move { status::run(&client, arguments.json, &mut io::stdout().lock()).await })
}

/// Runs `fusebox healthcheck`.
pub(super) fn healthcheck(arguments: &Healthcheck) -> Exit {
    let client = arguments.target.client(&settings::environment());
    let probe = if arguments.ready { Probe::Ready } else { Probe::Live };
    finish(async move {
        healthcheck::run(&client, probe, arguments.json, &mut io::stdout().lock()).await
    })
}

/// Runs a question to its end.
pub(super) fn finish(question: impl Future<Output = Result<(), Error>>) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(Exit::Runtime, format!("fusebox: no runtime: {error}")),
    };
    match runtime.block_on(question) {
        Ok(()) => Exit::Ok,
        // `fusebox status | head` has what it wanted.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => broken(error),
    }
}

/// Says what went wrong.
pub(super) fn broken(error: Error) -> Exit {
    complain(error.exit(), format!("fusebox: {:#}", anyhow::Error::new(error)))
}
