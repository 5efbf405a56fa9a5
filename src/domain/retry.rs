//! Whether an attempt that went wrong is made again, and after which wait.
//!
//! The caller may hardly ever see a difference, so the rule is narrow: what never reached the
//! upstream may be sent again whatever it is; what may have reached it, only when the caller says
//! that twice is as good as once. A budget keeps retries from becoming the load that they are meant
//! to survive. Whether the circuit lets another attempt through is the circuit's to say.

use std::{num::NonZeroU32, time::Duration};

use http::{Method, StatusCode};

use super::{outcome::Reason, units::Percent, wait::part};

/// The rules, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Attempts in all; one means no retry.
    pub attempts: NonZeroU32,
    /// What is retried.
    pub on: Vec<Condition>,
    /// Statuses that are retried.
    pub statuses: Vec<StatusCode>,
    /// The share of the attempts in flight that may be retries.
    pub budget: Percent,
    /// So many retries at a time are within the budget in any case.
    pub min: u32,
    /// The longest wait before the first retry; each further one doubles it.
    pub backoff: Duration,
    /// The longest wait of all.
    pub backoff_max: Duration,
    /// The longest body, in bytes, that is kept to be sent again.
    pub body_bytes: usize,
}

/// What can be retried, besides statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    /// Nothing reached the upstream: no connection, or a stream that it refused.
    Unsent,
    /// The connection broke before the response head.
    Reset,
    /// The attempt took too long.
    Timeout,
}

impl Condition {
    /// The condition that a failed attempt meets, if any. A connection that turned out closed
    /// before anything was written to it, and a stream that the upstream refused to process, are
    /// [`Condition::Unsent`] too, which the reason alone does not tell.
    pub const fn of(reason: Reason) -> Option<Self> {
        match reason {
            Reason::DnsFailure
            | Reason::ConnectRefused
            | Reason::ConnectTimeout
            | Reason::ConnectReset
            | Reason::TlsFailure
            | Reason::TlsCertificate => Some(Self::Unsent),
            Reason::ResetBeforeHeaders => Some(Self::Reset),
            Reason::TimeoutFirstByte | Reason::TimeoutAttempt => Some(Self::Timeout),
            _ => None,
        }
    }
}

/// How an attempt ended that is no success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Without an answer.
    Failed(Condition),
    /// With this status, of which the caller has seen nothing.
    Answered(StatusCode),
}

/// What there is to know about a call when one of its attempts went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Twice is as good as once, see [`is_repeatable`].
    pub is_repeatable: bool,
    /// What has been taken of the caller's body can be sent again.
    pub is_replayable: bool,
    /// Something of a response has gone to the caller.
    pub has_answered: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// The time that is left for the call.
    pub left: Duration,
}

/// Whether a call may reach its upstream twice: by its method, or because the caller gave it an
/// `Idempotency-Key`.
pub fn is_repeatable(method: &Method, has_idempotency_key: bool) -> bool {
    has_idempotency_key || method.is_idempotent()
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: NonZeroU32::MIN.saturating_add(1),
            on: vec![Condition::Unsent],
            statuses: Vec::new(),
            budget: Percent::of(20),
            min: 3,
            backoff: Duration::from_millis(25),
            backoff_max: Duration::from_millis(250),
            body_bytes: 64 * 1024,
        }
    }
}

impl Policy {
    /// How long to wait before the next attempt; none when there is to be none.
    pub fn wait(&self, facts: &Facts, ending: Ending, random: u64) -> Option<Duration> {
        let is_meant = match ending {
            Ending::Failed(condition) => self.on.contains(&condition),
            Ending::Answered(status) => self.statuses.contains(&status),
        };
        let is_safe = facts.is_repeatable || ending == Ending::Failed(Condition::Unsent);
        let is_possible = facts.is_replayable && !facts.has_answered;
        if !is_meant || !is_safe || !is_possible || facts.attempts >= self.attempts.get() {
            return None;
        }
        let doublings = facts.attempts.saturating_sub(1).min(31);
        let longest = self.backoff.saturating_mul(1 << doublings).min(self.backoff_max);
        let wait = part(longest, random);
        // One that would begin at the deadline cannot succeed.
        (wait < facts.left).then_some(wait)
    }

    /// Whether another retry is within the budget, when so many attempts are in flight, of which so
    /// many are retries.
    pub fn has_budget(&self, in_flight: u32, retries: u32) -> bool {
        let share = u64::from(in_flight) * u64::from(self.budget.basis_points()) / 10_000;
        u64::from(retries) < share.max(u64::from(self.min))
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use http::{Method, StatusCode};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_assume, proptest};

    use super::{Condition, Ending, Facts, Policy, is_repeatable};
    use crate::domain::{
        outcome::{Reason, Verdict},
        units::Percent,
    };

    const MS: Duration = Duration::from_millis(1);
    const UNSENT: Ending = Ending::Failed(Condition::Unsent);
    const RESET: Ending = Ending::Failed(Condition::Reset);
    const TIMEOUT: Ending = Ending::Failed(Condition::Timeout);
    const BUSY: Ending = Ending::Answered(StatusCode::SERVICE_UNAVAILABLE);

    fn policy(on: &[Condition]) -> Policy {
        Policy {
            attempts: NonZeroU32::new(3).unwrap(),
            on: on.to_vec(),
            statuses: vec![StatusCode::SERVICE_UNAVAILABLE],
            ..Policy::default()
        }
    }

    fn everything() -> Policy {
        policy(&[Condition::Unsent, Condition::Reset, Condition::Timeout])
    }

