//! How a circuit comes back: probes, checks, the ramp, and longer open times when it does not.

use std::num::NonZeroU32;

use super::script::{Bench, check, check_with, s};
use crate::domain::breaker::{Cause, Policy, State};

/// The default rules, without a ramp.
fn at_once() -> Policy {
    Policy { ramp: s(0), ..Policy::default() }
}

/// An open circuit whose time is over.
fn half_open() -> Bench {
    let mut bench = Bench::new(at_once());
    bench.run("-----60");
    bench
}

#[test]
fn sixty_seconds_later_it_is_half_open_and_two_successes_close_it() {
    check("-----59.9+0.1+", "CCCCOoH");
    check_with(at_once(), "-----60++", "CCCCOHC");
    check("-----60++10+", "CCCCOHRC");
}

#[test]
fn the_time_being_over_shows_before_any_call_asks() {
    let mut bench = Bench::new(Policy::default());
    bench.run("-----");
    let state = |bench: &Bench, seconds| bench.breaker.snapshot(bench.now + s(seconds)).state;
    assert_eq!([state(&bench, 59), state(&bench, 60)], [State::Open, State::HalfOpen]);
    bench.run("60++");
    assert_eq!([state(&bench, 9), state(&bench, 10)], [State::Ramping, State::Closed]);
}

#[test]
fn one_call_at_a_time_is_tried() {
    check_with(at_once(), "-----60??+s?+s", "CCCCOHhhHHhC");
}

#[test]
fn asking_how_an_attempt_would_be_refused_takes_no_slot() {
    let mut bench = Bench::new(Policy::default());
    let refusal = |bench: &Bench| {
        let refusal = bench.breaker.refusal(true, bench.now)?;
        Some((refusal.state, refusal.retry_after))
    };
    assert_eq!(refusal(&bench), None);
    bench.run("-----");
    assert_eq!(refusal(&bench), Some((State::Open, s(60))));
    bench.run("60");
    assert_eq!((refusal(&bench), refusal(&bench)), (None, None), "both could be the probe");
    let not_repeatable = bench.breaker.refusal(false, bench.now);
    assert_eq!(not_repeatable.unwrap().retry_after, s(30));
    bench.run("?");
    assert_eq!(refusal(&bench), Some((State::HalfOpen, s(1))), "somebody is");
    bench.run("s+");
    assert_eq!(refusal(&bench), None, "it ramps, and any call may be of those that pass");
}

#[test]
fn a_failed_probe_opens_it_again_for_longer() {
    check("-----60-", "CCCCOO");
    let mut bench = half_open();
    bench.run("+-");
    let reopened = bench.transitions.last().unwrap();
    assert_eq!((reopened.cause, reopened.step), (Cause::ProbeFailed, 2));
    assert!(reopened.open_for >= s(120) && reopened.open_for <= s(144));
    assert_eq!(reopened.failure_count, 5, "the streak that tripped it");
}

#[test]
fn the_successes_must_come_in_a_row_across_no_reopening() {
    check_with(at_once(), "-----60+-150++", "CCCCOHOHC");
}

#[test]
fn an_overloaded_answer_fails_a_probe_and_its_pause_is_kept() {
    let mut bench = half_open();
    assert_eq!(bench.run("w"), "O");
    let mut bench = Bench::new(Policy { open_for: s(1), ..Policy::default() });
    bench.run("-----1W");
    assert_eq!(bench.transitions.last().unwrap().open_for, s(90));
}

#[test]
fn a_neutral_or_abandoned_probe_gives_its_slot_back_and_changes_nothing_else() {
    check_with(at_once(), "-----60nxnx+nx+", "CCCCOHHHHHHHC");
}

#[test]
fn a_probe_that_never_reports_loses_its_slot_at_the_end_of_its_lease() {
    check_with(at_once(), "-----60?70+1++", "CCCCOHhHC");
    check_with(at_once(), "-----60?71?71?71++", "CCCCOHHHHC");
}

