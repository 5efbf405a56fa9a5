//! What calls come to: how many, how often they succeed, how long they take, why they fail.
//!
//! Pure sums of rollups, so that both stores answer alike, and exact even where rows were folded
//! or have expired.
//!
//! The idea: a call is *judged* when it was sent on and seen through, which is success, failure or
//! timeout. Only judged calls count in the success rate, the durations and the reasons. A call that
//! Fusebox refused, its caller gave up or a stop cut short says nothing about the operation; it
//! would make a broken one look fast, or a good one look broken. Such calls are in the total and in
//! the count of each outcome.

use std::{cmp::Reverse, collections::BTreeMap};

use super::rollup::{Rollup, RollupKey};
use crate::domain::outcome::{Outcome, Reason};

/// The statistics of some calls.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Statistics {
    /// All calls.
    pub total: u64,
    /// The rows that hold them, or held them; fewer than calls where rows were folded.
    pub stored: u64,
    /// How many calls ended in each way that occurred.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Calls that count below: those that succeeded, failed or timed out.
    pub judged: u64,
    /// The attempts of all calls.
    pub attempts: u64,
    /// Successes among the judged calls, 0 to 1; none when nothing was judged.
    pub success_rate: Option<f64>,
    /// The mean duration of judged calls in milliseconds.
    pub average_duration_ms: Option<f64>,
    /// The duration in milliseconds that half of the judged calls stay below.
    pub p50_ms: Option<f64>,
    /// The duration that 95 % stay below.
    pub p95_ms: Option<f64>,
    /// The duration that 99 % stay below.
    pub p99_ms: Option<f64>,
    /// Why judged calls did not succeed, most common first.
    pub common_failure_reasons: Vec<FailureReason>,
}

/// One reason and how common it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FailureReason {
    /// The reason.
    pub reason: Reason,
    /// The calls that it ended.
    pub count: u64,
    /// Their share of all failures and timeouts, 0 to 1.
    pub share: f64,
}

/// The statistics of one domain and action.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The tasks' domain.
    pub domain: Box<str>,
    /// Their action.
    pub action: Box<str>,
    /// What they come to.
    pub statistics: Statistics,
}

impl Statistics {
    /// The statistics of everything in some rollups.
    pub fn of<'a>(rollups: impl IntoIterator<Item = &'a (RollupKey, Rollup)>) -> Self {
        let mut sums = Sums::default();
        rollups.into_iter().for_each(|(key, rollup)| sums.add(key, rollup));
        sums.statistics()
    }

    /// The share of calls that have a row of their own, 0 to 1; 1 when there are none.
    pub fn completeness(&self) -> f64 {
        share(self.stored, self.total).unwrap_or(1.0)
    }
}

/// The operations that occur in some rollups, by domain and action.
pub fn operations(rollups: &[(RollupKey, Rollup)]) -> Vec<Operation> {
    let mut sums: BTreeMap<(&str, &str), Sums> = BTreeMap::new();
    for (key, rollup) in rollups {
        sums.entry((&*key.domain, &*key.action)).or_default().add(key, rollup);
    }
    let operation = |((domain, action), sums): ((&str, &str), Sums)| Operation {
        domain: domain.into(),
        action: action.into(),
        statistics: sums.statistics(),
    };
    sums.into_iter().map(operation).collect()
}

/// What is added up on the way.
#[derive(Debug, Default)]
struct Sums {
    all: Rollup,
    judged: Rollup,
    outcomes: BTreeMap<Outcome, u64>,
    reasons: BTreeMap<Reason, u64>,
}

impl Sums {
    fn add(&mut self, key: &RollupKey, rollup: &Rollup) {
        self.all.merge(rollup);
        *self.outcomes.entry(key.outcome).or_default() += rollup.count;
        if !is_judged(key.outcome) {
            return;
        }
        self.judged.merge(rollup);
        if let (Outcome::Failure | Outcome::Timeout, Some(reason)) = (key.outcome, key.reason) {
            *self.reasons.entry(reason).or_default() += rollup.count;
        }
    }

    fn statistics(self) -> Statistics {
        let successes = self.outcomes.get(&Outcome::Success).copied().unwrap_or(0);
        let judged = self.judged.count;
        let quantile = |q| self.judged.durations.quantile(q).map(milliseconds);
        Statistics {
            total: self.all.count,
            stored: self.all.stored,
            judged,
            attempts: self.all.attempts,
            success_rate: share(successes, judged),
            average_duration_ms: share(self.judged.duration_us, judged).map(|us| us / 1_000.0),
            p50_ms: quantile(0.50),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            common_failure_reasons: most_common_first(&self.reasons, judged - successes),
            outcomes: self.outcomes,
        }
    }
}

