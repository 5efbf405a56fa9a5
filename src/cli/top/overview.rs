//! What one frame of `fusebox top` shows: the process, its totals, and a line for each breaker.

use serde::Serialize;

use crate::{
    cli::{
        screen::harmless,
        standing::{Breaker, Standing, Status, Traffic, cause, traffic_of},
    },
    domain::breaker::State,
};

/// See the module docs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview {
    pub(super) service: String,
    pub(super) namespace: String,
    pub(super) display_name: String,
    pub(super) version: String,
    pub(super) uptime_ms: u64,
    pub(super) totals: Totals,
    pub(super) store: Store,
    pub(super) rows: Rows,
    /// What an operator should look at.
    pub(super) notes: Vec<String>,
    pub(super) upstreams: Vec<Line>,
}

/// All upstreams together.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Totals {
    pub(super) circuits: usize,
    pub(super) open: usize,
    /// Neither open nor closed.
    pub(super) recovering: usize,
    pub(super) in_flight: u64,
    pub(super) calls_per_second: f64,
    /// Calls of the last seconds, and how many of them failed or were refused.
    pub(super) calls: u64,
    pub(super) errors: u64,
}

/// What breakers are shared through.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Store {
    pub(super) kind: String,
    pub(super) fault: Option<String>,
    pub(super) sync_mode: String,
    pub(super) instances: u32,
}

/// Rows of the history, since the start.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rows {
    pub(super) written: u64,
    pub(super) waiting: u64,
    pub(super) lost: u64,
}

/// One breaker with the traffic of its upstream.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) state: String,
    /// How long it has been so.
    pub(super) for_ms: Option<u64>,
    pub(super) calls_per_second: Option<f64>,
    pub(super) error_share: Option<f64>,
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) in_flight: u64,
    /// How long until it is tried again, while it is open.
    pub(super) probe_in_ms: Option<u64>,
    /// Why it is so; empty when there is nothing to say.
    pub(super) why: String,
}

impl Overview {
    /// What a Fusebox tells, put together. Names and reasons come from files and other people: what
    /// a terminal would obey is taken out of them.
    pub(super) fn of(standing: Standing) -> Self {
        let Standing { status, breakers } = standing;
        let now = now_of(&status);
        let upstreams: Vec<Line> = breakers
            .iter()
            .map(|(name, breaker)| {
                Line::of(name, breaker, traffic_of(name, &status.upstreams), now)
            })
            .collect();
        Self {
            totals: Totals::of(&status, &upstreams),
            notes: notes(&status),
            service: harmless(&status.service),
            namespace: harmless(&status.namespace),
            display_name: harmless(&status.display_name),
            version: harmless(&status.version),
            uptime_ms: status.uptime_ms,
            rows: Rows {
                written: status.history.written,
                waiting: status.history.waiting,
                lost: status.history.lost(),
            },
            store: Store {
                kind: harmless(&status.store.kind),
                fault: status.store.fault.as_deref().map(harmless),
                sync_mode: harmless(&status.store.sync_mode),
                instances: status.store.instances,
            },
            upstreams,
        }
    }
}

/// The time by the clock of that Fusebox, which tells its start and its age: the clocks of two
/// machines need not agree.
fn now_of(status: &Status) -> Option<i64> {
    let uptime = i64::try_from(status.uptime_ms).ok()?;
    status.started_at?.as_millisecond().checked_add(uptime)
}

impl Line {
    fn of(name: &str, breaker: &Breaker, traffic: Traffic, now_ms: Option<i64>) -> Self {
        let since = breaker.since.map(|since| since.as_millisecond());
        let age = now_ms.zip(since).map(|(now, since)| now.saturating_sub(since));
        let is_open = breaker.state == State::Open.as_upper_str();
        Self {
            name: harmless(name),
            state: harmless(&breaker.state),
            for_ms: age.map(|age| u64::try_from(age).unwrap_or(0)),
            calls_per_second: traffic.calls_per_second,
            error_share: traffic.error_share,
            p50_ms: traffic.p50_ms,
            p95_ms: traffic.p95_ms,
            p99_ms: traffic.p99_ms,
            in_flight: traffic.in_flight,
            probe_in_ms: (is_open && breaker.retry_after_ms > 0).then_some(breaker.retry_after_ms),
            why: harmless(&cause(breaker)),
        }
    }
}

impl Totals {
    fn of(status: &Status, lines: &[Line]) -> Self {
        let is_in = |state: State| move |line: &&Line| line.state == state.as_upper_str();
        let open = lines.iter().filter(is_in(State::Open)).count();
        let closed = lines.iter().filter(is_in(State::Closed)).count();
        let traffic = status.upstreams.values();
        Self {
            circuits: lines.len(),
            open,
            recovering: lines.len() - open - closed,
            in_flight: status.in_flight,
            // From zero: what nothing adds up to is otherwise a negative one.
            calls_per_second: traffic
                .clone()
                .filter_map(|one| one.calls_per_second)
                .fold(0.0, |sum, rate| sum + rate),
            calls: traffic.clone().map(|one| one.calls).sum(),
            errors: traffic.map(|one| one.failures + one.refused).sum(),
        }
    }

    /// Calls that callers saw fail, of all.
    pub(super) fn error_share(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts of half a minute")]
        (self.calls > 0).then(|| self.errors as f64 / self.calls as f64)
    }
}

fn notes(status: &Status) -> Vec<String> {
    let stopping = status.draining.then(|| "stopping: no further calls should be sent here".into());
    let degraded =
        status.degraded.as_ref().map(|why| format!("it may be this instance that fails: {why}"));
    let memory = status.history.in_memory_because.as_ref();
    let memory = memory.map(|why| format!("rows that wait are in memory only: {why}"));
    let told: Vec<String> = [stopping, degraded, memory].into_iter().flatten().collect();
    told.iter().chain(&status.warnings).map(|note| harmless(note)).collect()
}
