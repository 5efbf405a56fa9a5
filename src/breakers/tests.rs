//! Live circuits under threads: guards, order of news, the kill switch.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::broadcast::error::TryRecvError;

use super::{Breakers, CHANGES_KEPT, Circuit, KillSwitch};
use crate::{
    clock,
    domain::{
        breaker::{Cause, Mode, Observed, Policy, Scope, Shared, State},
        order::{Act, Order, Signature, Wish},
        outcome::Verdict,
    },
};

const MINUTE: Duration = Duration::from_secs(60);

fn breakers(enabled: bool) -> Arc<Breakers> {
    let upstreams = ["payments", "music", "books"];
    let policy = Policy { ramp: Duration::ZERO, ..Policy::default() };
    let rows = upstreams.map(|name| (Arc::from(name), format!("{name}@default"), policy.clone()));
    Breakers::new(rows.into_iter(), enabled)
}

fn signature() -> Signature {
    Signature::new(Some("ann"), "a test").unwrap()
}

fn order(mode: Mode, now: Instant) -> Act {
    let wish = Wish { mode, reason: "a test", by: Some("ann"), ttl: None };
    Act::Order(Order::new(wish, now).unwrap())
}

fn circuit(breakers: &Breakers) -> Arc<Circuit> {
    breakers.of("payments").unwrap()
}

fn observed(verdict: Verdict) -> Observed {
    Observed { verdict, latency: Duration::ZERO, retry_after: None, by_connection: false }
}

/// A call from its admission to the end of its body; false when it was refused.
fn call(circuit: &Arc<Circuit>, verdict: Verdict, now: Instant) -> bool {
    circuit.admit(true, now).map(|admission| admission.record(observed(verdict), now)).is_ok()
}

fn open(circuit: &Arc<Circuit>, now: Instant) {
    for _ in 0..5 {
        assert!(call(circuit, Verdict::Failure, now));
    }
    assert_eq!(circuit.snapshot(now).state, State::Open);
}

#[test]
fn circuits_are_found_by_name_and_listed_in_its_order() {
    let breakers = breakers(true);
    let names: Vec<_> = breakers.iter().map(|circuit| circuit.name().to_string()).collect();
    assert_eq!(names, ["books", "music", "payments"]);
    assert_eq!(circuit(&breakers).key(), "payments@default");
    assert!(breakers.of("nobody").is_none());
}

#[test]
fn one_circuit_that_opens_leaves_the_others_alone() {
    let (breakers, now) = (breakers(true), clock::now());
    open(&circuit(&breakers), now);
    assert!(!call(&circuit(&breakers), Verdict::Success, now));
    assert!(call(&breakers.of("music").unwrap(), Verdict::Success, now));
}

#[test]
fn a_probe_that_is_dropped_gives_its_slot_back() {
    let (breakers, now) = (breakers(true), clock::now());
    let circuit = &circuit(&breakers);
    open(circuit, now);
    // A drop reads the clock by itself, so the open time is ended here and not by a later `now`.
    circuit.adopt(&Shared { epoch: 1, open_for: Duration::ZERO, ..circuit.local(now).shared }, now);
    circuit.try_out(now);
    let admission = circuit.admit(true, now).unwrap();
    assert_eq!(admission.state(), State::HalfOpen);
    assert_eq!(circuit.admit(true, now).unwrap_err().state, State::HalfOpen);
    drop(admission);
    assert!(call(circuit, Verdict::Success, now));
}

#[test]
fn callers_that_give_up_in_vain_say_so_and_a_process_that_stops_does_not() {
    for (stops, state) in [(false, State::Open), (true, State::Closed)] {
        let (breakers, now) = (breakers(true), clock::now());
        let circuit = circuit(&breakers);
        let mut calls: Vec<_> = (0..5).map(|_| circuit.admit(true, now).unwrap()).collect();
        for call in &mut calls {
            call.waits(MINUTE / 2, now);
        }
        if stops {
            breakers.stop();
        }
        drop(calls);
        assert_eq!(circuit.snapshot(clock::now()).state, state, "it stops: {stops}");
    }
}

#[test]
fn of_many_threads_one_gets_the_probe() {
    let (breakers, now) = (breakers(true), clock::now());
    let (circuit, later) = (&circuit(&breakers), now + MINUTE);
    open(circuit, now);
    let (admitted, start) = (AtomicUsize::new(0), Barrier::new(8));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                let admission = circuit.admit(true, later);
                admitted.fetch_add(usize::from(admission.is_ok()), Ordering::Relaxed);
                start.wait();
            });
        }
    });
    assert_eq!(admitted.into_inner(), 1);
}

