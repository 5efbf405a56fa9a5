//! What Fusebox tells the outside: log lines and metrics.
//!
//! Nothing here blocks a caller: lines go to bounded buffers that a thread of their own writes out,
//! and numbers are added up in place.

pub mod log;
pub mod metrics;
pub mod traffic;
