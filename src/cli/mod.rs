//! The command line: one file per family of subcommands, each thin.
//!
//! Exit codes: 0 ok, 1 failed at run time, 2 wrong usage, 3 wrong configuration, 4 something that
//! Fusebox depends on cannot be reached, 5 unhealthy.

mod ask;
mod asking;
pub mod breaker;
pub mod client;
mod cloudwatch;
mod configuration;
mod control;
mod demo;
mod doctor;
pub mod exit;
pub mod explain;
pub mod follow;
pub mod healthcheck;
pub mod history;
mod journal;
mod manual;
mod migrate;
mod output;
mod progress;
mod recommendations;
mod replay;
pub mod rows;
mod run;
pub mod screen;
mod settings;
mod sheet;
mod standing;
pub mod stats;
pub mod status;
mod steer;
pub mod table;
mod top;
pub mod trace;
pub mod validate;
mod why;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

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
    /// Write a commented starter file and its schema; nothing that is there is overwritten.
    Init(configuration::Init),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Show every value in force and where it comes from, or the reference of all keys.
    Config(configuration::Arguments),
    /// Examine what a start depends on: ports, names, certificates, database, upstreams.
    Doctor(doctor::Arguments),
    /// Bring the tables of the store up to date, or show how they stand.
    Migrate(migrate::Arguments),
    /// Show what a running Fusebox is doing. FUSEBOX_ADMIN_TOKEN holds its token, if it has one.
    Status(ask::Status),
    /// Watch the upstreams of a running Fusebox in a terminal, the worst on top.
    Top(top::Arguments),
    /// Tell in plain words why a circuit breaker is as it is, and what happens next.
    Explain(steer::Explain),
    /// Steer a circuit breaker: open, close or disable it, let it look on, lift that, reset it.
    Breaker(steer::Breaker),
    /// See what waits in a data directory, and bring it to the store by hand.
    Journal(journal::Arguments),
    /// Print the newest calls, filtered, or new ones as they come.
    History(Box<asking::History>),
    /// Print calls as they come, until it is interrupted: the same as `history --follow`.
    Tail(Box<asking::Tail>),
    /// Print statistics: rates, durations, impact, cost, reasons of failures; grouped as you like.
    Stats(Box<stats::Arguments>),
    /// Print the calls of one correlation id, across services, as a tree with their timings.
    Trace(asking::Trace),
    /// Tell what sets the failures of an operation apart: an instance, a version, a parameter.
    Why(why::Why),
    /// Tell which parameters work best for an operation, and how sure that is.
    Recommendations(recommendations::Recommendations),
    /// Try other breaker rules on calls that were stored: which trips they would have made.
    Replay(replay::Arguments),
    /// Succeed when a running Fusebox is alive: for container health checks.
    Healthcheck(ask::Healthcheck),
    /// Print the dashboard and the alarms for CloudWatch.
    Cloudwatch(cloudwatch::Arguments),
    /// Have a running Fusebox read its configuration again.
    Reload(control::Arguments),
    /// Have a running Fusebox let calls in flight end, and stop.
    Drain(control::Arguments),
    /// See everything at work: flaky upstreams, a breaker that opens and recovers, a dashboard.
    Demo(demo::Arguments),
    /// Print completions for a shell.
    Completions(manual::Completions),
    /// Print the manual page, or write one for every command.
    Man(manual::Man),
    /// Print the version.
    Version(manual::Version),
}

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // What cannot be printed has no reader.
            let _gone = error.print();
            if asking::wants_a_url(&error) {
                output::complain(Exit::Usage, asking::NO_URL);
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8));
        }
    };
    let exit = match cli.command {
        Command::Run(settings) => run::run(&settings),
        Command::Validate(arguments) => run::validate(&arguments),
        Command::Init(arguments) => configuration::init(&arguments),
        Command::Schema => configuration::schema(),
        Command::Config(arguments) => configuration::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Status(arguments) => ask::status(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Explain(arguments) => steer::explain(&arguments),
        Command::Breaker(arguments) => steer::breaker(&arguments),
        Command::Journal(arguments) => journal::run(&arguments),
        Command::History(arguments) => asking::history(&arguments),
        Command::Tail(arguments) => asking::tail(*arguments),
        Command::Stats(arguments) => stats::command(&arguments),
        Command::Trace(arguments) => asking::trace(&arguments),
        Command::Why(arguments) => why::why(&arguments),
        Command::Recommendations(arguments) => recommendations::recommendations(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Healthcheck(arguments) => ask::healthcheck(&arguments),
        Command::Cloudwatch(arguments) => cloudwatch::run(&arguments),
        Command::Reload(arguments) => control::reload(&arguments),
        Command::Drain(arguments) => control::drain(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Completions(arguments) => manual::completions(&arguments, Cli::command()),
        Command::Man(arguments) => manual::man(&arguments, Cli::command()),
        Command::Version(arguments) => manual::version(&arguments),
    };
    exit.into()
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Commands without `--json`: what they print is a document of its own kind, or a log.
    const DOCUMENTS: [&str; 10] = [
        "cloudwatch alarms",
        "cloudwatch dashboard",
        "completions",
        "config reference",
        "demo",
        "journal dump",
        "man",
        "migrate sql",
        "run",
        "schema",
    ];

    /// Every command that can be given, by its whole name.
    fn commands(of: &clap::Command, above: &str, found: &mut Vec<(String, bool)>) {
        for command in of.get_subcommands().filter(|command| command.get_name() != "help") {
            let name = format!("{above} {}", command.get_name()).trim().to_owned();
            if command.has_subcommands() {
                commands(command, &name, found);
            } else {
                let json = command.get_arguments().any(|arg| arg.get_long() == Some("json"));
                found.push((name, json));
            }
        }
    }

    #[test]
    fn every_answer_can_be_had_as_json() {
        let mut found = Vec::new();
        commands(&Cli::command(), "", &mut found);
        found.sort();
        let without = found.iter().filter(|(_, json)| !json).map(|(name, _)| name.as_str());
        // `journal dump` takes the flag, for whoever gives it to every command.
        let without: Vec<&str> = without.chain(["journal dump"]).collect();
        let expected: std::collections::BTreeSet<&str> = DOCUMENTS.into();
        assert_eq!(without.into_iter().collect::<std::collections::BTreeSet<_>>(), expected);
    }
}
