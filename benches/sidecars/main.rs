//! A large fleet on one Postgres: `cargo bench --bench sidecars`.
//!
//! Sidecars without their proxies: real circuits, the real task that shares them, the real
//! statements, an identity for each. All live in this process and reach the database through a
//! PgBouncer in transaction mode with a few connections, so they have no hints and poll. Each has
//! twenty upstreams and ten calls a second to one of them.
//!
//! For each size of the fleet: what it costs while all is well, what happens when the upstream
//! fails for all at once and is well again, and the same when only one in ten calls it.
//!
//! Needs PostgreSQL's server programs and PgBouncer. `SIDECARS` (`100 300 1000`) and `SECONDS`
//! (60), for which the fleet is idle, may be set.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

mod counts;
mod crowd;
mod idle;
mod incident;
mod lab;
#[path = "../../tests/support/local.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod local;
#[path = "../../tests/support/pooler.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod pooler;
#[path = "../../tests/support/postgres.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod postgres;
mod prices;
mod processes;
mod sidecar;
mod table;

use std::{process::ExitCode, time::Duration};

use fusebox::domain::breaker::Policy;
use tokio::runtime::Builder;

use crowd::Crowd;
use lab::Lab;
use table::Line;

/// What everything here may fail with.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// In the second incident one in so many makes calls.
const FEW: usize = 10;

fn main() -> ExitCode {
    // One thread: the database is to have the rest of the machine.
    let runtime = Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(measure()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sidecars: {error}");
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
    let sizes: Vec<usize> = setting("SIDECARS", "100 300 1000")
        .split_whitespace()
        .map(|size| size.parse().map_err(|_| format!("SIDECARS: {size:?} is no number")))
        .collect::<std::result::Result<_, _>>()?;
    let seconds: u64 = setting("SECONDS", "60").parse()?;
    let mut lines = Vec::new();
    for size in sizes {
        let line = of(size, Duration::from_secs(seconds)).await?;
        eprintln!("{}", table::render(std::slice::from_ref(&line)));
        lines.push(line);
    }
    println!("{}", table::render(&lines));
    Ok(())
}

/// Measures a fleet of this size, in a database of its own.
async fn of(size: usize, span: Duration) -> Result<Line> {
    let lab = Lab::open().await?;
    let policy = Policy {
        open_for: Duration::from_secs(15),
        ramp: Duration::from_secs(5),
        ..Policy::default()
    };
    let crowd = Crowd::start(&lab, size, &policy).await?;
    eprintln!("{size} sidecars run");
    let idle = idle::measure(&lab, &crowd, span).await?;
    let all = incident::measure(&lab, &crowd).await?;
    crowd.one_calls_in(FEW);
    // Those that do not call any more cannot tell any more.
    crowd.live(Duration::from_secs(40)).await;
    let few = incident::measure(&lab, &crowd).await?;
    crowd.stop().await;
    let prices = prices::measure(&lab).await?;
    Ok(Line { size, idle, all, few, prices })
}

#[expect(clippy::disallowed_methods, reason = "a benchmark has no configuration file")]
fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}
