//! The command line: one file per family of subcommands, each thin.
//!
//! Exit codes: 0 ok, 1 failed at run time, 2 wrong usage, 3 wrong configuration, 4 something that
//! Fusebox depends on cannot be reached, 5 unhealthy.

mod ask;
mod asking;
pub mod breaker;
pub mod client;
mod demo;
pub mod exit;
pub mod explain;
pub mod follow;
pub mod healthcheck;
pub mod history;
mod journal;
mod migrate;
mod output;
mod replay;
pub mod rows;
mod run;
pub mod screen;
mod settings;
pub mod status;
mod steer;
pub mod table;
pub mod trace;
pub mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Exit;

/// A sidecar proxy with circuit breakers that a whole fleet shares, and one row per call.
#[derive(Debug, Parser)]
#[command(name = "fusebox", version, about, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failed at run time, 2 wrong usage, 3 wrong configuration,\n\
    4 something that Fusebox depends on cannot be reached, 5 unhealthy."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Carry calls until SIGTERM or SIGINT.
    Run(settings::Settings),
    /// Check a configuration and report everything that is wrong with it.
    Validate(run::Validate),
    /// Bring the tables of the store up to date, or show how they stand.
    Migrate(migrate::Arguments),
    /// Show what a running Fusebox is doing. FUSEBOX_ADMIN_TOKEN holds its token, if it has one.
    Status(ask::Status),
    /// Tell in plain words why a circuit breaker is as it is, and what happens next.
    Explain(steer::Explain),
    /// Steer a circuit breaker: open, close or disable it, let it look on, lift that, reset it.
    Breaker(steer::Breaker),
    /// See what waits in a data directory, and bring it to the store by hand.
    Journal(journal::Arguments),
    /// Print the newest calls, filtered, or new ones as they come.
    History(Box<asking::History>),
    /// Print the calls of one correlation id, across services, as a tree with their timings.
    Trace(asking::Trace),
    /// Try other breaker rules on calls that were stored: which trips they would have made.
    Replay(replay::Arguments),
    /// Succeed when a running Fusebox is alive: for container health checks.
    Healthcheck(ask::Healthcheck),
    /// See everything at work: flaky upstreams, a breaker that opens and recovers, a dashboard.
    Demo(demo::Arguments),
    /// Print the version.
    Version,
}

/// Runs the program.
pub fn run() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Run(settings) => run::run(&settings),
        Command::Validate(arguments) => run::validate(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Status(arguments) => ask::status(&arguments),
        Command::Explain(arguments) => steer::explain(&arguments),
        Command::Breaker(arguments) => steer::breaker(&arguments),
        Command::Journal(arguments) => journal::run(&arguments),
        Command::History(arguments) => asking::history(&arguments),
        Command::Trace(arguments) => asking::trace(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Healthcheck(arguments) => ask::healthcheck(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Version => {
            output::say(concat!("fusebox ", env!("CARGO_PKG_VERSION")));
            Exit::Ok
        }
    };
    exit.into()
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
