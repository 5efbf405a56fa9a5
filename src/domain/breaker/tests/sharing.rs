//! What a breaker takes over from the fleet, and what it tells it.

use super::script::{Bench, s, signature, steer};
use crate::domain::breaker::{Cause, Evidence, Mode, Policy, Shared, State};

fn row(epoch: u64, state: State) -> Shared {
    Shared {
        epoch,
        state,
        open_for: if state == State::Open { s(30) } else { s(0) },
        ramp_age: s(0),
        step: 1,
        failure_count: 5,
        cause: Cause::ConsecutiveFailures,
        by_connection: false,
    }
}

fn adopt(bench: &mut Bench, shared: &Shared) {
    let moved = bench.breaker.adopt(shared, bench.now);
    bench.transitions.extend(moved);
}

fn try_out(bench: &mut Bench) {
    let moved = bench.breaker.try_out(bench.now);
    bench.transitions.extend(moved);
}

#[test]
fn an_idle_instance_adopts_an_open_circuit_with_what_is_left_of_its_time() {
    let mut bench = Bench::new(Policy::default());
    adopt(&mut bench, &row(1, State::Open));
    let snapshot = bench.breaker.snapshot(bench.now);
    assert_eq!((snapshot.state, snapshot.retry_after), (State::Open, s(30)));
    assert_eq!((snapshot.failure_count, snapshot.epoch), (5, 1));
    assert_eq!(
        (snapshot.cause, snapshot.opened_by),
        (Some(Cause::Fleet), Some(row(1, State::Open).cause))
    );
    assert!(!bench.transitions[0].is_shared(), "the fleet knows");
    assert_eq!(bench.run("29+1++"), "ooo", "the fleet has one prober");
    try_out(&mut bench);
    assert_eq!(bench.run("++10+"), "HRC");
}

#[test]
fn the_prober_may_try_at_once_and_gives_up_without_a_trace() {
    let mut bench = Bench::new(Policy::default());
    try_out(&mut bench);
    assert_eq!(bench.run("+"), "C", "there is nothing to try");
    adopt(&mut bench, &row(1, State::Open));
    try_out(&mut bench);
    assert!(bench.breaker.is_trying());
    assert_eq!(bench.run("+"), "H");
    bench.breaker.stop_trying(bench.now);
    assert_eq!(bench.run("++"), "oo");
    assert!(!bench.breaker.is_trying());
    try_out(&mut bench);
    assert_eq!(bench.run("-+"), "Oo");
}

#[test]
fn a_fleet_that_does_not_try_for_long_is_not_waited_for() {
    let mut bench = Bench::new(Policy::default());
    adopt(&mut bench, &row(1, State::Open));
    assert_eq!(bench.run("149+"), "o");
    assert_eq!(
        bench.run("121++"),
        "HR",
        "some wait for twice as long, so that not all try at once"
    );
}

#[test]
fn an_instance_says_what_it_has_seen_itself() {
    let mut bench = Bench::new(Policy::default());
    let mut said = Vec::new();
    for part in ["", "+", "----", "-", "30 31", "60+", "6+"] {
        bench.run(part);
        said.push(bench.breaker.evidence(bench.now));
    }
    use Evidence::{Abstains, Bad, Good};
    assert_eq!(said, [Abstains, Good, Good, Bad, Bad, Bad, Good]);
    adopt(&mut bench, &row(1, State::Open));
    assert_eq!(bench.breaker.evidence(bench.now), Good, "what others say is not its own");
    bench.run("31");
    assert_eq!(bench.breaker.evidence(bench.now), Abstains);
}

#[test]
fn who_hears_of_nothing_but_a_few_failures_cannot_tell() {
    let mut bench = Bench::new(Policy::default());
    let mut said = Vec::new();
    for part in ["----", "+", "---", "29 -", "2"] {
        bench.run(part);
        said.push(bench.breaker.evidence(bench.now));
    }
    use Evidence::{Abstains, Bad, Good};
    assert_eq!(said, [Abstains, Good, Good, Good, Abstains], "an answer counts for thirty seconds");
    bench.run("-");
    assert_eq!(bench.breaker.evidence(bench.now), Bad);
}

