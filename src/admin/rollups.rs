//! Rollups of a window, a slice at a time, and what they say about the rows.
//!
//! A long stretch is read in slices, so that memory stays bounded by one slice, and so that a
//! question takes its turn again and again instead of holding it.

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

/// Minutes that are read at a time.
const SLICE: i64 = 6 * 60;

/// The same where minutes have been merged to hours.
const OLD_SLICE: i64 = 15 * 24 * 60;

/// How old, in minutes, a slice is that was surely merged.
const OLD: i64 = 3 * 24 * 60;

/// Hands over every rollup of a query. `now_minute` tells recent from old.
pub(super) async fn each(
    questions: &Questions,
    query: &RollupQuery,
    now_minute: i64,
    mut take: impl FnMut(&RollupKey, &Rollup),
) -> Result<(), Fault> {
    let mut from_minute = query.from_minute;
    while from_minute < query.to_minute {
        let to_minute = slice_end(from_minute, now_minute).min(query.to_minute);
        let slice = RollupQuery { from_minute, to_minute, ..query.clone() };
        let rollups = questions.read(questions.history.rollups(&slice)).await?;
        rollups.iter().for_each(|(key, rollup)| take(key, rollup));
        from_minute = to_minute;
    }
    Ok(())
}

fn slice_end(from_minute: i64, now_minute: i64) -> i64 {
    let old_until = now_minute.saturating_sub(OLD);
    if from_minute < old_until {
        return from_minute.saturating_add(OLD_SLICE).min(old_until);
    }
    from_minute.saturating_add(SLICE)
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
    now_minute: i64,
) -> Result<Completeness, Fault> {
    let (mut stored, mut calls) = (0, 0);
    each(questions, query, now_minute, |key, rollup| {
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
    use super::{Completeness, MINUTE_US, minutes, slice_end};
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

    #[test]
    fn what_is_old_is_read_in_longer_slices() {
        let day = 1_440;
        let now = 40 * day;
        for (from, to) in [(0, 15 * day), (30 * day, 37 * day), (37 * day, 37 * day + 360)] {
            assert_eq!(slice_end(from, now), to, "{from}");
        }
    }
}
