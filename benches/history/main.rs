//! History at twenty million rows: `cargo bench --bench history`.
//!
//! Two weeks of calls and five weeks of rollups, as upkeep leaves them, in a Postgres of its own
//! below `target/`, which stays there for the next run of the same day. The statements are those
//! that Fusebox sends: everything is asked through the store. Each question is asked until it is
//! warm and then a hundred times and more.
//!
//! Needs PostgreSQL's server programs and a kilobyte of disk per row. `ROWS` (20000000) may be set.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

mod dropping;
mod figures;
mod lab;
#[path = "../../tests/support/postgres.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod postgres;
mod questions;
mod server;
mod sizes;
mod writing;

use std::{error::Error, process::ExitCode};

use tokio::runtime::Builder;

use lab::Lab;

/// What everything here may fail with.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(measure()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("history: {error}");
            let mut cause = error.source();
            while let Some(inner) = cause {
                eprintln!("  because: {inner}");
                cause = inner.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<()> {
    let rows = rows()?;
    let lab = Lab::open(rows).await?;
    sizes::print(&lab).await?;
    questions::print(&lab).await?;
    writing::print(&lab).await?;
    dropping::print(&lab, rows).await
}

/// How many rows are asked for.
#[expect(clippy::disallowed_methods, reason = "a benchmark has no configuration file")]
fn rows() -> Result<u64> {
    let Ok(text) = std::env::var("ROWS") else { return Ok(20_000_000) };
    match text.parse() {
        Ok(rows @ 10_000..=1_000_000_000) => Ok(rows),
        _ => Err(format!("ROWS must be a number from ten thousand up, not {text:?}").into()),
    }
}
