//! Fusebox beside its peers: `cargo bench --bench peers`.
//!
//! nginx, HAProxy, Envoy, a bare byte relay and Fusebox carry the same calls to the same backend,
//! in turn and several rounds, each on a core of its own. The figure that counts is CPU time per
//! call, and of it the ratio: a machine's speed cancels out. Fusebox has everything on, and its
//! time counts until Postgres has committed the last row.
//!
//! Needs nginx, wrk, taskset and PostgreSQL's server programs; HAProxy and Envoy are named as
//! missing where they are. `ROUNDS` (3), `SECONDS` (5) and `ENVOY_BIN` (the PATH's) may be set.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

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
mod rows;
mod table;

use std::{error::Error, process::ExitCode};

use lab::{Lab, setting};
use proxies::{Kind, Proxy};
use table::{Line, Round};

/// Long enough for pools to fill and for allocators to reach their size.
const WARM_UP_SECONDS: u32 = 2;

fn main() -> ExitCode {
    // The floor is this program again, so that it needs no file of its own.
    let args: Vec<String> = std::env::args().collect();
    let result = match args.get(1..4) {
        Some([mode, listen, backend]) if mode == "relay" => match (listen.parse(), backend.parse())
        {
            (Ok(listen), Ok(backend)) => relay::run(listen, backend).map_err(Into::into),
            _ => Err("relay LISTEN BACKEND".into()),
        },
        _ => compare(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<(), Box<dyn Error>> {
    let rounds = number("ROUNDS", 3)?;
    let seconds = number("SECONDS", 5)?;
    let lab = Lab::open()?;
    let mut proxies = Vec::new();
    for kind in Kind::ALL {
        match Proxy::start(kind, &lab)? {
            Some(proxy) => proxies.push(proxy),
            None => println!("{} is missing: it is not installed", kind.name()),
        }
    }
    println!(
        "{} connections, one worker each, {rounds} rounds of {seconds} s, median of the rounds;",
        load::CONNECTIONS
    );
    println!("CPU: user and kernel, of all its processes; ratios below 1: Fusebox is cheaper.\n");
    let mut lines: Vec<Line> =
        proxies.iter().map(|proxy| Line { kind: proxy.kind, rounds: Vec::new() }).collect();
    for proxy in &proxies {
        measure(&lab, proxy, WARM_UP_SECONDS)?;
    }
    for _ in 0..rounds {
        for (proxy, line) in proxies.iter().zip(&mut lines) {
            line.rounds.push(measure(&lab, proxy, seconds)?);
        }
    }
    println!("{}", table::render(&lines));
    for line in &lines {
        println!("{:<12}{}", line.kind.name(), line.kind.does());
    }
    Ok(())
}

/// One round of one proxy.
fn measure(lab: &Lab, proxy: &Proxy, seconds: u32) -> Result<Round, Box<dyn Error>> {
    let pid = proxy.process.pid();
    let committed = proxy.rows.as_ref().map(rows::Rows::committed).transpose()?.unwrap_or(0);
    let cpu_before = cost::cpu_time(pid);
    let mut anonymous_bytes = 0;
    let load = load::drive(lab, proxy.listen, seconds, || {
        anonymous_bytes = anonymous_bytes.max(cost::anonymous_bytes(pid));
    })?;
    if let Some(rows) = &proxy.rows {
        rows.settle(committed + load.calls);
    }
    let cpu = cost::cpu_time(pid).saturating_sub(cpu_before);
    Ok(Round { load, cpu, anonymous_bytes })
}

/// A number from the environment, between 1 and an hour's worth.
fn number(name: &str, default: u32) -> Result<u32, Box<dyn Error>> {
    let Some(text) = setting(name) else { return Ok(default) };
    match text.parse() {
        Ok(number @ 1..=3_600) => Ok(number),
        _ => Err(format!("{name} must be a number from 1 to 3600, not {text:?}").into()),
    }
}
