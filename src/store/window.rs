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
        let at = i64::try_from(id.started_at_ms()).unwrap_or(0).saturating_mul(1_000);
        (from.max(at.saturating_sub(SLACK_US)), to.min(at.saturating_add(SLACK_US)))
    }
}

impl RollupQuery {
    /// From and to.
    pub(super) fn window(&self) -> (i64, i64) {
        let us = |minute: i64| minute.saturating_mul(MINUTE_US);
        bounded(us(self.from_minute), us(self.to_minute))
    }
}

fn bounded(from: i64, to: i64) -> (i64, i64) {
    let clamped = |at: i64| at.clamp(0, END_OF_TIME_US);
    (clamped(from), if to == 0 { END_OF_TIME_US } else { clamped(to) })
}

/// How far a row's time may be from that in its id.
const SLACK_US: i64 = 5_000_000;
/// 9000-01-01: later than any row, and known to every store.
const END_OF_TIME_US: i64 = 221_845_392_000_000_000;
