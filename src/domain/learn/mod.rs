//! Statistics over calls: pure functions of counts.

pub mod histogram;
pub mod interval;
pub mod rollup;
pub mod statistics;
