//! Fusebox from the outside: the real binary between real sockets, with a real Postgres.
//!
//! Everything here goes through what users have too: the command line, the listener, the admin
//! port, stdout and SQL. One file per subject; the harness makes a test a few lines long.

#![expect(clippy::print_stderr, reason = "the test runner shows it with a failure")]

#[path = "../support/local.rs"]
mod local;
#[path = "../support/postgres.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod postgres;
#[path = "../support/terminal.rs"]
mod terminal;

#[expect(dead_code, reason = "shared with the tests under torture, which need more of it")]
mod harness;
mod harness_itself;

mod around_the_file;
mod asking;
mod bad_input;
mod bad_upstream;
mod bodies;
mod boundaries;
mod breaking;
mod chains;
mod checklist;
#[cfg(feature = "long-tests")]
mod checklist_by_the_clock;
mod commands;
mod concurrency;
mod deadlines;
mod fallbacks;
mod forwarding;
mod hanging;
mod hostile;
mod http2;
mod learning;
mod limits;
mod logs;
mod malformed;
mod models;
mod naming;
mod postgres_outage;
mod printing;
mod privacy;
mod reloading;
mod replaying;
mod reporting;
mod retries;
mod retry_limits;
mod reuse;
mod shared_state;
mod sockets;
mod steering;
mod stopping;
mod streaming;
mod tasks;
mod telemetry;
mod timeouts;
mod topping;
mod unread;
mod upgrades;
mod upstreams;
mod warnings;
