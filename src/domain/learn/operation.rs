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

    /// Why calls did not succeed, the most common reason first.
    pub fn reasons(&self) -> Vec<(Reason, u64)> {
        let mut reasons: Vec<_> = self.reasons.iter().map(|(&reason, &n)| (reason, n)).collect();
        reasons.sort_by_key(|&(reason, calls)| (u64::MAX - calls, reason));
        reasons
    }

    fn add(&mut self, outcome: Outcome, reason: Option<Reason>, rollup: &Rollup) {
        *self.outcomes.entry(outcome).or_default() += rollup.count;
        if let Some(reason) = reason {
            *self.reasons.entry(reason).or_default() += rollup.count;
        }
        self.stored += rollup.stored;
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
