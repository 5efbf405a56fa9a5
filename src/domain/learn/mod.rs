//! What calls teach: pure functions of counts.
//!
//! Three floors. [`formula`] holds the textbook: intervals, tests, corrections, each with its
//! source. On it stand the sums that stores keep, which do nothing but add up: [`histogram`],
//! [`rollup`], [`cell`] by [`setting`], collected as [`evidence`]
//! from what is a [`lesson`]. On these stand the answers:
//! [`operation`] (what happened, by [`grouping`], and how it moved: [`trend`]), [`recommend`] (which parameters work best), [`why`] (what sets
//! failures apart), [`timeout`] (how long to wait) and [`warn`] (what is about to go wrong, and
//! how often that came true).

pub mod formula;
pub mod interval;

pub mod cell;
pub mod evidence;
pub mod grouping;
pub mod histogram;
pub mod rollup;
pub mod setting;

pub mod contrast;
pub mod lesson;
pub mod operation;
pub mod recent;
pub mod recommend;
pub mod timeout;
pub mod trend;
pub mod warn;
pub mod why;
