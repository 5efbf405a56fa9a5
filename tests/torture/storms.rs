//! Everything dies at random moments, and no row is missing or there twice.

use std::time::Duration;

use crate::{
    callers::Habits,
    fates::{Event, Script},
    settings,
    world::World,
};

/// Callers at an easy pace.
const MANY: Habits = Habits { callers: 64, every: Duration::from_millis(20), id_length: 0 };

fn storm(calls: u64, pause: u64) {
    let script = Script::draw(settings::seed(), calls, pause);
    eprintln!("{script}");
    let mut world = World::new(&[]);
    let callers = world.callers(MANY);
    world.play(&script, &callers);
    let records = world.end(callers, MANY.callers);
    eprintln!("{} kills, {} commits", world.kills, world.link.commits());
    records.judge().assert_nothing_is_lost();
}

#[test]
fn each_call_has_one_row_whatever_dies() {
    storm(12_000, 1_600);
}

#[cfg(feature = "long-tests")]
#[test]
fn each_call_has_one_row_however_long_things_die() {
    storm(settings::number("FUSEBOX_TORTURE_CALLS").unwrap_or(400_000), 8_000);
}

/// Callers in a hurry whose records are long.
pub(crate) const LONG_IDS: Habits =
    Habits { callers: 64, every: Duration::from_millis(5), id_length: 120 };

/// A bound that some seconds without Postgres exceed.
pub(crate) const SMALL: &str = "history: { spool_max_bytes: 16MiB }";

#[test]
fn what_a_full_spool_loses_is_counted_to_the_call() {
    let mut world = World::new(&[SMALL]);
    let callers = world.callers(LONG_IDS);
    let script = Script::of(&[(500, Event::PostgresStops), (60_000, Event::PostgresReturns)]);
    world.play(&script, &callers);
    let records = world.end(callers, LONG_IDS.callers);
    records.judge().assert_losses_are_counted();
}

#[test]
fn a_full_spool_of_processes_that_die_loses_no_more_than_it_counts() {
    let mut world = World::new(&[SMALL]);
    let callers = world.callers(LONG_IDS);
    let script = Script::of(&[
        (500, Event::PostgresStops),
        (15_000, Event::FuseboxIsKilled),
        (30_000, Event::FuseboxIsKilled),
        (5_000, Event::PostgresReturns),
    ]);
    world.play(&script, &callers);
    let records = world.end(callers, LONG_IDS.callers);
    records.judge().assert_losses_are_counted();
}
