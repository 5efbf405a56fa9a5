//! The circuit breaker of one upstream, as a pure state machine.
//!
//! Nothing here reads a clock, sleeps, locks or logs: callers pass `now` and act on the
//! [`Transition`] they get back. Expiry is computed when asked: an open circuit whose time is over
//! becomes half-open at the next question, not by a timer.

mod policy;
mod state;

pub use policy::{Policy, RateRule, Scope, SlowRule};
pub use state::{
    Cause, Generation, Mode, Permit, Receipt, Refusal, Shared, Snapshot, State, Transition,
};
