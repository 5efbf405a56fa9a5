//! Fusebox from the outside: the real binary between real sockets, with a real Postgres.
//!
//! Everything here goes through what users have too: the command line, the listener, the admin
//! port, stdout and SQL. One file per subject; the harness makes a test a few lines long.

#![expect(clippy::print_stderr, reason = "the test runner shows it with a failure")]

#[path = "../support/local.rs"]
mod local;
#[cfg(feature = "long-tests")]
#[path = "../support/pooler.rs"]
mod pooler;
#[path = "../support/postgres.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod postgres;

#[expect(dead_code, reason = "shared with the tests under torture, which need more of it")]
mod harness;
mod harness_itself;

mod asking;
mod bad_input;
mod bad_upstream;
mod bodies;
mod boundaries;
mod breaking;
mod checklist;
#[cfg(feature = "long-tests")]
mod checklist_by_the_clock;
mod commands;
mod concurrency;
mod deadlines;
mod fallbacks;
mod fleet;
mod forwarding;
mod hostile;
mod http2;
mod limits;
mod logs;
mod malformed;
mod postgres_outage;
mod privacy;
mod replaying;
mod retries;
mod retry_limits;
mod reuse;
mod shared_state;
mod sockets;
mod steering;
mod stopping;
mod streaming;
mod timeouts;
mod upgrades;
mod upstreams;
