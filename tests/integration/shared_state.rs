//! What instances share: a circuit that one opens is open for all, and stays so over a restart.

use std::time::Duration;

use crate::{
    harness::{Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, status},
    local::wait_until,
};

/// What another instance may take to follow where nothing else has to do. It takes milliseconds; how
/// many is measured by `cargo bench --bench sidecars`, not here.
const SOON: Duration = Duration::from_secs(10);

/// What it says that started before the store had answered.
const LATE: &str = "starting without the fleet's breaker states";

fn pair(upstream: &ScriptedUpstream, database: &Database<'_>, breaker: &str) -> [Fusebox; 2] {
    let start = || Setup::payments(&upstream.url(), &[breaker]).database(&database.url).start();
    let pair = [start(), start()];
    for fusebox in &pair {
        wait_until("it gives a fleet that starts no more time", PATIENCE, || {
            let status = fusebox.ask("/api/v1/status");
            (status["uptimeMs"].as_u64() > Some(1_000)).then_some(())
        });
    }
    pair
}

fn trip(fusebox: &Fusebox, upstream: &ScriptedUpstream) {
    upstream.answer(status(500));
    for _ in 0..5 {
        assert_eq!(fusebox.get("/pay", &[]).status, 500);
    }
    assert_eq!(fusebox.state("payments"), "OPEN");
}

#[test]
fn a_second_idle_instance_soon_reads_open_and_refuses_too() {
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
    let state = fusebox.state("payments");
    // It is ready after half a second at the latest, and says so when the store needed longer: then
    // it hears of the circuit as soon as the store answers. What it says is read from a pipe, later
    // than it happens; that it is ready is said after that.
    let said = wait_until("both starts said that they were ready", PATIENCE, || {
        let lines = fusebox.lines();
        let is_ready = |line: &&String| line.contains("\"message\":\"ready\"");
        (lines.iter().filter(is_ready).count() == 2).then_some(lines)
    });
    if !said.iter().any(|line| line.contains(LATE)) {
        assert_eq!(state, "OPEN", "before it was ready");
    }
    fusebox.wait_for_state("payments", "OPEN", PATIENCE);
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
