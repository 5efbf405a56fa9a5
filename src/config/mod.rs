//! The configuration, checked: after this nothing about it can be wrong.
//!
//! `source` is the text, `file` reads it into a tree with positions, `expand` puts the variables
//! in, `check` turns the tree into the types below through `mapping`, which notes every problem
//! and goes on; `keys` is the table of all keys with their defaults and bounds. There is no
//! `Option` for a default here: what may be left out has its value. Nothing here reads the
//! process's environment or resolves a name: the same source and the same variables make the same
//! configuration.

mod address;
mod aws;
mod check;
mod circuit;
mod database;
mod database_url;
mod environment;
mod expand;
mod explain;
mod fallback;
mod file;
mod flags;
mod guide;
mod headers;
mod instance;
mod key;
mod keys;
mod limits;
mod listen;
mod mapping;
mod origin;
mod otel;
mod path;
mod problem;
mod reading;
mod restart;
mod schema;
mod secret;
mod secrets;
mod setting;
mod shape;
mod snippet;
mod source;
pub(crate) mod suggest;
mod task;
mod telemetry;
mod text;
mod tls;
mod unknown;
mod upstream;
mod warnings;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use http::{HeaderName, HeaderValue, Uri};

use mapping::Mapping;
use reading::Reading;
use secrets::Secrets;

use crate::domain::{
    breaker::Policy,
    capture::{Action, Plan},
    ejection,
    learn::contrast::Goal,
    retry,
    route::Match,
};

pub use aws::{Aws, KeySource, Keys};
pub use circuit::RouteBreaker;
pub use database::Database;
pub use database_url::check as check_database_url;
pub use environment::Environment;
pub use explain::{Because, Explained, explain};
pub use fallback::{Fallback, FixedAnswer, Instead};
pub use flags::{Flags, from_flags};
pub use guide::reference;
pub use instance::Instance;
pub use limits::Limits;
pub use listen::Listen;
pub use origin::Origin;
pub use problem::{MAX_PROBLEMS, Place, Problem, Problems, Severity};
pub use schema::schema;
pub use secret::Secret;
pub use source::{MAX_SOURCE_BYTES, Source};
pub use telemetry::{Collector, Compression, Emf, Telemetry, Traces};
pub use tls::{IdentityFiles, ListenerTls, TlsVersion, UpstreamTls};
pub use upstream::{
    Credentials, HealthCheck, LearnedMode, LearnedTimeout, Location, UpstreamLimits,
};
pub use warnings::Warnings;

/// A configuration, and what is hardly meant about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Problems that do not keep Fusebox from starting.
    pub warnings: Vec<Problem>,
}

/// Reads a configuration.
///
/// # Errors
/// It cannot be used as it is; every problem is reported.
pub fn load(source: &Source, environment: &Environment) -> Result<Loaded, Problems> {
    let reading = Reading::new(environment);
    let Some(mut tree) = file::parse(source, &reading) else {
        return Err(reading.finish(&source.name, &source.text, &Secrets::Unparsed));
    };
    expand::expand(&mut tree.root, &source.text, &path::Path::root(), &reading);
    let config = check::config(&Mapping::root(&tree.root, &reading), &reading);
    let secrets = Secrets::of(&tree);
    Loaded::new(Some(config), reading.finish(&source.name, &source.text, &secrets))
}

impl Loaded {
    /// The configuration, unless a problem forbids it.
    fn new(config: Option<Config>, problems: Problems) -> Result<Self, Problems> {
        match config {
            Some(config) if problems.count(Severity::Error) == 0 => {
                Ok(Self { config, warnings: problems.into_list() })
            }
            _ => Err(problems),
        }
    }
}

/// Everything that one run of Fusebox is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The service that it stands beside.
    pub service: String,
    /// Sidecars with the same database and namespace share breakers.
    pub namespace: String,
    /// The label `environment` of logs and metrics; empty for none.
    pub environment: String,
    /// The version of the service, for its rows; empty when unknown.
    pub version: String,
    /// What people know this instance by, and where it runs.
    pub instance: Instance,
    /// Data-plane threads.
    pub workers: Workers,
    /// The admin port.
    pub admin: Admin,
    /// Where the embedded store (and later the journal) lives. Created when missing.
    pub data_dir: PathBuf,
    /// The store.
    pub database: Database,
    /// Rows of calls.
    pub history: History,
    /// Early warnings.
    pub warnings: Warnings,
    /// Log lines.
    pub logs: Logs,
    /// What is told to CloudWatch and to a collector of traces.
    pub telemetry: Telemetry,
    /// How long calls in flight may take to end after SIGTERM.
    pub drain_timeout: Duration,
    /// Without a call for so long after SIGTERM, those that the service makes are over.
    pub drain_quiet: Duration,
    /// Whether breakers act at all; false only through the kill switch.
    pub breakers_enabled: bool,
    /// Where calls come in.
    pub listeners: Vec<Listener>,
    /// Where calls go, by name.
    pub upstreams: BTreeMap<Arc<str>, Arc<Upstream>>,
}

/// How many data-plane threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// As many as the CPU quota allows.
    Auto,
    /// This many.
    Count(NonZeroUsize),
}

