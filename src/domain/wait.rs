//! How long to wait: between tries that fail, and between rounds that must not march in step.
//!
//! Randomness is an argument: 64 random bits, of which every value is as good as any other.

use std::time::Duration;

use super::units::Percent;

/// Waits that grow while something keeps failing, with full jitter: each is drawn evenly from the
/// floor to a limit that doubles from try to try, up to the ceiling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    floor: Duration,
    ceiling: Duration,
    limit: Duration,
}

impl Backoff {
    /// Waits from `floor` up to `ceiling`.
    pub const fn new(floor: Duration, ceiling: Duration) -> Self {
        Self { floor, ceiling, limit: floor }
    }

    /// The wait before the next try.
    pub fn next(&mut self, random: u64) -> Duration {
        self.limit = self.limit.saturating_mul(2).min(self.ceiling).max(self.floor);
        self.floor + part(self.limit - self.floor, random)
    }

    /// A try succeeded: the next wait is a short one again.
    pub const fn reset(&mut self) {
        self.limit = self.floor;
    }
}

/// A wait that differs from `period` by at most `share` of it, either way.
pub fn spread(period: Duration, share: Percent, random: u64) -> Duration {
    let reach = period.mul_f64(share.as_ratio());
    period - reach + part(reach * 2, random)
}

/// The part of `whole` that `random` is of all 64-bit numbers.
pub fn part(whole: Duration, random: u64) -> Duration {
    let nanos = whole.as_nanos().min(u128::from(u64::MAX));
    Duration::from_nanos(u64::try_from((nanos * u128::from(random)) >> 64).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Backoff, part, spread};
    use crate::domain::units::Percent;
    use proptest::prelude::proptest;
    use std::time::Duration;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_double_up_to_the_ceiling_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(50 * MS, 500 * MS);
        let mut longest = || backoff.next(u64::MAX).as_millis() + 1;
        assert_eq!(
            [longest(), longest(), longest(), longest(), longest()],
            [100, 200, 400, 500, 500]
        );
        backoff.reset();
        assert_eq!(backoff.next(0), 50 * MS);
    }

    proptest! {
        #[test]
        fn a_wait_never_leaves_its_bounds(tries in 1..40_usize, random: u64, floor in 0..5_000_u32, more in 0..5_000_u32) {
            let (floor, ceiling) = (floor * MS, (floor + more) * MS);
            let mut backoff = Backoff::new(floor, ceiling);
            for _ in 0..tries {
                let wait = backoff.next(random);
                assert!((floor..=ceiling).contains(&wait), "{wait:?}");
            }
        }

        #[test]
        fn a_spread_period_differs_by_at_most_its_share(ms in 0..100_000_u32, random: u64) {
            let period = ms * MS;
            let tenth = Percent::from_basis_points(1_000).unwrap();
            assert!(spread(period, tenth, random).abs_diff(period) <= period / 10 + Duration::from_nanos(1));
            assert!(part(period, random) <= period);
        }
    }
}
