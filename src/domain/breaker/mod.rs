//! The circuit breaker of one upstream, as a pure state machine.
//!
//! Nothing here reads a clock, sleeps, locks or logs: callers pass `now` and act on the
//! [`Transition`] they get back. Expiry is computed when asked: an open circuit whose time is over
//! becomes half-open at the next question, not by a timer.
//!
//! ```text
//!            a rule is broken                    its time is over, or a check succeeded
//!  closed ────────────────────► open ────────────────────────────────► half-open
//!    ▲                           ▲ ▲        a probe failed                │   │
//!    │ the ramp is over          │ └──────────────────────────────────────┘   │ enough probes
//!    └─────────── ramping ───────┘ a rule is broken                           │ succeeded
//!                    ▲                                                        │
//!                    └────────────────────────────────────────────────────────┘
//! ```
//!
//! What the diagram leaves open:
//!
//! - A result belongs to the generation that admitted it. One of an older generation changes
//!   nothing, so a state that arrives from the fleet needs no further care. The one exception: where
//!   calls that hang opened the circuit, an answer to any of them says that they did not.
//! - A call that hangs counts as a failure for as long as it hangs; `silence` says when it does.
//! - A success whose body dies later becomes a failure, in the streak and in the window. Half-open,
//!   it is a failed probe and opens the circuit again. Once the circuit has moved on, it is late.
//! - Overload (429) counts in the rate. It neither lengthens nor ends the streak, fails a probe,
//!   and its Retry-After keeps the circuit open at least so long.
//! - The rules are asked at every verdict, successes too: the share of failures may rise because
//!   old successes leave the window.
//! - Neutral verdicts, refusals and dropped permits are counted nowhere, unless the call had hung:
//!   then its caller gave it up in vain.

mod adjusting;
mod backoff;
mod company;
mod machine;
mod phase;
mod policy;
mod probe;
mod ramp;
mod silence;
mod state;
mod steering;
mod streak;
mod tally;
mod token;
mod usual;
mod view;
mod waiting;

#[cfg(test)]
mod tests;

pub(in crate::domain) use backoff::jittered;
pub use policy::{Policy, RateRule, Scope, SlowRule};
pub use state::{
    Cause, Evidence, Heard, Mode, Ordered, Refusal, Shared, Snapshot, State, Transition,
};
pub use steering::Breaker;
pub use token::{Generation, Observed, Permit, Receipt};