/// The admin port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Its address.
    pub listen: SocketAddr,
    /// The bearer token; none is allowed on loopback only.
    pub token: Option<Secret>,
    /// Host headers that it answers to besides its own address and localhost.
    pub allowed_hosts: Vec<String>,
}

/// Rows of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// How long rows are kept.
    pub retention: Duration,
    /// The bytes of the journal, in which rows wait for the store, at most.
    pub spool_max_bytes: u64,
    /// Refused calls per second and upstream that get a row each; beyond, one row stands for many.
    pub refused_per_second: u32,
    /// Of so many successes one gets a row, which stands for all of them; 1 for a row each.
    pub sample_successes: NonZeroU32,
}

/// Log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// Which calls get a line.
    pub calls: CallLines,
    /// A file that gets every line too.
    pub file: Option<PathBuf>,
    /// The level filter, in `tracing`'s language: `info`, `debug`, `fusebox::fleet=debug`.
    pub level: String,
}

/// Which calls get a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallLines {
    /// Every call.
    All,
    /// Calls that did not succeed.
    Failures,
    /// None.
    None,
}

/// Where calls come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub listen: Listen,
    /// Its TLS; plain text without.
    pub tls: Option<ListenerTls>,
    /// What happens to `X-Forwarded-*`.
    pub forwarded: Forwarded,
    /// Limits on what callers may send.
    pub limits: Limits,
    /// Its routes, as written.
    pub routes: Vec<Route>,
}

/// What happens to `X-Forwarded-*` on the way to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// Passed on as received.
    Off,
    /// Replaced by what this listener knows.
    Replace,
    /// The peer is appended to what was received.
    Append,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its name in rows and metrics; from its match unless given.
    pub name: String,
    /// Which calls it takes.
    pub matches: Match,
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// Whether the matched prefix is removed.
    pub strip_prefix: bool,
    /// Whether the upstream sees the caller's Host.
    pub preserve_host: bool,
    /// What is done to request headers.
    pub request_headers: HeaderRules,
    /// What is done to response headers.
    pub response_headers: HeaderRules,
    /// Its own circuit; none when its calls are admitted by that of the upstream.
    pub breaker: Option<RouteBreaker>,
    /// What a call gets that is refused or fails.
    pub fallback: Option<Fallback>,
    /// The task's domain; the upstream's name unless given.
    pub domain: String,
    /// The task's action as written; the route's name unless given.
    pub action: String,
    /// The same where it differs between calls.
    pub actions: Option<Action>,
    /// What is captured of its tasks; none for nothing.
    pub plan: Option<Arc<Plan>>,
    /// What parameters are recommended for.
    pub goal: Goal,
    /// Whether answers tell what is recommended for such tasks.
    pub advice_header: bool,
}

/// Headers to remove, then headers to set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderRules {
    /// Set, replacing all of that name.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Removed.
    pub remove: Vec<HeaderName>,
}

/// Where calls go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is. At least one.
    pub endpoints: Vec<Endpoint>,
    /// What is spoken with them.
    pub protocol: Protocol,
    /// TLS towards those that are `https://`.
    pub tls: UpstreamTls,
    /// What it is asked with in place of what callers send.
    pub credentials: Option<Credentials>,
    /// Its active check.
    pub health_check: Option<HealthCheck>,
    /// How long its parts may take.
    pub timeouts: Timeouts,
    /// Connections kept idle per worker and endpoint at most, and how long.
    pub pool: Pool,
    /// What it may take at a time.
    pub limits: UpstreamLimits,
    /// How often the names of its endpoints are resolved.
    pub dns_refresh: Duration,
    /// Which attempts are made again.
    pub retry: retry::Policy,
    /// When one of its addresses is left out.
    pub ejection: ejection::Policy,
    /// The rules of its breaker.
    pub breaker: Policy,
    /// The shared breaker's key; from the name and the endpoints unless given.
    pub breaker_key: String,
}

/// One endpoint of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme and authority; the path is empty or `/`. Of a Unix socket, `http://localhost/`.
    pub uri: Uri,
    /// Where it is.
    pub location: Location,
    /// `host:port`, or `unix:/path`, as shown in rows.
    pub authority: Arc<str>,
    /// The Host header that the endpoint sees: the authority as written, or `localhost`.
    pub host: HeaderValue,
}

/// What is spoken with an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Over TLS what the endpoint chooses; without, HTTP/2 for gRPC and HTTP/1.1 for all else.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// How long the parts of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution and TCP connect together.
    pub connect: Duration,
    /// From sending the request head to the response head.
    pub first_byte: Duration,
    /// From the caller's request head to the response head, all attempts together.
    pub total: Duration,
    /// Between two frames of a body, in either direction.
    pub body_idle: Duration,
    /// From the beginning of one attempt to the response head; none for as long as `total`.
    pub attempt: Option<Duration>,
    /// Without a byte in either direction, after which a tunnel ends.
    pub tunnel_idle: Duration,
    /// What is done with what calls teach about `first_byte`.
    pub learned: LearnedTimeout,
}

/// Connections kept idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Per worker and endpoint at most.
    pub idle: usize,
    /// For this long; below the upstream's own keep-alive, so that it rarely closes first.
    pub idle_timeout: Duration,
    /// A connection that is older takes no more calls; none for any age.
    pub max_age: Option<Duration>,
}
