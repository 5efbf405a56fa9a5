//! The protocol as a model: instances with real circuits and real decisions, one store, and between
//! them everything that can go wrong. A schedule is a seed; a failing one is printed and replayed by
//! `FLEET_SEED=… cargo test --lib fleet`.

mod node;
mod orders;
mod probing;
mod schedule;
mod steering;
mod world;

use std::{num::NonZeroUsize, thread};

use schedule::Schedule;

/// Schedules of each kind, and of those with many instances.
const SCHEDULES: u64 = 9_300;
const FEW_SCHEDULES: u64 = 60;

/// Runs schedules; panics with the seed of the first that fails.
fn run(kind: fn(&mut Schedule)) {
    run_those(SCHEDULES, Schedule::new, kind);
}

/// Runs so many on all cores.
fn run_those(count: u64, new: fn(u64) -> Schedule, kind: fn(&mut Schedule)) {
    if let Some(seed) = seed() {
        return kind(&mut new(seed));
    }
    let threads = thread::available_parallelism().map_or(2, NonZeroUsize::get);
    thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || {
                for seed in (0..count).skip(first).step_by(threads) {
                    let ran = std::panic::catch_unwind(|| kind(&mut new(seed)));
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
        schedule.lifts();
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
        schedule.lifts();
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

#[test]
fn all_obey_what_was_ordered_and_its_end_gives_the_automatic_state_back() {
    run(|schedule| {
        schedule.trouble(100);
        schedule.heal();
        schedule.is_obeyed();
        schedule.lifts();
        schedule.is_obeyed();
        schedule.is_shared();
        schedule.recovers();
    });
}

#[test]
fn all_obey_one_order_whenever_the_store_hears_of_it() {
    run(|schedule| {
        schedule.orders_far_off(60);
        schedule.heal();
        schedule.is_obeyed();
    });
}

#[test]
fn all_obey_one_order_in_a_store_that_went_back() {
    run(|schedule| {
        schedule.orders(10);
        schedule.copies_store();
        schedule.orders(10);
        schedule.loses_store();
        schedule.orders(10);
        schedule.is_obeyed();
    });
}

#[test]
fn in_an_open_time_few_try_one_at_a_time() {
    run(|schedule| {
        schedule.warm_up();
        schedule.outage();
        schedule.opens();
        schedule.flickers(40);
        schedule.heal();
        schedule.recovers();
    });
}

#[test]
fn without_the_store_few_try_at_a_time_and_all_find_out() {
    run_those(FEW_SCHEDULES, Schedule::of_dozens, |schedule| {
        schedule.warm_up();
        schedule.outage();
        schedule.opens();
        schedule.is_shared();
        schedule.few_try_alone();
        schedule.all_find_out();
    });
}

#[test]
fn a_sample_of_many_decides_for_all() {
    run_those(FEW_SCHEDULES, Schedule::of_many, |schedule| {
        schedule.warm_up();
        schedule.quarter_falls_sick();
        schedule.stays_closed(20);
        schedule.outage();
        schedule.opens();
        schedule.heal();
        schedule.recovers();
    });
}
