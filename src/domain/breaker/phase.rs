//! The phases of the machine, each with the data that only it has.

use std::time::{Duration, Instant};

use super::{
    Policy,
    probe::{Trial, WAIT_FOR_PROBE},
    ramp::Ramp,
    state::{Cause, Refusal, State},
    tally::Tally,
};
use crate::domain::window::Counts;

/// Where the machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Calls pass and are counted.
    Closed { tally: Box<Tally> },
    /// Calls are refused until then.
    Open { until: Instant, outage: Outage },
    /// One call at a time is tried.
    HalfOpen(Trial),
    /// A growing share of the calls passes and is counted.
    Ramping(Ramp),
}

/// Why a circuit opened. Kept until it closes, however often probes fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) cause: Cause,
    pub(super) failure_count: u32,
    pub(super) window: Counts,
    /// Failures to connect were among what opened it, so that a check may end it early.
    pub(super) by_connection: bool,
    /// Calls that hang were among it, so that an answer to one may.
    pub(super) by_silence: bool,
    pub(super) whose: Whose,
    /// The rule that opened it, for people; the fleet where that is not known.
    pub(super) opened_by: Cause,
    /// What was seen here opened it, whoever decides about it by now.
    pub(super) is_opened_here: bool,
}

/// Who keeps a circuit open, and so decides when it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// This instance, by what it has seen itself.
    Own,
    /// The fleet, which has one prober at a time.
    Fleet,
}

/// The fleet is waited for so long beyond its open time: then nobody there seems to try. Some wait for
/// up to twice as long, so that not all who wait try at once.
pub(super) const FLEET_IS_SILENT: Duration = Duration::from_secs(120);

impl Outage {
    /// Whether something may end it before its time. Others know by its cause what that is.
    pub(super) fn ends_early(&self) -> bool {
        let by_silence = self.by_silence && self.cause == Cause::HangingCalls;
        if self.cause == Cause::HangingCalls { by_silence } else { self.by_connection }
    }

    /// From when a circuit that was to be open until then is tried by the instance itself, which waits
    /// for the fleet for so long.
    pub(super) fn tried_from(&self, until: Instant, patience: Duration) -> Instant {
        match self.whose {
            Whose::Own => until,
            Whose::Fleet => until.checked_add(patience).unwrap_or(until),
        }
    }

    /// That of a circuit that is open until then.
    pub(super) fn refusal_until(&self, until: Instant, now: Instant) -> Refusal {
        let left = until.saturating_duration_since(now);
        // The fleet's prober takes a moment.
        let wait = if left.is_zero() { WAIT_FOR_PROBE } else { left };
        self.refusal(State::Open, wait)
    }

    pub(super) const fn refusal(&self, state: State, retry_after: Duration) -> Refusal {
        Refusal { state, retry_after, failure_count: self.failure_count, cause: self.opened_by }
    }
}

impl Phase {
    pub(super) fn closed(policy: &Policy, now: Instant) -> Self {
        Self::Closed { tally: Box::new(Tally::new(policy, now)) }
    }

    /// The phase in which the circuit begins to carry all calls again, after `age` of its ramp.
    pub(super) fn recovering(policy: &Policy, outage: Outage, age: Duration, now: Instant) -> Self {
        if age >= policy.ramp {
            return Self::closed(policy, now);
        }
        Self::Ramping(Ramp::new(policy, outage, age, now))
    }

    pub(super) const fn state(&self) -> State {
        match self {
            Self::Closed { .. } => State::Closed,
            Self::Open { .. } => State::Open,
            Self::HalfOpen(_) => State::HalfOpen,
            Self::Ramping(_) => State::Ramping,
        }
    }

    /// What opened the circuit, unless it is closed.
    pub(super) const fn outage(&self) -> Option<&Outage> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { outage, .. } => Some(outage),
            Self::HalfOpen(trial) => Some(&trial.outage),
            Self::Ramping(ramp) => Some(&ramp.outage),
        }
    }

    /// From now on this instance decides when the circuit is tried again.
    pub(super) const fn is_own(&mut self) {
        match self {
            Self::Closed { .. } => {}
            Self::Open { outage, .. } => outage.whose = Whose::Own,
            Self::HalfOpen(trial) => trial.outage.whose = Whose::Own,
            Self::Ramping(ramp) => ramp.outage.whose = Whose::Own,
        }
    }

    /// The counters, where calls are counted.
    pub(super) fn tally(&self) -> Option<&Tally> {
        match self {
            Self::Closed { tally } => Some(tally),
            Self::Ramping(ramp) => Some(&ramp.tally),
            Self::Open { .. } | Self::HalfOpen(_) => None,
        }
    }

    /// The counters, where calls are counted.
    pub(super) fn tally_mut(&mut self) -> Option<&mut Tally> {
        match self {
            Self::Closed { tally } => Some(tally),
            Self::Ramping(ramp) => Some(&mut ramp.tally),
            Self::Open { .. } | Self::HalfOpen(_) => None,
        }
    }

    /// Calls and failures in the window; those that opened the circuit while none are counted.
    pub(super) fn counts(&self, now: Instant) -> Counts {
        let kept = self.outage().map(|outage| outage.window).unwrap_or_default();
        self.tally().map_or(kept, |tally| tally.counts(now))
    }

    /// The streak that opened the circuit, or the current one while it is closed.
    pub(super) fn failure_count(&self) -> u32 {
        match self {
            Self::Closed { tally } => tally.failures_in_a_row(),
            _ => self.outage().map_or(0, |outage| outage.failure_count),
        }
    }
}
