//! What is known about some calls, as the API tells it. Null where there is nothing to say.

use serde::Serialize;

use crate::{
    admin::{rollups::Completeness, tasks::ms},
    domain::{
        learn::{
            interval::Interval,
            operation::Tally,
            trend::{self, Trend},
        },
        outcome::Outcome,
    },
};

/// See the module docs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    pub(super) total: u64,
    /// How many of these calls have a row of their own; the numbers here count all of them.
    pub(super) completeness: Completeness,
    /// Successes among all calls, 0 to 1.
    pub(super) success_rate: Option<f64>,
    /// Where the rate lies that these calls are a sample of, with 95 % confidence.
    pub(super) success_rate_interval: Option<IntervalJson>,
    pub(super) outcomes: Outcomes,
    /// Of calls that were sent on, like the quantiles.
    pub(super) average_duration_ms: Option<f64>,
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) scored: u64,
    /// Of the calls that are scored, 0 to 100.
    pub(super) average_impact_score: Option<f64>,
    pub(super) priced: u64,
    /// In US dollars, of the calls with a known cost, failed ones included.
    pub(super) total_cost: Option<f64>,
    pub(super) cost_per_success: Option<f64>,
    /// What those cost that did not succeed.
    pub(super) wasted_cost: Option<f64>,
    pub(super) common_failure_reasons: Vec<FailureReason>,
}