#[test]
fn no_verdict_is_lost_between_threads() {
    let (breakers, now) = (breakers(true), clock::now());
    let circuit = &circuit(&breakers);
    thread::scope(|scope| {
        for verdict in [Verdict::Success, Verdict::Overload, Verdict::Neutral, Verdict::Success] {
            scope.spawn(move || {
                for _ in 0..5_000 {
                    assert!(call(circuit, verdict, now));
                }
            });
        }
    });
    let snapshot = circuit.snapshot(now);
    assert_eq!((snapshot.window_calls, snapshot.window_failures), (15_000, 5_000));
}

#[test]
fn news_of_a_circuit_comes_in_the_order_in_which_it_happened() {
    let (breakers, start) = (breakers(true), clock::now());
    let (circuit, mut changes) = (&circuit(&breakers), breakers.changes());
    thread::scope(|scope| {
        for worker in 0..4_u32 {
            scope.spawn(move || {
                for step in 0..60 {
                    let now = start + MINUTE * step;
                    let failing = (step / 5 + worker).is_multiple_of(2);
                    let verdict = if failing { Verdict::Failure } else { Verdict::Success };
                    call(circuit, verdict, now);
                    circuit.check(!failing, now);
                }
            });
        }
    });
    let mut news = Vec::new();
    while let Ok(change) = changes.try_recv() {
        assert_eq!(change.circuit.name(), circuit.name());
        news.push(change.transition);
    }
    assert!(news.len() > 3, "{news:?}");
    assert_eq!(news[0].from, State::Closed);
    for pair in news.windows(2) {
        assert_eq!(pair[0].to, pair[1].from, "{pair:?}");
        assert!(pair[0].generation < pair[1].generation, "{pair:?}");
    }
}

#[test]
fn a_check_after_the_open_time_tells_of_both_moves() {
    let (breakers, now) = (breakers(true), clock::now());
    let (circuit, mut changes) = (&circuit(&breakers), breakers.changes());
    open(circuit, now);
    circuit.check(false, now + MINUTE);
    let causes: Vec<_> =
        std::iter::from_fn(|| changes.try_recv().ok()).map(|news| news.transition.cause).collect();
    assert_eq!(causes, [Cause::ConsecutiveFailures, Cause::OpenTimeOver, Cause::ProbeFailed]);
}

#[test]
fn a_subscriber_that_sleeps_costs_a_bounded_memory_and_is_told_so() {
    let (breakers, now) = (breakers(true), clock::now());
    let (circuit, mut changes) = (&circuit(&breakers), breakers.changes());
    for _ in 0..CHANGES_KEPT {
        circuit.steer(&order(Mode::ForcedOpen, now), now);
        circuit.steer(&Act::Lift(signature()), now);
    }
    assert_eq!(changes.try_recv().unwrap_err(), TryRecvError::Lagged(CHANGES_KEPT as u64));
}

#[test]
fn an_upstream_that_dies_in_every_body_opens_the_circuit_however_many_calls_overlap() {
    let (breakers, now) = (breakers(true), clock::now());
    let circuit = &circuit(&breakers);
    let head = || circuit.admit(true, now).unwrap().record(observed(Verdict::Success), now);
    let mut bodies: Vec<_> = (0..10).map(|_| head()).collect();
    for death in 1..=5 {
        bodies.remove(0).reclassify(now);
        assert_eq!(circuit.snapshot(now).failure_count, death);
        if death < 5 {
            bodies.push(head());
        }
    }
    assert_eq!(circuit.snapshot(now).state, State::Open);
}

#[test]
fn a_body_that_ends_well_speaks_for_the_others() {
    let (breakers, now) = (breakers(true), clock::now());
    let circuit = &circuit(&breakers);
    let head = || circuit.admit(true, now).unwrap().record(observed(Verdict::Success), now);
    let mut bodies: Vec<_> = (0..20).map(|_| head()).collect();
    for _ in 0..4 {
        for _ in 0..3 {
            bodies.remove(0).reclassify(now);
        }
        bodies.remove(0).settle();
    }
    assert_eq!(circuit.snapshot(now).state, State::Closed);
    assert_eq!(circuit.snapshot(now).failure_count, 0);
}

#[test]
fn a_body_that_its_caller_gave_up_speaks_for_nobody() {
    let (breakers, now) = (breakers(true), clock::now());
    let circuit = &circuit(&breakers);
    let head = || circuit.admit(true, now).unwrap().record(observed(Verdict::Success), now);
    let mut bodies: Vec<_> = (0..10).map(|_| head()).collect();
    for _ in 0..5 {
        drop(bodies.remove(0));
        bodies.remove(0).reclassify(now);
    }
    assert_eq!(circuit.snapshot(now).state, State::Open);
}

