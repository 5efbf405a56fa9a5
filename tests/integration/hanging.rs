//! Calls that hang: the circuit opens while they do, and they go on all the same.

use std::sync::Arc;

use crate::{
    harness::{Connection, Fusebox, Gate, PATIENCE, ScriptedUpstream, Setup, Step, stall, status},
    local::wait_until,
};

const CALL: &str = "GET /report HTTP/1.1\r\nhost: a\r\n\r\n";
/// One that may wait for as long as it likes.
const EVENTS: &str = "GET /events HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n";
const WATCH: &str = "POST /watch HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\n\
                     te: trailers\r\ncontent-length: 0\r\n\r\n";

/// An upstream that has answered at once, so far.
fn start(keys: &[&str]) -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), keys).start();
    for _ in 0..5 {
        assert_eq!(fusebox.get("/", &[]).status, 200);
    }
    (upstream, fusebox)
}

/// Takes the request, and answers when the gate opens.
fn late(gate: &Arc<Gate>) -> Vec<Step> {
    let mut answer = status(200);
    answer.insert(1, Step::WaitFor(Arc::clone(gate)));
    answer
}

/// Five calls that are under way.
fn five(fusebox: &Fusebox, upstream: &ScriptedUpstream, request: &str) -> Vec<Connection> {
    let before = upstream.hits();
    let calls = (0..5).map(|_| {
        let mut call = fusebox.connect();
        call.send(request);
        call
    });
    let calls = calls.collect();
    wait_until("they arrive", PATIENCE, || (upstream.hits() == before + 5).then_some(()));
    calls
}

/// What opened the circuit.
fn cause(fusebox: &Fusebox) -> String {
    fusebox.wait_for_state("payments", "OPEN", PATIENCE);
    let opened = fusebox.wait_for_line("the circuit opens", |line| line["to"] == "open");
    opened["cause"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_circuit_opens_while_calls_hang_and_their_answers_close_it_again() {
    let (upstream, fusebox) =
        start(&["breaker: { hangs_after: 300ms, open_for: 1h, open_for_max: 1h, ramp: 0s }"]);
    let gate = Gate::new();
    upstream.answer(late(&gate));
    let calls = five(&fusebox, &upstream, CALL);
    assert_eq!(cause(&fusebox), "hanging_calls");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 5);
    assert_eq!(fusebox.get("/", &[]).status, 503);
    gate.open();
    for mut call in calls {
        assert_eq!(call.response("GET").status, 200, "it was not cut off");
    }
    wait_until("it closes", PATIENCE, || {
        (fusebox.get("/", &[]).status == 200 && fusebox.state("payments") == "CLOSED").then_some(())
    });
}

#[test]
fn callers_that_give_up_a_call_that_hangs_leave_a_failure() {
    let (upstream, fusebox) = start(&["breaker: { hangs_after: 300ms }"]);
    upstream.answer(stall());
    for left in 1..=4 {
        let before = upstream.hits();
        let mut call = fusebox.connect();
        call.send(CALL);
        wait_until("it arrives", PATIENCE, || (upstream.hits() > before).then_some(()));
        let failures = |count| fusebox.breaker("payments")["failureCount"] == count;
        wait_until("it hangs", PATIENCE, || failures(left).then_some(()));
        call.abort();
    }
    upstream.answer(status(500));
    assert_eq!(fusebox.get("/", &[]).status, 500);
    assert_eq!(fusebox.state("payments"), "OPEN");
}

#[test]
fn what_may_wait_for_as_long_as_it_likes_does_not_hang() {
    let keys =
        ["protocol: http1", "timeouts: { first_byte: 1s }", "breaker: { hangs_after: 100ms }"];
    for request in [EVENTS, WATCH] {
        let (upstream, fusebox) = start(&keys);
        upstream.answer(stall());
        let _calls = five(&fusebox, &upstream, request);
        assert_eq!(cause(&fusebox), "consecutive_failures", "their own time was over");
    }
    let off = ["timeouts: { first_byte: 1s }", "breaker: { hangs_after: 0s }"];
    let (upstream, fusebox) = start(&off);
    upstream.answer(stall());
    let _calls = five(&fusebox, &upstream, CALL);
    assert_eq!(cause(&fusebox), "consecutive_failures");
}

#[test]
fn calls_are_slow_before_they_end() {
    let (upstream, fusebox) = start(&[
        "breaker: { hangs_after: 0s, slow_calls: { over: 50%, slower_than: 200ms, min_calls: 5 } }",
    ]);
    upstream.answer(stall());
    let _calls: Vec<_> = (0..5).flat_map(|_| five(&fusebox, &upstream, CALL)).collect();
    assert_eq!(cause(&fusebox), "slow_calls");
}
