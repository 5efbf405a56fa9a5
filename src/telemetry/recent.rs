//! The last minute of an upstream: rate, share of failures and latency quantiles, for the dashboard.
//!
//! A ring of six slots of ten seconds each; a slot that has become old is emptied when it is next
//! written or skipped when read, so that nothing has to run in the background. Durations are binned
//! by octave with 16 linear steps each, so a quantile is off by 3 % at most.

/// Seconds to a slot.
const SLOT_SECONDS: u64 = 10;
/// Slots kept.
const SLOTS: usize = 6;
/// 16 steps in each of 40 octaves of microseconds: up to 12 days.
const BINS: usize = 16 * 40;

/// The window. `second` arguments count from any fixed, monotonic origin.
#[derive(Debug, Default)]
pub struct Recent {
    slots: Vec<Slot>,
}

#[derive(Debug, Clone)]
struct Slot {
    /// Which ten seconds it holds.
    number: u64,
    calls: u64,
    failures: u64,
    bins: Box<[u32]>,
}

/// What the window says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// Calls in the window.
    pub calls: u64,
    /// Those that did not succeed.
    pub failures: u64,
    /// Calls per second.
    pub per_second: f64,
    /// Quantiles of the duration in µs; zero without calls.
    pub p50_us: u64,
    /// The 95th percentile.
    pub p95_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
}

impl Recent {
    /// Counts a call that ended in this second.
    pub fn record(&mut self, second: u64, duration_us: u64, failed: bool) {
        if self.slots.is_empty() {
            let empty =
                Slot { number: u64::MAX, calls: 0, failures: 0, bins: vec![0; BINS].into() };
            self.slots = vec![empty; SLOTS];
        }
        let number = second / SLOT_SECONDS;
        let at = usize::try_from(number % SLOTS as u64).unwrap_or(0);
        let slot = &mut self.slots[at];
        if slot.number != number {
            slot.number = number;
            slot.calls = 0;
            slot.failures = 0;
            slot.bins.fill(0);
        }
        slot.calls += 1;
        slot.failures += u64::from(failed);
        slot.bins[bin_of(duration_us)] += 1;
    }

    /// What the last minute says, seen from this second.
    pub fn summary(&self, second: u64) -> Summary {
        let newest = second / SLOT_SECONDS;
        let oldest = newest.saturating_sub(SLOTS as u64 - 1);
        let current = |slot: &&Slot| (oldest..=newest).contains(&slot.number);
        let slots: Vec<&Slot> = self.slots.iter().filter(current).collect();
        let calls: u64 = slots.iter().map(|slot| slot.calls).sum();
        let quantile = |percent: u64| {
            let rank = (calls * percent).div_ceil(100).max(1);
            let mut below = 0;
            (0..BINS).find(|&bin| {
                below += slots.iter().map(|slot| u64::from(slot.bins[bin])).sum::<u64>();
                below >= rank
            })
        };
        let quantile =
            |percent| if calls == 0 { 0 } else { quantile(percent).map_or(0, lower_bound) };
        // The newest slot is only as long as it has lasted.
        let seconds = (SLOTS as u64 - 1) * SLOT_SECONDS + second % SLOT_SECONDS + 1;
        #[expect(clippy::cast_precision_loss, reason = "counts of a minute")]
        let per_second = calls as f64 / seconds as f64;
        Summary {
            calls,
            failures: slots.iter().map(|slot| slot.failures).sum(),
            per_second,
            p50_us: quantile(50),
            p95_us: quantile(95),
            p99_us: quantile(99),
        }
    }
}

/// Below 16 µs each microsecond has its bin; above, the octave and the four bits after the first.
fn bin_of(duration_us: u64) -> usize {
    if duration_us < 16 {
        return usize::try_from(duration_us).unwrap_or(0);
    }
    let octave = duration_us.ilog2() - 4;
    let step = (duration_us >> octave) & 0xf;
    let bin = u64::from(octave + 1) * 16 + step;
    usize::try_from(bin).unwrap_or(BINS).min(BINS - 1)
}

fn lower_bound(bin: usize) -> u64 {
    let (octave, step) = (bin / 16, (bin % 16) as u64);
    if octave == 0 { step } else { (16 + step) << (octave - 1) }
}

#[cfg(test)]
mod tests {
    use super::{Recent, bin_of, lower_bound};

    #[test]
    fn an_old_call_leaves_the_window() {
        let mut recent = Recent::default();
        recent.record(5, 1_000, true);
        recent.record(15, 2_000, false);
        assert_eq!((recent.summary(15).calls, recent.summary(15).failures), (2, 1));
        assert_eq!((recent.summary(64).calls, recent.summary(64).failures), (1, 0));
        assert_eq!(recent.summary(1_000).calls, 0);
        assert_eq!(recent.summary(1_000).p99_us, 0);
    }

    #[test]
    fn quantiles_are_within_three_percent() {
        let mut recent = Recent::default();
        (1..=1_000).for_each(|ms| recent.record(3, ms * 1_000, false));
        let summary = recent.summary(3);
        for (reported, real) in
            [(summary.p50_us, 500_000), (summary.p95_us, 950_000), (summary.p99_us, 990_000)]
        {
            assert!(reported <= real && reported * 107 >= real * 100, "{reported} for {real}");
        }
    }

    #[test]
    fn a_bin_begins_at_or_below_its_durations() {
        for us in (0..100_000).chain([u64::from(u32::MAX), 1 << 39]) {
            let bound = lower_bound(bin_of(us));
            assert!(bound <= us && us - bound <= us / 16, "{us}: {bound}");
        }
        assert_eq!(bin_of(u64::MAX), super::BINS - 1);
    }
}