#[test]
fn the_kill_switch_passes_everything_and_says_nothing() {
    let (breakers, now) = (breakers(false), clock::now());
    let (circuit, mut changes) = (&circuit(&breakers), breakers.changes());
    for _ in 0..20 {
        assert!(call(circuit, Verdict::Failure, now));
        circuit.check(false, now);
    }
    let snapshot = circuit.snapshot(now);
    assert_eq!((snapshot.state, snapshot.mode), (State::Closed, Mode::Disabled));
    assert_eq!(changes.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn a_panic_under_the_lock_does_not_take_the_circuit_along() {
    let (breakers, now) = (breakers(true), clock::now());
    let circuit = Arc::clone(&circuit(&breakers));
    let poisoner = Arc::clone(&circuit);
    let panicked = thread::spawn(move || {
        let _held = poisoner.breaker.lock();
        panic!("poisons the lock");
    });
    assert!(panicked.join().is_err());
    assert!(circuit.breaker.is_poisoned());
    open(&circuit, now);
}

#[test]
fn what_the_fleet_decides_is_adopted_and_told() {
    let (breakers, now) = (breakers(true), clock::now());
    let (one, other) = (&circuit(&breakers), &breakers.of("music").unwrap());
    open(one, now);
    let decided = Shared { epoch: 1, ..one.local(now).shared };
    one.adopt(&decided, now);
    let mut changes = breakers.changes();
    other.adopt(&decided, now);
    assert_eq!(other.snapshot(now).state, State::Open);
    let news = changes.try_recv().unwrap();
    assert_eq!((news.circuit.name(), news.transition.cause), (other.name(), Cause::Fleet));
    one.adopt(&other.local(now).shared, now);
    assert_eq!(changes.try_recv().unwrap_err(), TryRecvError::Empty, "its own news is no news");
}

#[test]
fn what_people_order_is_done_and_told_to_those_who_carry_it_on() {
    let (breakers, now) = (breakers(true), clock::now());
    let (circuit, mut orders) = (&circuit(&breakers), breakers.orders());
    let act = order(Mode::ForcedOpen, now);
    breakers.steer(circuit, act.clone(), Scope::Fleet, now).unwrap();
    assert!(!call(circuit, Verdict::Success, now));
    let told = orders.try_recv().unwrap();
    assert_eq!((told.circuit.key(), told.act, told.reach), (circuit.key(), act, Scope::Fleet));
    let reset = Act::Reset(signature());
    breakers.steer(circuit, reset.clone(), Scope::Instance, now).unwrap();
    assert!(call(circuit, Verdict::Success, now));
    let told = orders.try_recv().unwrap();
    assert_eq!((told.act, told.reach), (reset, Scope::Instance));
}

#[test]
fn what_came_from_others_is_done_and_not_told_again() {
    let (breakers, now) = (breakers(true), clock::now());
    let (circuit, mut orders) = (&circuit(&breakers), breakers.orders());
    circuit.steer(&order(Mode::ForcedOpen, now), now);
    assert!(!call(circuit, Verdict::Success, now));
    assert!(orders.try_recv().is_err());
}

#[test]
fn an_order_to_a_circuit_that_nobody_shares_goes_nowhere_else() {
    let policy = Policy { scope: Scope::Instance, ..Policy::default() };
    let breakers = Breakers::new([(Arc::from("a"), "a@1".to_owned(), policy)].into_iter(), true);
    let (circuit, mut orders, now) = (&breakers.of("a").unwrap(), breakers.orders(), clock::now());
    breakers.steer(circuit, order(Mode::Shadow, now), Scope::Fleet, now).unwrap();
    assert_eq!(orders.try_recv().unwrap().reach, Scope::Instance);
}

#[test]
fn no_order_changes_what_the_kill_switch_says() {
    let (breakers, now) = (breakers(false), clock::now());
    let (circuit, mut orders) = (&circuit(&breakers), breakers.orders());
    let act = order(Mode::ForcedOpen, now);
    assert_eq!(breakers.steer(circuit, act.clone(), Scope::Fleet, now), Err(KillSwitch));
    circuit.steer(&act, now);
    assert!(call(circuit, Verdict::Success, now));
    assert!(orders.try_recv().is_err());
}

#[test]
fn a_breaker_that_is_configured_to_look_on_refuses_nothing_and_counts_what_it_would() {
    let policy = Policy { mode: Mode::Shadow, ..Policy::default() };
    let breakers = Breakers::new([(Arc::from("a"), "a@1".to_owned(), policy)].into_iter(), true);
    let (circuit, now) = (&breakers.of("a").unwrap(), clock::now());
    for _ in 0..8 {
        assert!(call(circuit, Verdict::Failure, now));
    }
    let snapshot = circuit.snapshot(now);
    assert_eq!((snapshot.state, snapshot.would_refuse), (State::Open, 3));
}
