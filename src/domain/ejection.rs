//! The ejection of a single host: one of several addresses that keeps failing is left out for a
//! while.
//!
//! The breaker judges the upstream; this judges its hosts against each other, on this instance
//! only. A host is out for a time that grows with each ejection in a row, and returns on its own:
//! the next attempts are its trial. Health forgets old ejections one by one. Never are all hosts
//! out, nor more than a share of them, for then it is hardly the hosts' fault.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use super::{units::Percent, wait::part};

/// The time of the first ejection grows to so many times itself at most.
const MOST_TIMES_LONGER: u32 = 10;

/// Each ejection is up to a fifth longer, at random, so that hosts that failed together do not
/// return together.
const JITTER_PART: u32 = 5;

/// The rules, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Failures in a row that eject a host.
    pub consecutive_failures: NonZeroU32,
    /// How long the first time; the second in a row twice as long, and so on.
    pub ejected_for: Duration,
    /// The share of hosts that may be out at a time; one of several may be in any case, unless the
    /// share is nothing.
    pub max_share: Percent,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            consecutive_failures: NonZeroU32::MIN.saturating_add(4),
            ejected_for: Duration::from_secs(30),
            max_share: Percent::of(50),
        }
    }
}

impl Policy {
    /// How many of `hosts` may be out at a time.
    pub fn room(&self, hosts: usize) -> usize {
        let share = usize::from(self.max_share.basis_points());
        if share == 0 {
            return 0;
        }
        // Rounded down, but one at least; and never all, not even the only one.
        (hosts.saturating_mul(share) / 10_000).max(1).min(hosts.saturating_sub(1))
    }
}

/// How a host has done lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Ejections in a row, as far as health has not made up for them.
    ejections: u32,
    phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// It gets calls, and has failed so many times in a row.
    Serving {
        streak: u32,
        /// Since when it has not failed; none before the first success.
        well_since: Option<Instant>,
    },
    /// It gets none until then.
    Ejected { until: Instant },
}

impl Default for Standing {
    fn default() -> Self {
        Self { ejections: 0, phase: Phase::SERVING }
    }
}

impl Phase {
    const SERVING: Self = Self::Serving { streak: 0, well_since: None };
}

impl Standing {
    /// Whether nothing speaks against it: further successes change nothing.
    pub fn is_spotless(&self) -> bool {
        self.ejections == 0 && matches!(self.phase, Phase::Serving { streak: 0, .. })
    }

    /// How many times in a row it has been ejected.
    pub const fn ejections(&self) -> u32 {
        self.ejections
    }

    /// An attempt succeeded. While the host is out that says nothing: it returns in its time.
    pub fn succeeded(&mut self, policy: &Policy, now: Instant) {
        self.expire(now);
        let Phase::Serving { streak, well_since } = &mut self.phase else { return };
        *streak = 0;
        let since = *well_since.get_or_insert(now);
        if self.ejections > 0 && now.saturating_duration_since(since) >= policy.ejected_for {
            self.ejections -= 1;
            *well_since = Some(now);
        }
    }

    /// An attempt failed. Ejects the host if it is one failure too many and there is room for one
    /// more, and says for how long. Asking for the room may cost something, so it is asked for last.
    pub fn failed(
        &mut self,
        policy: &Policy,
        has_room: impl FnOnce() -> bool,
        random: u64,
        now: Instant,
    ) -> Option<Duration> {
        self.expire(now);
        let Phase::Serving { streak, well_since } = &mut self.phase else { return None };
        *streak = streak.saturating_add(1);
        *well_since = None;
        if *streak < policy.consecutive_failures.get() || !has_room() {
            return None;
        }
        self.ejections = self.ejections.saturating_add(1).min(MOST_TIMES_LONGER);
        let plain = policy.ejected_for.saturating_mul(self.ejections);
        let time = plain.saturating_add(part(plain / JITTER_PART, random));
        self.phase = Phase::Ejected { until: now + time };
        Some(time)
    }

    fn expire(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Ejected { until } if now >= until) {
            self.phase = Phase::SERVING;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        num::NonZeroU32,
        time::{Duration, Instant},
    };

    use proptest::{
        collection::vec,
        prelude::{prop_assert, prop_assert_eq, proptest},
    };

    use super::{Policy, Standing};
    use crate::domain::units::Percent;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy(consecutive_failures: u32, share: u16) -> Policy {
        Policy {
            consecutive_failures: NonZeroU32::new(consecutive_failures).unwrap(),
            ejected_for: 30 * SECOND,
            max_share: Percent::from_basis_points(share * 100).unwrap(),
        }
    }

