//! The words of the breaker: its states and what it reports.

use std::time::{Duration, Instant};

use super::token::Generation;
use crate::domain::{
    order::{Reach, Signature},
    units::Percent,
};

/// The state of a circuit as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls pass.
    Closed,
    /// Calls are refused.
    Open,
    /// One call at a time is tried.
    HalfOpen,
    /// A growing share of the calls passes.
    Ramping,
}

impl State {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Open, Self::HalfOpen, Self::Ramping];

    /// The name in rows and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Ramping => "ramping",
        }
    }

    /// The name in the API.
    pub const fn as_upper_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
            Self::Ramping => "RAMPING",
        }
    }

    /// The state with this name in rows.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Closed, Self::Open, Self::HalfOpen, Self::Ramping]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// Why an attempt was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The state that refused it.
    pub state: State,
    /// How long until it is worth asking again.
    pub retry_after: Duration,
    /// The failures in a row that opened the circuit.
    pub failure_count: u32,
    /// What opened the circuit first, however often probes have failed since.
    pub cause: Cause,
}

/// What moved a breaker from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Failures in a row.
    ConsecutiveFailures,
    /// The share of failures.
    FailureRate,
    /// Failures in a row, calls that hang among them.
    HangingCalls,
    /// The share of slow calls.
    SlowCalls,
    /// The open time is over.
    OpenTimeOver,
    /// A health check succeeded where connection failures or checks had opened the circuit.
    CheckSucceeded,
    /// A call was answered where calls that hang had opened the circuit.
    Answered,
    /// A probe failed.
    ProbeFailed,
    /// Enough probes succeeded.
    ProbesSucceeded,
    /// The ramp reached its end.
    RampOver,
    /// Another instance moved it.
    Fleet,
    /// Somebody ordered it.
    Override,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::ConsecutiveFailures,
        Self::FailureRate,
        Self::HangingCalls,
        Self::SlowCalls,
        Self::OpenTimeOver,
        Self::CheckSucceeded,
        Self::Answered,
        Self::ProbeFailed,
        Self::ProbesSucceeded,
        Self::RampOver,
        Self::Fleet,
        Self::Override,
    ];

    /// The name in rows, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureRate => "failure_rate",
            Self::HangingCalls => "hanging_calls",
            Self::SlowCalls => "slow_calls",
            Self::OpenTimeOver => "open_time_over",
            Self::CheckSucceeded => "check_succeeded",
            Self::Answered => "answered",
            Self::ProbeFailed => "probe_failed",
            Self::ProbesSucceeded => "probes_succeeded",
            Self::RampOver => "ramp_over",
            Self::Fleet => "fleet",
            Self::Override => "override",
        }
    }

    /// Whether it is a rule that opens a circuit, and not what happens to one that is open.
    pub const fn is_rule(self) -> bool {
        matches!(
            self,
            Self::ConsecutiveFailures | Self::FailureRate | Self::HangingCalls | Self::SlowCalls
        )
    }

    /// The cause with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == name)
    }
}

/// A breaker moved from one state to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Where it was.
    pub from: State,
    /// Where it is.
    pub to: State,
    /// Why.
    pub cause: Cause,
    /// The failures in a row when it happened.
    pub failure_count: u32,
    /// Calls in the window when it happened.
    pub window_calls: u32,
    /// Failures among them.
    pub window_failures: u32,
    /// How long it will stay open; zero unless it opened.
    pub open_for: Duration,
    /// How many times in a row it has opened: one more for each failed try to close it, one less
    /// for each stretch of health. The open time doubles with each.
    pub step: u32,
    /// Whether what opened it can be disproved before its time is over: failures to connect by a
    /// check, calls that hang by an answer.
    pub by_connection: bool,
    /// The generation that began.
    pub generation: Generation,
    /// How the breaker was steered: in shadow a transition is what would have happened.
    pub mode: Mode,
}

impl Transition {
    /// Whether other instances should hear of it: it was decided here, it is in force, and it is
    /// not the local matter of who may probe.
    pub const fn is_shared(&self) -> bool {
        matches!(self.mode, Mode::Auto)
            && !matches!(self.cause, Cause::Fleet | Cause::Override)
            && !matches!(self.to, State::HalfOpen)
    }

    /// Two transitions of one moment, as one.
    pub(super) fn joined(first: Option<Self>, last: Option<Self>) -> Option<Self> {
        match (first, last) {
            (Some(first), Some(last)) => Some(Self { from: first.from, ..last }),
            (first, last) => last.or(first),
        }
    }
}

