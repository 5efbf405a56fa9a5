//! Fusebox as a fleet: real processes around one Postgres, and upstreams that some of them, or none,
//! can reach. What they decide together, and what becomes of it while the database is slow, reads
//! only, has gone back in time, or does not tell.

#![expect(clippy::print_stderr, reason = "the test runner shows it with a failure")]

#[path = "../integration/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "made for the tests of the whole, which need more of it"
)]
mod harness;
#[path = "../support/local.rs"]
mod local;
#[cfg(feature = "long-tests")]
#[path = "../support/pooler.rs"]
mod pooler;
#[path = "../support/postgres.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod postgres;

mod caller;
#[cfg(feature = "long-tests")]
mod clocks;
mod failover;
#[cfg(feature = "long-tests")]
mod guests;
mod machine;
mod muffler;
mod pair;
#[cfg(feature = "long-tests")]
mod prober;
mod silence;
mod stuck;
#[cfg(feature = "long-tests")]
mod twenty;
mod votes;
