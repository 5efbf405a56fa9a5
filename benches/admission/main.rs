//! What it costs to admit a call: `cargo bench --bench admission`.
//!
//! Each thread asks a closed circuit for leave and records a success, again and again, as the data
//! plane does for each attempt; the clock is not part of it, for a call reads it in any case. On one
//! thread, on as many as there are cores with one circuit for all of them, and with one each. The
//! figures are what a thread spends per call, medians of several rounds: on the processor, which
//! leaves out what the machine does besides, and from beginning to end, where a wait for the lock
//! shows too.
//!
//! Prints a table and never fails for what it says.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::{
    fs,
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
    println!("{:<42}{:>6}{:>12}{:>12}{:>12}", "", "bar", "processor", "elapsed", "best");
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
        let rounds: Vec<Spent> =
            (0..ROUNDS).map(|_| round(threads, &circuits_of(circuits, policy))).collect();
        let sorted = |part: fn(&Spent) -> Duration| {
            let mut all: Vec<_> =
                rounds.iter().map(|spent| per_call(part(spent), threads)).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let (processor, elapsed) = (sorted(|spent| spent.processor), sorted(|spent| spent.elapsed));
        let (middle, best) = (ROUNDS / 2, elapsed[0]);
        let (processor, elapsed) = (processor[middle], elapsed[middle]);
        println!("{what:<42}{bar:>6}{processor:>12.1}{elapsed:>12.1}{best:>12.1}");
    }
}

/// What the threads of a round took, added up.
#[derive(Default, Clone, Copy)]
struct Spent {
    elapsed: Duration,
    processor: Duration,
}

/// Nanoseconds per call and thread.
fn per_call(spent: Duration, threads: usize) -> f64 {
    let threads = u32::try_from(threads).unwrap_or(u32::MAX);
    spent.as_secs_f64() * 1e9 / f64::from(threads) / f64::from(CALLS)
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
    Breakers::new(rows, true).iter().collect()
}

/// Lets the threads of a round begin together.
fn round(threads: usize, circuits: &[Arc<Circuit>]) -> Spent {
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|at| {
                let (circuit, start) = (&circuits[at % circuits.len()], &start);
                scope.spawn(move || {
                    start.wait();
                    calls(circuit)
                })
            })
            .collect();
        let spent = workers.into_iter().map(|worker| worker.join().unwrap_or_default());
        spent.fold(Spent::default(), |all, one| Spent {
            elapsed: all.elapsed + one.elapsed,
            processor: all.processor + one.processor,
        })
    })
}

/// How long this thread has been on a processor, as Linux counts it.
fn on_processor() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or_default())
}

fn calls(circuit: &Arc<Circuit>) -> Spent {
    let observed = Observed {
        verdict: Verdict::Success,
        latency: Duration::from_millis(3),
        retry_after: None,
        by_connection: false,
    };
    let (before, began) = (on_processor(), clock::now());
    for call in 0..CALLS {
        // A call a microsecond, so that the window moves on as it does under load.
        let now: Instant = began + Duration::from_micros(u64::from(call));
        if let Ok(admission) = black_box(circuit).admit(true, now) {
            admission.record(black_box(observed), now).settle();
        }
    }
    let elapsed = clock::now().saturating_duration_since(began);
    Spent { elapsed, processor: on_processor().saturating_sub(before) }
}