    const GET: Facts = Facts {
        is_repeatable: true,
        is_replayable: true,
        has_answered: false,
        attempts: 1,
        left: Duration::from_secs(60),
    };

    fn retried(policy: &Policy, facts: Facts, ending: Ending) -> bool {
        policy.wait(&facts, ending, 0).is_some()
    }

    #[test]
    fn only_what_never_reached_the_upstream_is_sent_again_whatever_it_is() {
        let post = Facts { is_repeatable: false, ..GET };
        for (ending, get, other) in [
            (UNSENT, true, true),
            (RESET, true, false),
            (TIMEOUT, true, false),
            (BUSY, true, false),
        ] {
            assert_eq!(retried(&everything(), GET, ending), get, "{ending:?}");
            assert_eq!(retried(&everything(), post, ending), other, "{ending:?}");
        }
    }

    #[test]
    fn what_is_not_configured_is_not_retried() {
        let policy = policy(&[Condition::Unsent]);
        assert!(retried(&policy, GET, UNSENT));
        for ending in [RESET, TIMEOUT, Ending::Answered(StatusCode::BAD_GATEWAY)] {
            assert!(!retried(&policy, GET, ending), "{ending:?}");
        }
    }

    #[test]
    fn an_answer_that_has_begun_and_a_body_that_is_gone_forbid_it() {
        for facts in [Facts { has_answered: true, ..GET }, Facts { is_replayable: false, ..GET }] {
            assert!(!retried(&everything(), facts, UNSENT), "{facts:?}");
        }
    }

    #[test]
    fn the_last_attempt_and_the_deadline_end_it() {
        for (facts, expected) in [
            (Facts { attempts: 2, ..GET }, true),
            (Facts { attempts: 3, ..GET }, false),
            (Facts { left: Duration::ZERO, ..GET }, false),
        ] {
            assert_eq!(retried(&everything(), facts, UNSENT), expected, "{facts:?}");
        }
        let nearly_over = Facts { left: 10 * MS, ..GET };
        assert_eq!(everything().wait(&nearly_over, UNSENT, u64::MAX / 2), None);
    }

    #[test]
    fn waits_grow_up_to_the_longest() {
        let policy = Policy { attempts: NonZeroU32::new(99).unwrap(), ..everything() };
        let longest = |attempts| {
            let wait = policy.wait(&Facts { attempts, ..GET }, UNSENT, u64::MAX).unwrap();
            wait.as_millis() + 1
        };
        assert_eq!([1, 2, 3, 4, 5, 98].map(longest), [25, 50, 100, 200, 250, 250]);
    }

    #[test]
    fn a_key_makes_any_method_repeatable() {
        for (method, key, expected) in [
            (Method::GET, false, true),
            (Method::DELETE, false, true),
            (Method::POST, false, false),
            (Method::POST, true, true),
            (Method::PATCH, false, false),
        ] {
            assert_eq!(is_repeatable(&method, key), expected, "{method} {key}");
        }
    }

    #[test]
    fn no_failure_of_the_caller_or_of_fusebox_is_retried() {
        for reason in Reason::ALL.iter().filter(|reason| reason.verdict() != Verdict::Failure) {
            assert_eq!(Condition::of(*reason), None, "{}", reason.as_str());
        }
    }

    #[test]
    fn the_budget_is_a_share_of_what_is_in_flight_or_the_least() {
        for (in_flight, retries, expected) in [
            (0, 2, true),
            (0, 3, false),
            (15, 3, false),
            (20, 3, true),
            (100, 19, true),
            (100, 20, false),
        ] {
            assert_eq!(everything().has_budget(in_flight, retries), expected, "{in_flight}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_shorter_than_what_is_left_and_than_the_longest(
            attempts in 1..50_u32, most in 1..50_u32, left_ms in 0..1_000_u32, random: u64,
        ) {
            let policy = Policy { attempts: NonZeroU32::new(most).unwrap(), ..everything() };
            let facts = Facts { attempts, left: left_ms * MS, ..GET };
            if let Some(wait) = policy.wait(&facts, UNSENT, random) {
                prop_assert!(attempts < most);
                prop_assert!(wait < facts.left && wait <= policy.backoff_max, "{:?}", wait);
            }
        }

        #[test]
        fn whatever_happens_twice_needs_a_call_for_which_that_is_well(
            is_replayable: bool, has_answered: bool, attempts in 0..5_u32, ending in 0..4_usize,
        ) {
            let ending = [UNSENT, RESET, TIMEOUT, BUSY][ending];
            let facts =
                Facts { is_repeatable: false, is_replayable, has_answered, attempts, ..GET };
            prop_assume!(ending != UNSENT);
            prop_assert_eq!(everything().wait(&facts, ending, 0), None);
        }

        #[test]
        fn retries_never_outgrow_the_budget(
            in_flight in 0..10_000_u32, basis_points in 0..=10_000_u16, min in 0..100_u32,
        ) {
            let budget = Percent::from_basis_points(basis_points).unwrap();
            let policy = Policy { budget, min, ..everything() };
            let most = (0..20_000).find(|retries| !policy.has_budget(in_flight, *retries)).unwrap();
            let share = in_flight * u32::from(basis_points) / 10_000;
            prop_assert_eq!(most, share.max(min));
        }

        #[test]
        fn one_attempt_means_no_retry(random in any::<u64>()) {
            let policy = Policy { attempts: NonZeroU32::MIN, ..everything() };
            prop_assert_eq!(policy.wait(&GET, UNSENT, random), None);
        }
    }
}
