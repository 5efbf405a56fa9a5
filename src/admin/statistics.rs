//! `/api/v1/tasks/history`: statistics of operations, from rollups.
//!
//! The same sums for both stores: exact even where rows are folded or expired, to the minute.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use super::{
    Admin,
    query::{Asked, Pairs},
    reply::{self, Answer},
    rollups::{self, Completeness, MINUTE_US, minutes},
    tasks::ms,
    window::{Reach, Window, show_time},
};
use crate::{
    clock,
    domain::{
        learn::operation::{Operations, Tally},
        outcome::Outcome,
    },
    store::RollupQuery,
};

/// Operations that are listed at most.
const LISTED: usize = 500;

/// What `data` holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct History {
    domain: Option<String>,
    action: Option<String>,
    from: Option<String>,
    to: Option<String>,
    #[serde(flatten)]
    statistics: Statistics,
    optimal_parameters: OptimalParameters,
    /// The operations behind the numbers; left out when one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    operations: Option<Vec<Operation>>,
}

#[derive(Serialize)]
struct Operation {
    domain: String,
    action: String,
    #[serde(flatten)]
    statistics: Statistics,
}

/// What is known about some calls. Null where there is nothing to say.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    total: u64,
    /// How many of these calls have a row of their own; the numbers here count all of them.
    completeness: Completeness,
    /// Successes among all calls, 0 to 1.
    success_rate: Option<f64>,
    outcomes: Outcomes,
    /// Of calls that were sent on, like the quantiles.
    average_duration_ms: Option<f64>,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// Of scored calls; nothing scores calls yet.
    average_impact_score: Option<f64>,
    /// Of calls with a known cost; nothing knows costs yet.
    cost_per_success: Option<f64>,
    common_failure_reasons: Vec<FailureReason>,
}

#[derive(Serialize)]
struct Outcomes {
    success: u64,
    failure: u64,
    timeout: u64,
    refused: u64,
    cancelled: u64,
    interrupted: u64,
}

#[derive(Serialize)]
struct FailureReason {
    reason: &'static str,
    count: u64,
    /// Among the calls that did not succeed.
    share: Option<f64>,
}

/// Which parameters work best. No parameters are taken from calls yet, so none are known to.
#[derive(Serialize)]
struct OptimalParameters {
    status: &'static str,
    parameters: [(); 0],
}

impl From<&Tally> for Statistics {
    fn from(tally: &Tally) -> Self {
        let failures = tally.failures();
        let reasons = tally.reasons().into_iter().map(|(reason, count)| FailureReason {
            reason: reason.as_str(),
            count,
            share: ratio(count, failures),
        });
        Self {
            total: tally.calls(),
            completeness: Completeness::of(tally.stored(), tally.calls()),
            success_rate: ratio(tally.with(Outcome::Success), tally.calls()),
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
            average_impact_score: None,
            cost_per_success: None,
            common_failure_reasons: reasons.collect(),
        }
    }
}

/// `GET /api/v1/tasks/history`
pub(super) async fn history(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    let names = ["domain", "action", "service", "upstream", "from", "to"];
    let asked = Asked::read(pairs, &names)?;
    let now_us = clock::wall_us();
    let (from_minute, to_minute) = minutes(Window::read(&asked, Reach::SCAN, now_us)?);
    let query = RollupQuery {
        service: asked.owned("service"),
        upstream: asked.owned("upstream"),
        domain: asked.owned("domain"),
        action: asked.owned("action"),
        from_minute,
        to_minute,
    };
    let mut operations = Operations::default();
    let add = |key: &_, rollup: &_| operations.add(key, rollup);
    rollups::each(&admin.questions, &query, add).await?;
    let total = operations.total();
    let asked_for_one = query.domain.is_some() && query.action.is_some();
    Ok(reply::data(History {
        statistics: Statistics::from(&total),
        optimal_parameters: OptimalParameters { status: "collecting", parameters: [] },
        operations: (!asked_for_one).then(|| list(&operations)),
        from: show_time(query.from_minute.saturating_mul(MINUTE_US)),
        to: show_time(query.to_minute.saturating_mul(MINUTE_US)),
        domain: query.domain,
        action: query.action,
    }))
}

/// The operations with the most calls first.
fn list(operations: &Operations) -> Vec<Operation> {
    let mut busiest: Vec<_> = operations.iter().collect();
    busiest.sort_by_key(|(_, _, tally)| u64::MAX - tally.calls());
    busiest.truncate(LISTED);
    let show = |(domain, action, tally): (&str, &str, &Tally)| Operation {
        domain: domain.to_owned(),
        action: action.to_owned(),
        statistics: Statistics::from(tally),
    };
    busiest.into_iter().map(show).collect()
}

/// A part of a whole, to four digits; none of nothing.
#[expect(clippy::cast_precision_loss, reason = "four digits are shown, counts stay below 2^52")]
pub(super) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::ratio;

    #[test]
    fn a_share_of_nothing_is_unknown_rather_than_zero() {
        assert_eq!((ratio(0, 0), ratio(0, 3), ratio(1, 3)), (None, Some(0.0), Some(0.3333)));
    }
}
