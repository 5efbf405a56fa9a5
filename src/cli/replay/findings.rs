//! What a replay found, beside what really happened.

use std::{collections::BTreeMap, time::Duration};

use super::Wanted;
use crate::{
    domain::replay::{OfRoute, Report, Sharing, Span, Trip},
    store::{Error, HistoryStore, Opening, RollupQuery},
};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) report: Report,
    pub(super) sharing: Sharing,
    /// Which circuits of the report are those of routes.
    pub(super) of_routes: Vec<OfRoute>,
    /// When circuits really opened, as far as the store was told.
    pub(super) openings: Vec<Opening>,
    /// Calls by upstream that began in the whole minutes of the span, by the sums.
    pub(super) sums: BTreeMap<String, u64>,
    /// Rows in words that a newer version has made up.
    pub(super) unread: u64,
    pub(super) took: Duration,
}

impl Findings {
    /// The real opening that a trip stands for: the one that its call was behind, else the one of
    /// its circuit at nearly its time.
    pub(super) fn real(&self, trip: &Trip) -> Option<&Opening> {
        self.openings
            .iter()
            .filter(|opening| is_same(opening, trip))
            .min_by_key(|opening| (!is_behind(trip, opening), opening.at_us.abs_diff(trip.at_us)))
    }

    /// Whether no trip may stand for a real opening.
    pub(super) fn is_only_real(&self, opening: &Opening) -> bool {
        !self.report.trips.iter().any(|trip| is_same(opening, trip))
    }

    /// Calls without a row, at least: sampled ones have one, those that a full spool dropped and
    /// those that have expired have none.
    pub(super) fn missing(&self) -> u64 {
        let mut replayed: BTreeMap<&str, u64> = BTreeMap::new();
        for (circuit, summary) in &self.report.upstreams {
            *replayed.entry(self.upstream_of(circuit)).or_default() += summary.calls;
        }
        let missing = replayed.into_iter().map(|(upstream, calls)| {
            self.sums.get(upstream).copied().unwrap_or(0).saturating_sub(calls)
        });
        missing.sum()
    }

    /// Where the calls of a circuit go. The sums know upstreams, not circuits.
    fn upstream_of<'a>(&'a self, circuit: &'a str) -> &'a str {
        let of_route = self.of_routes.iter().find(|of_route| *of_route.circuit == *circuit);
        of_route.map_or(circuit, |of_route| &*of_route.upstream)
    }

    /// All calls that were replayed.
    pub(super) fn calls(&self) -> u64 {
        self.report.upstreams.values().map(|summary| summary.calls).sum()
    }
}

/// Whether a trip may stand for a real opening. Their times are of two clocks, and a store that is
/// away hears of an opening long after it.
fn is_same(opening: &Opening, trip: &Trip) -> bool {
    let apart_us = opening.at_us.abs_diff(trip.at_us);
    *opening.upstream == *trip.upstream && (apart_us <= SAME_WITHIN_US || is_behind(trip, opening))
}

/// Whether the call that decided a trip is one of those that really opened the circuit.
fn is_behind(trip: &Trip, opening: &Opening) -> bool {
    opening.calls.contains(&trip.task_id)
}

/// Calls by upstream in the whole minutes of the span, checks left out.
///
/// # Errors
/// The store is away or refuses.
pub(super) async fn sums(
    history: &dyn HistoryStore,
    wanted: &Wanted,
) -> Result<BTreeMap<String, u64>, Error> {
    let Span { from_us, to_us } = wanted.span;
    let from_minute = from_us.div_euclid(MINUTE_US) + i64::from(from_us % MINUTE_US > 0);
    let to_minute = to_us.div_euclid(MINUTE_US);
    if from_minute >= to_minute {
        return Ok(BTreeMap::new());
    }
    let upstream = wanted.upstream.clone();
    let query = RollupQuery { upstream, from_minute, to_minute, ..RollupQuery::default() };
    let mut sums = BTreeMap::new();
    for (key, rollup) in history.totals(&query).await? {
        if &*key.domain != CHECKS {
            *sums.entry(key.upstream.into_string()).or_default() += rollup.count;
        }
    }
    Ok(sums)
}

/// How far apart a trip and a real opening may be whose calls are others: the rules are.
const SAME_WITHIN_US: u64 = 5_000_000;

const MINUTE_US: i64 = 60_000_000;

/// The domain of health checks.
const CHECKS: &str = "system-health";
