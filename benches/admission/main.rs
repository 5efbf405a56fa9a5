//! What it costs to admit a call: `cargo bench --bench admission`.
//!
//! Each thread asks a closed circuit for leave and records a success, again and again, as the data
//! plane does for each attempt; the clock is not part of it, for a call reads it in any case. On one
//! thread, on as many as there are cores with one circuit for all of them, and with one each. A
//! figure is the time that a thread spends per call: the median of several rounds, and the best.
//!
//! Prints a table and never fails for what it says.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::{
    hint::black_box,
    num::NonZeroUsize,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use fusebox::{
    breakers::{Breakers, Circuit},
    clock,
    domain::{
        breaker::{Mode, Observed, Policy, RateRule, SlowRule},
        outcome::Verdict,
        units::Percent,
    },
};

/// Calls of each thread in a round.
const CALLS: u32 = 1_000_000;
/// Rounds; odd, so that one is in the middle.
const ROUNDS: usize = 9;

fn main() {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    println!("admit + record of a successful call at a closed circuit, ns per call and thread");
    println!("{ROUNDS} rounds of {CALLS} calls per thread, {cores} cores\n");
    println!("{:<44}{:>10}{:>10}{:>10}", "", "bar", "median", "best");
    let (plain, all_rules) = (Policy::default(), every_rule());
    let shadow = Policy { mode: Mode::Shadow, ..plain.clone() };
    for (what, bar, threads, circuits, policy) in [
        ("one thread", "150", 1, 1, &plain),
        ("one thread, every rule on", "150", 1, 1, &all_rules),
        ("one thread, in shadow", "150", 1, 1, &shadow),
        ("all cores, a circuit each", "150", cores, cores, &plain),
        ("all cores on one circuit", "500", cores, 1, &plain),
        ("all cores on one circuit, every rule on", "500", cores, 1, &all_rules),
    ] {
        let mut rounds: Vec<f64> =
            (0..ROUNDS).map(|_| round(threads, &circuits_of(circuits, policy))).collect();
        rounds.sort_by(f64::total_cmp);
        println!("{what:<44}{bar:>10}{:>10.1}{:>10.1}", rounds[ROUNDS / 2], rounds[0]);
    }
}

fn every_rule() -> Policy {
    let calls = std::num::NonZeroU32::MIN.saturating_add(19);
    let rate = |percent| RateRule {
        over: Percent::of(percent),
        window: Duration::from_secs(30),
        min_calls: calls,
    };
    Policy {
        failure_rate: Some(rate(50)),
        slow_calls: Some(SlowRule { rate: rate(80), slower_than: Duration::from_secs(2) }),
        ..Policy::default()
    }
}

fn circuits_of(count: usize, policy: &Policy) -> Vec<Arc<Circuit>> {
    let rows =
        (0..count).map(|at| (Arc::from(format!("upstream-{at}")), at.to_string(), policy.clone()));
    Breakers::new(rows, true).iter().map(Arc::clone).collect()
}

/// Nanoseconds per call and thread.
fn round(threads: usize, circuits: &[Arc<Circuit>]) -> f64 {
    let start = Barrier::new(threads);
    let took: Duration = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|at| {
                let (circuit, start) = (&circuits[at % circuits.len()], &start);
                scope.spawn(move || {
                    start.wait();
                    calls(circuit)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_default()).sum()
    });
    let threads = u32::try_from(threads).unwrap_or(u32::MAX);
    took.as_secs_f64() * 1e9 / f64::from(threads) / f64::from(CALLS)
}

fn calls(circuit: &Arc<Circuit>) -> Duration {
    let observed = Observed {
        verdict: Verdict::Success,
        latency: Duration::from_millis(3),
        retry_after: None,
        by_connection: false,
    };
    let began = clock::now();
    for call in 0..CALLS {
        // A call a microsecond, so that the window moves on as it does under load.
        let now: Instant = began + Duration::from_micros(u64::from(call));
        if let Ok(admission) = black_box(circuit).admit(true, now) {
            admission.record(black_box(observed), now).settle();
        }
    }
    clock::now().saturating_duration_since(began)
}
