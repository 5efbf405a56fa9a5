//! A short fingerprint of the rules that all who share a breaker should have alike.
//!
//! Fingerprints travel with heartbeats and are compared by others, newer and older versions among
//! them, so what is hashed is written down here and never changes its form: one line per rule, name
//! and value, in this order. A rule that is optional is there only where it is on, so that a version
//! which knows more rules agrees with one that does not while nobody uses them.
//!
//! ```text
//! consecutive_failures 5        in failures
//! open_for 60000                in milliseconds, as all that follows
//! open_for_max 600000
//! close_after 2
//! ramp 10000
//! failure_statuses 500 502      ascending
//! failure_grpc_statuses 4 13    ascending, as numbers
//! quorum majority
//! failure_rate 5000 30000 20    if on: over in basis points, window, min_calls
//! slow_calls 8000 30000 20 250  if on: the same, slower_than
//! ```
//!
//! Left out is what each instance may have as it likes: its mode, who shares, and how long a probe may
//! take, which follows from its timeouts.

use std::{fmt, time::Duration};

use crate::domain::breaker::{Policy, RateRule};

/// See the module's text. Shown as eight hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(u32);

impl Fingerprint {
    /// Of these rules.
    pub fn of(policy: &Policy) -> Self {
        let hash = fnv(lines(policy).as_bytes());
        let [a, b, c, d, e, f, g, h] = hash.to_be_bytes();
        Self(u32::from_be_bytes([a, b, c, d]) ^ u32::from_be_bytes([e, f, g, h]))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// One number for several breakers and their rules, so that whoever has the same ones as everybody
/// else finds out by one comparison. Whatever it is compared with is this program's, of any version.
pub fn digest<'a>(rules: impl IntoIterator<Item = (&'a str, &'a str)>) -> i64 {
    let mut text = String::new();
    for (key, rules) in rules {
        text.push_str(key);
        text.push('\n');
        text.push_str(rules);
        text.push('\n');
    }
    i64::from_be_bytes(fnv(text.as_bytes()).to_be_bytes())
}

fn lines(policy: &Policy) -> String {
    let statuses = policy.failure_statuses.iter().map(|status| status.as_u16().into());
    let codes = policy.failure_grpc_statuses.iter().map(|code| u32::from(code.number()));
    let mut text = format!(
        "consecutive_failures {}\nopen_for {}\nopen_for_max {}\nclose_after {}\nramp {}\n\
         failure_statuses{}\nfailure_grpc_statuses{}\nquorum {}\n",
        policy.consecutive_failures,
        ms(policy.open_for),
        ms(policy.open_for_max),
        policy.close_after,
        ms(policy.ramp),
        ascending(statuses),
        ascending(codes),
        policy.quorum,
    );
    if let Some(rule) = &policy.failure_rate {
        text.push_str(&format!("failure_rate {}\n", rate(rule)));
    }
    if let Some(rule) = &policy.slow_calls {
        text.push_str(&format!("slow_calls {} {}\n", rate(&rule.rate), ms(rule.slower_than)));
    }
    text
}

fn rate(rule: &RateRule) -> String {
    format!("{} {} {}", rule.over.basis_points(), ms(rule.window), rule.min_calls)
}

fn ascending(numbers: impl Iterator<Item = u32>) -> String {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.iter().map(|number| format!(" {number}")).collect()
}

fn ms(span: Duration) -> u128 {
    span.as_millis()
}

/// FNV-1a of 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use http::StatusCode;

    use super::{Fingerprint, digest, lines};
    use crate::domain::{
        breaker::{Mode, Policy, RateRule, Scope, SlowRule},
        quorum::Quorum,
        units::Percent,
    };

    fn shown(policy: &Policy) -> String {
        Fingerprint::of(policy).to_string()
    }

    fn everything_on() -> Policy {
        let min_calls = NonZeroU32::new(20).unwrap();
        let rate = RateRule { over: Percent::of(50), window: Duration::from_secs(30), min_calls };
        let slower_than = Duration::from_millis(250);
        Policy {
            failure_rate: Some(rate),
            slow_calls: Some(SlowRule { rate, slower_than }),
            ..Policy::default()
        }
    }

    /// Other instances, of other versions, hold theirs against these. They must never change.
    #[test]
    fn the_same_rules_have_the_same_fingerprint_in_every_version() {
        assert_eq!(shown(&Policy::default()), "77ba481e");
        assert_eq!(shown(&everything_on()), "c4a651fd");
        assert_eq!(
            lines(&everything_on()),
            "consecutive_failures 5\nopen_for 60000\nopen_for_max 600000\nclose_after 2\n\
             ramp 10000\nfailure_statuses 500 502 503 504\nfailure_grpc_statuses 4 13 14 15\n\
             quorum majority\nfailure_rate 5000 30000 20\nslow_calls 5000 30000 20 250\n"
        );
    }

    #[test]
    fn every_rule_counts_that_all_should_have_alike() {
        let two = NonZeroU32::new(9).unwrap();
        let second = Duration::from_secs(1);
        let plain = Policy::default;
        let others = [
            Policy { consecutive_failures: two, ..plain() },
            Policy { open_for: second, ..plain() },
            Policy { open_for_max: second, ..plain() },
            Policy { close_after: two, ..plain() },
            Policy { ramp: second, ..plain() },
            Policy { failure_statuses: vec![StatusCode::BAD_GATEWAY], ..plain() },
            Policy { failure_grpc_statuses: Vec::new(), ..plain() },
            Policy { quorum: Quorum::Any, ..plain() },
            Policy { slow_calls: None, ..everything_on() },
            Policy { failure_rate: None, ..everything_on() },
        ];
        let mut seen = vec![shown(&plain()), shown(&everything_on())];
        for policy in &others {
            let fingerprint = shown(policy);
            assert!(!seen.contains(&fingerprint), "{policy:?}");
            seen.push(fingerprint);
        }
    }

    #[test]
    fn what_each_may_have_as_it_likes_does_not_count() {
        let plain = shown(&Policy::default());
        let mut statuses = Policy::default().failure_statuses;
        statuses.reverse();
        for policy in [
            Policy { mode: Mode::Shadow, ..Policy::default() },
            Policy { scope: Scope::Instance, ..Policy::default() },
            Policy { probe_lease: Duration::from_secs(1), ..Policy::default() },
            Policy { failure_statuses: statuses, ..Policy::default() },
        ] {
            assert_eq!(shown(&policy), plain, "{policy:?}");
        }
    }

    #[test]
    fn a_digest_tells_keys_and_rules_apart() {
        let one = digest([("ledger", "aa"), ("payments", "bb")]);
        assert_eq!(one, digest([("ledger", "aa"), ("payments", "bb")]));
        assert_ne!(one, digest([("ledger", "aa"), ("payments", "bc")]));
        assert_ne!(one, digest([("ledger", "aa")]));
    }
}
