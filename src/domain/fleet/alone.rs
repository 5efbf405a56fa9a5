//! Who tries an upstream while nobody can be asked who does: the store is away.
//!
//! Each draws for itself, once in as long as a prober's lease holds, so that a few try in that time,
//! however many they are.

use std::time::Instant;

use super::mind::LEASE;

/// As many instances of the fleet try at once, about.
pub const TRY: u32 = 2;

/// The times at which an instance draws.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone {
    next: Option<Instant>,
}

impl Alone {
    /// Whether it is to draw now. Not as soon as the store is away, for somebody may be trying then
    /// who was asked to.
    pub fn draws(&mut self, now: Instant) -> bool {
        let is_due = self.next.is_none_or(|at| now >= at);
        let is_first = self.next.is_none();
        if is_due {
            self.next = Some(now + LEASE);
        }
        is_due && !is_first
    }
}

/// Whether one of so many who draws this tries. `dice` is random.
pub fn tries(live: u32, dice: u32) -> bool {
    (u64::from(dice) * u64::from(live.max(1))) >> 32 < u64::from(TRY)
}

#[cfg(test)]
mod tests {
    use super::{Alone, LEASE, TRY, tries};

    #[test]
    fn one_draws_once_in_a_lease_and_not_in_the_first() {
        let now = crate::clock::now();
        let mut alone = Alone::default();
        assert!(!alone.draws(now) && !alone.draws(now + LEASE / 2));
        assert!(alone.draws(now + LEASE) && !alone.draws(now + LEASE));
        assert!(alone.draws(now + 3 * LEASE), "whenever it comes to it");
    }

    #[test]
    fn two_of_many_try() {
        for live in [1_u32, 2, 3, 20, 1_000] {
            let dice = |n: u32| u32::MAX / live * n + u32::MAX / live / 2;
            let count = (0..live).filter(|&n| tries(live, dice(n))).count();
            assert_eq!(u32::try_from(count), Ok(live.min(TRY)), "of {live}");
        }
    }
}
