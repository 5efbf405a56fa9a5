//! The stores: every promise of the two traits, held against a real Postgres and against the
//! embedded file by the same functions.

mod fixture;
mod history;
#[path = "../support/postgres.rs"]
mod postgres;
mod rollups;
mod server;
mod state;