    /// Plays a script to one host of many, without jitter: `+` and `-` are results, a digit lets as
    /// many times ten seconds pass. Says the seconds of every ejection.
    fn check(script: &str, expected: &[u64]) {
        let (policy, mut now) = (policy(3, 50), crate::clock::now());
        let (mut standing, mut ejections) = (Standing::default(), Vec::new());
        for event in script.chars() {
            match event {
                '+' => standing.succeeded(&policy, now),
                '-' => ejections.extend(standing.failed(&policy, || true, 0, now)),
                tens => now += 10 * SECOND * tens.to_digit(10).unwrap(),
            }
        }
        let seconds: Vec<_> = ejections.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, expected, "{script}");
    }

    #[test]
    fn failures_in_a_row_eject_and_a_success_between_them_does_not() {
        check("---", &[30]);
        check("--+--+--", &[]);
        check("--+---", &[30]);
    }

    #[test]
    fn what_comes_in_while_it_is_out_changes_nothing() {
        check("-----+----", &[30]);
        check("---2---", &[30]);
        check("---2+--1---", &[30, 60]);
    }

    #[test]
    fn each_ejection_in_a_row_is_longer_up_to_a_bound() {
        check("---3---6---9---", &[30, 60, 90, 120]);
        let many = "---99999".repeat(12);
        check(&many, &[30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
    }

    #[test]
    fn health_forgets_ejections_one_by_one_and_idle_time_is_none() {
        check("---3+3+---", &[30, 30]);
        check("---3---6+3+---", &[30, 60, 60]);
        check("---3---6+3+3+---", &[30, 60, 30]);
        check("---9999---", &[30, 60]);
        check("---3+2-2+---", &[30, 60]);
    }

    #[test]
    fn one_of_several_may_be_out_and_never_all() {
        for (hosts, share, room) in [
            (0, 50, 0),
            (1, 100, 0),
            (2, 50, 1),
            (2, 1, 1),
            (3, 50, 1),
            (4, 50, 2),
            (4, 100, 3),
            (10, 0, 0),
            (10, 34, 3),
        ] {
            assert_eq!(policy(1, share).room(hosts), room, "{hosts} hosts, {share}%");
        }
    }

    /// Hosts that share the room for ejections.
    struct World {
        policy: Policy,
        standings: Vec<Standing>,
        out_until: Vec<Option<Instant>>,
        now: Instant,
    }

    impl World {
        fn out(&self) -> usize {
            self.out_until.iter().flatten().filter(|until| self.now < **until).count()
        }

        /// A result of one host; how long it is ejected for.
        fn result(&mut self, host: usize, is_good: bool, random: u64) -> Option<Duration> {
            let has_room = self.out() < self.policy.room(self.standings.len());
            let standing = &mut self.standings[host];
            if is_good {
                standing.succeeded(&self.policy, self.now);
                return None;
            }
            let time = standing.failed(&self.policy, || has_room, random, self.now)?;
            self.out_until[host] = Some(self.now + time);
            Some(time)
        }
    }

    proptest! {
        #[test]
        fn never_are_more_hosts_out_than_there_is_room_for_and_each_returns_in_its_time(
            hosts in 1..9_usize,
            failures in 1..5_u32,
            share in 0..101_u16,
            events in vec((0..9_usize, 0..4_u8, 0..20_u64, proptest::num::u64::ANY), 0..300),
        ) {
            let mut world = World {
                policy: policy(failures, share),
                standings: vec![Standing::default(); hosts],
                out_until: vec![None; hosts],
                now: crate::clock::now(),
            };
            for (host, result, seconds, random) in events {
                let host = host % hosts;
                let was_out = world.out_until[host].is_some_and(|until| world.now < until);
                let ejected_for = world.result(host, result == 0, random);
                prop_assert!(!(was_out && ejected_for.is_some()), "ejected twice");
                let longest = 30 * SECOND * 10;
                if let Some(time) = ejected_for {
                    prop_assert!(time >= 30 * SECOND && time <= longest + longest / 5, "{:?}", time);
                }
                let room = world.policy.room(hosts);
                prop_assert!(world.out() <= room && (room < hosts || hosts == 0), "{} out", world.out());
                world.now += SECOND * u32::try_from(seconds).unwrap();
            }
        }

        #[test]
        fn a_spotless_host_stays_so_through_successes_and_needs_the_whole_streak(
            successes in 0..20_u64, failures in 1..10_u32,
        ) {
            let (policy, mut now) = (policy(failures, 50), crate::clock::now());
            let mut standing = Standing::default();
            for _ in 0..successes {
                now += SECOND;
                standing.succeeded(&policy, now);
                prop_assert!(standing.is_spotless());
            }
            let ejected = (0..failures)
                .map(|_| standing.failed(&policy, || true, 0, now).is_some())
                .collect::<Vec<_>>();
            prop_assert_eq!(ejected.iter().position(|out| *out), Some(ejected.len() - 1));
            prop_assert!(!standing.is_spotless());
        }
    }
}
