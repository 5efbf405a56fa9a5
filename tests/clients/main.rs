//! Fusebox between programs that others wrote: callers and upstreams as they are installed.
//!
//! Our own callers and upstreams say what we think HTTP is; these say what it is in use. Each runs
//! as a process with a deadline. `tests/run` installs them.

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
#[path = "../support/postgres.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod postgres;

mod peer;
mod python;

mod certificates;
mod contract;
mod curl;
mod grpc;
mod http2;
mod nginx;
mod node;
mod prometheus;
mod tls;
mod traces;
mod websocket;
