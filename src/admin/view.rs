//! What the admin port may see of the running process, as plain values.
//!
//! The composition root implements [`View`]; everything behind it stays where it is. Each question
//! is answered at once and from memory, so that the admin port can answer while the store is away.

use std::{sync::Arc, time::Duration};

use crate::{
    config::{Config, Listen, Problem},
    domain::{
        breaker::{Policy, Scope, Snapshot, State},
        explain::FleetFacts,
        learn::recent::Counts,
        task::TaskId,
    },
    telemetry::exposition::Format,
};

/// The running process, as far as the admin port shows it.
pub trait View: Send + Sync {
    /// Every breaker, by name.
    fn breakers(&self) -> Vec<BreakerView>;

    /// The last result of every upstream, by name.
    fn services(&self) -> Vec<ServiceView>;

    /// The traffic of the last seconds of every upstream, by name.
    fn traffic(&self) -> Vec<TrafficView>;

    /// The process as a whole.
    fn status(&self) -> StatusView;

    /// Whether calls may be sent here.
    ///
    /// # Errors
    /// Not yet, or not any more; says why.
    fn ready(&self) -> Result<(), String>;

    /// The metrics as a text.
    fn metrics(&self, format: Format) -> String;

    /// The configuration in force.
    fn config(&self) -> Arc<Config>;
}

/// One breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerView {
    /// The upstream's name; `upstream/route` for a route's own.
    pub name: Arc<str>,
    /// Under which key the store knows it.
    pub key: String,
    /// Who shares the state that it is in.
    pub scope: Scope,
    /// What it says now.
    pub snapshot: Snapshot,
    /// Its rules.
    pub policy: Policy,
    /// How many live instances share it, this one included.
    pub reporters: u32,
    /// Calls that opened it here, some of them; of the last failures while it is closed.
    pub task_ids: Vec<TaskId>,
    /// What they have to do with it, as far as it is known.
    pub fleet: Option<FleetFacts>,
}

/// What an upstream answered last, to a call or to a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceView {
    /// The upstream's name.
    pub name: Arc<str>,
    /// The state of its breaker as callers feel it: closed while it is in shadow.
    pub state: State,
    /// Its last result; none before the first.
    pub last: Option<LastResult>,
    /// What is about to go wrong with it, in words: of several warnings, the most telling.
    pub warning: Option<String>,
}

/// The end of a call or of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastResult {
    /// When, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// How long it took.
    pub latency: Duration,
    /// Why it failed, unless it did not.
    pub failed: Option<String>,
}

/// The calls to one upstream in the last [`WINDOW_SECONDS`](crate::domain::learn::recent::WINDOW_SECONDS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficView {
    /// The upstream's name.
    pub name: Arc<str>,
    /// Calls under way now.
    pub in_flight: u64,
    /// Calls that ended.
    pub counts: Counts,
}

/// The configuration: which is in force, and what came of changes to its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationView {
    /// Which it is, counted from 1 since the start.
    pub generation: u64,
    /// Where it is from.
    pub source: String,
    /// Since when it is in force, in microseconds since the Unix epoch.
    pub since_us: i64,
    /// Keys whose new values count from the next start on.
    pub needs_restart: Vec<&'static str>,
    /// What came of the last time that it was read again; none while it was not.
    pub last: Option<LastReload>,
}

/// One time that the configuration was read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastReload {
    /// When, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// Why: `file`, `signal` or `api`.
    pub trigger: &'static str,
    /// Why it is not in force, in full; none when it is.
    pub fault: Option<String>,
    /// What is wrong with the file, or odd about it.
    pub problems: Vec<Problem>,
}

/// The process as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusView {
    /// Its version.
    pub version: &'static str,
    /// How long it has been running.
    pub uptime: Duration,
    /// This process start, unique.
    pub instance: String,
    /// For people: the host's name.
    pub display_name: String,
    /// Where calls come in: name and the address that was really bound.
    pub listeners: Vec<(String, Listen)>,
    /// Data-plane threads.
    pub workers: usize,
    /// Whether it is stopping.
    pub draining: bool,
    /// Calls under way now.
    pub in_flight: u64,
    /// The store.
    pub store: StoreView,
    /// Rows on their way to the store.
    pub history: HistoryView,
    /// The configuration.
    pub configuration: ConfigurationView,
    /// Why it may be this instance that fails, and not what it calls; none while nothing says so.
    pub degraded: Option<String>,
    /// What is odd about the configuration, and whatever else an operator should look at.
    pub warnings: Vec<String>,
}

/// The store, as of the last time that it was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreView {
    /// `postgres` or `sqlite`.
    pub kind: &'static str,
    /// Why it did not answer, unless it did.
    pub fault: Option<String>,
    /// How changes by others are noticed.
    pub sync: SyncMode,
    /// Why by polling, where the store might tell.
    pub sync_reason: Option<String>,
    /// How old what is known of others is; none before the store was first read.
    pub lag: Option<Duration>,
    /// Live instances that share it, this one included.
    pub instances: u32,
}

/// How changes of shared state are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// At once: the store says so.
    Listen,
    /// By asking again and again.
    Poll,
    /// There is nobody to share with.
    Alone,
}

impl SyncMode {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Poll => "poll",
            Self::Alone => "alone",
        }
    }
}

/// Rows on their way to the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryView {
    /// In the journal, not yet written.
    pub waiting: u64,
    /// Written since the start.
    pub written: u64,
    /// Lost, because the journal was full.
    pub dropped: u64,
    /// Set aside, because the store would not take them.
    pub rejected: u64,
    /// Records of the journal that could not be read.
    pub damaged: u64,
    /// What the journal takes.
    pub journal_bytes: u64,
    /// Why rows that wait do not survive the process; none when they do.
    pub in_memory_because: Option<String>,
}
