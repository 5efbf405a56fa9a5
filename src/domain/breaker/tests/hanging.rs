//! Calls that hang: when they count, what disproves it, and what is never mistaken for it.

use std::num::NonZeroU32;

use super::script::{Bench, check, check_with, s};
use crate::domain::{
    breaker::{Cause, Policy, RateRule, SlowRule, State},
    units::Percent,
};

/// A circuit whose upstream has answered at once, so far.
fn known() -> Bench {
    let mut bench = Bench::new(Policy::default());
    bench.run("+++++");
    bench
}

#[test]
fn as_many_calls_as_it_takes_failures_open_it_when_they_have_waited_in_vain() {
    check("+++++ ????? 1.9h 0.1h", "CCCCCCCCCCCO");
    check("+++++ ???? 9h", "CCCCCCCCCC");
    let mut bench = known();
    bench.run("?????2h");
    let tripped = &bench.transitions[0];
    assert_eq!((tripped.cause, tripped.failure_count), (Cause::HangingCalls, 5));
    assert_eq!((tripped.window_calls, tripped.window_failures), (5, 0), "none has ended");
    assert!(tripped.by_connection, "an answer may end it early");
}

#[test]
fn a_call_that_hangs_is_one_more_failure_in_a_row() {
    check("+++++ --- ?? 2h", "CCCCCCCCCCO");
    check("+++++ ???? 2h -", "CCCCCCCCCCO");
    let mut bench = known();
    bench.run("???2h");
    assert_eq!(bench.breaker.snapshot(bench.now).failure_count, 3);
}

#[test]
fn one_that_fails_after_all_counts_once() {
    check("+++++ ???? 2h ffff -", "CCCCCCCCCCCCCCO");
}

#[test]
fn one_answer_and_the_others_are_no_longer_looked_at() {
    check("+++++ ???? 2h s ? 2h ----", "CCCCCCCCCCCCCCCCC");
    check("+++++ ???? 2h + ? 2h ----", "CCCCCCCCCCCCCCCCO");
    check("+++++ ???? 2h w 9h ----", "CCCCCCCCCCCCCCCC");
}

#[test]
fn watches_that_wait_for_ever_open_nothing_beside_calls_that_are_answered() {
    let mut bench = known();
    bench.run("????????? 1");
    for _ in 0..100 {
        assert_eq!(bench.run("+5h"), "CC");
    }
}

#[test]
fn what_had_just_been_sent_at_the_last_answer_may_hang_too() {
    let answers_take_a_second = "?1s?1s?1s?1s?1s";
    let mut bench = Bench::new(Policy::default());
    bench.run(answers_take_a_second);
    assert_eq!(bench.run("????? 0.9 + 1.1h"), "CCCCCCO");
    let mut bench = Bench::new(Policy::default());
    bench.run(answers_take_a_second);
    assert_eq!(bench.run("????? 1.1 + 9h"), "CCCCCCC");
}

#[test]
fn a_slow_upstream_is_given_twice_its_slowest_answer() {
    let mut bench = Bench::new(Policy::default());
    assert_eq!(bench.run("????? 10h sssss ????? 10h 9.9h"), "CCCCCCCCCCCCCCCCCC");
    assert_eq!(bench.run("0.1h"), "O");
}

#[test]
fn of_an_upstream_that_has_hardly_answered_nobody_knows_what_long_is() {
    check("???????? 29h", "CCCCCCCCC");
    check("++++ ???????? 29h", "CCCCCCCCCCCCC");
}

#[test]
fn callers_that_give_up_in_vain_know_what_long_is() {
    check("????? 2h ggggg", "CCCCCCCCCCO");
    check("????? 2h gggg + ? 2h g", "CCCCCCCCCCCCCC");
    let mut bench = Bench::new(Policy::default());
    bench.run("????? 2h ggggg");
    let tripped = &bench.transitions[0];
    assert_eq!(tripped.cause, Cause::ConsecutiveFailures);
    assert_eq!((tripped.window_calls, tripped.window_failures), (5, 5));
    // But not when others have waited as long and were answered.
    check("?8s ????? 7.9h ggggg", "CCCCCCCCCCCCC");
    check("?8s ????? 8.1h ggggg", "CCCCCCCCCCCCO");
}

#[test]
fn callers_that_give_up_soon_or_beside_answers_say_nothing() {
    check("+++++ ????? 1.9 ggggg", "CCCCCCCCCCCCCCC");
    check("+++++ ????? 1 + 9h ggggg", "CCCCCCCCCCCCCCCCC");
}

#[test]
fn a_call_that_hung_and_is_given_up_stays_one_failure() {
    check("+++++ ???? 2h gggg -", "CCCCCCCCCCCCCCO");
    check("+++++ ???? 2h gggg + -", "CCCCCCCCCCCCCCCC");
}

