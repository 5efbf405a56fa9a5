//! Calls that hang: they wait for an answer, much longer than answers take, while nothing is answered
//! at all.
//!
//! That a call takes long says little: it may be a report, a long poll, or one that its upstream has
//! lost. So each answer ends the silence, and what was waiting then is no longer looked at, except for
//! what had just been sent: it was in flight beside the answer, as calls are. Then as many as it takes
//! failures to open the circuit wait in vain, and each of them was sent when the upstream had already
//! fallen silent.

use std::time::{Duration, Instant};

/// Which silence it is, among all of a generation.
pub(super) type Number = u64;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Silence {
    number: Number,
    /// How many hang in it.
    calls: u32,
    /// When the one before it ended.
    broken: Option<Instant>,
}

impl Silence {
    /// Calls that hang.
    pub(super) const fn calls(&self) -> u32 {
        self.calls
    }

    /// The upstream answered.
    pub(super) const fn break_at(&mut self, now: Instant) {
        self.number += 1;
        self.calls = 0;
        self.broken = Some(now);
    }

    /// Whether one that has waited since then waits in this silence, where answers take so long.
    pub(super) fn covers(&self, since: Instant, usual: Duration) -> bool {
        self.broken.is_none_or(|broken| broken <= since.checked_add(usual).unwrap_or(since))
    }

    /// A call hangs from now on.
    pub(super) const fn join(&mut self) -> Number {
        self.calls += 1;
        self.number
    }

    /// One that hung in this silence ended, one way or the other.
    pub(super) const fn leave(&mut self, number: Number) {
        if number == self.number {
            self.calls -= 1;
        }
    }
}