#[test]
fn what_was_seen_here_is_still_what_opened_it_when_the_fleet_agrees() {
    let mut bench = Bench::new(Policy::default());
    bench.run("++-----");
    assert!(!bench.breaker.is_agreed());
    let opened = |bench: &Bench| {
        let of = bench.breaker.snapshot(bench.now);
        (of.is_opened_here, of.opened_by, of.failure_count, of.window_calls, of.cause)
    };
    let fleets = Shared { failure_count: 9, cause: Cause::FailureRate, ..row(1, State::Open) };
    let seen = Some(Cause::ConsecutiveFailures);
    adopt(&mut bench, &fleets);
    assert_eq!(opened(&bench), (true, seen, 5, 7, Some(Cause::Fleet)));
    assert!(bench.breaker.is_agreed());
    // Another tries, in vain.
    adopt(&mut bench, &Shared { cause: Cause::OpenTimeOver, ..row(2, State::HalfOpen) });
    adopt(&mut bench, &Shared { cause: Cause::ProbeFailed, ..row(3, State::Open) });
    assert_eq!(opened(&bench), (true, seen, 5, 7, Some(Cause::Fleet)));
    // It comes back, and fails again for others.
    adopt(&mut bench, &Shared { cause: Cause::ProbesSucceeded, ..row(4, State::Ramping) });
    assert_eq!(opened(&bench), (true, seen, 5, 0, Some(Cause::Fleet)));
    adopt(&mut bench, &Shared { epoch: 5, ..fleets });
    assert_eq!(opened(&bench), (false, Some(Cause::FailureRate), 9, 0, Some(Cause::Fleet)));
}

#[test]
fn what_others_opened_is_not_said_to_be_opened_by_what_came_of_it() {
    let mut bench = Bench::new(Policy::default());
    adopt(&mut bench, &Shared { cause: Cause::SlowCalls, ..row(1, State::Open) });
    adopt(&mut bench, &Shared { cause: Cause::OpenTimeOver, ..row(2, State::HalfOpen) });
    let told = bench.breaker.snapshot(bench.now);
    assert_eq!((told.is_opened_here, told.opened_by), (false, Some(Cause::SlowCalls)));
    // One that has just come does not know.
    let mut bench = Bench::new(Policy::default());
    adopt(&mut bench, &Shared { cause: Cause::OpenTimeOver, ..row(2, State::HalfOpen) });
    assert_eq!(bench.breaker.snapshot(bench.now).opened_by, Some(Cause::Fleet));
}

#[test]
fn closed_is_agreed_on_unless_the_fleet_keeps_it_open() {
    let mut bench = Bench::new(Policy::default());
    assert!(bench.breaker.is_agreed());
    adopt(&mut bench, &row(1, State::Open));
    bench.breaker.reset(&signature(), bench.now);
    assert!(!bench.breaker.is_agreed(), "reset here alone, or before the fleet knows");
    adopt(&mut bench, &Shared { cause: Cause::Override, ..row(2, State::Closed) });
    assert!(bench.breaker.is_agreed());
}

#[test]
fn who_reset_it_is_known_until_something_else_moves_it() {
    let mut bench = Bench::new(Policy::default());
    let who = |bench: &Bench| bench.breaker.snapshot(bench.now).reset.map(|told| told.signature.by);
    adopt(&mut bench, &row(1, State::Open));
    bench.breaker.reset(&signature(), bench.now);
    let closed = |epoch| Shared { cause: Cause::Override, ..row(epoch, State::Closed) };
    adopt(&mut bench, &closed(2));
    assert_eq!(who(&bench).as_deref(), Some("ann"), "the fleet knows by now");
    adopt(&mut bench, &row(3, State::Open));
    assert_eq!(who(&bench), None);
    adopt(&mut bench, &closed(4));
    let told = bench.breaker.snapshot(bench.now);
    assert_eq!((told.cause, told.reset), (Some(Cause::Override), None), "that was another's");
}

#[test]
fn an_epoch_that_is_not_newer_changes_nothing() {
    let mut bench = Bench::new(Policy::default());
    adopt(&mut bench, &row(7, State::Closed));
    let before = bench.breaker.clone();
    for epoch in [0, 1, 6, 7] {
        adopt(&mut bench, &row(epoch, State::Open));
    }
    assert_eq!(bench.breaker, before);
    adopt(&mut bench, &row(8, State::Open));
    assert_eq!(bench.run("+"), "o");
}

#[test]
fn calls_from_before_an_adoption_are_too_late() {
    let mut bench = Bench::new(Policy::default());
    bench.run("????? ~");
    adopt(&mut bench, &row(1, State::Closed));
    assert_eq!(bench.run("fffff o"), "CCCCCC");
    assert_eq!(bench.breaker.snapshot(bench.now).failure_count, 0);
    assert!(bench.transitions.is_empty(), "closed to closed is no news");
}