/// Whether a call that ended so says something about its operation.
const fn is_judged(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Success | Outcome::Failure | Outcome::Timeout)
}

fn most_common_first(reasons: &BTreeMap<Reason, u64>, failures: u64) -> Vec<FailureReason> {
    let entry = |(&reason, &count)| FailureReason {
        reason,
        count,
        share: share(count, failures).unwrap_or(0.0),
    };
    let mut entries: Vec<FailureReason> = reasons.iter().map(entry).collect();
    entries.sort_by_key(|entry| Reverse(entry.count));
    entries
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[expect(clippy::cast_precision_loss, reason = "durations stay far below 2^52 µs")]
fn milliseconds(us: u64) -> f64 {
    us as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::{Statistics, operations};
    use crate::domain::{
        learn::{
            histogram::Histogram,
            rollup::{Rollup, RollupKey},
        },
        outcome::{Outcome, Reason},
    };

    /// `count` calls of an action that all took `ms` and ended in one way.
    fn calls(
        action: &str,
        outcome: Outcome,
        reason: Option<Reason>,
        count: u64,
        ms: u64,
    ) -> (RollupKey, Rollup) {
        let key = RollupKey {
            minute: 7,
            service: "orders".into(),
            upstream: "music".into(),
            domain: "music".into(),
            action: action.into(),
            outcome,
            reason,
        };
        let mut durations = Histogram::default();
        durations.record_many(ms * 1_000, count);
        let rollup = Rollup {
            count,
            stored: count.min(10),
            attempts: count,
            duration_us: count * ms * 1_000,
            durations,
            ..Rollup::default()
        };
        (key, rollup)
    }

    fn is_near(actual: Option<f64>, expected: f64) -> bool {
        actual.is_some_and(|actual| (actual - expected).abs() <= expected * 0.023)
    }

    #[test]
    fn nothing_has_no_rate_and_no_duration() {
        let none = Statistics::of(&[]);
        assert_eq!((none.total, none.success_rate, none.p50_ms), (0, None, None));
        assert!((none.completeness() - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn only_calls_that_were_seen_through_are_judged() {
        let statistics = Statistics::of(&[
            calls("beat", Outcome::Success, None, 6, 100),
            calls("beat", Outcome::Failure, Some(Reason::Http503), 1, 200),
            calls("beat", Outcome::Timeout, Some(Reason::TimeoutTotal), 1, 1_000),
            calls("beat", Outcome::Refused, Some(Reason::BreakerOpen), 100, 0),
            calls("beat", Outcome::Cancelled, Some(Reason::ClientGoneMidBody), 5, 1),
        ]);
        assert_eq!((statistics.total, statistics.judged, statistics.stored), (113, 8, 23));
        assert!(is_near(statistics.success_rate, 0.75));
        assert!(is_near(statistics.average_duration_ms, 225.0));
        assert!(is_near(statistics.p50_ms, 100.0), "{:?}", statistics.p50_ms);
        assert!(is_near(statistics.p99_ms, 1_000.0), "{:?}", statistics.p99_ms);
        assert_eq!(statistics.outcomes[&Outcome::Refused], 100);
    }

    #[test]
    fn the_most_common_reason_comes_first_with_its_share_of_the_failures() {
        let statistics = Statistics::of(&[
            calls("beat", Outcome::Failure, Some(Reason::Http503), 1, 1),
            calls("beat", Outcome::Success, None, 90, 1),
            calls("beat", Outcome::Timeout, Some(Reason::TimeoutTotal), 2, 1),
            calls("other", Outcome::Failure, Some(Reason::Http503), 5, 1),
            calls("beat", Outcome::Refused, Some(Reason::BreakerOpen), 50, 0),
        ]);
        let reasons: Vec<_> = statistics
            .common_failure_reasons
            .iter()
            .map(|entry| (entry.reason, entry.count, (entry.share * 100.0).round()))
            .collect();
        assert_eq!(reasons, [(Reason::Http503, 6, 75.0), (Reason::TimeoutTotal, 2, 25.0)]);
    }

    #[test]
    fn operations_come_by_name_each_with_its_own_numbers() {
        let rollups = [
            calls("mix", Outcome::Success, None, 3, 10),
            calls("beat", Outcome::Failure, Some(Reason::Http500), 1, 10),
            calls("mix", Outcome::Failure, Some(Reason::Http500), 1, 10),
        ];
        let operations = operations(&rollups);
        let seen: Vec<_> = operations
            .iter()
            .map(|operation| (&*operation.action, operation.statistics.total))
            .collect();
        assert_eq!(seen, [("beat", 1), ("mix", 4)]);
    }
}
