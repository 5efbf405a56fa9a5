//! Overrides: what each lets through, and that it destroys nothing.

use super::script::{Bench, s};
use crate::domain::breaker::{Cause, Mode, Policy, State};

fn steered(mode: Mode) -> Bench {
    let mut bench = Bench::new(Policy::default());
    steer(&mut bench, mode);
    bench
}

fn steer(bench: &mut Bench, mode: Mode) {
    let moved = bench.breaker.steer(mode, bench.now);
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
    assert_eq!(bench.run("+600+kk+p"), "ooOOoo");
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
    assert_eq!(bench.breaker, before);
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
    assert_eq!(bench.run("s+61++"), "HhHR");
}
