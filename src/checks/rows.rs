//! Which rows the checks of one upstream leave: each failure has one, successes one per minute.
//!
//! The first success after a failure, or after the start, has a row at once: that a service is
//! back is news, and somebody who looks right after the start should see something.

use crate::{
    domain::{outcome::Outcome, task::CallRecord},
    history::Folded,
};

/// The microseconds of a minute.
const MINUTE_US: i64 = 60_000_000;

/// See the module docs. Pure: what it returns is to be recorded.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// The minute whose successes are being folded, counted from the Unix epoch.
    open: Option<(i64, Folded)>,
    was_well: bool,
}

impl Rows {
    /// Takes the row of a check; returns it if it stands for itself.
    pub(super) fn take(&mut self, row: CallRecord) -> Option<CallRecord> {
        let is_well = row.outcome == Outcome::Success;
        let is_news = !is_well || !self.was_well;
        self.was_well = is_well;
        if is_news {
            return Some(row);
        }
        match &mut self.open {
            Some((_, folded)) => (!folded.add(&row)).then_some(row),
            None => {
                let minute = row.started_at_us.div_euclid(MINUTE_US);
                self.open = Some((minute, Folded::new(row)));
                None
            }
        }
    }

    /// The folded row, if a check that begins at `next_us` would not belong to its minute.
    pub(super) fn close_before(&mut self, next_us: i64) -> Option<CallRecord> {
        let next = next_us.div_euclid(MINUTE_US);
        self.open.take_if(|(minute, _)| *minute != next).map(|(_, folded)| folded.into_row())
    }

    /// The folded row.
    pub(super) fn close(&mut self) -> Option<CallRecord> {
        self.open.take().map(|(_, folded)| folded.into_row())
    }
}

#[cfg(test)]
mod tests {
    use super::{MINUTE_US, Rows};
    use crate::{domain::task::CallRecord, history::samples};

    /// Runs checks ten seconds apart, `+` well and `-` not, and shows the rows: `+` and `-` for one
    /// check, a digit for a row that stands for so many.
    fn check(script: &str, expected: &str) {
        let (mut rows, site) = (Rows::default(), samples::site("payments"));
        let mut shown = String::new();
        let mut show = |row: CallRecord| {
            shown.push_str(&match (row.weight, row.reason) {
                (1, None) => "+".to_owned(),
                (1, Some(_)) => "-".to_owned(),
                (weight, _) => weight.to_string(),
            });
        };
        for (at, result) in (0_i64..).zip(script.chars()) {
            let started_at_us = 100 * MINUTE_US + at * 10_000_000;
            let base = if result == '+' { samples::success } else { samples::failure };
            let row = CallRecord { started_at_us, ..base(&site) };
            rows.take(row).into_iter().for_each(&mut show);
            rows.close_before(started_at_us + 10_000_000).into_iter().for_each(&mut show);
        }
        rows.close().into_iter().for_each(&mut show);
        assert_eq!(shown, expected, "{script}");
    }

    #[test]
    fn failures_have_a_row_each_and_successes_one_per_minute() {
        check("---", "---");
        check("++++++++++++++", "+562");
        check("++-++-", "+-+-2");
    }

    #[test]
    fn the_first_success_after_a_failure_has_a_row_at_once() {
        check("+", "+");
        check("--+", "--+");
        check("+++--+++", "+--+22");
    }
}
