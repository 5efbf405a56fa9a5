//! What is sent once more and what never is, by how an attempt ended.

use crate::{
    harness::{
        Answer, Fusebox, Gate, PATIENCE, ScriptedUpstream, Setup, Step, attempts, ending, raw,
        stall, status,
    },
    local::wait_until,
};

/// No connection is kept, so that each attempt has one of its own.
const FRESH: &str = "pool: { idle: 0 }";

/// Far more failures than any test makes.
const PATIENT: &str = "breaker: { consecutive_failures: 1000 }";

const KEY: (&str, &str) = ("idempotency-key", "\"8e03978e\"");

fn start(keys: &[&str]) -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let keys = [&[FRESH, PATIENT], keys].concat();
    let fusebox = Setup::payments(&upstream.url(), &keys).start();
    (upstream, fusebox)
}

fn reset() -> Answer {
    vec![Step::ReadBody, Step::Reset]
}

/// The bodies that the upstream was sent.
fn bodies(upstream: &ScriptedUpstream) -> Vec<Vec<u8>> {
    upstream.received().into_iter().map(|request| request.body).collect()
}

#[test]
fn a_refused_connection_is_made_again_until_the_upstream_is_back() {
    let retry = "retry: { attempts: 10, backoff: 400ms, backoff_max: 400ms }";
    let (mut upstream, fusebox) = start(&[retry]);
    upstream.stop();
    let mut caller = fusebox.connect();
    caller.send("POST /pay HTTP/1.1\r\nhost: a\r\nx-correlation-id: req-up\r\n");
    caller.send("content-length: 4\r\n\r\nbody");
    wait_until("it was refused", PATIENCE, || {
        (fusebox.breaker("payments")["failureCount"] != 0).then_some(())
    });
    upstream.resume();
    assert_eq!(caller.response("POST").status, 200);
    assert_eq!(bodies(&upstream), [b"body"]);
    let row = fusebox.row("req-up");
    assert_eq!(ending(&row), "success 200", "{row}");
    let (last, before) = attempts(&row).split_last().map(|(a, b)| (a.clone(), b.to_vec())).unwrap();
    assert_eq!(last, "success");
    assert!(before.iter().all(|attempt| attempt == "failure connect_refused"), "{before:?}");
    let line = fusebox.wait_for_line("its line", |line| line["correlationId"] == "req-up");
    assert_eq!(line["attempts"], row["attempts"]);
}

#[test]
fn an_early_answer_that_opens_the_circuit_reaches_its_caller_whole() {
    let (upstream, gate) = (ScriptedUpstream::start(), Gate::new());
    let rules = "breaker: { consecutive_failures: 1 }";
    let fusebox = Setup::payments(&upstream.url(), &[rules, "retry: { statuses: [503] }"]).start();
    let [first, rest] = ["HTTP/1.1 503 No\r\ncontent-length: 5\r\n\r\nhe", "llo"].map(raw);
    upstream.answer(vec![first, Step::WaitFor(gate.clone()), rest, Step::ReadBody]);
    let mut caller = fusebox.connect();
    caller.send("PUT /pay HTTP/1.1\r\nhost: a\r\nx-correlation-id: req-early\r\n");
    caller.send("transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n");
    let (status, headers) = caller.head();
    assert_eq!((status, headers.one("content-length")), (503, Some("5")));
    gate.open();
    assert_eq!(caller.bytes(5), b"hello");
    caller.send("0\r\n\r\n");
    assert_eq!(ending(&fusebox.row("req-early")), "failure http_503 503");
    assert_eq!((fusebox.state("payments").as_str(), upstream.hits()), ("OPEN", 1));
}

#[test]
fn a_reset_is_retried_where_twice_is_as_good_as_once() {
    for (method, headers, is_retried) in [
        ("GET", vec![], true),
        ("PUT", vec![], true),
        ("DELETE", vec![], true),
        ("POST", vec![], false),
        ("PATCH", vec![], false),
        ("POST", vec![KEY], true),
    ] {
        let (upstream, fusebox) = start(&["retry: { on: [reset] }"]);
        upstream.answer_next([reset()]);
        let body: &[u8] = if method == "GET" { b"" } else { b"one payment" };
        let mut headers = headers;
        headers.push(("x-correlation-id", "req-reset"));
        let response = fusebox.connect().call(method, "/", &headers, body);
        let row = fusebox.row("req-reset");
        if is_retried {
            assert_eq!((response.status, upstream.hits()), (200, 2), "{method}");
            assert_eq!(attempts(&row), ["failure reset_before_headers", "success"]);
            assert_eq!(bodies(&upstream), [body, body], "{method}");
        } else {
            assert_eq!((response.status, upstream.hits()), (502, 1), "{method}");
            assert_eq!(ending(&row), "failure reset_before_headers 502");
        }
    }
}

