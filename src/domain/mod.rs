//! The rules of Fusebox, pure: no clock, no randomness, no environment, no I/O.
//!
//! Callers pass `now` and act on what comes back. Everything that can be decided from its
//! arguments is decided here, and is tested here as data.

pub mod attempt;
pub mod balance;
pub mod breaker;
pub mod capture;
mod card;
pub mod correlation;
pub mod deadline;
pub mod ejection;
pub mod emf;
pub mod explain;
pub mod fallback;
pub mod fleet;
pub mod grpc;
pub(crate) mod hex;
pub mod learn;
pub mod order;
pub mod outcome;
pub mod quorum;
pub mod replay;
pub mod report;
pub mod retry;
pub mod route;
pub mod sampling;
pub mod secret;
pub mod task;
pub mod trace;
pub mod units;
pub mod wait;
pub mod waterfall;
pub mod window;
