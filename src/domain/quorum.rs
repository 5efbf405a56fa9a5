//! How many instances must see an upstream fail before it is cut off for all of them.
//!
//! Votes are counted elsewhere; here is what suffices.

use std::{fmt, num::NonZeroU32, str::FromStr};

use super::units::{Percent, parse_percent};

/// What share of the instances, or how many of them. See the module's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Quorum {
    /// More than half of those that can tell.
    #[default]
    Majority,
    /// One.
    Any,
    /// This many, however many can tell.
    Count(NonZeroU32),
    /// This share of those that can tell, more than nothing.
    Share(Percent),
}

/// A text that is no quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// Something else altogether.
    #[error(
        "expected `majority`, `any`, a number of instances such as `3`, or a share such as `60%`"
    )]
    Malformed,
    /// Nobody would have to agree.
    #[error("must be at least one instance, or more than 0%")]
    Nobody,
}

impl Quorum {
    /// How many must say that it fails, of so many live instances, of which some cannot tell. At
    /// least one: nothing opens without a vote.
    pub fn needed(self, live: u32, abstained: u32) -> u32 {
        let telling = live.saturating_sub(abstained);
        let needed = match self {
            Self::Majority => telling / 2 + 1,
            Self::Any => 1,
            Self::Count(count) => count.get(),
            Self::Share(share) => {
                let of = u64::from(telling) * u64::from(share.basis_points());
                // No more than `telling`, which fits.
                u32::try_from(of.div_ceil(10_000)).unwrap_or(telling)
            }
        };
        needed.max(1)
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Majority => f.write_str("majority"),
            Self::Any => f.write_str("any"),
            Self::Count(count) => count.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

impl FromStr for Quorum {
    type Err = QuorumError;

    fn from_str(text: &str) -> Result<Self, QuorumError> {
        match text {
            "majority" => return Ok(Self::Majority),
            "any" => return Ok(Self::Any),
            _ => {}
        }
        if text.ends_with('%') {
            let share = parse_percent(text).map_err(|_| QuorumError::Malformed)?;
            let is_some = share.basis_points() > 0;
            return is_some.then_some(Self::Share(share)).ok_or(QuorumError::Nobody);
        }
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let count = is_number.then(|| text.parse().ok()).flatten().ok_or(QuorumError::Malformed)?;
        NonZeroU32::new(count).map(Self::Count).ok_or(QuorumError::Nobody)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

    use super::{NonZeroU32, Percent, Quorum, QuorumError};

    fn needed(quorum: &str, live: u32, abstained: u32) -> u32 {
        quorum.parse::<Quorum>().unwrap().needed(live, abstained)
    }

    #[test]
    fn a_majority_is_more_than_half_of_those_that_can_tell() {
        let of = [1, 2, 3, 4, 5, 100].map(|live| needed("majority", live, 0));
        assert_eq!(of, [1, 2, 2, 3, 3, 51]);
        assert_eq!(needed("majority", 40, 39), 1, "a lone caller's vote suffices");
        assert_eq!(needed("majority", 40, 37), 2);
    }

    #[test]
    fn one_is_enough_for_any_and_a_number_is_what_it_says() {
        assert_eq!((needed("any", 100, 0), needed("3", 100, 0), needed("3", 2, 2)), (1, 3, 3));
    }

    #[test]
    fn a_share_is_rounded_up() {
        let of = [1, 2, 3, 4, 10, 11].map(|live| needed("60%", live, 0));
        assert_eq!(of, [1, 2, 2, 3, 6, 7]);
        assert_eq!(
            (needed("0.01%", 5, 0), needed("100%", 7, 2), needed("33.33%", 3, 0)),
            (1, 5, 1)
        );
    }

    #[test]
    fn nothing_opens_without_a_vote() {
        for quorum in ["majority", "any", "1", "1%"] {
            for (live, abstained) in [(0, 0), (5, 5), (1, 9)] {
                assert_eq!(needed(quorum, live, abstained), 1, "{quorum} of {live} − {abstained}");
            }
        }
    }

    #[test]
    fn a_text_that_is_no_quorum_is_told_apart_from_one_of_nobody() {
        for text in ["", "half", "-1", "+1", "1.5", "60 percent", "101%", "%", "99999999999", " 3"]
        {
            assert_eq!(text.parse::<Quorum>(), Err(QuorumError::Malformed), "{text:?}");
        }
        for text in ["0", "0%", "0.00%"] {
            assert_eq!(text.parse::<Quorum>(), Err(QuorumError::Nobody), "{text:?}");
        }
    }

    fn quorum() -> impl Strategy<Value = Quorum> {
        prop_oneof![
            Just(Quorum::Majority),
            Just(Quorum::Any),
            (1..u32::MAX).prop_map(|n| Quorum::Count(NonZeroU32::new(n).expect("not zero"))),
            (1_u16..=10_000)
                .prop_map(|bp| Quorum::Share(Percent::from_basis_points(bp).expect("a share"))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(quorum in quorum()) {
            assert_eq!(quorum.to_string().parse(), Ok(quorum));
        }

        #[test]
        fn a_share_of_those_that_can_tell_can_always_be_reached(
            share in 1_u16..=10_000, live in 1_u32.., abstained: u32
        ) {
            let quorum = Quorum::Share(Percent::from_basis_points(share).expect("a share"));
            let telling = live.saturating_sub(abstained);
            for quorum in [quorum, Quorum::Majority, Quorum::Any] {
                assert!(quorum.needed(live, abstained) <= telling.max(1));
            }
        }
    }
}
