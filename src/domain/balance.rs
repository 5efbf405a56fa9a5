//! Which host gets the next attempt: the less busy of two that chance names.
//!
//! Two choices are nearly as even as asking all, and cost two looks however many hosts there are;
//! callers that decide at the same moment do not all run to the same one. Hosts that are ejected,
//! and those that an attempt of this call has tried, come last. When there are only such hosts they
//! are used all the same: a guess about health is no reason to refuse a call.

/// What is known about a host when one is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Attempts under way there.
    pub in_flight: u32,
    /// It has failed too often lately.
    pub is_ejected: bool,
    /// An attempt of the same call was made there.
    pub was_tried: bool,
}

impl Candidate {
    /// The smaller, the better; chance and load decide within a rank only.
    const fn rank(self) -> u8 {
        match (self.is_ejected, self.was_tried) {
            (false, false) => 0,
            (false, true) => 1,
            (true, false) => 2,
            (true, true) => 3,
        }
    }
}

/// The index of one of `count` hosts, by 64 random bits. None when there is no host.
pub fn choose(count: usize, about: impl Fn(usize) -> Candidate, random: u64) -> Option<usize> {
    let (one, other) = two_of(count, random)?;
    let pair = [about(one), about(other)];
    if pair.iter().all(|candidate| candidate.rank() == 0) {
        return Some(less_busy([(one, pair[0]), (other, pair[1])]));
    }
    among_the_best(count, about, random)
}

/// The same, looking at all of them: some are not to be used if it can be avoided.
fn among_the_best(count: usize, about: impl Fn(usize) -> Candidate, random: u64) -> Option<usize> {
    let best = (0..count).map(|index| about(index).rank()).min()?;
    let is_best = |index: &usize| about(*index).rank() == best;
    let (one, other) = two_of((0..count).filter(is_best).count(), mixed(random))?;
    // The health of a host may have changed since it was counted; then any other will do.
    let nth = |nth| (0..count).filter(is_best).nth(nth).unwrap_or_default();
    let (one, other) = (nth(one), nth(other));
    Some(less_busy([(one, about(one)), (other, about(other))]))
}

const fn less_busy([(one, first), (other, second)]: [(usize, Candidate); 2]) -> usize {
    if second.in_flight < first.in_flight { other } else { one }
}

/// Other random bits: those that led here have named a host that is not to be used.
const fn mixed(random: u64) -> u64 {
    let random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    random ^ (random >> 31)
}

/// Two different numbers below `count`, each pair as likely as any other; twice 0 when there is but
/// one. None when there is none.
fn two_of(count: usize, random: u64) -> Option<(usize, usize)> {
    let below = |bound: usize, random: u64| {
        let scaled = (bound as u128 * u128::from(random)) >> 32;
        usize::try_from(scaled).unwrap_or_default()
    };
    let (high, low) = (random >> 32, random & u64::from(u32::MAX));
    match count {
        0 => None,
        1 => Some((0, 0)),
        _ => {
            let (one, other) = (below(count, high), below(count - 1, low));
            Some((one, if other >= one { other + 1 } else { other }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, choose};
    use proptest::{
        collection::vec,
        prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest},
    };

    fn hosts(most: usize) -> impl Strategy<Value = Vec<Candidate>> {
        let host = (0..20_u32, any::<bool>(), any::<bool>());
        let host = host.prop_map(|(in_flight, is_ejected, was_tried)| Candidate {
            in_flight,
            is_ejected,
            was_tried,
        });
        vec(host, 0..most)
    }

    const WELL: Candidate = Candidate { in_flight: 0, is_ejected: false, was_tried: false };

    fn chosen(hosts: &[Candidate], random: u64) -> Option<usize> {
        choose(hosts.len(), |index| hosts[index], random)
    }

    #[test]
    fn of_two_hosts_the_less_busy_one_gets_the_attempt_whatever_chance_says() {
        let hosts = [Candidate { in_flight: 3, ..WELL }, Candidate { in_flight: 2, ..WELL }];
        for random in [0, 1, 1 << 31, 1 << 32, 1 << 63, u64::MAX] {
            assert_eq!(chosen(&hosts, random), Some(1), "{random}");
        }
    }

    #[test]
    fn idle_hosts_share_the_attempts_evenly() {
        let mut counts = [0_u32; 5];
        for step in 0..100_000_u64 {
            let random = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            counts[chosen(&[WELL; 5], random).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (19_000..21_000).contains(count)), "{counts:?}");
    }

    #[test]
    fn an_ejected_host_leaves_its_share_to_all_others_alike() {
        let mut hosts = [WELL; 5];
        hosts[2].is_ejected = true;
        let mut counts = [0_u32; 5];
        for step in 0..100_000_u64 {
            let random = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            counts[chosen(&hosts, random).unwrap()] += 1;
        }
        assert_eq!(counts[2], 0);
        let others = [counts[0], counts[1], counts[3], counts[4]];
        assert!(others.iter().all(|count| (24_000..26_000).contains(count)), "{counts:?}");
    }

    #[test]
    fn calls_that_stay_pile_up_nowhere() {
        let mut hosts = [WELL; 10];
        for step in 0..10_000_u64 {
            let at = chosen(&hosts, step.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
            hosts[at].in_flight += 1;
        }
        let counts = hosts.map(|host| host.in_flight);
        assert!(counts.iter().all(|count| (990..=1_010).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn a_host_is_found_whenever_there_is_one_and_none_of_a_better_rank_is_passed_over(
            hosts in hosts(12), random: u64,
        ) {
            let best = hosts.iter().map(|host| host.rank()).min();
            prop_assert_eq!(chosen(&hosts, random).map(|at| hosts[at].rank()), best);
        }

        #[test]
        fn the_busiest_of_several_equals_is_never_chosen(
            loads in vec(0..50_u32, 2..10), random: u64,
        ) {
            let hosts: Vec<_> =
                loads.iter().map(|&in_flight| Candidate { in_flight, ..WELL }).collect();
            let most = *loads.iter().max().unwrap();
            let at = chosen(&hosts, random).unwrap();
            let is_lone = loads.iter().filter(|load| **load == most).count() == 1;
            prop_assert!(!is_lone || loads[at] < most, "{} of {:?}", at, loads);
        }
    }
}
