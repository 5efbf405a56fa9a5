//! The protocol as a model: instances with real circuits and real decisions, one store, and between
//! them everything that can go wrong. A schedule is a seed; a failing one is printed and replayed by
//! `FLEET_SEED=… cargo test --lib fleet`.

mod node;
mod schedule;
mod world;

use std::{num::NonZeroUsize, thread};

use schedule::Schedule;

/// Schedules of each kind.
const SCHEDULES: u64 = 16_000;

/// Runs the schedules on all cores; panics with the seed of the first that fails.
fn run(kind: fn(&mut Schedule)) {
    if let Some(seed) = seed() {
        return kind(&mut Schedule::new(seed));
    }
    let threads = thread::available_parallelism().map_or(2, NonZeroUsize::get);
    thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || {
                for seed in (0..SCHEDULES).skip(first).step_by(threads) {
                    let ran = std::panic::catch_unwind(|| kind(&mut Schedule::new(seed)));
                    assert!(ran.is_ok(), "replay with FLEET_SEED={seed}");
                }
            });
        }
    });
}

/// The one schedule that is wanted.
#[expect(clippy::disallowed_methods, reason = "it is no setting of the program")]
fn seed() -> Option<u64> {
    std::env::var("FLEET_SEED").ok()?.parse().ok()
}

#[test]
fn whatever_happens_the_fleet_recovers_when_all_is_well_again() {
    run(|schedule| {
        schedule.trouble(200);
        schedule.heal();
        schedule.recovers();
    });
}

#[test]
fn an_outage_opens_the_fleet() {
    run(|schedule| {
        schedule.warm_up();
        schedule.outage();
        schedule.opens();
        schedule.heal();
        schedule.recovers();
    });
}

#[test]
fn the_word_of_the_only_caller_suffices() {
    run(|schedule| {
        schedule.only_one_calls();
        schedule.warm_up();
        schedule.outage();
        schedule.opens();
        schedule.heal();
        schedule.recovers();
    });
}

#[test]
fn a_sick_minority_never_opens_the_fleet() {
    run(|schedule| {
        schedule.warm_up();
        schedule.minority_falls_sick();
        schedule.stays_closed(120);
    });
}

#[test]
fn without_the_store_no_call_is_refused_that_would_pass_with_it_never_having_been() {
    run(|schedule| {
        schedule.warm_up();
        schedule.store_goes_away();
        schedule.trouble_alone(100);
    });
}

#[test]
fn after_the_store_went_back_all_share_again_at_the_next_look() {
    run(|schedule| {
        schedule.copies_store();
        schedule.trouble(60);
        schedule.heal();
        schedule.loses_store();
        schedule.is_shared();
        schedule.warm_up();
        schedule.outage();
        schedule.opens();
        schedule.heal();
        schedule.recovers();
    });
}

#[test]
fn an_open_circuit_outlives_the_copy_that_does_not_know_it() {
    run(|schedule| {
        schedule.warm_up();
        schedule.copies_store();
        schedule.outage();
        schedule.opens();
        schedule.loses_store();
        schedule.is_open_for_all();
        schedule.heal();
        schedule.recovers();
    });
}
