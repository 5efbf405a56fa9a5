//! The tokens that the breaker hands out, and what comes back with them.

use std::time::{Duration, Instant};

use super::{silence::Number, state::State, streak::Place};
use crate::domain::{outcome::Verdict, window::Tick};

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
    /// What is known of its wait for an answer, once that is long; in a box because it is rare.
    pub(super) wait: Option<Box<Wait>>,
    /// It was counted as slow before it was answered.
    pub(super) is_slow: bool,
}

/// An attempt that has been waiting for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    /// From when it might have been answered.
    pub(super) since: Instant,
    /// The silence in which it counts as hanging, once it does.
    pub(super) hangs_in: Option<Number>,
}

impl Permit {
    /// The state that admitted the attempt.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether it has said that it waits for long.
    pub const fn has_waited(&self) -> bool {
        self.wait.is_some()
    }

    /// Whether it counts as hanging, or did until something else was answered.
    pub fn hangs(&self) -> bool {
        self.wait.as_ref().is_some_and(|wait| wait.hangs_in.is_some())
    }

    /// Whoever makes the attempt gives it up for reasons of his own: how long it has waited says
    /// nothing.
    pub fn abandon(&mut self) {
        self.wait = None;
    }

    /// Leave to make an attempt.
    pub(super) const fn new(generation: Generation, ticket: u64, state: State) -> Self {
        Self { generation, ticket, state, wait: None, is_slow: false }
    }

    /// Leave to make an attempt that no state counts.
    pub(super) const fn uncounted(state: State) -> Self {
        Self::new(UNCOUNTED, 0, state)
    }

    /// Whether any state counts it.
    pub(super) const fn is_counted(&self) -> bool {
        self.generation != UNCOUNTED
    }
}

impl Wait {
    pub(super) const fn since(since: Instant) -> Self {
        Self { since, hangs_in: None }
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

impl Observed {
    /// It was given up without a verdict.
    pub const GIVEN_UP: Self = Self {
        verdict: Verdict::Neutral,
        latency: Duration::ZERO,
        retry_after: None,
        by_connection: false,
    };

    /// Nothing came of it for so long that it was given up.
    pub(super) const fn hung(latency: Duration) -> Self {
        Self { verdict: Verdict::Failure, latency, ..Self::GIVEN_UP }
    }
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