#[test]
fn what_is_open_here_alone_stays_so_where_nobody_has_found_out_anything() {
    let causes = [
        (Cause::RampOver, State::Open),
        (Cause::ConsecutiveFailures, State::Open),
        (Cause::ProbesSucceeded, State::Closed),
        (Cause::Override, State::Closed),
    ];
    for (cause, state) in causes {
        let mut bench = Bench::new(Policy::default());
        bench.run("-----");
        adopt(&mut bench, &Shared { cause, ..row(3, State::Closed) });
        let snapshot = bench.breaker.snapshot(bench.now);
        assert_eq!((snapshot.state, snapshot.epoch), (state, 3), "{cause:?}");
        assert_eq!(bench.breaker.is_agreed(), state == State::Closed);
    }
}

#[test]
fn a_ramp_is_joined_at_its_age() {
    let mut bench = Bench::new(Policy::default());
    adopt(&mut bench, &Shared { ramp_age: s(5), ..row(1, State::Ramping) });
    let passed = bench.run(&"+".repeat(100)).chars().filter(|letter| *letter == 'R').count();
    assert!((50..=51).contains(&passed), "{passed}");
    assert_eq!(bench.run("5+"), "C");
    adopt(&mut bench, &Shared { ramp_age: s(10), ..row(2, State::Ramping) });
    assert_eq!(bench.run("+"), "C");
}

#[test]
fn an_adopted_outage_keeps_its_step_and_its_kind() {
    let mut bench = Bench::new(Policy::default());
    adopt(&mut bench, &Shared { step: 3, by_connection: true, ..row(1, State::Open) });
    assert_eq!(bench.run("k"), "O", "a check is for the fleet to use");
    try_out(&mut bench);
    assert_eq!(bench.run("-"), "O");
    assert_eq!(bench.transitions.last().unwrap().step, 3, "it was tried early");
    bench.run("30");
    adopt(&mut bench, &Shared { step: 3, open_for: s(0), ..row(2, State::Open) });
    try_out(&mut bench);
    assert_eq!(bench.run("-"), "O");
    assert_eq!(bench.transitions.last().unwrap().step, 4);
}

#[test]
fn the_fleet_moves_the_automatic_state_under_an_override() {
    let mut bench = Bench::new(Policy::default());
    steer(&mut bench.breaker, Mode::ForcedClosed, bench.now);
    adopt(&mut bench, &row(1, State::Open));
    assert_eq!(bench.run("+"), "C");
    assert!(bench.transitions.is_empty());
    steer(&mut bench.breaker, Mode::Auto, bench.now);
    assert_eq!(bench.run("+"), "o");
    try_out(&mut bench);
    assert_eq!(bench.run("+"), "H");
}

#[test]
fn it_tells_durations_and_calls_half_open_an_outage_whose_time_is_over() {
    let mut bench = Bench::new(Policy::default());
    let mut told = Vec::new();
    for part in ["", "-----10", "50+", "+4", "6"] {
        bench.run(part);
        let shared = bench.breaker.share(bench.now);
        told.push((shared.state, shared.open_for, shared.ramp_age));
    }
    let nothing = s(0);
    assert_eq!(
        told,
        [
            (State::Closed, nothing, nothing),
            (State::Open, s(50), nothing),
            (State::Open, nothing, nothing),
            (State::Ramping, nothing, s(4)),
            (State::Closed, nothing, nothing),
        ]
    );
}

#[test]
fn what_one_tells_another_can_take_over() {
    let (mut one, mut other) = (Bench::new(Policy::default()), Bench::new(Policy::default()));
    for (epoch, part) in (1..).zip(["ccccc", "7", "k", "k", "3", "7"]) {
        one.run(part);
        let shared = Shared { epoch, ..one.breaker.share(one.now) };
        one.breaker.epoch = epoch;
        other.now = one.now;
        adopt(&mut other, &shared);
        // Once closed, nobody needs to know any more what had opened it.
        let told = |bench: &Bench| {
            let shared = bench.breaker.share(bench.now);
            let open = shared.state != State::Closed;
            Shared { cause: if open { shared.cause } else { Cause::Fleet }, ..shared }
        };
        assert_eq!(told(&other), told(&one));
    }
}

#[test]
fn time_alone_makes_the_transitions_that_others_must_hear_of() {
    let mut bench = Bench::new(Policy::default());
    bench.run("-----60++10");
    let moved = bench.breaker.tick(bench.now).unwrap();
    assert_eq!(
        (moved.from, moved.to, moved.cause),
        (State::Ramping, State::Closed, Cause::RampOver)
    );
    assert!(moved.is_shared());
    assert_eq!(bench.breaker.tick(bench.now), None);
}
