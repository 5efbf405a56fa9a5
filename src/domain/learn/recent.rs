//! The traffic of the last seconds: what a dashboard shows, in memory and per instance.
//!
//! A ring of slots of one second each. Time is a count of seconds from any fixed start; a slot is
//! emptied when its second comes round again, so the window rolls and nothing has to be swept.

use super::histogram::Histogram;
use crate::domain::outcome::Outcome;

/// How far back the window reaches, in seconds.
pub const WINDOW_SECONDS: u64 = 30;

const SLOTS: usize = 30;

/// The calls of the last [`WINDOW_SECONDS`].
#[derive(Debug, Clone, Default)]
pub struct Recent {
    slots: [Slot; SLOTS],
}

#[derive(Debug, Clone, Default)]
struct Slot {
    second: u64,
    counts: Counts,
}

/// Calls of a window, added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// All calls.
    pub calls: u64,
    /// Those that failed or ran out of time.
    pub failures: u64,
    /// Those that were not sent on.
    pub refused: u64,
    /// The durations of those that were.
    pub durations: Histogram,
}

impl Counts {
    fn add(&mut self, outcome: Outcome, duration_us: u64, weight: u64) {
        self.calls += weight;
        match outcome {
            Outcome::Failure | Outcome::Timeout => self.failures += weight,
            Outcome::Refused => self.refused += weight,
            Outcome::Success | Outcome::Cancelled | Outcome::Interrupted => {}
        }
        if outcome != Outcome::Refused {
            self.durations.record_many(duration_us, weight);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.failures += other.failures;
        self.refused += other.refused;
        self.durations.merge(&other.durations);
    }
}

impl Recent {
    /// Counts a call that ended in this second. One that is older than the window changes nothing.
    pub fn record(&mut self, second: u64, outcome: Outcome, duration_us: u64, weight: u32) {
        let slot = &mut self.slots[index(second)];
        if slot.second > second {
            return;
        }
        if slot.second < second {
            *slot = Slot { second, counts: Counts::default() };
        }
        slot.counts.add(outcome, duration_us, u64::from(weight));
    }

    /// The calls of the window that ends with this second.
    pub fn counts(&self, second: u64) -> Counts {
        let mut counts = Counts::default();
        let within = |slot: &&Slot| {
            slot.second <= second && second.saturating_sub(slot.second) < WINDOW_SECONDS
        };
        self.slots.iter().filter(within).for_each(|slot| counts.merge(&slot.counts));
        counts
    }
}

fn index(second: u64) -> usize {
    usize::try_from(second % WINDOW_SECONDS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Recent, WINDOW_SECONDS};
    use crate::domain::outcome::Outcome;

    fn calls_at(recent: &Recent, second: u64) -> u64 {
        recent.counts(second).calls
    }

    #[test]
    fn a_call_is_seen_for_the_whole_window_and_then_forgotten() {
        let mut recent = Recent::default();
        recent.record(100, Outcome::Success, 1_000, 1);
        assert_eq!(calls_at(&recent, 100), 1);
        assert_eq!(calls_at(&recent, 100 + WINDOW_SECONDS - 1), 1);
        assert_eq!(calls_at(&recent, 100 + WINDOW_SECONDS), 0);
    }

    #[test]
    fn a_slot_that_comes_round_again_starts_empty() {
        let mut recent = Recent::default();
        recent.record(7, Outcome::Success, 1_000, 5);
        recent.record(7 + WINDOW_SECONDS, Outcome::Success, 1_000, 2);
        assert_eq!(calls_at(&recent, 7 + WINDOW_SECONDS), 2);
        recent.record(7, Outcome::Success, 1_000, 9);
        assert_eq!(calls_at(&recent, 7 + WINDOW_SECONDS), 2, "too old to count");
    }

    #[test]
    fn failures_and_refusals_are_told_apart_and_refusals_have_no_duration() {
        let mut recent = Recent::default();
        recent.record(1, Outcome::Success, 10_000, 1);
        recent.record(1, Outcome::Timeout, 20_000, 1);
        recent.record(2, Outcome::Refused, 3, 4);
        let counts = recent.counts(2);
        assert_eq!((counts.calls, counts.failures, counts.refused), (6, 1, 4));
        assert_eq!(counts.durations.count(), 2);
    }
}