#[test]
fn a_reset_is_not_retried_unless_that_is_asked_for() {
    let (upstream, fusebox) = start(&["retry: { on: [unsent, timeout], statuses: [503] }"]);
    upstream.answer_next([reset()]);
    assert_eq!(fusebox.get("/", &[]).status, 502);
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn a_status_is_retried_and_what_the_caller_gets_is_the_last_answer() {
    let (upstream, fusebox) = start(&["retry: { attempts: 3, statuses: [503] }"]);
    upstream.answer_next([status(503), status(503), status(201)]);
    let response = fusebox.get("/", &[("x-correlation-id", "req-third")]);
    assert_eq!((response.status, response.text()), (201, "ok"));
    let row = fusebox.row("req-third");
    assert_eq!(attempts(&row), ["failure http_503", "failure http_503", "success"]);
    assert_eq!(ending(&row), "success 201");
    upstream.answer_next([status(503), status(503), status(503)]);
    let response = fusebox.get("/", &[("x-correlation-id", "req-all")]);
    assert_eq!((response.status, response.proxy_error()), (503, None), "it is the upstream's own");
    let row = fusebox.row("req-all");
    assert_eq!((ending(&row), attempts(&row).len()), ("failure http_503 503".to_owned(), 3));
    upstream.answer_next([status(500)]);
    assert_eq!(fusebox.get("/", &[]).status, 500, "only what is listed");
    assert_eq!(upstream.hits(), 7);
}

/// Bytes of which no part looks like another.
fn payload(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_be_bytes).take(length).collect()
}

#[test]
fn a_body_within_the_bound_is_sent_again_byte_for_byte() {
    const BOUND: usize = 32 << 10;
    let (upstream, fusebox) = start(&["retry: { statuses: [503], body_bytes: 32KiB }"]);
    for length in [1, 1_000, BOUND] {
        let (before, body) = (upstream.hits(), payload(length));
        upstream.answer_next([status(503)]);
        assert_eq!(fusebox.connect().call("PUT", "/", &[], &body).status, 200, "{length}");
        let received = bodies(&upstream).split_off(before);
        assert_eq!(received.len(), 2, "{length}");
        assert!(received.iter().all(|got| *got == body), "{length}");
    }
    let (before, body) = (upstream.hits(), payload(BOUND + 1));
    upstream.answer_next([status(503)]);
    let response = fusebox.connect().call("PUT", "/", &[], &body);
    assert_eq!((response.status, response.text()), (503, "ok"), "the answer is passed on");
    assert_eq!(bodies(&upstream).split_off(before), [body]);
}

#[test]
fn a_body_in_chunks_and_its_headers_come_again_as_they_were() {
    let (upstream, fusebox) = start(&["retry: { statuses: [503] }"]);
    upstream.answer_next([status(503)]);
    let mut caller = fusebox.connect();
    caller.send("PUT /a?b=c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n");
    caller.send("x-kind: beat\r\ncookie: a=1\r\n\r\n");
    caller.send("5\r\nfirst\r\n");
    wait_until("the first attempt has it", PATIENCE, || (upstream.hits() == 1).then_some(()));
    caller.send("6\r\n, last\r\n0\r\n\r\n");
    assert_eq!(caller.response("PUT").status, 200);
    let received = upstream.received();
    let seen = |at: usize| {
        let request = &received[at];
        let fields = ["x-kind", "cookie", "host", "x-task-id", "transfer-encoding"];
        let fields = fields.map(|name| request.headers.one(name));
        (&request.line, fields, request.body.as_slice())
    };
    assert_eq!(received.len(), 2);
    assert_eq!(seen(0), seen(1));
    assert_eq!(received[1].body, b"first, last");
}

#[test]
fn an_attempt_that_takes_too_long_is_made_again() {
    let keys = ["timeouts: { attempt: 200ms }", "retry: { on: [timeout] }"];
    let (upstream, fusebox) = start(&keys);
    upstream.answer_next([stall()]);
    assert_eq!(fusebox.get("/", &[("x-correlation-id", "req-slow")]).status, 200);
    assert_eq!(attempts(&fusebox.row("req-slow")), ["failure timeout_attempt", "success"]);
    upstream.answer_next([stall()]);
    let response = fusebox.connect().call("POST", "/", &[], b"once");
    assert_eq!((response.status, response.proxy_error()), (504, Some("http_response_timeout")));
    assert_eq!(upstream.hits(), 3, "a POST may have been processed");
}

#[test]
fn nothing_is_sent_again_once_the_answer_has_begun() {
    let (upstream, fusebox) = start(&["retry: { on: [unsent, reset, timeout] }"]);
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart");
    upstream.answer_next([vec![Step::ReadBody, head, Step::Close]]);
    let mut caller = fusebox.connect();
    caller.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let (status, headers) = caller.head();
    assert!(caller.body("GET", status, &headers).is_err());
    assert_eq!((status, upstream.hits()), (200, 1));
}

#[test]
fn another_endpoint_is_tried_before_the_same_one_again() {
    let well = ScriptedUpstream::start();
    let mut gone = ScriptedUpstream::start();
    gone.stop();
    let keys = [PATIENT, "ejection: { max_share: 0% }"];
    let fusebox = Setup::payments_at(&[&gone.url(), &well.url()], &keys).start();
    for call in 0..20 {
        let response = fusebox.connect().call("POST", "/", &[], b"any method");
        assert_eq!(response.status, 200, "{call}: {}", response.text());
    }
    let tried_both = wait_until("all rows", PATIENCE, || {
        let page = fusebox.ask("/api/v1/tasks");
        let rows = page["tasks"].as_array().expect("rows").clone();
        let twice = |row: &&serde_json::Value| row["attempts"] == 2;
        (rows.len() == 20).then(|| rows.iter().filter(twice).cloned().collect::<Vec<_>>())
    });
    assert!(!tried_both.is_empty(), "the other one was never picked first");
    for row in tried_both {
        let endpoints = [0, 1].map(|at| row["attemptLog"][at]["endpoint"].clone());
        assert_eq!(endpoints, [gone.authority(), well.authority()], "{row}");
        assert_eq!(row["endpoint"], well.authority());
    }
}
