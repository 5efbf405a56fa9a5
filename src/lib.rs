//! Fusebox: a sidecar proxy that stops calling what is failing, on every instance at once, and
//! leaves one row per call in Postgres.
//!
//! # The map, in reading order
//!
//! - [`domain`]: the rules, pure. The breaker's state machine, routes, outcomes, correlation,
//!   statistics. Everything takes `now` as an argument and returns what to do.
//! - [`config`]: one YAML file, read to a tree with positions, checked in one go.
//! - [`clock`]: the only reader of clocks.
//! - [`breakers`]: the live registry around [`domain::breaker`]: a lock, the clock, transitions.
//! - [`upstreams`]: the live hosts of each upstream: names resolved, choice, ejection, limits.
//! - [`telemetry`]: log lines, metrics, spans, lines for CloudWatch.
//! - [`capture`]: copies of what calls carry, and what they mean for statistics.
//! - [`tls`]: certificates and authorities, read from files and again when they change.
//! - [`aws`]: which task of ECS this is, and tokens to sign in to its database.
//! - [`store`]: every SQL statement, for Postgres and for the embedded SQLite file.
//! - [`proxy`]: the data plane. One straight function per call.
//! - [`checks`]: active health checks, through the same breakers.
//! - [`fleet`]: breaker state to and from the store.
//! - [`history`]: calls from the data plane to a journal, from there to the store, each once.
//! - [`learning`]: days added up, and what they recommend; what is about to go wrong.
//! - [`admin`]: the admin port: JSON, health, metrics, dashboard.
//! - [`app`]: the composition root. [`cli`]: one file per family of subcommands.
//!
//! # What always holds
//!
//! 1. `domain` reads no clock, no randomness, no environment, and does no I/O; it cannot fail for
//!    outside reasons.
//! 2. No code reachable from `proxy` waits for the store, an fsync or a background task.
//! 3. An attempt is admitted once and recorded once. `Permit` is not `Clone`; `record` takes it by
//!    value and returns the receipt that may reclassify it.
//! 4. A result of an older generation changes nothing; but where calls that hang opened a circuit,
//!    an answer to one of them says that they did not.
//! 5. A call sees one configuration from start to end.
//! 6. Every queue and cache has a bound; what does not fit is refused or dropped, and counted.
//! 7. Shared breaker state is timed by the database's clock alone; durations, not times, cross
//!    between hosts.
//! 8. Losing the store changes what is shared and recorded later, never what a caller gets now.

pub mod domain;

pub mod aws;
pub mod breakers;
pub mod capture;
pub mod clock;
pub mod config;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod upstreams;

pub mod proxy;

pub mod checks;
pub mod fleet;
pub mod history;
pub mod learning;

pub mod admin;
pub mod app;
pub mod cli;
pub mod shutdown;
