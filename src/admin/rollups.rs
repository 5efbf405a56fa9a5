//! Rollups of a window, and what they say about the rows.

use serde::Serialize;

use super::{questions::Questions, reply::Fault, window::Window};
use crate::{
    domain::{
        learn::rollup::{Rollup, RollupKey},
        outcome::{Outcome, Reason},
    },
    store::RollupQuery,
};

pub(super) const MINUTE_US: i64 = 60_000_000;

/// Hands over the totals of a query.
pub(super) async fn each(
    questions: &Questions,
    query: &RollupQuery,
    mut take: impl FnMut(&RollupKey, &Rollup),
) -> Result<(), Fault> {
    let totals = questions.read(questions.history.totals(query)).await?;
    totals.iter().for_each(|(key, rollup)| take(key, rollup));
    Ok(())
}

/// The minutes of a window, the one under way included.
pub(super) fn minutes(window: Window) -> (i64, i64) {
    let end = window.to_us.saturating_add(MINUTE_US - 1).div_euclid(MINUTE_US);
    (window.from_us.div_euclid(MINUTE_US), end)
}

/// How much of what happened has a row of its own: stored rows of calls, from 0 to 1. Rounded
/// down to four digits, so that 1 means every call. Null when there were no calls.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Completeness(Option<f64>);

impl Completeness {
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown, counts stay below 2^52")]
    pub(super) fn of(stored: u64, calls: u64) -> Self {
        Self((calls > 0).then(|| (stored as f64 / calls as f64 * 10_000.0).floor() / 10_000.0))
    }
}

/// The completeness of the rows of a query that end so and for this reason.
pub(super) async fn completeness(
    questions: &Questions,
    query: &RollupQuery,
    (outcome, reason): (Option<Outcome>, Option<Reason>),
) -> Result<Completeness, Fault> {
    let (mut stored, mut calls) = (0, 0);
    each(questions, query, |key, rollup| {
        let is_asked = outcome.is_none_or(|outcome| outcome == key.outcome)
            && reason.is_none_or(|reason| Some(reason) == key.reason);
        if is_asked {
            stored += rollup.stored;
            calls += rollup.count;
        }
    })
    .await?;
    Ok(Completeness::of(stored, calls))
}

#[cfg(test)]
mod tests {
    use super::{Completeness, MINUTE_US, minutes};
    use crate::admin::window::Window;

    #[test]
    fn the_minute_under_way_is_counted() {
        let ends = |to_us| minutes(Window { from_us: 0, to_us }).1;
        assert_eq!([ends(1), ends(MINUTE_US), ends(MINUTE_US + 1)], [1, 1, 2]);
    }

    #[test]
    fn only_a_whole_history_reads_as_one() {
        for (stored, calls, share) in [
            (0, 0, None),
            (0, 3, Some(0.0)),
            (1, 3, Some(0.3333)),
            (999_999, 1_000_000, Some(0.9999)),
            (7, 7, Some(1.0)),
        ] {
            assert_eq!(Completeness::of(stored, calls), Completeness(share), "{stored} of {calls}");
        }
    }
}
