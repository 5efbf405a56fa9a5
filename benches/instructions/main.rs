//! Instructions per call: `cargo bench --bench instructions`.
//!
//! callgrind runs the real binary and counts what every thread of it executes. Time is different on
//! every machine and in every minute; this figure hardly is, so that a small change shows. Two runs
//! that differ in nothing but the number of calls are compared, so that the start and the end do not
//! count; they run side by side, a core each. Everything is on, the embedded store included.
//!
//! `FUSEBOX_BIN` names another binary to count: with `--profile dev` beside it, what counts is built
//! in seconds. Needs valgrind. Prints a table and never fails for what it says.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

mod caller;
mod count;
#[path = "../../tests/support/local.rs"]
mod local;

use std::{error::Error, process::ExitCode, thread};

use count::{Count, Scene, count};

/// Calls before those that count, in both runs: pools, caches and maps are filled, and no other
/// thread has executed more than the one that carries calls.
const WARM: u64 = 500;
/// Calls that count.
const CALLS: u64 = 2_000;
/// A machine that is busy elsewhere wakes threads more often than they need; the least counts.
const TRIES: u32 = 3;

/// Why nothing was counted.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match table() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn table() -> Result<(), Failure> {
    println!("Instructions per call, {CALLS} calls on one connection, one worker\n");
    println!("{:<34}{:>14}{:>14}", "", "its thread", "all threads");
    for scene in Scene::ALL {
        let (many, few) = thread::scope(|scope| {
            let few = scope.spawn(|| least(&scene, WARM));
            (least(&scene, WARM + CALLS), few.join().expect("it counts or says why not"))
        });
        let per_call = many?.per_call(few?, CALLS);
        println!("{:<34}{:>14}{:>14}", scene.what, per_call.carrying, per_call.all);
    }
    Ok(())
}

/// What a run of so many calls executes at least.
fn least(scene: &Scene, calls: u64) -> Result<Count, Failure> {
    let mut least = count(scene, calls)?;
    for _ in 1..TRIES {
        least = least.least(count(scene, calls)?);
    }
    Ok(least)
}
