//! `fusebox replay`: which trips the rules of a configuration would have made of stored calls.
//!
//! The rules are those of [`crate::domain::replay`]; here rows are read, page by page, one page ahead
//! of the replay, so that memory does not grow with them.

mod findings;
mod rules;
mod text;
mod view;

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use jiff::Timestamp;

use super::{
    ask::broken,
    asking::{look, reader},
    client::Error,
    exit::Exit,
    migrate::{self, Place},
    output::complain,
    progress::Progress,
    screen::Screen,
    settings::{Settings, environment},
};
use crate::{
    admin::time_us,
    clock,
    config::Config,
    domain::replay::{Replay, Sharing, Span},
    store::{self, HistoryStore, PastPage, PastQuery, PastStore},
};

use findings::Findings;

/// `fusebox replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each stored call is carried once more, under other rules. Nothing is sent to anybody, and nothing in\n\
the store changes. A refused call has no outcome, so the answer is exact up to the first call that\n\
the rules refuse although it went through, or let through although it was refused. It says where\n\
that is.")]
pub(super) struct Arguments {
    /// The configuration whose rules are tried; `-` reads standard input. Its database holds the
    /// calls, else DATABASE_URL, else the embedded store in its data_dir.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Another configuration that says where the calls are stored.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Only calls that began at this time or later: an instant such as 2026-11-22T10:00:00Z or an
    /// age such as 15m [default: a day before --to].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Only calls that began before this time [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Only the circuits towards this upstream, those of its routes among them.
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// Whose calls [default: the namespace of the configuration].
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// One circuit per upstream for all instances, as if each knew at once what all others know;
    /// without it each instance has its own, as it had.
    #[arg(long)]
    one_for_all: bool,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

/// What is replayed, checked.
struct Wanted {
    span: Span,
    upstream: Option<String>,
    sharing: Sharing,
    is_json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> Exit {
    match prepared(arguments) {
        Ok((wanted, config, place)) => carry_out(&wanted, &config, &place),
        Err(exit) => exit,
    }
}

/// Reads what was asked for, and says what is wrong with it.
fn prepared(arguments: &Arguments) -> Result<(Wanted, Config, Place), Exit> {
    let settings = Settings::of_file(Some(arguments.config.clone()));
    let config = settings.load()?.config;
    let span = span(arguments, clock::wall_us())
        .map_err(|message| complain(Exit::Usage, format!("fusebox: {message}")))?;
    if let Some(name) = &arguments.upstream
        && !config.upstreams.contains_key(name.as_str())
    {
        let known: Vec<&str> = config.upstreams.keys().map(|name| &**name).collect();
        let known = known.join(", ");
        let message = format!("fusebox: no upstream `{name}` in the configuration; it has {known}");
        return Err(complain(Exit::Usage, message));
    }
    let mut place = match &arguments.store {
        Some(file) => migrate::place(&Settings::of_file(Some(file.clone())))?,
        None => migrate::place_of(&config),
    };
    if let Some(namespace) = &arguments.namespace {
        place.namespace.clone_from(namespace);
    }
    let sharing = if arguments.one_for_all { Sharing::OneForAll } else { Sharing::PerInstance };
    let upstream = arguments.upstream.clone();
    Ok((Wanted { span, upstream, sharing, is_json: arguments.json }, config, place))
}

fn span(arguments: &Arguments, now_us: i64) -> Result<Span, String> {
    let time = |name: &str, text: &Option<String>| match text {
        Some(text) => time_us(text, now_us).map(Some).ok_or_else(|| {
            format!("--{name}: expected a time such as 2026-11-22T10:00:00Z or an age such as 15m")
        }),
        None => Ok(None),
    };
    let to_us = time("to", &arguments.to)?.unwrap_or_else(|| now_us.saturating_add(1));
    let from_us = time("from", &arguments.from)?;
    let from_us = from_us.unwrap_or_else(|| to_us.saturating_sub(DAY_US)).max(0);
    if from_us >= to_us {
        return Err("--from must be before --to".to_owned());
    }
    Ok(Span { from_us, to_us })
}

fn carry_out(wanted: &Wanted, config: &Config, place: &Place) -> Exit {
    if let Err(exit) = look(place) {
        return exit;
    }
    // A thread beside this one reads while this one replays.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(Exit::Runtime, format!("fusebox: no runtime: {error}")),
    };
    let findings = runtime.block_on(async {
        let identity = reader(place.namespace.clone());
        let past = store::past(&place.database, &place.data_dir, identity.clone())?;
        let stores = store::reader(&place.database, &place.data_dir, identity)?;
        find(wanted, config, past, &*stores.history).await
    });
    let printed = findings.and_then(|findings| {
        let out = &mut io::stdout().lock();
        if wanted.is_json {
            let json = view::json(&findings);
            writeln!(out, "{json}").map_err(Error::Output)
        } else {
            let screen = Screen::of_stdout(&environment());
            out.write_all(text::report(&findings, screen).as_bytes()).map_err(Error::Output)
        }
    });
    match printed {
        Ok(()) => Exit::Ok,
        // `fusebox replay | head` has what it wanted.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => broken(error),
    }
}

async fn find(
    wanted: &Wanted,
    config: &Config,
    past: Arc<dyn PastStore>,
    history: &dyn HistoryStore,
) -> Result<Findings, Error> {
    let rules = rules::of(config, wanted.upstream.as_deref());
    let of_routes = rules.of_routes.clone();
    let began = clock::now();
    let mut replay = Replay::new(rules, wanted.sharing, wanted.span, began);
    let openings = past.openings(wanted.span, wanted.upstream.as_deref()).await?;
    let sums = findings::sums(history, wanted).await?;
    let progress = Progress::on_stderr();
    let mut rows = 0;
    let mut unread = 0;
    let mut next = Some(fetch(&past, wanted, None));
    while let Some(page) = next {
        let page = page.await.map_err(|error| store::Error::Unavailable(error.into()))??;
        next = page.last.map(|last| fetch(&past, wanted, Some(last)));
        page.calls.iter().for_each(|call| replay.feed(call));
        unread += page.unread;
        rows += page.calls.len();
        if let Some((reached_us, _)) = page.last {
            tell(&progress, wanted.span, rows, reached_us);
        }
    }
    drop(progress);
    let took = clock::now().saturating_duration_since(began);
    let mut report = replay.finish();
    if wanted.upstream.is_some() {
        // Others were not asked for.
        report.doubts.elsewhere = 0;
    }
    Ok(Findings { report, sharing: wanted.sharing, of_routes, openings, sums, unread, took })
}

/// Begins to read a page.
fn fetch(
    past: &Arc<dyn PastStore>,
    wanted: &Wanted,
    after: Option<(i64, crate::domain::task::TaskId)>,
) -> tokio::task::JoinHandle<Result<PastPage, store::Error>> {
    let upstream = wanted.upstream.clone();
    let query = PastQuery { span: wanted.span, upstream, after, limit: PAGE };
    let past = Arc::clone(past);
    tokio::spawn(async move { past.calls(&query).await })
}

/// Tells a person who waits how far it is.
fn tell(progress: &Progress, span: Span, rows: usize, reached_us: i64) {
    let part = |us: i64| u64::try_from(us).unwrap_or(0);
    let at = Timestamp::from_microsecond(reached_us).unwrap_or_default();
    let doing = format!("{rows} rows, up to {}", at.strftime("%Y-%m-%dT%H:%M:%SZ"));
    progress.tell(part(reached_us - span.from_us), part(span.to_us - span.from_us), &doing);
}

/// Rows of a page: two pages are in memory at a time.
const PAGE: u32 = 5_000;

/// The microseconds of a day.
const DAY_US: i64 = 86_400_000_000;
