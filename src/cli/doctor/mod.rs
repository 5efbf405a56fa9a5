//! `fusebox doctor`: whether everything that a start depends on is as it must be.
//!
//! It changes nothing, holds nothing up and gates nothing: what it says, a person or a script may act
//! on. Each failure has a code that stays the same, and says what to do.

mod database;
mod finding;
mod machine;
mod network;

use clap::Args;

use super::{
    exit::Exit,
    output::{complain, say},
    settings::{Given, Settings},
};
use crate::{clock, config::Config};
use finding::{Finding, Verdict, subject};

/// `fusebox doctor`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Examines and tells.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let Given { name, loaded, .. } = match arguments.settings.read() {
        Ok(given) => given,
        Err(exit) => return exit,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(Exit::Runtime, format!("fusebox: no runtime: {error}")),
    };
    let (findings, bad) = match loaded {
        Ok(loaded) => {
            let mut findings = vec![Finding::good(subject::CONFIGURATION, name)];
            findings.extend(runtime.block_on(examine(&loaded.config)));
            (findings, Exit::Unreachable)
        }
        Err(problems) => {
            let finding = Finding::bad(subject::CONFIGURATION, format!("{name}\n{problems}"));
            (vec![finding], Exit::Configuration)
        }
    };
    // Names that nobody answers for keep threads waiting, which nobody waits for.
    runtime.shutdown_background();
    if arguments.json {
        say(format!("{:#}", finding::json(&findings)));
    } else {
        say(finding::report(&findings).trim_end());
    }
    let is_bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    if is_bad { bad } else { Exit::Ok }
}

async fn examine(config: &Config) -> Vec<Finding> {
    let now = jiff::Timestamp::from_microsecond(clock::wall_us()).unwrap_or_default();
    let mut findings = vec![machine::data_dir(config)];
    findings.extend(machine::ports(config).await);
    findings.extend(machine::certificates(config, now));
    let (upstreams, database) =
        tokio::join!(network::upstreams(config), database::database(config));
    findings.extend(upstreams);
    findings.extend(database);
    findings
}
