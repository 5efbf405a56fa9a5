//! The time that a query is about, in microseconds since the Unix epoch.

use super::{RollupQuery, TaskQuery, rows::MINUTE_US};

impl TaskQuery {
    /// From and to. An id carries its time, so that asking for one looks only around it, and a page
    /// ends where the one before began.
    pub(super) fn window(&self) -> (i64, i64) {
        let (from, mut to) = bounded(self.from_us, self.to_us);
        if let Some((at, _)) = self.after {
            to = to.min(at.saturating_add(1));
        }
        let Some(id) = self.id else { return (from, to) };
        // Anybody may ask for an id that is made up, with a time that no store knows.
        let at = i64::try_from(id.started_at_ms()).unwrap_or(0).saturating_mul(1_000);
        let at = at.min(END_OF_TIME_US);
        let end = at.saturating_add(MILLISECOND_US + SLACK_US);
        (from.max(at.saturating_sub(SLACK_US)), to.min(end))
    }
}

impl RollupQuery {
    /// From and to.
    pub(super) fn window(&self) -> (i64, i64) {
        let us = |minute: i64| minute.saturating_mul(MINUTE_US);
        bounded(us(self.from_minute), us(self.to_minute))
    }
}

/// A window cut into the whole days and whole hours in it, and what is left at its edges. The
/// moments are in order, each part reaches from one to the next:
///
/// ```text
/// from ··· hours ····· days ············· days_end ····· hours_end ··· to
///   minutes      hours            days             hours           minutes
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cover {
    pub(super) from: i64,
    pub(super) hours: i64,
    pub(super) days: i64,
    pub(super) days_end: i64,
    pub(super) hours_end: i64,
    pub(super) to: i64,
}

impl Cover {
    /// Cuts a window. Where it holds no whole day, hours are all there is between its edges; where
    /// it holds no whole hour, it is an edge.
    pub(super) fn of((from, to): (i64, i64)) -> Self {
        let to = to.max(from);
        let (hours, hours_end) = whole(HOUR_US, from, to);
        let (days, days_end) = whole(DAY_US, hours, hours_end);
        Self { from, hours, days, days_end, hours_end, to }
    }
}

/// The largest stretch within another that begins and ends with a unit; an empty one at its end
/// where there is none.
fn whole(unit: i64, from: i64, to: i64) -> (i64, i64) {
    let begin = from.saturating_add((-from).rem_euclid(unit));
    let end = to - to.rem_euclid(unit);
    if begin < end { (begin, end) } else { (to, to) }
}

fn bounded(from: i64, to: i64) -> (i64, i64) {
    let clamped = |at: i64| at.clamp(0, END_OF_TIME_US);
    (clamped(from), if to == 0 { END_OF_TIME_US } else { clamped(to) })
}

/// How exact the time in an id is.
const MILLISECOND_US: i64 = 1_000;
/// How far a row's time may be from that in its id, which is made of it.
const SLACK_US: i64 = 10_000;
const HOUR_US: i64 = 60 * MINUTE_US;
const DAY_US: i64 = 24 * HOUR_US;
/// 9000-01-01: later than any row, and known to every store.
const END_OF_TIME_US: i64 = 221_845_392_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::{Cover, DAY_US, END_OF_TIME_US, HOUR_US, MINUTE_US, TaskQuery};
    use crate::domain::task::TaskId;

    fn cut(from: i64, to: i64) -> [i64; 6] {
        let Cover { from, hours, days, days_end, hours_end, to } = Cover::of((from, to));
        [from, hours, days, days_end, hours_end, to]
    }

    #[test]
    fn an_id_with_a_time_that_no_store_knows_is_looked_for_in_one_that_it_does() {
        let query = TaskQuery { id: Some(TaskId::from_u128(u128::MAX)), ..TaskQuery::default() };
        let (from, to) = query.window();
        assert!(from <= to && to <= END_OF_TIME_US, "{from} to {to}");
    }

    #[test]
    fn a_window_is_its_whole_days_and_hours_and_what_is_left() {
        let (m, h, d) = (MINUTE_US, HOUR_US, DAY_US);
        for (window, parts) in [
            ((d, 3 * d), [d, d, d, 3 * d, 3 * d, 3 * d]),
            ((d - h - m, 2 * d + m), [d - h - m, d - h, d, 2 * d, 2 * d, 2 * d + m]),
            ((2 * h + m, 5 * h + m), [2 * h + m, 3 * h, 5 * h, 5 * h, 5 * h, 5 * h + m]),
            ((m, h + 2 * m), [m, h + 2 * m, h + 2 * m, h + 2 * m, h + 2 * m, h + 2 * m]),
            ((5 * m, 3 * m), [5 * m; 6]),
        ] {
            assert_eq!(cut(window.0, window.1), parts, "{window:?}");
        }
    }

    proptest! {
        #[test]
        fn the_parts_are_in_order_and_whole(from in 0..10 * DAY_US, length in 0..10 * DAY_US) {
            let [from, hours, days, days_end, hours_end, to] = cut(from, from + length);
            assert!(from <= hours && hours <= days && days <= days_end);
            assert!(days_end <= hours_end && hours_end <= to);
            for (begin, end, unit) in
                [(hours, days, HOUR_US), (days, days_end, DAY_US), (days_end, hours_end, HOUR_US)]
            {
                assert!(begin == end || (begin % unit, end % unit) == (0, 0));
            }
        }
    }
}
