//! The data plane: what happens to a call between the caller and the upstream.
//!
//! One thread per core, each with a runtime of its own whose tasks never move, its own listeners
//! (the kernel spreads connections by `SO_REUSEPORT`) and its own upstream connections. Shared
//! between threads are the circuits and the counters, each behind a lock of a few nanoseconds.
//! Nothing here waits for the store, for a file or for a background task.
//!
//! Reading order: [`plane`] starts and drains the threads, `worker` accepts, `connection` speaks
//! HTTP with the caller, `handler` is the life of a call, `exchange` owns its moments, `upstream`
//! sends it on, over `h1`.

mod alarm;
mod body;
mod connection;
mod exchange;
mod fault;
mod fields;
mod framing;
mod h1;
mod handler;
mod headers;
mod inbound;
pub mod plane;
mod pool;
mod reply;
mod routes;
pub mod socket;
mod stream;
mod upstream;
mod wire;
mod worker;

pub use plane::{Plane, Shared};
