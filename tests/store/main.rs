//! The stores: every promise of the two traits, held against a real Postgres and against the
//! embedded file by the same functions.

mod fixture;
mod history;
#[path = "../support/local.rs"]
#[expect(dead_code, reason = "shared with other tests, which need more of it")]
mod local;
mod past;
mod pooled;
#[path = "../support/pooler.rs"]
mod pooler;
#[path = "../support/postgres.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod postgres;
mod rollups;
mod server;
mod state;
mod totals;
mod upkeep;
mod views;
mod words;
