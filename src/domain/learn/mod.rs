//! Statistics over calls: pure functions of counts.

pub mod histogram;
pub mod interval;
pub mod operation;
pub mod recent;
pub mod rollup;
