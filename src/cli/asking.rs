//! The commands that ask for rows: their flags, and where the rows come from.

use std::{io, path::PathBuf, time::Duration};

use clap::Args;

use super::{
    ask::{Target, finish},
    client::Error,
    exit::Exit,
    follow, history, migrate,
    output::complain,
    rows::Source,
    screen::Screen,
    settings::{self, Settings},
    table::Wanted,
    trace,
};
use crate::{
    admin::Questions,
    domain::units::parse_duration,
    store::{self, Identity, migrate::Progress},
};

/// `fusebox history`.
#[derive(Debug, Args)]
pub(super) struct History {
    #[command(flatten)]
    origin: Origin,
    /// Only calls with this correlation id; looks at everything that is kept.
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Only calls that this service made or received.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only calls to this upstream.
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// Only calls of this domain.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Only calls of this action.
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// Only calls that ended so: success, failure, timeout, refused, cancelled or interrupted.
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Only calls that did not succeed for this reason, such as breaker_open.
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Only calls with this status, such as 503, or with a status of this class, such as 5xx.
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only gRPC calls with this code, such as 14 or UNAVAILABLE.
    #[arg(long, value_name = "CODE")]
    grpc_status: Option<String>,
    /// Only calls that began at this time or later: an instant such as 2026-11-22T10:00:00Z or an
    /// age such as 15m [default: a day ago].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "follow")]
    from: Option<String>,
    /// Only calls that began before this time [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "follow")]
    to: Option<String>,
    /// How many calls to print, the newest first; with --follow, how many of those that are there
    /// [default: 50, with --follow 10].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: Option<u32>,
    /// Go on with each new call, until it is interrupted.
    #[arg(long, short)]
    follow: bool,
    /// With --follow, how long after its beginning a call is still waited for.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    #[arg(value_parser = lookback)]
    lookback: Duration,
    /// Print each call as a JSON object on a line of its own.
    #[arg(long)]
    json: bool,
}

/// `fusebox tail`.
#[derive(Debug, Args)]
#[command(mut_arg("follow", |follow| follow.hide(true)))]
pub(super) struct Tail {
    #[command(flatten)]
    history: History,
}

/// `fusebox trace`.
#[derive(Debug, Args)]
pub(super) struct Trace {
    /// The correlation id, as callers get it in `x-correlation-id`.
    correlation_id: String,
    #[command(flatten)]
    origin: Origin,
    /// Print the tree as JSON.
    #[arg(long)]
    json: bool,
}

/// Where rows come from: a running Fusebox, or the store itself.
#[derive(Debug, Args)]
pub(super) struct Origin {
    #[command(flatten)]
    target: Target,
    /// Read the store directly, without a running Fusebox: that of --config or FUSEBOX_CONFIG,
    /// else that of DATABASE_URL.
    #[arg(long, conflicts_with = "admin")]
    database: bool,
    /// With --database, the configuration that names the store.
    #[arg(long, short, value_name = "FILE", requires = "database")]
    config: Option<PathBuf>,
    /// With --database, whose rows [default: that of the configuration, else "default"].
    #[arg(long, value_name = "NAME", requires = "database")]
    namespace: Option<String>,
}

/// What somebody should know who gives `--database` the URL of one.
pub(super) const NO_URL: &str =
    "\nnote: `--database` takes no URL: set DATABASE_URL, or name a configuration with --config";

/// Whether a command line failed over a URL of a database, which no command takes.
pub(super) fn wants_a_url(error: &clap::Error) -> bool {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let is_url = |text: &str| text.starts_with("postgres://") || text.starts_with("postgresql://");
    let said = error.context().any(|(kind, value)| match value {
        ContextValue::String(text) => kind == ContextKind::InvalidArg && is_url(text),
        _ => false,
    });
    error.kind() == ErrorKind::UnknownArgument && said
}

