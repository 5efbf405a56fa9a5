//! What Fusebox tells the outside: log lines, metrics, spans, lines for CloudWatch.
//!
//! Nothing here blocks a caller: lines go to bounded buffers that a thread of their own writes out,
//! and numbers are added up in place.

pub mod circuits;
pub mod cloudwatch;
pub mod durations;
pub mod emf;
pub mod exposition;
pub mod log;
pub mod metrics;
pub mod process;
pub mod traces;
pub mod traffic;
