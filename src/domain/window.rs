//! A rolling window of exact counts: how many calls there were lately, and how many were hits.
//!
//! What a hit is, the owner says: a failure, a slow call. The window is a ring of ten
//! buckets, so it reaches back between nine tenths and the whole of its length and forgets a tenth
//! at a time; it never drops everything at once, as a tumbling window does. The bucket of a moment
//! is computed from the window's origin, so no remainder adds up to a drift.

use std::time::{Duration, Instant};

/// How many parts a window forgets one by one.
const BUCKETS: usize = 10;

/// Calls, and the hits among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls.
    pub calls: u32,
    /// Hits among them.
    pub hits: u32,
}

/// Which bucket a call was counted in.
pub type Tick = u64;

/// A rolling window. See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    origin: Instant,
    width_ns: u64,
    /// The bucket that counts now, and when it ends: until then nothing has to be divided.
    tick: Tick,
    ends: Instant,
    buckets: [Counts; BUCKETS],
    total: Counts,
}

impl Window {
    /// An empty window of this length.
    pub fn new(length: Duration, now: Instant) -> Self {
        let width_ns = (as_ns(length) / BUCKETS as u64).max(1);
        let (buckets, total) = ([Counts::default(); BUCKETS], Counts::default());
        let mut window = Self { origin: now, width_ns, tick: 0, ends: now, buckets, total };
        window.advance(now);
        window
    }

    /// Counts a call. A `now` before the newest bucket counts in the newest: callers read the
    /// clock before they take the lock.
    pub fn record(&mut self, hit: bool, now: Instant) -> Tick {
        self.advance(now);
        let counts = Counts { calls: 1, hits: u32::from(hit) };
        self.bucket(self.tick).add(counts);
        self.total.add(counts);
        self.tick
    }

    /// Makes a call that was counted in `tick` a hit, unless it is forgotten.
    pub fn turn_into_hit(&mut self, tick: Tick, now: Instant) {
        self.advance(now);
        if self.tick - tick < BUCKETS as u64 {
            let hit = Counts { calls: 0, hits: 1 };
            self.bucket(tick).add(hit);
            self.total.add(hit);
        }
    }

    /// The counts as of the last time that something was recorded.
    pub const fn latest(&self) -> Counts {
        self.total
    }

    /// The counts at `now`.
    pub fn counts(&self, now: Instant) -> Counts {
        let mut later = self.clone();
        later.advance(now);
        later.total
    }

    fn advance(&mut self, now: Instant) {
        if now < self.ends {
            return;
        }
        let tick = as_ns(now.saturating_duration_since(self.origin)) / self.width_ns;
        let passed = (tick - self.tick).min(BUCKETS as u64);
        for forgotten in 1..=passed {
            let bucket = std::mem::take(self.bucket(self.tick + forgotten));
            self.total.subtract(bucket);
        }
        self.tick = tick;
        let ends = Duration::from_nanos(self.width_ns.saturating_mul(tick + 1));
        self.ends = self.origin.checked_add(ends).unwrap_or(now);
    }

    fn bucket(&mut self, tick: Tick) -> &mut Counts {
        let at = usize::try_from(tick % BUCKETS as u64).unwrap_or_default();
        &mut self.buckets[at]
    }
}

impl Counts {
    const fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.hits = self.hits.saturating_add(other.hits);
    }

    const fn subtract(&mut self, other: Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.hits = self.hits.saturating_sub(other.hits);
    }
}

/// Nanoseconds; five centuries fit.
fn as_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Counts, Window};
    use proptest::{collection::vec, prelude::proptest};
    use std::time::{Duration, Instant};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn calls_age_out_a_tenth_at_a_time() {
        let start = crate::clock::now();
        let mut window = Window::new(ms(1_000), start);
        for tenth in 0..10 {
            window.record(true, start + ms(100 * tenth));
        }
        let left = |at| window.counts(start + ms(at)).hits;
        assert_eq!([left(999), left(1_000), left(1_099), left(1_100)], [10, 9, 9, 8]);
        assert_eq!([left(1_899), left(1_900), left(90_000)], [1, 0, 0]);
    }

    #[test]
    fn a_call_that_turns_into_a_hit_leaves_with_its_own_bucket() {
        let start = crate::clock::now();
        let mut window = Window::new(ms(1_000), start);
        let tick = window.record(false, start);
        window.turn_into_hit(tick, start + ms(950));
        assert_eq!(window.latest(), Counts { calls: 1, hits: 1 });
        assert_eq!(window.counts(start + ms(1_000)), Counts::default());
        window.turn_into_hit(tick, start + ms(1_000));
        assert_eq!(window.latest(), Counts::default());
    }

    #[test]
    fn a_clock_read_before_the_lock_was_taken_does_no_harm() {
        let start = crate::clock::now();
        let mut window = Window::new(ms(1_000), start + ms(500));
        window.record(true, start);
        assert_eq!(window.latest(), Counts { calls: 1, hits: 1 });
    }

    /// What a window says, computed from all calls that there ever were.
    fn model(length: u64, calls: &[(u64, bool)], now: u64) -> Counts {
        let width = length * 1_000_000 / BUCKETS as u64;
        let tick = |at: u64| at * 1_000_000 / width;
        let lately = calls.iter().filter(|(at, _)| tick(now) - tick(*at) < BUCKETS as u64);
        lately.fold(Counts::default(), |counts, (_, hit)| Counts {
            calls: counts.calls + 1,
            hits: counts.hits + u32::from(*hit),
        })
    }

    proptest! {
        #[test]
        fn it_says_what_a_list_of_all_calls_would_say(
            length in 1_u64..5_000, gaps in vec((0_u64..3_000, proptest::bool::ANY), 1..80)
        ) {
            let start: Instant = crate::clock::now();
            let mut window = Window::new(ms(length), start);
            let (mut at, mut calls) = (0, Vec::new());
            for (gap, hit) in gaps {
                at += gap;
                calls.push((at, hit));
                window.record(hit, start + ms(at));
                assert_eq!(window.latest(), model(length, &calls, at));
            }
            assert_eq!(window.counts(start + ms(at + length / 2)), model(length, &calls, at + length / 2));
        }
    }
}
