//! Overrides: what each lets through, and that it destroys nothing.

use super::script::{Bench, order, order_for, s, signature};
use crate::domain::breaker::{Breaker, Cause, Mode, Policy, State};

fn steered(mode: Mode) -> Bench {
    let mut bench = Bench::new(Policy::default());
    steer(&mut bench, mode);
    bench
}

fn steer(bench: &mut Bench, mode: Mode) {
    let moved = super::script::steer(&mut bench.breaker, mode, bench.now);
    bench.transitions.extend(moved);
}

#[test]
fn disabled_passes_everything_and_counts_nothing() {
    let mut bench = steered(Mode::Disabled);
    let before = bench.breaker.clone();
    assert_eq!(bench.run("-----KKKKK~o-"), "C".repeat(13));
    assert_eq!(bench.breaker, before);
    assert!(bench.transitions.is_empty());
}

#[test]
fn forced_open_refuses_everything_until_it_is_lifted() {
    let mut bench = steered(Mode::ForcedOpen);
    assert_eq!(bench.run("+599+kk+p"), "ooOOoo");
    steer(&mut bench, Mode::Auto);
    assert_eq!(bench.run("+"), "C");
    let moves: Vec<_> = bench.transitions.iter().map(|made| (made.from, made.to)).collect();
    assert_eq!(moves, [(State::Closed, State::Open), (State::Open, State::Closed)]);
    assert!(bench.transitions.iter().all(|made| made.cause == Cause::Override));
    assert!(!bench.transitions.iter().any(|made| made.is_shared()));
}

#[test]
fn forced_closed_passes_everything_and_counts() {
    let mut bench = steered(Mode::ForcedClosed);
    assert_eq!(bench.run("+-----~o"), "C".repeat(8));
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!(
        (snapshot.failure_count, snapshot.window_calls, snapshot.window_failures),
        (6, 7, 6)
    );
    assert!(bench.transitions.is_empty());
}

#[test]
fn shadow_passes_everything_and_reports_what_it_would_have_done() {
    let mut bench = steered(Mode::Shadow);
    assert_eq!(bench.run("-----+-60++10+"), "CCCCOOOHRC");
    let moves: Vec<_> = bench.transitions.iter().map(|made| made.to).collect();
    assert_eq!(moves, [State::Open, State::HalfOpen, State::Ramping, State::Closed]);
    assert!(bench.transitions.iter().all(|made| made.mode == Mode::Shadow && !made.is_shared()));
}

#[test]
fn what_shadow_would_have_refused_is_not_counted() {
    let mut bench = steered(Mode::Shadow);
    bench.run("-----");
    let before = bench.breaker.clone();
    bench.run("+-w~o");
    assert_eq!(bench.breaker.would_refuse, 4);
    assert_eq!(Breaker { would_refuse: 0, ..bench.breaker }, before);
}

#[test]
fn the_automatic_state_goes_on_where_it_was_when_an_override_ends() {
    for mode in [Mode::Disabled, Mode::ForcedOpen, Mode::ForcedClosed] {
        let mut bench = Bench::new(Policy::default());
        bench.run("-----");
        steer(&mut bench, mode);
        bench.run("20+-");
        steer(&mut bench, Mode::Auto);
        let snapshot = bench.breaker.snapshot(bench.now);
        assert_eq!((snapshot.state, snapshot.retry_after), (State::Open, s(40)), "{mode:?}");
        assert_eq!(snapshot.failure_count, 5);
        assert_eq!(bench.run("40++"), "HR");
    }
}

#[test]
fn late_answers_move_nothing_while_an_override_is_in_force() {
    for mode in [Mode::Disabled, Mode::ForcedOpen, Mode::ForcedClosed] {
        let mut bench = Bench::new(Policy::default());
        bench.run("+++++ ????? 2h 1");
        steer(&mut bench, mode);
        let before = bench.breaker.clone();
        bench.run("s");
        assert_eq!(bench.breaker, before, "{mode:?}");
        steer(&mut bench, Mode::Auto);
        assert_eq!(bench.run("ss"), "HR", "{mode:?}");
    }
}

#[test]
fn calls_from_before_an_override_are_not_counted_after_it() {
    let mut bench = Bench::new(Policy::default());
    bench.run("----?");
    steer(&mut bench, Mode::ForcedClosed);
    bench.run("f");
    assert_eq!(bench.breaker.snapshot(bench.now).failure_count, 0);
    bench.run("?");
    steer(&mut bench, Mode::Auto);
    assert_eq!(bench.run("f-"), "CO", "four from before, one of now");
}

#[test]
fn a_probe_that_an_override_cut_off_costs_one_lease_at_most() {
    let mut bench = Bench::new(Policy::default());
    bench.run("-----60?");
    steer(&mut bench, Mode::ForcedOpen);
    steer(&mut bench, Mode::Auto);
    assert_eq!(bench.run("s+71++"), "HhHR");
}

#[test]
fn an_order_that_ends_gives_the_automatic_state_back_by_itself() {
    for (mode, script, expect) in [
        (Mode::Disabled, "-----9.9-0.1-----+", "CCCCCCCCCCOo"),
        (Mode::ForcedClosed, "-----9.9-0.1-----+", "CCCCCCCCCCOo"),
        (Mode::ForcedOpen, "+9.9+0.1+-----", "ooCCCCCO"),
        (Mode::Shadow, "-----+9.9+0.1+50+", "CCCCOOOoH"),
    ] {
        let mut bench = Bench::new(Policy::default());
        let moved = bench.breaker.steer(order_for(mode, Some(s(10)), bench.now), bench.now);
        bench.transitions.extend(moved);
        assert_eq!(bench.run(script), expect, "{mode:?}");
        assert_eq!(bench.breaker.snapshot(bench.now).order, None);
    }
}

