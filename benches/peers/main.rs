//! Fusebox beside its peers: `cargo bench --bench peers [-- RUN…]`.
//!
//! nginx, HAProxy, Pingora, Envoy, a bare byte relay and Fusebox carry the same calls to the same
//! backend, in turn and several rounds, each on a core of its own. The figure that counts is CPU
//! time per call, and of it the ratio: a machine's speed cancels out. Fusebox has everything on,
//! and its time counts until Postgres has committed the last row.
//!
//! The runs: `http1` (64 connections and one), `refused`, `memory`, `scale`, `http2`, `tls`; without
//! a name the first three. Needs nginx, wrk, taskset, openssl and PostgreSQL's server programs, and
//! h2load for `http2`; HAProxy, Pingora (built where cmake is) and Envoy are named as missing where
//! they are. `ROUNDS` (3), `SECONDS` (5) and `ENVOY_BIN` (the PATH's) may be set.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

mod configs;
mod cost;
mod lab;
mod load;
#[path = "../../tests/support/local.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod local;
#[path = "../../tests/support/postgres.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod postgres;
mod proxies;
mod relay;
mod round;
mod rows;
mod runs;
mod table;

use std::{error::Error, process::ExitCode};

use lab::{Lab, setting};
use proxies::Kind;
use runs::{RUNS, Run};

/// How many of the runs are made when none is named.
const USUAL: usize = 3;

/// How long and how often each proxy is driven.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
}

fn main() -> ExitCode {
    // The floor is this program again, so that it needs no file of its own.
    let args: Vec<String> = std::env::args().collect();
    let result = match args.get(1..4) {
        Some([mode, listen, backend]) if mode == "relay" => match (listen.parse(), backend.parse())
        {
            (Ok(listen), Ok(backend)) => relay::run(listen, backend).map_err(Into::into),
            _ => Err("relay LISTEN BACKEND".into()),
        },
        _ => measure(&args[1..]),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the runs that are named.
fn measure(args: &[String]) -> Result<(), Box<dyn Error>> {
    // Cargo says --bench to every benchmark.
    let names: Vec<&str> =
        args.iter().map(String::as_str).filter(|arg| !arg.starts_with("--")).collect();
    let known = |name: &&str| RUNS.iter().any(|run| run.name == *name);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = RUNS.iter().map(|run| run.name).collect();
        return Err(format!("there is no run {name:?}; there are {}", all.join(", ")).into());
    }
    let wanted: Vec<&Run> = match names[..] {
        [] => RUNS[..USUAL].iter().collect(),
        _ => RUNS.iter().filter(|run| names.contains(&run.name)).collect(),
    };
    let effort = Effort { rounds: number("ROUNDS", 3)?, seconds: number("SECONDS", 5)? };
    let Effort { rounds, seconds } = effort;
    println!(
        "One worker each, {rounds} rounds of {seconds} s, median of the rounds. CPU: user and"
    );
    println!(
        "kernel, of all its processes; ratios below 1: Fusebox is cheaper. Added: to the median"
    );
    println!("of no proxy.\n");
    let lab = Lab::open()?;
    for run in wanted {
        (run.measure)(&lab, effort)?;
    }
    for kind in Kind::ALL {
        println!("{:<12}{}", kind.name(), kind.does());
    }
    Ok(())
}

/// A number from the environment, between 1 and an hour's worth.
fn number(name: &str, default: u32) -> Result<u32, Box<dyn Error>> {
    let Some(text) = setting(name) else { return Ok(default) };
    match text.parse() {
        Ok(number @ 1..=3_600) => Ok(number),
        _ => Err(format!("{name} must be a number from 1 to 3600, not {text:?}").into()),
    }
}
