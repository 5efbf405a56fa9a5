//! A cascade, with and without Fusebox: `cargo bench --bench cascade`.
//!
//! A calls B, B calls C, and C hangs: it accepts and never answers. Others need B for something
//! that has nothing to do with C, and A has work of its own. All three are ordinary services: some
//! threads, each with one request at a time, and a client that waits for seconds. So calls that
//! wait for C take B's threads and then A's, and everybody else waits too. How many of the calls
//! that do not need C are lost, how soon do those that need it fail, and when are both well again?
//!
//! Every [`Scenario`](scenarios::Scenario) is a set of processes of its own: the services are this
//! program again, and beside each caller runs the Fusebox that Cargo built, all of them with one
//! Postgres. The scenarios run side by side, so that what disturbs one disturbs all.
//!
//! Needs PostgreSQL's server programs. `SECONDS` (45), for which C hangs, and `ROUNDS` (1), over
//! which calls are added up, may be set.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its table")]

mod chain;
mod configs;
mod figures;
mod lab;
mod load;
#[path = "../../tests/support/local.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod local;
#[path = "../../tests/support/postgres.rs"]
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
mod postgres;
mod scenarios;
mod service;
mod table;
mod timeline;

use std::process::ExitCode;

use tokio::{runtime::Builder, task::JoinSet};

use chain::Chain;
use figures::Samples;
use lab::{Lab, number};
use scenarios::SCENARIOS;
use timeline::Timeline;

/// What everything here may fail with.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

pub(crate) type Result<T> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let result = match &args[1..] {
        [mode, settings @ ..] if mode == service::MODE => service::run(settings),
        _ => measure(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cascade: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let (rounds, timeline) = (number("ROUNDS", 1)?, Timeline::of(number("SECONDS", 45)?));
    println!("C is well for {} s, hangs for {} s, and is", timeline.healthy, timeline.hang);
    println!("back for {} s. {rounds} round(s).\n", timeline.back);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut samples: Vec<Samples> = SCENARIOS.iter().map(|_| Samples::default()).collect();
    for _ in 0..rounds {
        let lab = Lab::open()?;
        let chains: Vec<Chain> =
            SCENARIOS.iter().map(|scenario| Chain::start(&lab, scenario)).collect::<Result<_>>()?;
        for (all, new) in samples.iter_mut().zip(runtime.block_on(round(chains, timeline))?) {
            all.merge(new);
        }
    }
    println!("{}", table::render(&SCENARIOS, &samples, timeline));
    Ok(())
}

/// One round of all scenarios side by side.
async fn round(mut chains: Vec<Chain>, timeline: Timeline) -> Result<Vec<Samples>> {
    let began = fusebox::clock::now();
    let mut loads = JoinSet::new();
    for (place, chain) in chains.iter().enumerate() {
        let callers = load::callers(chain.doors(), timeline, began);
        loads.spawn(async move { (place, callers.await) });
    }
    for (moment, order) in
        [(timeline.hangs_at(), service::Order::Hang), (timeline.back_at(), service::Order::Answer)]
    {
        tokio::time::sleep_until((began + moment).into()).await;
        chains.iter_mut().try_for_each(|chain| chain.tell_c(order))?;
    }
    let mut all: Vec<Samples> = chains.iter().map(|_| Samples::default()).collect();
    while let Some(done) = loads.join_next().await {
        let (place, samples) = done?;
        all[place] = samples?;
    }
    Ok(all)
}
