//! The words of the breaker: its states, the tokens that it hands out and what it reports.

use std::time::{Duration, Instant};

use super::streak::Place;
use crate::domain::{order::Signature, outcome::Verdict, units::Percent, window::Tick};

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

/// Counts the states that a breaker has been in, so that a late result cannot act on a newer one.
pub type Generation = u64;

/// The generation of what is not counted. No state ever has it.
const UNCOUNTED: Generation = 0;

/// Leave to make one attempt. Not `Clone`: admitted once, recorded once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "every admitted attempt must be recorded or released"]
pub struct Permit {
    pub(super) generation: Generation,
    /// Which probe it is, among all of this generation; zero for ordinary calls.
    pub(super) ticket: u64,
    /// The state that admitted it, for the call's row.
    pub(super) state: State,
}

impl Permit {
    /// The state that admitted the attempt.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Leave to make an attempt that no state counts.
    pub(super) const fn uncounted(state: State) -> Self {
        Self { generation: UNCOUNTED, ticket: 0, state }
    }
}

/// How one attempt went, as far as its response head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// What it says about the upstream.
    pub verdict: Verdict,
    /// From having sent the whole request to the response head, or to the error.
    pub latency: Duration,
    /// The upstream's Retry-After; counts when it is overloaded.
    pub retry_after: Option<Duration>,
    /// Whether it failed at connecting, so that a check which connects disproves it.
    pub by_connection: bool,
}

/// Proof that a verdict was recorded, with which a success may later turn into a failure.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    pub(super) generation: Generation,
    /// Where the success stands among the failures.
    pub(super) place: Place,
    /// Where it was counted in the window.
    pub(super) tick: Tick,
}

impl Receipt {
    /// The receipt of what cannot turn into anything.
    pub(super) const FINAL: Self = Self { generation: UNCOUNTED, place: 0, tick: 0 };

    /// Whether nothing that happens later can change what was recorded.
    pub const fn is_final(&self) -> bool {
        self.generation == UNCOUNTED
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
    /// The share of slow calls.
    SlowCalls,
    /// The open time is over.
    OpenTimeOver,
    /// A health check succeeded where connection failures or checks had opened the circuit.
    CheckSucceeded,
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
    pub const ALL: [Self; 10] = [
        Self::ConsecutiveFailures,
        Self::FailureRate,
        Self::SlowCalls,
        Self::OpenTimeOver,
        Self::CheckSucceeded,
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
            Self::SlowCalls => "slow_calls",
            Self::OpenTimeOver => "open_time_over",
            Self::CheckSucceeded => "check_succeeded",
            Self::ProbeFailed => "probe_failed",
            Self::ProbesSucceeded => "probes_succeeded",
            Self::RampOver => "ramp_over",
            Self::Fleet => "fleet",
            Self::Override => "override",
        }
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
    /// Whether connection failures or checks opened it, so that a check may end it early.
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
    /// Whether a check may end it early.
    pub by_connection: bool,
}

/// What an instance can say about an upstream from what it has seen itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Its own rules are broken.
    Bad,
    /// They are not, and it has heard from the upstream lately.
    Good,
    /// It has not heard from the upstream lately.
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
    /// Share of failures in the window, kept from the moment it opened until it ramps; none before
    /// the first call.
    pub failure_rate: Option<Percent>,
    /// Calls in that window.
    pub window_calls: u32,
    /// Failures among them.
    pub window_failures: u32,
    /// The last epoch adopted from, or published to, the fleet; zero when never shared.
    pub epoch: u64,
    /// How many times in a row it has opened; see [`Transition::step`].
    pub step: u32,
    /// The generation.
    pub generation: Generation,
}
