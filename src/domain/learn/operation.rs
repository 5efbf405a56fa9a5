//! What is known about operations: rollups added up per domain and action.
//!
//! Both stores hand over the same rollups and everything said about an operation is computed here,
//! so both answer alike. Adding is all that happens on the way, so rollups may come in any order
//! and in any portions.

use std::collections::BTreeMap;

use super::{
    histogram::Histogram,
    rollup::{Rollup, RollupKey},
};
use crate::domain::outcome::{Outcome, Reason};

/// Tallies by domain and action.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operations {
    by_name: BTreeMap<(Box<str>, Box<str>), Tally>,
}

impl Operations {
    /// Adds the calls of one rollup.
    pub fn add(&mut self, key: &RollupKey, rollup: &Rollup) {
        let name = (key.domain.clone(), key.action.clone());
        self.by_name.entry(name).or_default().add(key.outcome, key.reason, rollup);
    }

    /// All calls together.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.by_name.values().for_each(|tally| total.merge(tally));
        total
    }

    /// The calls of one operation.
    pub fn of(&self, domain: &str, action: &str) -> Option<&Tally> {
        self.by_name.get(&(Box::from(domain), Box::from(action)))
    }

    /// Each operation as domain, action and tally, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Tally)> {
        self.by_name.iter().map(|((domain, action), tally)| (&**domain, &**action, tally))
    }
}

/// The calls of one operation, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    outcomes: BTreeMap<Outcome, u64>,
    reasons: BTreeMap<Reason, u64>,
    /// Rows that hold them.
    stored: u64,
    /// Calls that were sent on. Refused ones take no time and would only hide how long work takes.
    timed: u64,
    duration_us: u64,
    durations: Histogram,
    scored: u64,
    impact_micros: i64,
    priced: u64,
    cost_nanos: u64,
    /// What those cost that did not succeed.
    wasted_nanos: u64,
}

