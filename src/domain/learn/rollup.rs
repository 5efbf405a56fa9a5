//! Rollups: what is left of calls when they are added up.
//!
//! Exact even where rows are folded, sampled or expired. Adding two rollups of the same key is all
//! that compaction and every statistic ever do.

use std::{collections::HashMap, sync::Arc};

use super::histogram::Histogram;
use crate::domain::{
    outcome::{Outcome, Reason},
    task::{CallRecord, CallSite},
};

/// Which calls are added up together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RollupKey {
    /// The minute in which they began, counted from the Unix epoch.
    pub minute: i64,
    /// The service beside the proxy that carried them; empty means the writer's own.
    pub service: Arc<str>,
    /// Their upstream, domain and action.
    pub upstream: Box<str>,
    /// The task's domain.
    pub domain: Box<str>,
    /// The task's action.
    pub action: Box<str>,
    /// How they ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: Option<Reason>,
}

/// The sum of some calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rollup {
    /// How many calls.
    pub count: u64,
    /// How many rows hold them; fewer than calls where rows were folded.
    pub stored: u64,
    /// Their attempts.
    pub attempts: u64,
    /// Their durations.
    pub duration_us: u64,
    /// The bytes that callers sent.
    pub request_bytes: u64,
    /// The bytes that callers were sent.
    pub response_bytes: u64,
    /// Their durations by size.
    pub durations: Histogram,
}

impl Rollup {
    /// Adds another.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.stored += other.stored;
        self.attempts += other.attempts;
        self.duration_us += other.duration_us;
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        self.durations.merge(&other.durations);
    }

    fn add(&mut self, call: &CallRecord) {
        let weight = u64::from(call.weight);
        self.count += weight;
        self.stored += 1;
        self.attempts += weight * call.attempts.len() as u64;
        self.duration_us += weight * call.duration_us;
        self.request_bytes += weight * call.request_bytes;
        self.response_bytes += weight * call.response_bytes;
        self.durations.record_many(call.duration_us, weight);
    }
}

/// The deltas of a batch: one rollup per key, in no particular order.
pub fn deltas(service: &Arc<str>, rows: &[CallRecord]) -> Vec<(RollupKey, Rollup)> {
    // The calls of a route share their site, whose address is compared for much less than its words.
    type Cell = (i64, *const CallSite, Outcome, Option<Reason>);
    let mut cells: HashMap<Cell, (&CallSite, Rollup)> = HashMap::new();
    for row in rows {
        let cell = (minute_of(row), Arc::as_ptr(&row.site), row.outcome, row.reason);
        cells.entry(cell).or_insert_with(|| (&row.site, Rollup::default())).1.add(row);
    }
    // The same words may stand at several addresses.
    let mut deltas: HashMap<RollupKey, Rollup> = HashMap::with_capacity(cells.len());
    for ((minute, _, outcome, reason), (site, rollup)) in cells {
        let key = RollupKey {
            minute,
            service: Arc::clone(service),
            upstream: site.upstream.clone(),
            domain: site.domain.clone(),
            action: site.action.clone(),
            outcome,
            reason,
        };
        deltas.entry(key).or_default().merge(&rollup);
    }
    deltas.into_iter().collect()
}

/// The minute in which a call began, counted from the Unix epoch.
const fn minute_of(call: &CallRecord) -> i64 {
    call.started_at_us.div_euclid(60_000_000)
}