/// Bounds of a share.
#[derive(Debug, Serialize)]
pub(super) struct IntervalJson {
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Calls by how they ended.
#[derive(Debug, Serialize)]
pub(super) struct Outcomes {
    pub(super) success: u64,
    pub(super) failure: u64,
    pub(super) timeout: u64,
    pub(super) refused: u64,
    pub(super) cancelled: u64,
    pub(super) interrupted: u64,
}

/// Why some calls did not succeed.
#[derive(Debug, Serialize)]
pub(super) struct FailureReason {
    pub(super) reason: &'static str,
    pub(super) count: u64,
    /// Among the calls that did not succeed.
    pub(super) share: Option<f64>,
    /// Among all calls.
    pub(super) rate: Option<f64>,
    /// In the stretch of the same length before; null where there were no calls.
    before: Option<Before>,
    /// How the rate moved since, told only where chance would hardly make it.
    pub(super) trend: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Before {
    count: u64,
    share: Option<f64>,
    rate: Option<f64>,
}

/// The name of a reason that nobody told.
pub(super) const UNSPECIFIED: &str = "unspecified";

impl Figures {
    /// Of these calls, and of those of the stretch before where they are known.
    pub(super) fn of(tally: &Tally, before: Option<&Tally>) -> Self {
        let sure = trend::share(tally.with(Outcome::Success), tally.calls());
        Self {
            total: tally.calls(),
            completeness: Completeness::of(tally.stored(), tally.calls()),
            success_rate: ratio(tally.with(Outcome::Success), tally.calls()),
            success_rate_interval: sure.map(IntervalJson::from),
            outcomes: Outcomes {
                success: tally.with(Outcome::Success),
                failure: tally.with(Outcome::Failure),
                timeout: tally.with(Outcome::Timeout),
                refused: tally.with(Outcome::Refused),
                cancelled: tally.with(Outcome::Cancelled),
                interrupted: tally.with(Outcome::Interrupted),
            },
            average_duration_ms: tally.mean_us().map(ms),
            p50_ms: tally.quantile_us(0.5).map(ms),
            p95_ms: tally.quantile_us(0.95).map(ms),
            p99_ms: tally.quantile_us(0.99).map(ms),
            scored: tally.scored(),
            average_impact_score: tally.mean_impact(),
            priced: tally.priced(),
            total_cost: tally.cost_nanos().map(dollars),
            cost_per_success: tally.nanos_per_success().map(dollars),
            wasted_cost: tally.wasted_nanos().map(dollars),
            common_failure_reasons: reasons(tally, before),
        }
    }
}

/// Why calls did not succeed, the most common reason first.
pub(super) fn reasons(tally: &Tally, before: Option<&Tally>) -> Vec<FailureReason> {
    let told = tally.reasons().into_iter().filter(|(_, count)| *count > 0);
    let told = told.map(|(reason, count)| {
        (reason.as_str(), count, before.map(|before| before.because(reason)))
    });
    let untold = (tally.unexplained() > 0)
        .then(|| (UNSPECIFIED, tally.unexplained(), before.map(Tally::unexplained)));
    let mut all: Vec<_> = told.chain(untold).collect();
    all.sort_by_key(|(_, count, _)| u64::MAX - count);
    let show = |(reason, count, earlier): (&'static str, u64, Option<u64>)| {
        let before = before.filter(|before| before.calls() > 0);
        let trend = before.zip(earlier).and_then(|(before, earlier)| {
            Trend::of((count, tally.calls()), (earlier, before.calls()))
        });
        FailureReason {
            reason,
            count,
            share: ratio(count, tally.failures()),
            rate: ratio(count, tally.calls()),
            before: before.zip(earlier).map(|(before, earlier)| Before {
                count: earlier,
                share: ratio(earlier, before.failures()),
                rate: ratio(earlier, before.calls()),
            }),
            trend: trend.map(Trend::as_str),
        }
    };
    all.into_iter().map(show).collect()
}

impl From<Interval> for IntervalJson {
    fn from(interval: Interval) -> Self {
        let shown = |share: f64| (share * 10_000.0).round() / 10_000.0;
        Self { low: shown(interval.low), high: shown(interval.high) }
    }
}

/// A part of a whole, to four digits; none of nothing.
#[expect(clippy::cast_precision_loss, reason = "four digits are shown, counts stay below 2^52")]
pub(in crate::admin) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}

/// Billionths as dollars.
#[expect(clippy::cast_precision_loss, reason = "sums stay below nine million dollars")]
fn dollars(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::{Figures, UNSPECIFIED, ratio};
    use crate::domain::{
        learn::{operation::Tally, rollup::Rollup},
        outcome::{Outcome, Reason},
    };

    fn tally(parts: &[(Option<Reason>, u64)]) -> Tally {
        let mut tally = Tally::default();
        for &(reason, count) in parts {
            let outcome = reason.map_or(Outcome::Success, Reason::outcome);
            tally.add(outcome, reason, &Rollup { count, stored: count, ..Rollup::default() });
        }
        tally
    }

    #[test]
    fn a_share_of_nothing_is_unknown_rather_than_zero() {
        assert_eq!((ratio(0, 0), ratio(0, 3), ratio(1, 3)), (None, Some(0.0), Some(0.3333)));
        let nothing = Figures::of(&Tally::default(), None);
        assert!(nothing.success_rate.is_none() && nothing.success_rate_interval.is_none());
        assert!(nothing.total_cost.is_none() && nothing.average_impact_score.is_none());
    }

    #[test]
    fn a_reason_is_held_against_the_stretch_before() {
        let now = tally(&[(None, 60), (Some(Reason::TimeoutTotal), 40)]);
        for (before, trend, count) in [
            (tally(&[(None, 95), (Some(Reason::TimeoutTotal), 5)]), Some("rising"), Some(5)),
            (tally(&[(None, 65), (Some(Reason::TimeoutTotal), 35)]), Some("steady"), Some(35)),
            (tally(&[(None, 10), (Some(Reason::TimeoutTotal), 90)]), Some("falling"), Some(90)),
            (tally(&[(None, 100)]), Some("rising"), Some(0)),
            (Tally::default(), None, None),
        ] {
            let reasons = Figures::of(&now, Some(&before)).common_failure_reasons;
            let [timeout] = &reasons[..] else { panic!("one reason: {reasons:?}") };
            assert_eq!((timeout.trend, timeout.before.as_ref().map(|b| b.count)), (trend, count));
            assert_eq!((timeout.share, timeout.rate), (Some(1.0), Some(0.4)));
        }
    }

    #[test]
    fn what_nobody_gave_a_reason_for_is_told_as_such() {
        let mut now = tally(&[(None, 5), (Some(Reason::Http500), 2)]);
        now.add(Outcome::Failure, None, &Rollup { count: 3, ..Rollup::default() });
        let reasons = Figures::of(&now, None).common_failure_reasons;
        let told: Vec<_> = reasons.iter().map(|reason| (reason.reason, reason.count)).collect();
        assert_eq!(told, [(UNSPECIFIED, 3), ("http_500", 2)]);
    }
}