#[test]
fn a_late_probe_moves_nothing() {
    // Its lease is over, nobody else has the slot.
    check_with(at_once(), "-----60?71f++", "CCCCOHHHC");
    check_with(at_once(), "-----60?71s+", "CCCCOHHH");
    // Another holds the slot, and keeps it.
    check_with(at_once(), "-----60?71?f+s+", "CCCCOHHHhHC");
}

#[test]
fn a_probe_whose_body_dies_has_failed_while_it_is_half_open() {
    check_with(at_once(), "-----60~o", "CCCCOHO");
    check_with(at_once(), "-----60~?os", "CCCCOHHOO");
}

#[test]
fn a_probe_whose_body_dies_after_the_circuit_moved_on_is_late() {
    check_with(at_once(), "-----60~+o", "CCCCOHCC");
}

#[test]
fn a_call_that_may_not_be_repeated_is_tried_only_when_nothing_better_came() {
    check_with(at_once(), "-----60p29.9p0.1p", "CCCCOhhH");
    check_with(at_once(), "-----60p+p29.9p0.1p", "CCCCOhHhhC");
    check_with(at_once(), "-----70+25p5p", "CCCCOHhC");
    check_with(at_once(), "-----70k25p5p", "CCCCOHhC");
    check_with(at_once(), "-----600p", "CCCCOH");
    check_with(at_once(), "-----600P", "CCCCOO");
}

#[test]
fn refusals_say_how_long_to_wait() {
    let wait = |script: &str, idempotent| {
        let mut bench = Bench::new(at_once());
        bench.run(script);
        bench.breaker.admit(idempotent, bench.now).0.unwrap_err().retry_after
    };
    assert_eq!(wait("-----", true), s(60));
    assert_eq!(wait("-----45", true), s(15));
    assert_eq!(wait("-----60?", true), s(1), "a probe takes a moment, not its lease");
    assert_eq!(wait("-----70", false), s(20));
}

#[test]
fn a_check_ends_an_outage_of_connecting_at_once() {
    check_with(at_once(), "ccccc k k", "CCCCOHC");
    check_with(at_once(), "----c 5k 5k", "CCCCOHC");
    check_with(at_once(), "KKKKK k +", "CCCCOHC");
}

#[test]
fn a_check_that_never_failed_does_not_end_an_outage_of_another_kind() {
    check_with(at_once(), "-----k k 59k 1k k", "CCCCOOOOHC");
    check_with(at_once(), "cccc+-----k", "CCCCCCCCCOO");
    // The probe after an outage of connecting found another.
    check_with(at_once(), "ccccck-k", "CCCCOHOO");
}

#[test]
fn a_try_before_the_open_time_is_over_does_not_lengthen_it() {
    let mut bench = Bench::new(at_once());
    assert_eq!(bench.run("ccccc 10 k -"), "CCCCOHO");
    let reopened = bench.transitions.last().unwrap();
    assert_eq!((reopened.cause, reopened.step), (Cause::ProbeFailed, 1));
    assert_eq!(reopened.open_for, s(50), "what was left");
    // Once it is over, it does.
    assert_eq!(bench.run("50 -"), "O");
    assert_eq!(bench.transitions.last().unwrap().step, 2);
    check_with(at_once(), "ccccc 10 k W 89 + 1 +", "CCCCOHOoH");
}

#[test]
fn a_call_leaves_the_first_try_to_the_health_check() {
    let checked = || Policy { checked_within: Some(s(6)), ..at_once() };
    check_with(checked(), "-----60+ 5k +", "CCCCOhHC");
    check_with(checked(), "-----60+ 5K 200+", "CCCCOhOH");
    // It has its time, and no more.
    check_with(checked(), "-----60+ 5.9+ 0.1+", "CCCCOhhH");
    check_with(Policy { checked_within: Some(s(600)), ..at_once() }, "-----60 29+ 1+", "CCCCOhH");
    // What may not be repeated still waits for something better.
    check_with(checked(), "-----60 5k 29p 1p", "CCCCOHhC");
}

#[test]
fn a_check_counts_as_a_probe_whoever_holds_the_slot() {
    check_with(at_once(), "-----60?k k", "CCCCOHHC");
    check_with(at_once(), "-----60?K s", "CCCCOHOO");
    check_with(at_once(), "-----60k29p1p", "CCCCOHhC");
}

