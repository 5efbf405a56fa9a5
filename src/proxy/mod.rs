//! The data plane: what happens to a call between the caller and the upstream.
//!
//! One thread per core, each with a runtime of its own whose tasks never move, its own listeners
//! (the kernel spreads connections by `SO_REUSEPORT`; those of a Unix socket are handed out by one
//! thread) and its own upstream connections. Shared between threads are the circuits and the counters, each behind a lock of a few nanoseconds.
//! Nothing here waits for the store, for a file or for a background task.
//!
//! Reading order: [`plane`] starts and drains the threads, `worker` accepts in its `halls`, each with an
//! `entrance` and the `rules` of its listener, which may be renewed while calls go on; `serve`
//! finds out what the caller speaks over its `connection`, which for HTTP/1.1 is `served`, `handler` is
//! the life of a call, `exchange` owns its moments, `upstream` sends it on to an `endpoint`, over `h1`
//! or `h2`. What is no HTTP any more goes through a `tunnel`.

mod acceptor;
mod advice;
mod age;
mod alarm;
mod answer;
mod answer_fields;
mod answered;
mod attempts;
mod body;
mod closing;
mod connection;
mod doors;
mod endpoint;
mod entrance;
mod exchange;
mod fallback;
mod fault;
mod fields;
mod floor;
mod h1;
mod h2;
mod halls;
mod handler;
mod headers;
mod idle;
mod inbound;
mod message;
mod outgoing;
mod own;
mod pace;
mod patience;
pub mod plane;
mod pool;
mod quiet;
mod received;
mod replay;
mod reply;
mod routes;
mod rules;
mod sends;
mod serve;
mod served;
pub mod socket;
mod spare;
mod stream;
mod tasks;
mod transport;
mod tunnel;
mod twins;
mod upgrade;
mod upload;
mod upstream;
mod wire;
mod worker;

pub use floor::Floor;
pub use plane::{Plane, Shared};
