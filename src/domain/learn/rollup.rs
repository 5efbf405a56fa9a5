//! Rollups: what is left of calls when they are added up.
//!
//! Exact even where rows are folded, sampled or expired. Adding two rollups of the same key is all
//! that compaction and every statistic ever do.

use std::{collections::HashMap, sync::Arc};

use super::histogram::Histogram;
use crate::domain::{
    capture::Captured,
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
    /// How many of them have an impact score.
    pub scored: u64,
    /// Their impact scores, in millionths of a point. A correction may be negative.
    pub impact_micros: i64,
    /// How many of them have a known cost.
    pub priced: u64,
    /// Their costs, in billionths of a US dollar.
    pub cost_nanos: u64,
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
        self.scored += other.scored;
        self.impact_micros += other.impact_micros;
        self.priced += other.priced;
        self.cost_nanos = self.cost_nanos.saturating_add(other.cost_nanos);
        self.durations.merge(&other.durations);
    }

    /// Adds a call, without its row.
    fn add(&mut self, call: &CallRecord) {
        let weight = u64::from(call.weight);
        self.count += weight;
        self.attempts += weight * call.attempts.len() as u64;
        self.duration_us += weight * call.duration_us;
        self.request_bytes += weight * call.request_bytes;
        self.response_bytes += weight * call.response_bytes;
        self.durations.record_many(call.duration_us, weight);
        if let Some(captured) = &call.captured {
            self.add_worth(captured, weight);
        }
    }

    /// Adds what calls meant.
    fn add_worth(&mut self, captured: &Captured, weight: u64) {
        if let Some(score) = captured.impact_score {
            self.scored += weight;
            self.impact_micros += impact_micros(score) * i64::try_from(weight).unwrap_or(1);
        }
        if let Some(cost) = captured.cost_nano_usd {
            self.priced += weight;
            self.cost_nanos = self.cost_nanos.saturating_add(cost.saturating_mul(weight));
        }
    }
}

/// An impact score as it is summed: in whole millionths of a point, so that sums do not depend on
/// their order.
#[expect(clippy::cast_possible_truncation, reason = "a score is 0 to 100")]
pub fn impact_micros(score: f32) -> i64 {
    (f64::from(score) * 1e6).round() as i64
}

/// A cost in US dollars as it is summed: in whole billionths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate")]
pub fn cost_nanos(cost: f64) -> u64 {
    (cost * 1e9).round() as u64
}

/// Sums of calls that have no row.
#[derive(Debug, Clone, Default)]
pub struct Ledger(HashMap<RollupKey, Rollup>);

impl Ledger {
    /// Adds a call that lost its row.
    pub fn add_lost(&mut self, service: &str, call: &CallRecord) {
        let site = &call.site;
        let key = RollupKey {
            minute: minute_of(call),
            service: service.into(),
            upstream: site.upstream.clone(),
            domain: site.domain.clone(),
            action: site.action.clone(),
            outcome: call.outcome,
            reason: call.reason,
        };
        let mut sum = Rollup::default();
        sum.add(call);
        self.merge(key, &sum);
    }

    /// Adds a sum.
    pub fn merge(&mut self, key: RollupKey, sum: &Rollup) {
        self.0.entry(key).or_default().merge(sum);
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The calls in it.
    pub fn calls(&self) -> u64 {
        self.0.values().map(|sum| sum.count).sum()
    }

    /// One sum per key, in no particular order.
    pub fn into_sums(self) -> Vec<(RollupKey, Rollup)> {
        self.0.into_iter().collect()
    }
}

/// The deltas of some calls, of which the `stored` ones have rows: one rollup per key, in no
/// particular order.
pub fn deltas(
    service: &str,
    calls: &[CallRecord],
    stored: &[CallRecord],
) -> Vec<(RollupKey, Rollup)> {
    let service: Arc<str> = service.into();
    let mut cells = Cells::default();
    for call in calls {
        cells.of(call).add(call);
    }
    for row in stored {
        cells.of(row).stored += 1;
    }
    // The same words may stand at several addresses.
    let mut deltas: HashMap<RollupKey, Rollup> = HashMap::with_capacity(cells.sums.len());
    for ((minute, _, outcome, reason), (site, rollup)) in cells.sums {
        let key = RollupKey {
            minute,
            service: Arc::clone(&service),
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

/// Sums of calls that share a site. Its address is compared for much less than its words.
#[derive(Default)]
struct Cells<'a> {
    sums: Vec<(Cell, (&'a CallSite, Rollup))>,
    places: HashMap<Cell, usize>,
    /// Most calls are like the one before.
    last: usize,
}

type Cell = (i64, *const CallSite, Outcome, Option<Reason>);

impl<'a> Cells<'a> {
    /// The sum that a call belongs to.
    fn of(&mut self, call: &'a CallRecord) -> &mut Rollup {
        let cell = (minute_of(call), Arc::as_ptr(&call.site), call.outcome, call.reason);
        if self.sums.get(self.last).is_none_or(|(last, _)| *last != cell) {
            self.last = *self.places.entry(cell).or_insert_with(|| {
                self.sums.push((cell, (&call.site, Rollup::default())));
                self.sums.len() - 1
            });
        }
        &mut self.sums[self.last].1.1
    }
}

/// The minute in which a call began, counted from the Unix epoch.
const fn minute_of(call: &CallRecord) -> i64 {
    call.started_at_us.div_euclid(60_000_000)
}
