//! Which calls are behind a trip: the ids of the last few that failed.
//!
//! A success costs nothing here, so a streak is not cut where it ends: how many of the last failures
//! belong to it is known when the circuit opens, and asked for then.

use std::sync::{MutexGuard, PoisonError};

use super::Circuit;
use crate::domain::{
    breaker::{Cause, Observed, Policy, State, Transition},
    outcome::Verdict,
    task::TaskId,
};

/// So many are kept: examples, for somebody who wants to look at a call.
const KEPT: usize = 5;

/// The ids of failed calls. See the module's text.
#[derive(Debug, Default)]
pub(super) struct Culprits {
    /// A ring; none for a failure that was no call of anybody's, as a health check.
    last: [Option<TaskId>; KEPT],
    next: usize,
    /// Those that opened the circuit, until it closes; none while it passes calls.
    behind: Option<Vec<TaskId>>,
}

impl Culprits {
    /// A call failed, or a check.
    pub(super) const fn note(&mut self, call: Option<TaskId>) {
        self.last[self.next] = call;
        self.next = (self.next + 1) % KEPT;
    }

    /// Calls behind a transition; none behind one that is no opening by what was seen here.
    pub(super) fn of(&mut self, transition: &Transition) -> Vec<TaskId> {
        if transition.to == State::Closed {
            self.forget();
        }
        if transition.to != State::Open {
            return Vec::new();
        }
        let failures = match transition.cause {
            Cause::ConsecutiveFailures | Cause::HangingCalls => transition.failure_count,
            Cause::ProbeFailed => 1,
            // No older ones than those that were counted.
            Cause::FailureRate => transition.window_failures,
            Cause::SlowCalls => u32::MAX,
            _ => return Vec::new(),
        };
        let calls = self.among(failures);
        if transition.cause != Cause::ProbeFailed {
            self.behind = Some(calls.clone());
        }
        calls
    }

    /// Others opened the circuit, when so many failures in a row had been seen here.
    pub(super) fn were_so_far(&mut self, failures: u32) {
        self.behind = Some(self.among(failures));
    }

    /// What failed before is no reason for what comes.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Calls that opened the circuit, or those among the last so many failures while it is closed.
    pub(super) fn behind(&self, failures: u32) -> Vec<TaskId> {
        self.behind.clone().unwrap_or_else(|| self.among(failures))
    }

    /// Those among the last so many failures, oldest first.
    fn among(&self, failures: u32) -> Vec<TaskId> {
        let count = usize::try_from(failures).map_or(KEPT, |failures| failures.min(KEPT));
        let newest_last = (0..KEPT).map(|at| self.last[(self.next + at) % KEPT]);
        let mut calls: Vec<_> = newest_last.skip(KEPT - count).flatten().collect();
        // The attempts of one call.
        calls.dedup();
        calls
    }
}

impl Circuit {
    /// Some of the calls that opened it; while it is closed, of the last so many failures.
    pub fn examples(&self, failures: u32) -> Vec<TaskId> {
        self.culprits().behind(failures)
    }

    pub(super) fn culprits(&self) -> MutexGuard<'_, Culprits> {
        self.culprits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this may be a reason to open a circuit with these rules.
pub(super) fn is_telling(policy: &Policy, observed: &Observed) -> bool {
    match observed.verdict {
        Verdict::Failure | Verdict::Overload => true,
        Verdict::Success => {
            policy.slow_calls.is_some_and(|rule| observed.latency > rule.slower_than)
        }
        Verdict::Neutral => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Cause, Culprits, State, TaskId, Transition};
    use crate::domain::breaker::Mode;

    fn moved(to: State, cause: Cause, failure_count: u32) -> Transition {
        Transition {
            from: State::Closed,
            to,
            cause,
            failure_count,
            window_calls: 0,
            window_failures: 0,
            open_for: Duration::ZERO,
            step: 0,
            by_connection: false,
            generation: 1,
            mode: Mode::Auto,
        }
    }

    /// Failures as letters, `-` for a check; the letters of those behind a transition.
    fn behind(failures: &str, transition: &Transition) -> String {
        let mut culprits = Culprits::default();
        for letter in failures.chars() {
            culprits.note((letter != '-').then(|| TaskId::from_u128(u128::from(letter))));
        }
        shown(&culprits.of(transition))
    }

    fn shown(calls: &[TaskId]) -> String {
        let letter = |id: &TaskId| char::from(u8::try_from(id.as_u128()).unwrap());
        calls.iter().map(letter).collect()
    }

    #[test]
    fn only_those_of_the_streak_are_behind_it() {
        let streak = |failures| moved(State::Open, Cause::ConsecutiveFailures, failures);
        assert_eq!(behind("abcdefgh", &streak(3)), "fgh");
        assert_eq!(behind("abcdefgh", &streak(9)), "defgh", "some of them");
        assert_eq!(behind("ab", &streak(5)), "ab");
        assert_eq!(behind("aabcc", &streak(5)), "abc", "attempts are not calls");
        assert_eq!(behind("abc--", &streak(3)), "c", "checks are no calls");
        assert_eq!(behind("", &streak(5)), "");
    }

    #[test]
    fn a_share_of_failures_has_the_last_ones_and_a_probe_itself() {
        let share = |window_failures| Transition {
            window_failures,
            ..moved(State::Open, Cause::FailureRate, 1)
        };
        assert_eq!(behind("abcdefgh", &share(7)), "defgh");
        assert_eq!(behind("abcdefgh", &share(3)), "fgh", "the others were long before");
        assert_eq!(behind("abcdefgh", &moved(State::Open, Cause::SlowCalls, 0)), "defgh");
        assert_eq!(behind("abcdefgh", &moved(State::Open, Cause::ProbeFailed, 5)), "h");
        assert_eq!(behind("abc", &moved(State::Open, Cause::Fleet, 5)), "");
        assert_eq!(behind("abc", &moved(State::HalfOpen, Cause::OpenTimeOver, 5)), "");
    }

    #[test]
    fn what_opened_it_is_kept_until_it_closes() {
        let mut culprits = Culprits::default();
        culprits.note(Some(TaskId::from_u128(u128::from('a'))));
        culprits.of(&moved(State::Open, Cause::ConsecutiveFailures, 1));
        culprits.note(Some(TaskId::from_u128(u128::from('b'))));
        culprits.of(&moved(State::Open, Cause::ProbeFailed, 1));
        assert_eq!(shown(&culprits.behind(1)), "a");
        culprits.of(&moved(State::Closed, Cause::RampOver, 0));
        assert_eq!(shown(&culprits.behind(1)), "", "what is over is no reason for what comes");
        culprits.note(Some(TaskId::from_u128(u128::from('c'))));
        assert_eq!(shown(&culprits.behind(5)), "c");
    }

    #[test]
    fn where_others_opened_it_only_what_failed_here_just_before_is_named() {
        let mut culprits = Culprits::default();
        for letter in "abcd".chars() {
            culprits.note(Some(TaskId::from_u128(u128::from(letter))));
        }
        culprits.were_so_far(2);
        assert_eq!(shown(&culprits.behind(5)), "cd", "whatever the fleet counted");
        culprits.were_so_far(0);
        assert_eq!(shown(&culprits.behind(5)), "");
    }
}