impl Origin {
    /// Opens the way to the rows.
    ///
    /// # Errors
    /// How the command ends.
    pub(super) fn source(&self) -> Result<Source, Exit> {
        if !self.database {
            return Ok(Source::Admin(self.target.client(&settings::environment())));
        }
        let settings = Settings::of_file(self.config.clone());
        let place = migrate::place(&settings)?;
        look(&place)?;
        let namespace = self.namespace.clone().unwrap_or(place.namespace);
        let stores = store::reader(&place.database, &place.data_dir, reader(namespace));
        match stores {
            Ok(stores) => Ok(Source::Store(Questions::to(stores.history), place.retention)),
            Err(error) => Err(super::ask::broken(Error::Store(error))),
        }
    }
}

/// Looks whether there is a store with tables at a place, and says what is wrong with it if not: a
/// command has no log where the reason could stand.
pub(super) fn look(place: &migrate::Place) -> Result<(), Exit> {
    if place.database.url.is_none() {
        // The embedded store says it by itself, and must not be made by a question.
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| super::ask::broken(Error::Output(error)))?;
    let looking = store::migrate::status(&place.database, &place.data_dir);
    let found =
        runtime.block_on(looking).map_err(|error| super::ask::broken(Error::Store(error)))?;
    if found.iter().any(|migration| migration.progress != Progress::Pending) {
        return Ok(());
    }
    Err(complain(
        Exit::Unreachable,
        "fusebox: the database has no tables of Fusebox: `fusebox migrate up` makes them",
    ))
}

/// Who reads: only the namespace matters.
pub(super) fn reader(namespace: String) -> Identity {
    let unnamed = String::new;
    Identity {
        namespace,
        service: unnamed(),
        version: unnamed(),
        instance: unnamed(),
        journal_id: unnamed(),
        display_name: unnamed(),
        host: unnamed(),
        zone: None,
        found: store::Found::default(),
    }
}

/// Runs `fusebox history`.
pub(super) fn history(arguments: &History) -> Exit {
    let source = match arguments.origin.source() {
        Ok(source) => source,
        Err(exit) => return exit,
    };
    let filters = [
        ("correlationId", &arguments.correlation_id),
        ("service", &arguments.service),
        ("upstream", &arguments.upstream),
        ("domain", &arguments.domain),
        ("action", &arguments.action),
        ("outcome", &arguments.outcome),
        ("reason", &arguments.reason),
        ("status", &arguments.status),
        ("grpcStatus", &arguments.grpc_status),
        ("from", &arguments.from),
        ("to", &arguments.to),
    ];
    let given = filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let question: Vec<(&str, &str)> = given.collect();
    let limit = arguments.limit.unwrap_or(if arguments.follow { 10 } else { 50 });
    let wanted = Wanted {
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        json: arguments.json,
        screen: Screen::of_stdout(&settings::environment()),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    finish(async move {
        if arguments.follow {
            return follow::run(&source, &question, arguments.lookback, wanted, &mut out).await;
        }
        history::run(&source, &question, wanted, &mut out).await?;
        Ok(io::Write::flush(&mut out)?)
    })
}

/// Runs `fusebox tail`.
pub(super) fn tail(arguments: Tail) -> Exit {
    history(&History { follow: true, ..arguments.history })
}

/// Runs `fusebox trace`.
pub(super) fn trace(arguments: &Trace) -> Exit {
    let source = match arguments.origin.source() {
        Ok(source) => source,
        Err(exit) => return exit,
    };
    let screen = Screen::of_stdout(&settings::environment());
    finish(async move {
        let out = &mut io::stdout().lock();
        trace::run(&source, &arguments.correlation_id, arguments.json, screen, out).await
    })
}

/// How long a call may be waited for: a day at most, for all that was printed is remembered.
fn lookback(text: &str) -> Result<Duration, String> {
    const BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    let is_within = (BOUNDS.0..=BOUNDS.1).contains(&duration);
    is_within.then_some(duration).ok_or_else(|| "expected 1s to 1d".to_owned())
}
