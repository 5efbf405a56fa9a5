//! `fusebox journal`: what waits in a data directory, and how to bring it to the store by hand.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokio::time::interval;

use super::{
    exit::Exit,
    output::{complain, say},
    progress::Progress,
    settings::Settings,
};
use crate::{
    clock,
    config::Config,
    domain::task::Origin,
    history::{
        Counters, Recorder,
        journal::{
            Journal, KEPT, Limits,
            home::Home,
            inspect::{self, Report},
        },
    },
    store,
};

/// What to do with a journal.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the segments, what is in them and what of it cannot be read. A running Fusebox may
    /// have the directory.
    Status(Directory),
    /// Print every record of a call as a JSON line.
    Dump(Directory),
    /// Bring the rows that a stopped Fusebox has left to the store, each once.
    Replay(Replay),
}

#[derive(Debug, Args)]
struct Directory {
    /// The data directory.
    #[arg(long, value_name = "DIRECTORY", default_value = "./data")]
    data_dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Replay {
    #[command(flatten)]
    settings: Settings,
    /// The data directory to read, when it is not that of the configuration.
    #[arg(long, value_name = "DIRECTORY")]
    from: Option<PathBuf>,
    /// Give up after so many seconds; what is left stays.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    within: u64,
    /// Print what came of it as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Exit {
    match &arguments.action {
        Action::Status(directory) => status(directory),
        Action::Dump(directory) => dump(directory),
        Action::Replay(replay) => bring(replay),
    }
}

fn status(Directory { data_dir, json }: &Directory) -> Exit {
    match inspect::report(data_dir) {
        Ok(report) if *json => say(as_json(&report)),
        Ok(report) => say(as_text(&report)),
        Err(error) => return no_journal(data_dir, &error),
    }
    Exit::Ok
}

fn dump(Directory { data_dir, .. }: &Directory) -> Exit {
    match inspect::dump(data_dir, say) {
        Ok(unreadable) if unreadable.is_empty() => Exit::Ok,
        Ok(unreadable) => {
            for (path, why) in unreadable {
                complain(Exit::Runtime, format!("fusebox: {}: {why}", path.display()));
            }
            Exit::Runtime
        }
        Err(error) => no_journal(data_dir, &error),
    }
}

fn no_journal(data_dir: &Path, error: &std::io::Error) -> Exit {
    complain(Exit::Runtime, format!("fusebox: no journal in {}: {error}", data_dir.display()))
}

fn as_json(report: &Report) -> Value {
    json!({
        "journalId": report.journal_id,
        "inUse": report.is_in_use,
        "underWay": report.under_way,
        "segments": report.segments.iter().map(|segment| json!({
            "path": segment.path,
            "worker": segment.worker,
            "number": segment.number,
            "instance": segment.instance,
            "bytes": segment.bytes,
            "usedBytes": segment.used_bytes,
            "rows": segment.rows,
            "calls": segment.calls,
            "damaged": segment.damaged,
        })).collect::<Vec<_>>(),
        "unreadable": report.unreadable.iter().map(|(path, why)| json!({
            "path": path,
            "why": why,
        })).collect::<Vec<_>>(),
    })
}

fn as_text(report: &Report) -> String {
    let id = report.journal_id.as_deref().unwrap_or("none yet");
    let used = if report.is_in_use { "a running Fusebox has it" } else { "nobody has it" };
    let mut text = format!("journal    {id}, {used}\nunder way  {}\n\n", report.under_way);
    text.push_str(
        "WORKER        SEGMENT       BYTES        USED        ROWS       CALLS  DAMAGED\n",
    );
    for segment in &report.segments {
        text.push_str(&format!(
            "{:>6}  {:>13}  {:>10}  {:>10}  {:>10}  {:>10}  {:>7}\n",
            segment.worker,
            segment.number,
            segment.bytes,
            segment.used_bytes,
            segment.rows,
            segment.calls,
            segment.damaged,
        ));
    }
    for (path, why) in &report.unreadable {
        text.push_str(&format!("unreadable  {}: {why}\n", path.display()));
    }
    text.push_str(
        "\nRows stay for a minute after they are in the store, so not all of these wait.",
    );
    text
}

fn bring(arguments: &Replay) -> Exit {
    let config = match arguments.settings.load() {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    let directory = arguments.from.as_ref().unwrap_or(&config.data_dir);
    if let Err(error) = inspect::report(directory) {
        return no_journal(directory, &error);
    }
    let home = match Home::claim(directory) {
        Ok(home) => home,
        Err(error) => {
            let path = directory.display();
            return complain(Exit::Runtime, format!("fusebox: {path}: {error}"));
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(Exit::Runtime, format!("fusebox: no runtime: {error}")),
    };
    let within = Duration::from_secs(arguments.within);
    runtime.block_on(replay(&config, home, within, arguments.json))
}

async fn replay(config: &Config, home: Home, within: Duration, as_json: bool) -> Exit {
    let origin = Origin { service: config.service.clone(), ..Origin::default() };
    let limits = Limits { spool_max_bytes: u64::MAX, kept: KEPT };
    let identity = store::Identity {
        namespace: config.namespace.clone(),
        service: config.service.clone(),
        version: config.version.clone(),
        instance: home.journal_id().to_owned(),
        journal_id: home.journal_id().to_owned(),
        display_name: String::new(),
        host: String::new(),
        zone: None,
        found: store::Found::default(),
    };
    let stores = match store::open(&config.database, &config.data_dir, identity) {
        Ok(stores) => stores,
        Err(error) => {
            let error = anyhow::Error::new(error);
            return complain(Exit::Unreachable, format!("fusebox: {error:#}"));
        }
    };
    let journal = Journal::open(home, origin, 1, limits);
    let found = journal.found().clone();
    let (recorder, writer) = Recorder::new(0, journal, &config.history, None);
    let deadline = clock::now() + within;
    let counters = recorder.counters();
    let left = tokio::select! {
        left = writer.run(stores.history, std::future::ready(deadline), |_| {}) => left,
        never = tell_progress(counters) => match never {},
    };
    let (rows, calls) = (counters.rows_written(), counters.written());
    let (set_aside, interrupted) = (counters.set_aside(), found.interrupted);
    if as_json {
        say(json!({
            "rows": rows,
            "calls": calls,
            "setAside": set_aside,
            "interrupted": interrupted,
            "left": left,
        }));
    } else {
        say(format!(
            "{rows} rows brought to the store ({calls} calls), {set_aside} set aside, \
             {interrupted} calls had been interrupted",
        ));
    }
    for (path, why) in &found.unreadable {
        complain(Exit::Runtime, format!("fusebox: {path}: {why}"));
    }
    match counters.last_error() {
        Some(error) if left > 0 => {
            complain(Exit::Unreachable, format!("fusebox: rows are left: {}", error.message))
        }
        _ if !found.unreadable.is_empty() => Exit::Runtime,
        _ => Exit::Ok,
    }
}

/// Tells a person who waits how many rows are done, as long as it is polled.
async fn tell_progress(counters: &Counters) -> Infallible {
    let progress = Progress::on_stderr();
    let mut ticks = interval(TELL_EVERY);
    loop {
        ticks.tick().await;
        let done = counters.rows_written();
        let all = done + counters.rows_waiting();
        progress.tell(done, all, &format!("{done} of {all} rows"));
    }
}

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(200);
