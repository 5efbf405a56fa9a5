//! How long a circuit stays open: longer each time that a try to close it failed, shorter again
//! with health that was seen.
//!
//! The first open time is exactly the configured one. Grown ones get up to a fifth more, at random,
//! so that instances that opened together do not probe together, and never more than the longest;
//! the randomness comes from a seed, so a run can be replayed. A Retry-After of the upstream is a
//! floor, up to the longest time.

use std::time::{Duration, Instant};

use super::Policy;

/// The jitter is drawn in this many steps.
const STEPS: u32 = 2_000;

/// Successes further apart say nothing about the time between them beyond this.
const HEALTH_PER_SUCCESS: Duration = Duration::from_secs(10);

/// How often a circuit has opened lately. See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backoff {
    step: u32,
    /// Health seen since the last step down.
    health: Duration,
    last_success: Option<Instant>,
    dice: Dice,
}

impl Backoff {
    pub(super) const fn new(seed: u64) -> Self {
        Self { step: 0, health: Duration::ZERO, last_success: None, dice: Dice(seed) }
    }

    /// How many times in a row the circuit has opened.
    pub(super) const fn step(&self) -> u32 {
        self.step
    }

    /// Another instance knows the step.
    pub(super) const fn adopt(&mut self, step: u32) {
        self.step = step;
        self.forget_health();
    }

    /// The circuit was closed and opens. What is left of older outages still counts, so that one
    /// that flaps does not start from the beginning each time.
    pub(super) fn opened(&mut self) {
        self.step = self.step.max(1);
        self.forget_health();
    }

    /// A try to close the circuit failed.
    pub(super) const fn failed_again(&mut self) {
        self.step = self.step.saturating_add(1);
        self.forget_health();
    }

    /// The open time of this opening, at least what the upstream asked for.
    pub(super) fn open_time(&mut self, policy: &Policy, asked: Duration) -> Duration {
        let plain = self.plain_open_time(policy);
        let open_for = if self.step > 1 {
            jittered(plain, policy.open_for_max, self.dice.below(STEPS + 1), STEPS)
        } else {
            plain
        };
        open_for.max(asked.min(policy.open_for_max))
    }

    /// A call passed and succeeded. A step is forgotten after as much health as it would cost.
    pub(super) fn saw_success(&mut self, policy: &Policy, now: Instant) {
        if self.step == 0 {
            return;
        }
        let gap = self.last_success.map(|last| now.saturating_duration_since(last));
        self.health = self.health.saturating_add(gap.unwrap_or_default().min(HEALTH_PER_SUCCESS));
        self.last_success = Some(now);
        if self.health >= self.plain_open_time(policy) {
            self.step -= 1;
            self.health = Duration::ZERO;
        }
    }

    /// A call failed: the time around it was not healthy.
    pub(super) const fn saw_failure(&mut self) {
        self.last_success = None;
    }

    fn plain_open_time(&self, policy: &Policy) -> Duration {
        let doublings = self.step.saturating_sub(1).min(31);
        policy.open_for.saturating_mul(1 << doublings).min(policy.open_for_max)
    }

    const fn forget_health(&mut self) {
        self.health = Duration::ZERO;
        self.last_success = None;
    }
}

/// An open time and up to a fifth more, `part` of `whole` of that; what does not fit below the longest
/// is taken off the open time instead, so that the longest differ too.
pub(in crate::domain) fn jittered(
    plain: Duration,
    longest: Duration,
    part: u32,
    whole: u32,
) -> Duration {
    let most = plain.saturating_add(plain / 5).min(longest);
    let least = plain.min(most / 6 * 5);
    least + (most - least) / whole * part
}

/// A small generator of numbers that look random (the splitmix64 sequence).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Dice(u64);

impl Dice {
    /// A number below `bound`, which is small, so that the bias of the remainder does not matter.
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = (mixed ^ (mixed >> 31)) % u64::from(bound.max(1));
        u32::try_from(number).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Policy};
    use proptest::prelude::proptest;
    use std::{collections::BTreeSet, time::Duration};

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    /// The open times of an outage in which so many tries to close the circuit fail.
    fn open_times(seed: u64, failed: usize) -> Vec<Duration> {
        let (policy, mut backoff) = (Policy::default(), Backoff::new(seed));
        backoff.opened();
        let mut times = vec![backoff.open_time(&policy, Duration::ZERO)];
        for _ in 0..failed {
            backoff.failed_again();
            times.push(backoff.open_time(&policy, Duration::ZERO));
        }
        times
    }

    #[test]
    fn the_longest_open_times_differ_too() {
        let longest: BTreeSet<_> = (0..20).map(|seed| open_times(seed, 9)[9]).collect();
        assert!(longest.len() > 10 && longest.iter().all(|time| *time <= s(600)), "{longest:?}");
    }

    #[test]
    fn a_retry_after_is_a_floor_up_to_the_longest_time() {
        let (policy, mut backoff) = (Policy::default(), Backoff::new(1));
        backoff.opened();
        for (asked, open) in [(5, 60), (90, 90), (100_000, 600)] {
            assert_eq!(backoff.open_time(&policy, s(asked)), s(open));
        }
    }

    #[test]
    fn a_step_is_forgotten_after_as_much_seen_health_as_it_would_cost() {
        let (policy, start) = (Policy::default(), crate::clock::now());
        let mut backoff = Backoff::new(1);
        backoff.adopt(2);
        for second in 0..120 {
            backoff.saw_success(&policy, start + s(second));
        }
        assert_eq!(backoff.step(), 2);
        backoff.saw_success(&policy, start + s(120));
        assert_eq!(backoff.step(), 1);
    }

    #[test]
    fn idle_time_is_no_health_and_failures_are_none_either() {
        let (policy, start) = (Policy::default(), crate::clock::now());
        let mut backoff = Backoff::new(1);
        backoff.adopt(2);
        for hour in 0..12 {
            backoff.saw_success(&policy, start + s(hour * 3_600));
        }
        assert_eq!(backoff.step(), 2, "eleven gaps count ten seconds each");
        for second in 0..600 {
            backoff.saw_failure();
            backoff.saw_success(&policy, start + s(50_000 + second));
        }
        assert_eq!(backoff.step(), 2);
    }

    proptest! {
        #[test]
        fn the_first_open_time_is_exact_and_grown_ones_differ_up_to_the_longest(
            seed: u64, failed in 0_usize..40
        ) {
            let times = open_times(seed, failed);
            assert_eq!(times[0], s(60));
            for (step, time) in times.iter().enumerate().skip(1) {
                let plain = s(60 * (1 << step.min(10))).min(s(600));
                let range = plain.min(s(500))..=(plain + plain / 5).min(s(600));
                assert!(range.contains(time), "{step}: {time:?}");
            }
            assert_eq!(times, open_times(seed, failed), "a seed replays");
        }
    }
}
