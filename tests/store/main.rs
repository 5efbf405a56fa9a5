//! The stores: every promise of the two traits, held against a real Postgres and against the
//! embedded file by the same functions.

#[path = "../../benches/sidecars/counts.rs"]
#[expect(dead_code, reason = "shared with the benchmark, which needs more of it")]
mod counts;
mod fixture;
mod fleet;
mod history;
mod identities;
mod learning;
#[path = "../support/local.rs"]
#[expect(dead_code, reason = "shared with other tests, which need more of it")]
mod local;
mod names;
mod past;
mod pooled;
#[path = "../support/pooler.rs"]
mod pooler;
#[path = "../support/postgres.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod postgres;
mod rollups;
mod server;
#[path = "../../benches/sidecars/sidecar.rs"]
#[expect(dead_code, reason = "shared with the benchmark, which needs more of it")]
mod sidecar;
mod state;
mod statistics;
mod totals;
mod upkeep;
mod views;
mod warnings;
mod words;
