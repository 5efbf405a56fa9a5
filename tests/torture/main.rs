//! One row per call, whatever dies: real processes, killed at random moments, and the records of
//! callers and of the upstream compared with the tables afterwards.
//!
//! What happens is drawn from a seed, which is printed; `FUSEBOX_TORTURE_SEED` plays it again, and
//! `FUSEBOX_TORTURE_CALLS` says how many calls a long storm has. Time is counted in calls, so a slow
//! machine takes longer and sees the same.

#![expect(clippy::print_stderr, reason = "the test runner shows it with a failure")]

#[path = "../support/forgetful.rs"]
mod forgetful;
#[path = "../integration/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "made for the tests of the whole, which need more of it"
)]
mod harness;
#[path = "../support/local.rs"]
mod local;
#[path = "../support/postgres.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod postgres;

mod away;
mod callers;
mod disk;
#[cfg(feature = "long-tests")]
mod drain;
mod fates;
mod odd_files;
mod settings;
mod storms;
mod upstream;
mod verdict;
mod world;
