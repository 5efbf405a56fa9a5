//! Whether a store can be used: looked at once, for `fusebox doctor`. Nothing is changed.

use std::time::Duration;

use super::{Error, postgres};
use crate::config;

/// What was found in a database that could be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// The version of the server, such as 160004.
    pub version: i32,
    /// Who asks.
    pub user: String,
    /// How long one question and its answer take.
    pub round_trip: Duration,
    /// How far the server's clock is ahead of ours, in microseconds; behind when negative.
    pub ahead_us: i64,
    /// Whether the role may use the schema.
    pub may_use: bool,
    /// Whether it may make tables in it.
    pub may_create: bool,
    /// Tables and functions that are there and that the role may not use as it must.
    pub forbidden: Vec<String>,
    /// Whether notifications come through.
    pub listens: bool,
}

/// Looks at a Postgres database. None where the embedded store is used.
///
/// # Errors
/// It cannot be reached, or refuses.
pub async fn examine(database: &config::Database) -> Option<Result<Findings, Error>> {
    let url = database.url.as_ref()?;
    Some(postgres::examine::examine(url.expose(), (&database.schema, &database.aws)).await)
}