/// What the store says about a shared breaker. Durations, never times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The state's number; only a higher one is adopted.
    pub epoch: u64,
    /// The state.
    pub state: State,
    /// How long it stays open from now; zero when that time is over.
    pub open_for: Duration,
    /// How long it has been ramping.
    pub ramp_age: Duration,
    /// How many times in a row it has opened.
    pub step: u32,
    /// The failures in a row that opened it.
    pub failure_count: u32,
    /// What opened it first.
    pub cause: Cause,
    /// Whether what opened it can be disproved before its time is over.
    pub by_connection: bool,
}

/// What an instance can say about an upstream from what it has seen itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Its own rules are broken.
    Bad,
    /// They are not, and the upstream has answered lately.
    Good,
    /// It has heard of nothing but failures lately, too few to break a rule; or of nothing at all.
    Abstains,
}

/// When an instance last heard how the upstream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    failure: Option<Instant>,
    success: Option<Instant>,
}

impl Heard {
    /// A verdict came.
    pub(super) const fn note(&mut self, is_failure: bool, now: Instant) {
        if is_failure {
            self.failure = Some(now);
        } else {
            self.success = Some(now);
        }
    }

    /// Whether the upstream has answered since then.
    pub fn succeeded_since(&self, moment: Instant) -> bool {
        self.success.is_some_and(|at| at >= moment)
    }

    /// Whether the upstream has answered within this time.
    pub(super) fn succeeded_within(&self, span: Duration, now: Instant) -> bool {
        self.success.is_some_and(|at| now.saturating_duration_since(at) <= span)
    }

    /// Whether all that came since then were failures, and one at least.
    pub fn only_failures_since(&self, moment: Instant) -> bool {
        let is_since = |at: Option<Instant>| at.is_some_and(|at| at >= moment);
        is_since(self.failure) && !is_since(self.success)
    }
}

/// How a breaker is steered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// By its rules.
    #[default]
    Auto,
    /// By its rules, but every call passes: reports what it would have done.
    Shadow,
    /// Not at all: every call passes and nothing is counted.
    Disabled,
    /// Refuses everything.
    ForcedOpen,
    /// Passes everything, and counts.
    ForcedClosed,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Auto, Self::Shadow, Self::Disabled, Self::ForcedOpen, Self::ForcedClosed];

    /// The name in rows and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Shadow => "shadow",
            Self::Disabled => "disabled",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
        }
    }

    /// The mode with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }
}

/// The order that steers a breaker, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// Who ordered it, and why.
    pub signature: Signature,
    /// How long ago.
    pub age: Duration,
    /// How long it still holds; none when it has no end.
    pub left: Option<Duration>,
    /// How far it has got.
    pub reach: Reach,
}

/// A breaker at one moment, for people and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The effective state. What is over counts as over, before any call has asked: an open time
    /// that has passed reads half-open, a ramp that has passed reads closed.
    pub state: State,
    /// How it is steered.
    pub mode: Mode,
    /// Who ordered that; none when it is configured so.
    pub order: Option<Ordered>,
    /// Calls that passed and would have been refused, were it not in shadow; since the start.
    pub would_refuse: u64,
    /// The streak that tripped it, kept until it closes; the current streak while closed.
    pub failure_count: u32,
    /// How long until the next probe; zero unless open by its rules.
    pub retry_after: Duration,
    /// How long it has been in this state.
    pub since: Duration,
    /// Why it is in this state; none when it never left closed.
    pub cause: Option<Cause>,
    /// What opened it first, however often probes have failed since; none while closed.
    pub opened_by: Option<Cause>,
    /// Whether its own rules opened it, on what was seen here, whoever decides about it by now.
    pub is_opened_here: bool,
    /// Who reset it, if nothing has moved it since.
    pub reset: Option<Ordered>,
    /// Share of failures in the window, kept from the moment it opened until it ramps; none before
    /// the first call.
    pub failure_rate: Option<Percent>,
    /// Calls in that window.
    pub window_calls: u32,
    /// Failures among them.
    pub window_failures: u32,
    /// The last epoch adopted from the fleet; zero when never shared.
    pub epoch: u64,
    /// How many times in a row it has opened; see [`Transition::step`].
    pub step: u32,
    /// The generation.
    pub generation: Generation,
}