impl Tally {
    /// All calls, refused ones too.
    pub fn calls(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// The rows that hold them: fewer than calls where rows were folded.
    pub const fn stored(&self) -> u64 {
        self.stored
    }

    /// The calls with this outcome.
    pub fn with(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or_default()
    }

    /// The calls that did not succeed.
    pub fn failures(&self) -> u64 {
        self.calls() - self.with(Outcome::Success)
    }

    /// The mean duration of calls that were sent on; none when there are none.
    pub fn mean_us(&self) -> Option<u64> {
        self.duration_us.checked_div(self.timed)
    }

    /// The duration below which a share `q` (0 to 1) of the calls that were sent on lies.
    pub fn quantile_us(&self, q: f64) -> Option<u64> {
        self.durations.quantile(q)
    }

    /// The calls that have an impact score.
    pub const fn scored(&self) -> u64 {
        self.scored
    }

    /// The mean impact score of those that have one, from 0 to 100.
    #[expect(clippy::cast_precision_loss, reason = "six digits are kept of at most eight")]
    pub fn mean_impact(&self) -> Option<f64> {
        let scored = i64::try_from(self.scored).ok().filter(|scored| *scored > 0)?;
        Some((self.impact_micros / scored) as f64 / 1e6)
    }

    /// The calls whose cost is known.
    pub const fn priced(&self) -> u64 {
        self.priced
    }

    /// What they cost, in billionths of a US dollar; none when no cost is known.
    pub fn cost_nanos(&self) -> Option<u64> {
        (self.priced > 0).then_some(self.cost_nanos)
    }

    /// What those cost that did not succeed, in billionths of a US dollar.
    pub fn wasted_nanos(&self) -> Option<u64> {
        (self.priced > 0).then_some(self.wasted_nanos)
    }

    /// What a success costs when failures are paid for too, in billionths of a US dollar. None
    /// without a success or without a known cost.
    pub fn nanos_per_success(&self) -> Option<u64> {
        self.cost_nanos()?.checked_div(self.with(Outcome::Success))
    }

    /// The calls that ended for this reason.
    pub fn because(&self, reason: Reason) -> u64 {
        self.reasons.get(&reason).copied().unwrap_or_default()
    }

    /// The calls that did not succeed, nobody knows why.
    pub fn unexplained(&self) -> u64 {
        self.failures().saturating_sub(self.reasons.values().sum())
    }

    /// Why calls did not succeed, the most common reason first.
    pub fn reasons(&self) -> Vec<(Reason, u64)> {
        let mut reasons: Vec<_> = self.reasons.iter().map(|(&reason, &n)| (reason, n)).collect();
        reasons.sort_by_key(|&(reason, calls)| (u64::MAX - calls, reason));
        reasons
    }

    /// Adds some calls that ended alike.
    pub fn add(&mut self, outcome: Outcome, reason: Option<Reason>, rollup: &Rollup) {
        *self.outcomes.entry(outcome).or_default() += rollup.count;
        if let Some(reason) = reason {
            *self.reasons.entry(reason).or_default() += rollup.count;
        }
        self.stored += rollup.stored;
        self.scored += rollup.scored;
        self.impact_micros += rollup.impact_micros;
        self.priced += rollup.priced;
        self.cost_nanos = self.cost_nanos.saturating_add(rollup.cost_nanos);
        if outcome != Outcome::Success {
            self.wasted_nanos = self.wasted_nanos.saturating_add(rollup.cost_nanos);
        }
        if outcome != Outcome::Refused {
            self.timed += rollup.count;
            self.duration_us += rollup.duration_us;
            self.durations.merge(&rollup.durations);
        }
    }

    fn merge(&mut self, other: &Self) {
        for (&outcome, &calls) in &other.outcomes {
            *self.outcomes.entry(outcome).or_default() += calls;
        }
        for (&reason, &calls) in &other.reasons {
            *self.reasons.entry(reason).or_default() += calls;
        }
        self.stored += other.stored;
        self.timed += other.timed;
        self.duration_us += other.duration_us;
        self.durations.merge(&other.durations);
        self.scored += other.scored;
        self.impact_micros += other.impact_micros;
        self.priced += other.priced;
        self.cost_nanos = self.cost_nanos.saturating_add(other.cost_nanos);
        self.wasted_nanos = self.wasted_nanos.saturating_add(other.wasted_nanos);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::{any, proptest};

    use super::{Operations, Tally};
    use crate::domain::{
        learn::{
            histogram::Histogram,
            rollup::{Rollup, RollupKey},
        },
        outcome::{Outcome, Reason},
    };

    fn key(action: &str, reason: Option<Reason>) -> RollupKey {
        RollupKey {
            minute: 1,
            service: Arc::from("orders"),
            upstream: "payments".into(),
            domain: "payments".into(),
            action: action.into(),
            outcome: reason.map_or(Outcome::Success, Reason::outcome),
            reason,
        }
    }

    fn rollup(count: u64, each_us: u64) -> Rollup {
        let mut durations = Histogram::default();
        durations.record_many(each_us, count);
        Rollup {
            count,
            stored: count,
            duration_us: count * each_us,
            durations,
            ..Rollup::default()
        }
    }

    fn sample() -> Operations {
        let mut operations = Operations::default();
        operations.add(&key("pay", None), &rollup(90, 10_000));
        operations.add(&key("pay", Some(Reason::Http503)), &rollup(6, 50_000));
        operations.add(&key("pay", Some(Reason::BreakerOpen)), &rollup(4, 0));
        operations.add(&key("refund", None), &rollup(1, 7_000));
        operations
    }

    #[test]
    fn refused_calls_count_but_take_no_time() {
        let operations = sample();
        let (_, _, pay) = operations.iter().next().unwrap();
        assert_eq!((pay.calls(), pay.failures(), pay.with(Outcome::Refused)), (100, 10, 4));
        assert_eq!(pay.mean_us(), Some((90 * 10_000 + 6 * 50_000) / 96));
        assert!(pay.quantile_us(0.01).unwrap() > 9_000, "a refused call would read 1 µs");
    }

    #[test]
    fn the_most_common_reason_comes_first() {
        assert_eq!(sample().total().reasons(), [(Reason::Http503, 6), (Reason::BreakerOpen, 4)]);
    }

    #[test]
    fn a_success_pays_for_the_failures_before_it() {
        let worth = |scored, impact_micros, priced, cost_nanos| Rollup {
            scored,
            impact_micros,
            priced,
            cost_nanos,
            ..rollup(10, 1_000)
        };
        let mut tally = Tally::default();
        tally.add(Outcome::Success, None, &worth(4, 300_000_000, 10, 40_000_000));
        tally.add(Outcome::Timeout, Some(Reason::TimeoutTotal), &worth(0, 0, 5, 20_000_000));
        assert_eq!((tally.scored(), tally.mean_impact()), (4, Some(75.0)));
        assert_eq!((tally.priced(), tally.cost_nanos()), (15, Some(60_000_000)));
        assert_eq!(tally.nanos_per_success(), Some(6_000_000));
        assert_eq!(tally.wasted_nanos(), Some(20_000_000));
        // A late score comes as a correction without a call.
        let correction = Rollup { scored: 1, impact_micros: 100_000_000, ..Rollup::default() };
        tally.add(Outcome::Success, None, &correction);
        assert_eq!((tally.calls(), tally.scored(), tally.mean_impact()), (20, 5, Some(80.0)));
    }

    #[test]
    fn failures_without_a_reason_are_counted_as_such() {
        let mut tally = Tally::default();
        tally.add(Outcome::Failure, None, &rollup(3, 1_000));
        tally.add(Outcome::Failure, Some(Reason::Http500), &rollup(2, 1_000));
        assert_eq!((tally.unexplained(), tally.because(Reason::Http500)), (3, 2));
    }

    #[test]
    fn an_empty_tally_has_no_mean_and_no_quantile() {
        let tally = Tally::default();
        assert_eq!((tally.calls(), tally.mean_us(), tally.quantile_us(0.5)), (0, None, None));
    }

    proptest! {
        #[test]
        fn the_order_of_rollups_does_not_matter(mut parts: Vec<(bool, u8, u16)>, again in any::<u64>()) {
            let add = |parts: &[(bool, u8, u16)]| {
                let mut operations = Operations::default();
                for &(failed, count, us) in parts {
                    let reason = failed.then_some(Reason::Http500);
                    operations.add(&key("pay", reason), &rollup(count.into(), us.into()));
                }
                operations.total()
            };
            let before = add(&parts);
            let turn = usize::try_from(again).unwrap_or(0) % parts.len().max(1);
            parts.rotate_left(turn);
            assert_eq!(add(&parts), before);
        }
    }
}
