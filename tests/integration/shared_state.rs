//! What instances share: a circuit that one opens is open for all, and stays so over a restart.

use std::time::Duration;

use crate::harness::{Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, status};

/// What another instance may take to follow.
const SOON: Duration = Duration::from_secs(1);

fn pair(upstream: &ScriptedUpstream, database: &Database<'_>, breaker: &str) -> [Fusebox; 2] {
    [(), ()].map(|()| Setup::payments(&upstream.url(), &[breaker]).database(&database.url).start())
}

fn trip(fusebox: &Fusebox, upstream: &ScriptedUpstream) {
    upstream.answer(status(500));
    for _ in 0..5 {
        assert_eq!(fusebox.get("/pay", &[]).status, 500);
    }
    assert_eq!(fusebox.state("payments"), "OPEN");
}

#[test]
fn a_second_idle_instance_reads_open_within_a_second_and_refuses_too() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let [busy, idle] = pair(&upstream, &database, "breaker: {}");
    trip(&busy, &upstream);
    idle.wait_for_state("payments", "OPEN", SOON);
    assert_eq!(idle.breaker("payments")["failureCount"], 5);
    assert_eq!(idle.get("/pay", &[]).status, 503);
    assert_eq!(upstream.hits(), 5);
}

#[test]
fn a_killed_and_restarted_instance_still_reads_open() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let setup = Setup::payments(&upstream.url(), &[]);
    let mut fusebox = setup.database(&database.url).start();
    trip(&fusebox, &upstream);
    database.wait_for("select count(*) from circuit_breaker_state where state = 'open'", "1");
    fusebox.kill9();
    fusebox.restart();
    assert_eq!(fusebox.state("payments"), "OPEN", "before it was ready");
    assert_eq!(fusebox.get("/pay", &[]).status, 503);
    assert_eq!(upstream.hits(), 5);
}

#[test]
fn what_one_instance_closes_is_closed_for_all() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let [one, other] = pair(&upstream, &database, "breaker: { open_for: 1500ms, ramp: 0s }");
    trip(&one, &upstream);
    other.wait_for_state("payments", "OPEN", SOON);
    upstream.answer(status(200));
    one.wait_for_state("payments", "HALF_OPEN", PATIENCE);
    for _ in 0..2 {
        assert_eq!(one.get("/pay", &[]).status, 200);
    }
    assert_eq!(one.state("payments"), "CLOSED");
    other.wait_for_state("payments", "CLOSED", SOON);
}

#[test]
fn a_breaker_of_scope_instance_is_not_shared() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let [busy, idle] = pair(&upstream, &database, "breaker: { scope: instance }");
    trip(&busy, &upstream);
    // Its rows arrive, so that anything else it had to say would have arrived too.
    database.wait_for("select sum(weight) from task_history where outcome = 'failure'", "5");
    assert_eq!(idle.state("payments"), "CLOSED");
    assert_eq!(database.query("select count(*) from circuit_breaker_state"), "0");
}

#[test]
fn every_transition_is_an_event_with_its_cause() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let fusebox = Setup::payments(&upstream.url(), &[]).database(&database.url).start();
    trip(&fusebox, &upstream);
    database.wait_for("select count(*) from circuit_breaker_event", "1");
    let event = database.query("select e::text from circuit_breaker_event e");
    assert!(event.contains("consecutive_failures"), "{event}");
}
