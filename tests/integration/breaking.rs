//! What counts for the breaker and what does not, seen from the outside.

use std::time::Duration;

use crate::{
    harness::{
        Connection, Database, Fusebox, Gate, PATIENCE, ScriptedUpstream, Setup, Step, raw, stall,
        status,
    },
    local::wait_until,
};

fn start(keys: &[&str]) -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), keys).start();
    (upstream, fusebox)
}

/// Calls and goes away while the upstream works on it.
fn call_and_leave(fusebox: &Fusebox, upstream: &ScriptedUpstream) {
    let before = upstream.hits();
    let mut connection = fusebox.connect();
    connection.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("the call arrives", PATIENCE, || (upstream.hits() > before).then_some(()));
    connection.abort();
}

#[test]
fn callers_that_go_away_say_nothing_about_the_upstream() {
    let database = Database::new();
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).database(&database.url).start();
    upstream.answer(stall());
    for _ in 0..6 {
        call_and_leave(&fusebox, &upstream);
    }
    database.wait_for(
        "select outcome, failure_reason, count(*) from task_history group by 1, 2",
        "cancelled|client_gone_before_headers|6",
    );
    assert_eq!(fusebox.state("payments"), "CLOSED");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_caller_that_closes_its_side_has_gone_away_and_frees_the_upstream() {
    let database = Database::new();
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).database(&database.url).start();
    upstream.answer(stall());
    let mut connection = fusebox.connect();
    connection.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody");
    wait_until("the call arrives", PATIENCE, || {
        (upstream.received().last()?.body == b"body").then_some(())
    });
    connection.half_close();
    assert!(connection.try_head().is_none(), "it is not waited for the upstream");
    database.wait_for(
        "select outcome, failure_reason, count(*) from task_history group by 1, 2",
        "cancelled|client_gone_before_headers|1",
    );
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn an_upstream_that_always_dies_in_the_body_trips_after_five_calls() {
    let (upstream, fusebox) = start(&[]);
    for end in [Step::Reset, Step::Close, Step::Reset, Step::Close, Step::Reset] {
        let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart");
        let gate = Gate::new();
        upstream.answer(vec![Step::ReadBody, head, Step::WaitFor(gate.clone()), end]);
        let mut connection = fusebox.connect();
        connection.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let (code, headers) = connection.head();
        gate.open();
        assert!(connection.body("GET", code, &headers).is_err());
    }
    fusebox.wait_for_state("payments", "OPEN", PATIENCE);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 5);
}

#[test]
fn client_errors_never_open_it_and_a_success_ends_the_streak() {
    let (upstream, fusebox) = start(&[]);
    for answer in [500, 500, 500, 500, 404, 500, 500, 500, 500, 200] {
        upstream.answer(status(answer));
        assert_eq!(fusebox.get("/", &[]).status, answer);
    }
    for _ in 0..10 {
        upstream.answer(status(429));
        assert_eq!(fusebox.get("/", &[]).status, 429);
    }
    assert_eq!(fusebox.state("payments"), "CLOSED");
}

#[test]
fn all_worker_threads_share_one_streak() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).with("workers: 4").start();
    upstream.answer(status(500));
    // Each on a connection of its own, so that they spread over the workers.
    for _ in 0..5 {
        assert_eq!(fusebox.get("/", &[]).status, 500);
    }
    for _ in 0..8 {
        assert_eq!(fusebox.get("/", &[]).status, 503);
    }
    assert_eq!(upstream.hits(), 5);
}

#[test]
fn half_open_lets_one_call_through_at_a_time() {
    let (upstream, fusebox) = start(&["breaker: { open_for: 300ms, ramp: 0s }"]);
    upstream.answer(status(500));
    for _ in 0..5 {
        fusebox.get("/", &[]);
    }
    fusebox.wait_for_state("payments", "HALF_OPEN", PATIENCE);
    upstream.answer(stall());
    let mut probe = Connection::open(fusebox.proxy);
    probe.send("GET /probe HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("the probe arrives", PATIENCE, || (upstream.hits() == 6).then_some(()));
    for _ in 0..3 {
        assert_eq!(fusebox.get("/", &[]).status, 503);
    }
    assert_eq!(upstream.hits(), 6);
}

#[test]
fn the_kill_switch_lets_everything_pass() {
    let upstream = ScriptedUpstream::start();
    let setup = Setup::payments(&upstream.url(), &[]);
    let fusebox = setup.env("CIRCUIT_BREAKER_ENABLED", "false").start();
    upstream.answer(status(500));
    for _ in 0..8 {
        assert_eq!(fusebox.get("/", &[]).status, 500);
    }
    assert_eq!(upstream.hits(), 8);
}

#[test]
fn a_share_of_failures_opens_it_when_configured() {
    let rate = "breaker: { failure_rate: { over: 50%, window: 30s, min_calls: 20 } }";
    let (upstream, fusebox) = start(&[rate]);
    // Never two failures in a row more than the streak allows; 80 % of many.
    for call in 0..40 {
        upstream.answer(status(if call % 5 == 0 { 200 } else { 500 }));
        fusebox.get("/", &[]);
    }
    assert_eq!(fusebox.state("payments"), "OPEN");
    assert!(upstream.hits() >= 20, "not before there are enough calls: {}", upstream.hits());
}

#[test]
fn a_caller_that_takes_its_time_for_its_body_makes_no_slow_call() {
    let rule = "slow_calls: { over: 1%, slower_than: 200ms, min_calls: 1 }";
    let (_upstream, fusebox) = start(&[&format!("breaker: {{ {rule} }}")]);
    let mut connection = fusebox.connect();
    connection.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\npart");
    let began = fusebox::clock::now();
    wait_until("the caller has taken its time", PATIENCE, || {
        (fusebox::clock::now().duration_since(began) > Duration::from_millis(400)).then_some(())
    });
    connection.send("whole!");
    assert_eq!(connection.response("POST").status, 200);
    assert_eq!(fusebox.state("payments"), "CLOSED");
}

/// An upstream that answers at once and goes on when it has the whole request; keeps the call's
/// connection open after the first part of an upload.
fn upload_under_way(keys: &[&str]) -> (Database<'static>, ScriptedUpstream, Fusebox, Connection) {
    let database = Database::new();
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), keys).database(&database.url).start();
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart");
    upstream.answer(vec![head, Step::ReadBody, raw("whole!")]);
    let mut connection = fusebox.connect();
    connection.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    connection.send("4\r\npart\r\n");
    assert_eq!(connection.head().0, 200);
    (database, upstream, fusebox, connection)
}

#[test]
fn an_upload_that_breaks_after_the_response_head_is_the_callers_fault_still() {
    let (database, _upstream, fusebox, mut connection) = upload_under_way(&[]);
    connection.send("ZZ\r\nnot a chunk");
    let row = "select status, outcome, failure_reason from task_history";
    database.wait_for(row, "200|cancelled|client_body_error");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_response_that_waits_for_the_callers_upload_does_not_stall() {
    let keys = ["timeouts: { body_idle: 200ms }"];
    let (database, _upstream, fusebox, _connection) = upload_under_way(&keys);
    let row = "select status, outcome, failure_reason from task_history";
    database.wait_for(row, "200|cancelled|client_body_timeout");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}
