//! The traffic of the last seconds: what a dashboard shows, in memory and per instance.
//!
//! A ring of slots of five seconds each. Time is a count of seconds from any fixed start; a slot is
//! emptied when its time comes round again, so the window rolls and nothing has to be swept. This
//! runs for every call, so durations are counted in a flat array: by octave of microseconds, with 16
//! linear steps each, so that a quantile is off by 3 % at most.

use super::histogram::Histogram;
use crate::domain::outcome::Outcome;

/// How far back the window reaches, in seconds.
pub const WINDOW_SECONDS: u64 = SLOT_SECONDS * SLOTS;

const SLOT_SECONDS: u64 = 5;
const SLOTS: u64 = 6;

/// 16 steps in each of 40 octaves of microseconds: up to 12 days.
const BINS: usize = 16 * 40;

/// The calls of the last [`WINDOW_SECONDS`]. Empty, it takes no room.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    slots: Vec<Slot>,
}

#[derive(Debug, Clone)]
struct Slot {
    number: u64,
    calls: u64,
    failures: u64,
    refused: u64,
    bins: Box<[u32]>,
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
    /// How many seconds they are of: the oldest are forgotten five at a time, and before the start
    /// there was nothing.
    pub seconds: u64,
}

impl Slot {
    fn new(number: u64) -> Self {
        Self { number, calls: 0, failures: 0, refused: 0, bins: vec![0; BINS].into() }
    }

    fn reset(&mut self, number: u64) {
        (self.number, self.calls, self.failures, self.refused) = (number, 0, 0, 0);
        self.bins.fill(0);
    }
}

impl Recent {
    /// Counts a call that ended in this second. One that is older than the window changes nothing.
    pub fn record(&mut self, second: u64, outcome: Outcome, duration_us: u64, weight: u32) {
        if self.slots.is_empty() {
            self.slots = (0..SLOTS).map(Slot::new).collect();
        }
        let number = second / SLOT_SECONDS;
        let slot = &mut self.slots[usize::try_from(number % SLOTS).unwrap_or(0)];
        if slot.number > number {
            return;
        }
        if slot.number < number {
            slot.reset(number);
        }
        let calls = u64::from(weight);
        slot.calls += calls;
        match outcome {
            Outcome::Failure | Outcome::Timeout => slot.failures += calls,
            Outcome::Refused => slot.refused += calls,
            Outcome::Success | Outcome::Cancelled | Outcome::Interrupted => {}
        }
        if outcome != Outcome::Refused {
            let bin = &mut slot.bins[bin_of(duration_us)];
            *bin = bin.saturating_add(weight);
        }
    }

    /// The calls of the window that ends with this second.
    pub fn counts(&self, second: u64) -> Counts {
        let newest = second / SLOT_SECONDS;
        let within = |slot: &&Slot| slot.number <= newest && newest - slot.number < SLOTS;
        let reach = WINDOW_SECONDS - SLOT_SECONDS + second % SLOT_SECONDS;
        let mut counts = Counts { seconds: reach.min(second) + 1, ..Counts::default() };
        for slot in self.slots.iter().filter(within) {
            counts.calls += slot.calls;
            counts.failures += slot.failures;
            counts.refused += slot.refused;
            for (bin, &calls) in slot.bins.iter().enumerate().filter(|(_, calls)| **calls > 0) {
                counts.durations.record_many(middle_of(bin), u64::from(calls));
            }
        }
        counts
    }
}

/// Below 16 µs each microsecond has its bin; above, the octave and the four bits after the first.
fn bin_of(duration_us: u64) -> usize {
    if duration_us < 16 {
        return usize::try_from(duration_us).unwrap_or(0);
    }
    let octave = duration_us.ilog2() - 4;
    let step = (duration_us >> octave) & 0xf;
    usize::try_from(u64::from(octave + 1) * 16 + step).unwrap_or(BINS).min(BINS - 1)
}

fn middle_of(bin: usize) -> u64 {
    let (octave, step) = (bin / 16, (bin % 16) as u64);
    if octave == 0 { step } else { ((16 + step) << (octave - 1)) + (1 << (octave - 1)) / 2 }
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
    fn it_is_told_of_how_many_seconds_the_calls_are() {
        let mut recent = Recent::default();
        for second in 0..200 {
            recent.record(second, Outcome::Success, 1_000, 2);
            let counts = recent.counts(second);
            assert_eq!(counts.calls, 2 * counts.seconds, "second {second}");
        }
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

    #[test]
    fn a_duration_is_kept_within_three_percent() {
        for us in (0..100_000).chain([u64::from(u32::MAX), 1 << 39]) {
            let kept = super::middle_of(super::bin_of(us));
            assert!(kept.abs_diff(us) * 32 <= us.max(32), "{us} kept as {kept}");
        }
        assert_eq!(super::bin_of(u64::MAX), super::BINS - 1);
    }
}
