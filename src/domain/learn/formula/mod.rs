//! The textbook: closed formulas over counts and sums, each with its source.
//!
//! Nothing here knows what a call is. `tests/learning` holds every formula against an independent
//! implementation.

pub mod bounded;
pub mod discovery;
pub mod fisher;
pub mod moments;
pub mod ratio;
pub mod sequence;
pub mod share;
pub mod shrink;
pub mod strata;
pub mod survival;
pub mod tail;
pub mod trend;
pub mod weighed;
