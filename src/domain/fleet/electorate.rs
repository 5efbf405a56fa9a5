//! Who votes when an upstream is in doubt.
//!
//! All, in a small fleet. In a large one a sample: what one incident writes then does not grow with
//! the fleet, and with 64 voters a share is off by 0.2 in one case of a hundred (Hoeffding). Whoever
//! opens a round counts the electorate once; all use the same numbers.

/// As many vote at most, about.
const SAMPLE: u64 = 64;

/// The same ones are asked for so many epochs, which is a few incidents: they look at the store more
/// often, and are to be few even when breakers are in different epochs.
const TERM: u64 = 16;

/// How many different ballots there are.
const BALLOTS: u64 = 1 << 32;

/// An instance that may vote: the number that it has drawn at its start.
pub type Member = u32;

/// Who may vote in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Electorate {
    /// How many they are.
    pub size: u32,
    /// Those whose ballot, turned by the epoch, is below this.
    pub below: u64,
}

impl Electorate {
    /// The electorate among those who live.
    pub fn of(members: &[Member], epoch: u64) -> Self {
        let below = Self::bound(members.len() as u64);
        let voters = members.iter().filter(|&&ballot| turned(ballot, epoch) < below).count();
        Self { size: u32::try_from(voters).unwrap_or(u32::MAX), below }
    }

    /// The bound of ballots in a fleet of this size.
    pub fn bound(live: u64) -> u64 {
        if live <= SAMPLE { BALLOTS } else { BALLOTS / live * SAMPLE }
    }

    /// Whether this one would be among the voters of a fleet of this size, as far as that can be
    /// told before they are counted.
    pub fn would_admit(live: u32, ballot: Member, epoch: u64) -> bool {
        turned(ballot, epoch) < Self::bound(live.into())
    }

    /// Breakers in epochs with the same number here ask the same ones.
    pub const fn term(epoch: u64) -> u64 {
        epoch / TERM
    }

    /// Whether this one may vote.
    pub fn admits(self, ballot: Member, epoch: u64) -> bool {
        turned(ballot, epoch) < self.below
    }
}

/// The ballot in this epoch, so that not the same ones vote for ever.
fn turned(ballot: Member, epoch: u64) -> u64 {
    const TURN: u64 = 2_654_435_761;
    (u64::from(ballot) + Electorate::term(epoch) % 65_536 * TURN) % BALLOTS
}

#[cfg(test)]
mod tests {
    use super::{Electorate, TERM};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn in_a_small_fleet_all_vote() {
        for live in [1_u32, 2, 64] {
            let members: Vec<u32> = (0..live).map(|n| n.wrapping_mul(0x9e37_79b9)).collect();
            let electorate = Electorate::of(&members, 7);
            assert_eq!(electorate.size, live);
            assert!(members.iter().all(|&ballot| electorate.admits(ballot, 7)));
        }
    }

    proptest! {
        #[test]
        fn in_a_large_fleet_a_sample_votes_and_after_a_while_another(
            seed in any::<u64>(), live in 65_usize..5_000, epoch in 0_u64..1_000
        ) {
            let mut state = seed;
            let members: Vec<u32> = (0..live).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                u32::try_from(state >> 32).unwrap()
            }).collect();
            let now = Electorate::of(&members, epoch);
            prop_assert!((20..=130).contains(&now.size), "{}", now.size);
            let voters = members.iter().filter(|&&ballot| now.admits(ballot, epoch)).count();
            prop_assert_eq!(u32::try_from(voters), Ok(now.size));
            let later = epoch + TERM;
            let next = Electorate::of(&members, later);
            let both = |ballot: &&u32| now.admits(**ballot, epoch) && next.admits(**ballot, later);
            prop_assert!(live < 500 || members.iter().filter(both).count() < 64);
        }
    }
}