#[test]
fn an_answer_that_has_begun_does_not_hang() {
    check("+++++ ????? 1 t 2h", "CCCCCCCCCCCC");
    check("+++++ ???? 2h t -", "CCCCCCCCCCCC");
}

#[test]
fn late_answers_end_it_at_once_and_the_ramp_is_no_longer_than_it_was() {
    let mut bench = known();
    assert_eq!(bench.run("????? 2h 1 s s"), "CCCCCOHR");
    let causes: Vec<_> = bench.transitions.iter().map(|moved| moved.cause).collect();
    assert_eq!(causes, [Cause::HangingCalls, Cause::Answered, Cause::ProbesSucceeded]);
    assert_eq!(bench.run("1"), "");
    assert_eq!(bench.breaker.snapshot(bench.now).state, State::Closed);
    // The next ones have learned from it.
    assert_eq!(bench.run("sss ????? 5h"), "CCCCCCCCC");
}

#[test]
fn late_failures_and_late_answers_to_another_outage_change_nothing() {
    let mut bench = known();
    assert_eq!(bench.run("????? 2h 1 f f"), "CCCCCOOO");
    check("? ----- 1 s", "CCCCCOO");
}

#[test]
fn a_probe_that_hangs_as_others_did_has_failed_and_its_answer_makes_good_for_it() {
    let mut bench = known();
    assert_eq!(bench.run("????? 2h 60 ? 2h"), "CCCCCOHO");
    let reopened = bench.transitions.last().unwrap();
    assert_eq!((reopened.cause, reopened.step), (Cause::ProbeFailed, 2));
    assert!(reopened.by_connection, "an answer may end it early");
    assert_eq!(bench.run("1 s"), "H");
}

#[test]
fn a_probe_that_is_slow_where_errors_opened_it_has_ten_seconds() {
    let mut bench = known();
    assert_eq!(bench.run("-----60 ? 2h 7h s"), "CCCCOHHHH");
    assert_eq!(bench.run("? 9h s"), "HHR", "however much slower than before");
    let mut bench = known();
    assert_eq!(bench.run("-----60 ? 2h 8h"), "CCCCOHHO");
    assert_eq!(bench.transitions.last().map(|moved| moved.cause), Some(Cause::ProbeFailed));
    let mut bench = known();
    assert_eq!(bench.run("-----60 ? 9h f"), "CCCCOHHO", "a failure is one");
}

#[test]
fn a_probe_that_fails_where_calls_hung_has_failed() {
    let mut bench = known();
    assert_eq!(bench.run("????? 2h 60 -"), "CCCCCOO");
    assert_eq!(bench.transitions.last().unwrap().step, 2);
}

#[test]
fn a_probe_whose_caller_gave_up_in_vain_has_failed() {
    check("-----60 ? 2h g", "CCCCOHHO");
    check("-----60 ? 1 g", "CCCCOHH");
}

#[test]
fn the_rule_can_be_turned_off() {
    let off = Policy { hangs_after: None, ..Policy::default() };
    assert_eq!(off.first_look(), None);
    check_with(off, "+++++ ????? 29h ggggg", "CCCCCCCCCCCCCCCC");
}

#[test]
fn calls_are_slow_from_when_they_have_taken_too_long() {
    let over = Percent::from_basis_points(8_000).unwrap();
    let rate = RateRule { over, window: s(30), min_calls: NonZeroU32::new(10).unwrap() };
    let rule = SlowRule { rate, slower_than: s(1) };
    let policy = Policy { slow_calls: Some(rule), hangs_after: None, ..Policy::default() };
    assert_eq!(policy.first_look(), Some(s(1)));
    let calls = "?".repeat(22);
    let mut bench = Bench::new(policy.clone());
    assert_eq!(bench.run(&format!("{calls} 1h 0.1h")), format!("{}CO", "C".repeat(22)));
    assert_eq!(bench.transitions[0].cause, Cause::SlowCalls);
    // Each counts once.
    let mut bench = Bench::new(policy);
    bench.run(&format!("{} 1.1h {}", "?".repeat(11), "s".repeat(11)));
    assert_eq!(bench.run(&"?".repeat(10)), "C".repeat(10));
    assert_eq!(bench.run("1.1h"), "C");
    assert_eq!(bench.run("? 1.1h"), "CO");
}

#[test]
fn an_asked_for_look_comes_later_and_the_last_one_asks_for_none() {
    let mut bench = known();
    let (permit, _) = bench.breaker.admit(true, bench.now);
    let mut permit = permit.unwrap();
    let mut look = |waited| bench.breaker.waits(&mut permit, waited, bench.now + waited).0;
    assert_eq!((look(s(1)), look(s(2))), (Some(s(2)), None));
}