#[test]
fn the_end_of_an_order_is_told_where_it_changes_the_state() {
    let mut bench = Bench::new(Policy::default());
    bench.run("-----");
    bench.breaker.steer(order_for(Mode::Disabled, Some(s(10)), bench.now), bench.now);
    bench.run("10");
    let moved = bench.breaker.tick(bench.now).unwrap();
    assert_eq!((moved.from, moved.to, moved.cause), (State::Closed, State::Open, Cause::Override));
    assert_eq!((moved.mode, moved.is_shared()), (Mode::Auto, false));
    assert_eq!(bench.breaker.tick(bench.now), None, "once");
}

#[test]
fn an_order_that_is_over_counts_as_over_before_anything_has_noticed() {
    let mut bench = steered(Mode::ForcedOpen);
    bench.run("600");
    let before = bench.breaker.clone();
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!((snapshot.state, snapshot.mode, snapshot.order), (State::Closed, Mode::Auto, None));
    assert_eq!(bench.breaker, before, "asking changes nothing");
}

#[test]
fn what_was_admitted_under_an_order_is_late_when_it_is_over() {
    for mode in [Mode::ForcedClosed, Mode::Shadow] {
        let mut bench = Bench::new(Policy::default());
        bench.breaker.steer(order_for(mode, Some(s(10)), bench.now), bench.now);
        bench.run("----?10f");
        assert_eq!(bench.breaker.snapshot(bench.now).mode, Mode::Auto);
        let counted = bench.breaker.snapshot(bench.now).failure_count;
        assert_eq!(counted, if mode == Mode::Shadow { 4 } else { 0 }, "{mode:?}");
    }
}

#[test]
fn the_last_order_wins_and_a_second_one_of_a_mode_goes_on_counting() {
    let mut bench = steered(Mode::ForcedClosed);
    bench.run("---");
    steer(&mut bench, Mode::ForcedClosed);
    assert_eq!(bench.breaker.snapshot(bench.now).failure_count, 3);
    steer(&mut bench, Mode::ForcedOpen);
    bench.run("5");
    let snapshot = bench.breaker.snapshot(bench.now);
    let order = snapshot.order.unwrap();
    assert_eq!((snapshot.mode, order.age, order.left), (Mode::ForcedOpen, s(5), Some(s(595))));
    assert_eq!((&*order.signature.by, &*order.signature.reason), ("ann", "a test"));
    steer(&mut bench, Mode::Auto);
    assert_eq!((bench.run("+"), bench.breaker.order), ("C".to_owned(), None));
}

#[test]
fn an_order_ends_in_the_mode_that_is_configured() {
    let policy = Policy { mode: Mode::Shadow, ..Policy::default() };
    let mut bench = Bench::new(policy);
    assert_eq!(bench.run("-----+"), "CCCCOO");
    bench.breaker.steer(order(Mode::ForcedOpen, bench.now), bench.now);
    assert_eq!(bench.run("+600+"), "oH");
    assert_eq!(bench.breaker.mode(), Mode::Shadow);
}

#[test]
fn callers_of_a_circuit_that_is_forced_open_are_told_when_the_order_ends() {
    let mut bench = steered(Mode::ForcedOpen);
    bench.run("540");
    let refusal = bench.breaker.admit(true, bench.now).0.unwrap_err();
    assert_eq!((refusal.retry_after, refusal.cause), (s(60), Cause::Override));
    bench.breaker.steer(order_for(Mode::ForcedOpen, None, bench.now), bench.now);
    let refusal = bench.breaker.admit(true, bench.now).0.unwrap_err();
    assert_eq!(refusal.retry_after, s(60), "the open time, when it has no end");
}

#[test]
fn a_reset_closes_the_circuit_and_forgets_the_streak_and_the_step() {
    let mut bench = Bench::new(Policy::default());
    bench.run("-----60-");
    assert_eq!(bench.breaker.snapshot(bench.now).step, 2);
    let moved = bench.breaker.reset(&signature(), bench.now).unwrap();
    assert_eq!((moved.from, moved.to, moved.cause), (State::Open, State::Closed, Cause::Override));
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!((snapshot.state, snapshot.failure_count, snapshot.step), (State::Closed, 0, 0));
    assert_eq!(bench.run("----"), "CCCC");
    assert_eq!(
        bench.breaker.reset(&signature(), bench.now),
        None,
        "closed to closed is no transition"
    );
    assert_eq!(bench.run("----"), "CCCC", "the streak is forgotten in any case");
}

#[test]
fn a_reset_lifts_the_order_too_and_what_was_admitted_before_is_late() {
    let mut bench = steered(Mode::ForcedOpen);
    bench.breaker.reset(&signature(), bench.now);
    assert_eq!((bench.breaker.mode(), bench.run("----?")), (Mode::Auto, "CCCCC".to_owned()));
    bench.breaker.reset(&signature(), bench.now);
    assert_eq!(bench.run("f"), "C");
    assert_eq!(bench.breaker.snapshot(bench.now).failure_count, 0);
}
