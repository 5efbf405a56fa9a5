//! The limit of calls in flight at an upstream, and the line of those who wait.

use std::{sync::Arc, time::Duration};

use crate::{
    harness::{
        Connection, Fusebox, Gate, PATIENCE, Response, ScriptedUpstream, Setup, Step, ending, raw,
        run,
    },
    local::wait_until,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Two calls at a time, on two threads; the upstream answers when the gate opens.
struct Busy {
    upstream: ScriptedUpstream,
    fusebox: Fusebox,
    gate: Arc<Gate>,
    /// Those that the upstream has.
    inside: Vec<Connection>,
}

impl Busy {
    /// Both places are taken; the rest of the limits as told.
    fn start(limits: &str) -> Self {
        let upstream = ScriptedUpstream::start();
        let limits = format!("limits: {{ concurrency: 2, {limits} }}");
        let fusebox = Setup::payments(&upstream.url(), &[&limits]).with("workers: 2").start();
        let gate = Gate::new();
        let answer = raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        upstream.answer(vec![Step::ReadBody, Step::WaitFor(gate.clone()), answer]);
        let mut busy = Self { upstream, fusebox, gate, inside: Vec::new() };
        busy.inside = (0..2).map(|_| busy.call(GET)).collect();
        busy.wait_for_hits(2);
        busy
    }

    fn call(&self, request: &str) -> Connection {
        let mut caller = self.fusebox.connect();
        caller.send(request);
        caller
    }

    fn wait_for_hits(&self, hits: usize) {
        let arrived = || (self.upstream.hits() == hits).then_some(());
        wait_until("the calls arrive", PATIENCE, arrived);
    }

    fn wait_for_in_flight(&self, count: u64) {
        wait_until(&format!("{count} are in flight"), PATIENCE, || {
            (self.fusebox.ask("/api/v1/status")["inFlight"] == count).then_some(())
        });
    }

    /// Calls, and expects to be told soon that there are too many.
    fn refused(&self, headers: &[(&str, &str)]) -> Response {
        let began = fusebox::clock::now();
        let response = self.fusebox.get("/", headers);
        let took = fusebox::clock::now().duration_since(began);
        assert!(took < Duration::from_secs(20), "{took:?}");
        assert_eq!(response.status, 503, "{}", response.text());
        assert_eq!(response.proxy_error(), Some("connection_limit_reached"));
        response
    }

    fn assert_nobody_failed(&self) {
        let breaker = self.fusebox.breaker("payments");
        assert_eq!((&breaker["failureCount"], &breaker["state"]), (&0.into(), &"CLOSED".into()));
    }

    /// Everybody who is inside or waits is answered.
    fn end(mut self, waiting: Vec<Connection>) {
        self.gate.open();
        for mut caller in self.inside.drain(..).chain(waiting) {
            assert_eq!(caller.response("GET").status, 200);
        }
    }
}

#[test]
fn one_more_than_can_wait_is_refused_at_once_and_the_others_get_their_turn() {
    let busy = Busy::start("queue: 3, queue_timeout: 1m");
    let waiting: Vec<_> = (0..3).map(|_| busy.call(GET)).collect();
    busy.wait_for_in_flight(5);
    let response = busy.refused(&[("x-correlation-id", "req-much")]);
    assert_eq!(response.headers.one("content-type"), Some("application/problem+json"));
    assert_eq!(response.json()["type"], "urn:fusebox:problem:bulkhead_full");
    assert_eq!(busy.upstream.hits(), 2, "nobody overtakes");
    let row = busy.fusebox.row("req-much");
    assert_eq!((ending(&row).as_str(), &row["attempts"]), ("refused bulkhead_full 503", &0.into()));
    busy.assert_nobody_failed();
    busy.end(waiting);
}

#[test]
fn who_waits_for_too_long_is_refused() {
    let busy = Busy::start("queue: 9, queue_timeout: 200ms");
    let response = busy.refused(&[("x-correlation-id", "req-long")]);
    assert_eq!(response.json()["type"], "urn:fusebox:problem:queue_timeout");
    assert_eq!(ending(&busy.fusebox.row("req-long")), "refused queue_timeout 503");
    assert_eq!(busy.upstream.hits(), 2);
    busy.assert_nobody_failed();
    busy.end(Vec::new());
}

#[test]
fn a_caller_with_less_time_than_the_queue_waits_no_longer_than_it_said() {
    let busy = Busy::start("queue: 9, queue_timeout: 1m");
    let began = fusebox::clock::now();
    let headers = [("x-envoy-expected-rq-timeout-ms", "200"), ("x-correlation-id", "req-brief")];
    let response = busy.fusebox.get("/", &headers);
    let took = fusebox::clock::now().duration_since(began);
    assert!(took < Duration::from_secs(20), "{took:?}");
    let error = response.proxy_error();
    assert_eq!((response.status, error), (504, Some("http_response_timeout")));
    assert_eq!(ending(&busy.fusebox.row("req-brief")), "timeout caller_deadline 504");
    assert_eq!(busy.upstream.hits(), 2);
    busy.assert_nobody_failed();
    busy.end(Vec::new());
}

#[test]
fn while_the_circuit_is_open_nobody_waits_for_a_place_only_to_be_refused() {
    let busy = Busy::start("queue: 3, queue_timeout: 1m");
    let mut waiting: Vec<_> = (0..2).map(|_| busy.call(GET)).collect();
    busy.wait_for_in_flight(4);
    let admin = busy.fusebox.admin.to_string();
    let open = ["breaker", "open", "payments", "--reason", "a test", "--admin", &admin];
    assert_eq!(run(&open, &[]).code, Some(0));
    for caller in &mut waiting {
        let refused = caller.response("GET");
        assert_eq!(refused.json()["type"], "urn:fusebox:problem:breaker_open", "it waited");
    }
    let refused = busy.fusebox.get("/", &[("x-correlation-id", "req-open")]);
    assert_eq!(refused.json()["type"], "urn:fusebox:problem:breaker_open", "it came later");
    let row = busy.fusebox.row("req-open");
    assert_eq!(
        (ending(&row).as_str(), &row["breakerState"]),
        ("refused breaker_open 503", &"open".into())
    );
    assert_eq!(busy.upstream.hits(), 2);
    busy.end(Vec::new());
}

#[test]
fn who_goes_away_while_it_waits_leaves_its_place_to_the_next() {
    let busy = Busy::start("queue: 1, queue_timeout: 1m");
    let leaver = busy.call(GET);
    busy.wait_for_in_flight(3);
    busy.refused(&[]);
    leaver.abort();
    busy.wait_for_in_flight(2);
    let waiting = busy.call(GET);
    busy.wait_for_in_flight(3);
    assert_eq!(busy.upstream.hits(), 2);
    busy.end(vec![waiting]);
}

#[test]
fn who_goes_away_under_way_makes_room() {
    let mut busy = Busy::start("queue: 1, queue_timeout: 1m");
    let waiting = busy.call(GET);
    busy.wait_for_in_flight(3);
    busy.inside.remove(0).abort();
    busy.wait_for_hits(3);
    busy.end(vec![waiting]);
}

#[test]
fn a_place_is_taken_until_the_body_has_ended() {
    let upstream = ScriptedUpstream::start();
    let keys = ["limits: { concurrency: 1, queue: 0 }"];
    let fusebox = Setup::payments(&upstream.url(), &keys).with("workers: 2").start();
    let gate = Gate::new();
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
    upstream.answer_next([vec![Step::ReadBody, head, Step::WaitFor(gate.clone()), raw("body")]]);
    let mut caller = fusebox.connect();
    caller.send(GET);
    let (status, headers) = caller.head();
    assert_eq!(fusebox.get("/", &[]).status, 503);
    gate.open();
    assert_eq!(caller.body("GET", status, &headers).expect("it is whole"), b"body");
    wait_until("there is room again", PATIENCE, || {
        (fusebox.get("/", &[]).status == 200).then_some(())
    });
}

#[test]
fn a_flood_beyond_the_limit_never_reaches_the_upstream() {
    let upstream = ScriptedUpstream::start();
    let keys = ["limits: { concurrency: 3, queue: 5, queue_timeout: 1m }"];
    let fusebox = Setup::payments(&upstream.url(), &keys).with("workers: 2").start();
    let gate = Gate::new();
    let answer = raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    upstream.answer(vec![Step::ReadBody, Step::WaitFor(gate.clone()), answer]);
    let statuses = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..40).map(|_| scope.spawn(|| fusebox.get("/", &[]).status)).collect();
        wait_until("those beyond the limit are refused", PATIENCE, || {
            (calls.iter().filter(|call| call.is_finished()).count() == 32).then_some(())
        });
        // Those that were admitted may be on their way still.
        wait_until("the admitted arrive", PATIENCE, || (upstream.hits() == 3).then_some(()));
        gate.open();
        calls.into_iter().map(|call| call.join().expect("a call")).collect::<Vec<_>>()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 8);
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 32);
    assert_eq!(upstream.hits(), 8);
}
