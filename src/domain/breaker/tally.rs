//! What is counted while calls pass: failures in a row, failures and slow calls in a window.

use std::time::{Duration, Instant};

use super::{
    Observed, Policy,
    phase::{Outage, Whose},
    silence::Silence,
    state::Cause,
    streak::{Place, Streak},
    token::Permit,
};
use crate::domain::{
    outcome::Verdict,
    window::{Counts, Tick, Window},
};

/// How far back the failure rate that people see reaches when no rule says so.
const SHOWN_WINDOW: Duration = Duration::from_secs(30);

/// The counters of one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    streak: Streak,
    pub(super) silence: Silence,
    failures: Window,
    slow: Option<Window>,
    /// Until when overloaded answers asked to be left alone.
    asked_until: Option<Instant>,
}

impl Tally {
    pub(super) fn new(policy: &Policy, now: Instant) -> Self {
        let (shown, slow) = windows(policy);
        Self {
            streak: Streak::default(),
            silence: Silence::default(),
            failures: Window::new(shown, now),
            slow: slow.map(|length| Window::new(length, now)),
            asked_until: None,
        }
    }

    /// Whether windows that were made for one policy do for another.
    pub(super) fn has_same_windows(one: &Policy, other: &Policy) -> bool {
        windows(one) == windows(other)
    }

    /// Begins windows for other rules. What is no share goes on.
    pub(super) fn begin_windows(&mut self, policy: &Policy, now: Instant) {
        let Self { failures, slow, .. } = Self::new(policy, now);
        (self.failures, self.slow) = (failures, slow);
    }

    /// Counts an attempt. Where it was counted, when it may still turn into a failure.
    pub(super) fn count(
        &mut self,
        policy: &Policy,
        permit: &Permit,
        observed: &Observed,
        now: Instant,
    ) -> Option<(Place, Tick)> {
        if let Some(number) = permit.wait.as_ref().and_then(|wait| wait.hangs_in) {
            self.silence.leave(number);
        }
        if observed.verdict == Verdict::Neutral {
            return None;
        }
        let tick = self.failures.record(observed.verdict != Verdict::Success, now);
        if let (Some(window), Some(rule)) = (&mut self.slow, &policy.slow_calls)
            && !permit.is_slow
        {
            window.record(observed.latency > rule.slower_than, now);
        }
        match observed.verdict {
            Verdict::Success => {
                self.silence.break_at(now);
                return Some((self.streak.success(), tick));
            }
            Verdict::Failure => self.streak.failure(observed.by_connection),
            Verdict::Overload => {
                self.silence.break_at(now);
                self.leave_alone(observed.retry_after, now);
            }
            Verdict::Neutral => {}
        }
        None
    }

    /// A call is slow already, though it has not ended.
    pub(super) fn waits_slowly(&mut self, now: Instant) {
        if let Some(window) = &mut self.slow {
            window.record(true, now);
        }
    }

    /// The body of a counted success died.
    pub(super) fn died(&mut self, place: Place, tick: Tick, now: Instant) {
        self.failures.turn_into_hit(tick, now);
        self.streak.died(place);
    }

    /// The body of a counted success ended well.
    pub(super) const fn ended_well(&mut self) {
        self.streak.ended_well();
    }

    /// Counts a health check: in the streak only, for rates are shares of calls.
    pub(super) fn check(&mut self, ok: bool) {
        if ok {
            self.streak.success();
            self.streak.ended_well();
        } else {
            self.streak.failure(true);
        }
    }

    /// The rule that is broken, if any is.
    pub(super) fn broken_rule(&self, policy: &Policy) -> Option<Cause> {
        let slow = self.slow.as_ref().map(Window::latest).unwrap_or_default();
        if self.streak.length() >= policy.consecutive_failures.get() {
            Some(Cause::ConsecutiveFailures)
        } else if self.failures_in_a_row() >= policy.consecutive_failures.get() {
            Some(Cause::HangingCalls)
        } else if policy.failure_rate.is_some_and(|rule| rule.exceeded_by(self.failures.latest())) {
            Some(Cause::FailureRate)
        } else if policy.slow_calls.is_some_and(|rule| rule.rate.exceeded_by(slow)) {
            Some(Cause::SlowCalls)
        } else {
            None
        }
    }

    /// What is remembered of these counters once they opened the circuit.
    pub(super) fn outage(&self, cause: Cause, now: Instant) -> Outage {
        Outage {
            cause,
            failure_count: self.failures_in_a_row(),
            window: self.counts(now),
            by_connection: self.streak.by_connection(),
            by_silence: self.silence.calls() > 0,
            whose: Whose::Own,
            opened_by: cause,
            is_opened_here: true,
        }
    }

    /// How long overloaded answers asked to be left alone.
    pub(super) fn asked_pause(&self, now: Instant) -> Duration {
        self.asked_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Failures in a row, with the calls that hang.
    pub(super) fn failures_in_a_row(&self) -> u32 {
        self.streak.length().saturating_add(self.silence.calls())
    }

    pub(super) const fn awaits_endings(&self) -> bool {
        self.streak.awaits_endings()
    }

    pub(super) fn counts(&self, now: Instant) -> Counts {
        self.failures.counts(now)
    }

    fn leave_alone(&mut self, pause: Option<Duration>, now: Instant) {
        let until = pause.and_then(|pause| now.checked_add(pause));
        self.asked_until = self.asked_until.max(until);
    }
}

/// How far back the failures reach, and the slow calls where they are counted.
fn windows(policy: &Policy) -> (Duration, Option<Duration>) {
    let shown = policy.failure_rate.map_or(SHOWN_WINDOW, |rule| rule.window);
    (shown, policy.slow_calls.map(|rule| rule.rate.window))
}
