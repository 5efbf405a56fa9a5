//! When a circuit opens: the streak, the rates, and what is not counted.

use std::num::NonZeroU32;

use super::script::{Bench, check, check_with, s};
use crate::domain::{
    breaker::{Cause, Policy, RateRule, SlowRule, State},
    units::Percent,
};

fn over(percent: u16, min_calls: u32) -> RateRule {
    RateRule {
        over: Percent::from_basis_points(percent * 100).unwrap(),
        window: s(30),
        min_calls: NonZeroU32::new(min_calls).unwrap(),
    }
}

fn by_rate(min_calls: u32) -> Policy {
    Policy { failure_rate: Some(over(50, min_calls)), ..Policy::default() }
}

fn by_slowness() -> Policy {
    let rule = SlowRule { rate: over(80, 10), slower_than: s(2) };
    Policy { slow_calls: Some(rule), ..Policy::default() }
}

#[test]
fn exactly_the_fifth_failure_in_a_row_opens_and_the_sixth_call_is_refused() {
    check("-----+", "CCCCOo");
    check("----+----+----", "CCCCCCCCCCCCCC");
    check("----+-----", "CCCCCCCCCO");
}

#[test]
fn failures_in_a_row_need_not_be_close_together() {
    check("-3600-3600-3600-3600-", "CCCCO");
}

#[test]
fn the_streak_opens_whatever_the_rate() {
    let mut bench = Bench::new(by_rate(20));
    bench.run(&"+".repeat(100));
    assert_eq!(bench.run("-----"), "CCCCO");
    assert_eq!(bench.transitions[0].cause, Cause::ConsecutiveFailures);
}

#[test]
fn a_transition_says_what_it_was_made_of() {
    let mut bench = Bench::new(Policy::default());
    bench.run("++-----");
    let tripped = &bench.transitions[0];
    assert_eq!((tripped.from, tripped.to), (State::Closed, State::Open));
    assert_eq!((tripped.window_calls, tripped.window_failures), (7, 5));
    assert_eq!((tripped.failure_count, tripped.step, tripped.open_for), (5, 1, s(60)));
    assert!(tripped.is_shared() && !tripped.by_connection);
}

#[test]
fn overload_neither_lengthens_the_streak_nor_ends_it() {
    check("wwwwwwwwww", "CCCCCCCCCC");
    check("----w-", "CCCCCO");
}

#[test]
fn neutral_and_abandoned_calls_change_nothing() {
    check("--nx--nx-", "CCCCCCCCO");
    let mut bench = Bench::new(Policy::default());
    let before = bench.breaker.clone();
    bench.run("nx nx");
    assert_eq!(bench.breaker, before);
}

#[test]
fn refused_calls_change_nothing() {
    let mut bench = Bench::new(Policy::default());
    bench.run("-----");
    let before = bench.breaker.clone();
    assert_eq!(bench.run("+-P 10 ?+ 49.9 +"), "oooooo");
    assert_eq!(bench.breaker, before);
}

#[test]
fn the_failure_rate_opens_once_it_is_above_the_limit_with_confidence() {
    check_with(by_rate(6), "-+--+-+--", "CCCCCCCCC");
    // 9 of 10, but never five in a row.
    check_with(by_rate(10), "----+-----", "CCCCCCCCCO");
    check_with(by_rate(10), "----+----", "CCCCCCCCC");
    // Nor with fewer calls than the rule asks for.
    check_with(by_rate(20), "----+----+----+----+", "CCCCCCCCCCCCCCCCCCCO");
}

#[test]
fn overload_counts_in_the_failure_rate() {
    let mut bench = Bench::new(by_rate(6));
    assert_eq!(bench.run("wwwwww"), "CCCCCO");
    assert_eq!(bench.transitions[0].cause, Cause::FailureRate);
    assert_eq!(bench.breaker.snapshot(bench.now).failure_count, 0);
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    check_with(by_rate(6), "www 31 www", "CCCCCC");
    check_with(by_rate(6), "www 20 www", "CCCCCO");
}

#[test]
fn the_asked_pause_of_an_overloaded_upstream_is_a_floor_for_the_open_time() {
    let mut bench = Bench::new(by_rate(6));
    bench.run("wwwwwW");
    assert_eq!(bench.transitions[0].open_for, s(90));
    // Also when it was asked for a moment before, and something else opened the circuit.
    let mut bench = Bench::new(Policy::default());
    bench.run("W 10 -----");
    assert_eq!(bench.transitions[0].open_for, s(80));
}

#[test]
fn slow_calls_open_by_their_share_even_when_they_succeed() {
    let mut bench = Bench::new(by_slowness());
    assert_eq!(bench.run(&"S".repeat(22)), format!("{}O", "C".repeat(21)));
    assert_eq!(bench.transitions[0].cause, Cause::SlowCalls);
    check_with(by_slowness(), "SSS+SSS+SSS+SSS+SSS+SSS+SSS+", &"C".repeat(28));
}

#[test]
fn an_upstream_that_dies_in_every_body_opens_the_circuit_at_the_fifth() {
    check("~o~o~o~o~o", "CCCCCCCCCO");
    check("~~~~~ooooo", "CCCCCCCCCO");
    check("~~~~o~o~o~o~o", "CCCCCCCCCCCCO");
}

#[test]
fn a_body_that_dies_is_one_more_failure_of_the_streak_that_its_head_had_ended() {
    check("----~o", "CCCCCO");
    check("---~-o", "CCCCCO");
    check("---~-e-", "CCCCCCC");
}

#[test]
fn a_long_stream_that_dies_does_not_bring_back_what_others_have_ended() {
    check("----~++++o---", "CCCCCCCCCCCCC");
}

#[test]
fn a_body_that_dies_counts_in_the_rate_where_its_head_was_counted() {
    let mut bench = Bench::new(Policy::default());
    bench.run("+~e~o");
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!((snapshot.window_calls, snapshot.window_failures), (3, 1));
    assert_eq!(snapshot.failure_rate, Percent::from_basis_points(3_333));
}

#[test]
fn a_result_from_before_the_circuit_moved_is_too_late() {
    // Admitted while closed, reported while open, half-open, ramping and closed again.
    check("?----- s", "CCCCCOO");
    check("?-----60? s s", "CCCCCOHHH");
    check("?-----60? f +", "CCCCCOHHh");
    check("?-----60++ 10 f----", "CCCCCOHRCCCCC");
    check("~-----60+o+", "CCCCCOHHR");
}

#[test]
fn checks_alone_open_the_circuit_and_close_it() {
    check("K5K5K5K5K", "CCCCO");
    check("K5K5K5K5K 5k 5k 10+", "CCCCOHRC");
    check("K5K5K5k5K5K", "CCCCCC");
}

#[test]
fn checks_count_in_the_streak_but_in_no_rate() {
    check_with(by_rate(6), "KK-K-", "CCCCO");
    let mut bench = Bench::new(Policy::default());
    bench.run("kkK");
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!((snapshot.failure_rate, snapshot.failure_count), (None, 1));
}
