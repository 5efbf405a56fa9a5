//! What a timeout would have done: the report of a learned timeout that is only observed.

use std::time::Duration;

use super::Durations;
use crate::domain::learn::histogram::middle_of;

/// What a timeout would have done to some calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outlook {
    /// Calls that ended, and that it would have cut before.
    pub false_cuts: u64,
    /// How much sooner the calls would have been cut that were cut anyway.
    pub saved: Duration,
}

/// What `timeout` would have done to these calls, to within the width of a histogram's bin.
pub fn outlook(calls: &Durations, timeout: Duration) -> Outlook {
    let limit = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
    let beyond = |&(bin, _): &(i16, u64)| middle_of(bin) > limit;
    let false_cuts = calls.ended.bins().filter(beyond).map(|(_, count)| count).sum();
    let saved =
        calls.cut.bins().filter(beyond).map(|(bin, count)| (middle_of(bin) - limit) * count);
    Outlook { false_cuts, saved: Duration::from_micros(saved.sum()) }
}

#[cfg(test)]
mod tests {
    use super::{Durations, outlook};
    use std::time::Duration;

    #[test]
    fn it_counts_the_calls_that_would_have_been_cut_and_the_time_not_waited() {
        let mut calls = Durations::default();
        calls.ended.record_many(100_000, 97);
        calls.ended.record_many(3_000_000, 3);
        calls.cut.record_many(10_000_000, 2);
        let outlook = outlook(&calls, Duration::from_secs(2));
        assert_eq!(outlook.false_cuts, 3);
        assert!(outlook.saved.abs_diff(Duration::from_secs(16)) < Duration::from_millis(500));
    }
}
