//! Rows added up where rollups do not know enough: by the service's version, by instance.
//!
//! A question reads so many rows at most, the newest first, and says how far it came. What a row
//! stands for is counted by its weight.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{RollupQuery, rows::rollup_key};
use crate::domain::learn::rollup::{Rollup, RollupKey, cost_nanos, impact_micros};

/// Which rows are added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSumsQuery {
    /// Whose.
    pub of: RollupQuery,
    /// Rows at most, the newest first.
    pub limit: u32,
}

/// Which rows are added up together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowKey {
    /// As in rollups.
    pub key: RollupKey,
    /// The service's version.
    pub version: Arc<str>,
    /// The process that carried them.
    pub instance: Arc<str>,
}

/// Rows added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowSums {
    /// The sums.
    pub sums: HashMap<RowKey, Rollup>,
    /// How many rows were read.
    pub rows: u64,
    /// Whether each of them stands for one call.
    pub is_one_to_one: bool,
    /// When the oldest began, in microseconds since the Unix epoch, where there are more rows than
    /// were read.
    pub cut_at_us: Option<i64>,
}

/// The columns that are read, in order, after `started_at`.
pub(super) const SUMMED_COLUMNS: [&str; 15] = [
    "service",
    "upstream",
    "domain",
    "action",
    "outcome",
    "failure_reason",
    "version",
    "instance",
    "attempts",
    "duration_us",
    "request_bytes",
    "response_bytes",
    "impact_score",
    "cost",
    "weight",
];

/// A row as it is read.
pub(super) struct SummedRow<'a> {
    pub(super) started_at_us: i64,
    /// From `service` to `outcome`.
    pub(super) texts: [&'a str; 5],
    pub(super) reason: Option<&'a str>,
    pub(super) version: &'a str,
    pub(super) instance: &'a str,
    pub(super) attempts: i32,
    /// Duration, request and response bytes.
    pub(super) sizes: [i64; 3],
    pub(super) impact_score: Option<f32>,
    pub(super) cost: Option<f64>,
    pub(super) weight: i32,
}

/// Adding up under way.
pub(super) struct Summing {
    sums: RowSums,
    names: HashSet<Arc<str>>,
    limit: u64,
    oldest_us: i64,
}

impl Summing {
    pub(super) fn new(limit: u32) -> Self {
        let sums = RowSums { is_one_to_one: true, ..RowSums::default() };
        Self { sums, names: HashSet::new(), limit: limit.into(), oldest_us: 0 }
    }

    /// Takes a row; one more than the limit tells that there are more.
    pub(super) fn take(&mut self, row: &SummedRow<'_>) {
        if self.sums.rows == self.limit {
            self.sums.cut_at_us = Some(self.oldest_us);
            return;
        }
        self.sums.rows += 1;
        self.oldest_us = row.started_at_us;
        let weight = u64::try_from(row.weight).unwrap_or(1).max(1);
        self.sums.is_one_to_one &= weight == 1;
        let [service, upstream, domain, action, outcome] = row.texts;
        let texts = [service, upstream, domain, action, outcome, row.reason.unwrap_or_default()];
        // An outcome that a newer version made up is nothing that could be told here.
        let Some(key) = rollup_key(row.started_at_us, texts) else { return };
        let (version, instance) = (self.name(row.version), self.name(row.instance));
        let sum = self.sums.sums.entry(RowKey { key, version, instance }).or_default();
        sum.merge(&rollup_of(row, weight));
    }

    pub(super) fn finish(self) -> RowSums {
        self.sums
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }
}

fn rollup_of(row: &SummedRow<'_>, weight: u64) -> Rollup {
    let [duration_us, request_bytes, response_bytes] =
        row.sizes.map(|size| u64::try_from(size).unwrap_or(0));
    let mut rollup = Rollup {
        count: weight,
        stored: 1,
        attempts: weight * u64::try_from(row.attempts).unwrap_or(0),
        duration_us: weight * duration_us,
        request_bytes: weight * request_bytes,
        response_bytes: weight * response_bytes,
        ..Rollup::default()
    };
    if let Some(score) = row.impact_score {
        rollup.scored = weight;
        rollup.impact_micros = impact_micros(score) * i64::try_from(weight).unwrap_or(1);
    }
    if let Some(cost) = row.cost {
        rollup.priced = weight;
        rollup.cost_nanos = cost_nanos(cost).saturating_mul(weight);
    }
    rollup.durations.record_many(duration_us, weight);
    rollup
}