#[test]
fn one_check_is_enough_where_one_success_closes() {
    let policy = Policy { close_after: NonZeroU32::MIN, ..at_once() };
    let mut bench = Bench::new(policy);
    assert_eq!(bench.run("ccccck"), "CCCCOC");
    let closed = bench.transitions.last().unwrap();
    assert_eq!((closed.from, closed.to), (State::Open, State::Closed));
}

#[test]
fn a_check_that_fails_after_the_open_time_opens_it_again() {
    let mut bench = half_open();
    assert_eq!(bench.run("K"), "O");
    let reopened = bench.transitions.last().unwrap();
    assert_eq!((reopened.from, reopened.to), (State::Open, State::Open));
    assert!(reopened.by_connection, "the next good check may end it early");
}

#[test]
fn a_ramp_admits_a_share_that_grows_in_a_straight_line() {
    let mut bench = Bench::new(Policy::default());
    bench.run("-----60++");
    let mut passed = Vec::new();
    for _ in 0..10 {
        let trace = bench.run(&"+".repeat(1_000));
        passed.push(trace.chars().filter(|letter| *letter == 'R').count());
        bench.run("1");
    }
    let expected = [50, 100, 200, 300, 400, 500, 600, 700, 800, 900];
    assert!(passed.iter().zip(expected).all(|(passed, share)| passed.abs_diff(share) <= 1));
    assert_eq!(bench.run("++"), "CC");
}

#[test]
fn the_first_call_of_a_ramp_passes() {
    check("-----60+++", "CCCCOHRR");
    check("-----60++++", "CCCCOHRRr");
}

#[test]
fn a_ramp_that_fails_opens_it_again_for_longer() {
    let mut bench = Bench::new(Policy::default());
    assert_eq!(bench.run("-----60++9.99-----"), "CCCCOHRRRRRO");
    let reopened = bench.transitions.last().unwrap();
    assert_eq!((reopened.cause, reopened.step), (Cause::ConsecutiveFailures, 2));
}

#[test]
fn the_next_outage_after_one_that_ended_well_is_as_long_as_the_first() {
    let mut bench = Bench::new(at_once());
    for _ in 0..3 {
        assert_eq!(bench.run("-----60++"), "CCCCOHC");
    }
}

#[test]
fn an_outage_that_comes_right_back_starts_from_where_it_was() {
    let mut bench = Bench::new(at_once());
    bench.run("-----60-150++");
    bench.run("-----");
    assert_eq!(bench.transitions.last().unwrap().step, 2);
    bench.run("150++");
    bench.run(&"+1".repeat(121));
    bench.run("-----");
    let tripped = bench.transitions.last().unwrap();
    assert_eq!((tripped.step, tripped.open_for), (1, s(60)), "health was seen for long enough");
}

#[test]
fn time_between_failures_is_no_health() {
    let mut bench = Bench::new(at_once());
    bench.run("-----60-150++");
    bench.run(&"+1-1".repeat(200));
    assert_eq!(bench.breaker.snapshot(bench.now).step, 2);
}

#[test]
fn the_failure_count_is_kept_until_it_closes() {
    let mut bench = Bench::new(Policy::default());
    let mut counts = Vec::new();
    for part in ["-----", "60+", "-", "150+", "+", "10+"] {
        bench.run(part);
        counts.push(bench.breaker.snapshot(bench.now).failure_count);
    }
    assert_eq!(counts, [5, 5, 5, 5, 5, 0]);
}

#[test]
fn a_snapshot_keeps_the_numbers_that_opened_the_circuit() {
    let mut bench = Bench::new(Policy::default());
    bench.run("+++++-----20");
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!((snapshot.window_calls, snapshot.window_failures), (10, 5));
    assert_eq!((snapshot.since, snapshot.retry_after), (s(20), s(40)));
    assert_eq!(snapshot.opened_by, Some(Cause::ConsecutiveFailures));
    bench.run("40-1");
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!(snapshot.cause, Some(Cause::ProbeFailed));
    assert_eq!(snapshot.opened_by, Some(Cause::ConsecutiveFailures));
}
