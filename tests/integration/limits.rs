//! What a listener takes at most, over all of its threads.

use std::time::Duration;

use crate::{
    harness::{
        Connection, Fusebox, Gate, HeldUpstream, PATIENCE, ScriptedUpstream, Setup, Step,
        frames::{self, Frames},
        raw,
    },
    local::wait_until,
};

/// Four threads, and a listener with these limits.
fn start(limits: &str) -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let setup = Setup::limited(&upstream.url(), limits).with("workers: 4");
    let fusebox = setup.start();
    (upstream, fusebox)
}

#[test]
fn as_many_connections_as_the_limit_are_served_whichever_threads_they_meet() {
    let (_upstream, fusebox) = start("{ connections: 8 }");
    let mut open: Vec<Connection> = (0..8).map(|_| fusebox.connect()).collect();
    for connection in &mut open {
        assert_eq!(connection.get("/", &[]).status, 200);
    }
    let mut waiting = fusebox.connect();
    waiting.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    open.pop();
    assert_eq!(waiting.response("GET").status, 200, "one that ends makes room");
}

#[test]
fn connections_beyond_the_limit_wait() {
    let (upstream, fusebox) = start("{ connections: 1 }");
    let gate = Gate::new();
    let answer = raw("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    upstream.answer(vec![Step::ReadBody, Step::WaitFor(gate.clone()), answer]);
    let mut connections: Vec<Connection> = (0..8).map(|_| fusebox.connect()).collect();
    for connection in &mut connections {
        connection.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    }
    wait_until("the first call arrives", PATIENCE, || (upstream.hits() > 0).then_some(()));
    let began = fusebox::clock::now();
    wait_until("others had time to arrive", PATIENCE, || {
        (fusebox::clock::now().duration_since(began) > Duration::from_millis(300)).then_some(())
    });
    assert_eq!(upstream.hits(), 1);
    gate.open();
    for mut connection in connections {
        assert_eq!(connection.response("GET").status, 200);
    }
}

/// The line of a call with a body that was too long, which the circuit was not blamed for.
fn assert_too_large(fusebox: &Fusebox, id: &str, status: u16) {
    let line = fusebox.wait_for_line("its line", |line| line["correlationId"] == id);
    assert_eq!(line["status"], status, "{line}");
    assert_eq!(line["outcome"], "refused", "{line}");
    assert_eq!(line["reason"], "body_too_large", "{line}");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

fn post(id: &str, fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: a\r\nx-correlation-id: {id}\r\n{fields}\r\n\r\n")
}

#[test]
fn a_body_that_says_that_it_is_too_long_is_not_sent_on() {
    let (upstream, fusebox) = start("{ body_bytes: 1KiB }");
    let mut connection = fusebox.connect();
    let body = "x".repeat(1024);
    assert_eq!(connection.call("POST", "/", &[], body.as_bytes()).status, 200);
    for expect in ["", "\r\nexpect: 100-continue"] {
        connection = fusebox.connect();
        connection.send(post("told", &format!("content-length: 1025{expect}")));
        let answer = connection.response("POST");
        assert_eq!((answer.status, answer.proxy_error()), (413, Some("http_request_error")));
        assert_eq!(answer.json()["type"], "urn:fusebox:problem:body_too_large");
        assert!(connection.is_closed());
    }
    let mut over_http2 = Frames::caller(fusebox.connect());
    let fields = [("content-length", "1025"), ("x-correlation-id", "streamed")];
    over_http2.post(1, "/", &fields, "x".repeat(1025).as_bytes());
    assert_eq!(over_http2.next_of(frames::HEADERS).stream, 1);
    for id in ["told", "streamed"] {
        assert_too_large(&fusebox, id, 413);
    }
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn a_body_that_grows_too_long_is_cut_off() {
    let (upstream, fusebox) = start("{ body_bytes: 1KiB }");
    let answer = raw("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    upstream.answer(vec![Step::ReadBody, answer]);
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
    let mut connection = fusebox.connect();
    connection.send(post("grown", "transfer-encoding: chunked"));
    connection.send(chunk.repeat(2));
    connection.send("1\r\nx\r\n");
    assert_eq!(connection.response("POST").status, 413);
    assert!(connection.is_closed());
    let mut over_http2 = Frames::caller(fusebox.connect());
    over_http2.post(1, "/", &[("x-correlation-id", "streamed")], &[b'x'; 1025]);
    assert_eq!(over_http2.next_of(frames::HEADERS).stream, 1);
    for id in ["grown", "streamed"] {
        assert_too_large(&fusebox, id, 413);
    }
    assert!(upstream.received().iter().all(|call| call.body.len() <= 1024));
    assert!(upstream.received().iter().all(|call| call.trailers.is_none()), "none is whole");
}

#[test]
fn a_body_that_grows_too_long_behind_an_answer_takes_that_with_it() {
    let (upstream, fusebox) = start("{ body_bytes: 1KiB }");
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart");
    upstream.answer(vec![head, Step::ReadBody, raw("whole!")]);
    let mut connection = fusebox.connect();
    connection.send(post("late", "transfer-encoding: chunked"));
    assert_eq!(connection.head().0, 200);
    connection.send(format!("401\r\n{}\r\n", "x".repeat(1025)));
    assert_eq!(connection.bytes(4), b"part");
    assert!(connection.is_closed());
    assert_too_large(&fusebox, "late", 200);
}

#[test]
fn a_body_that_grew_too_long_reaches_no_other_upstream_as_if_it_were_whole() {
    let (first, other) = (ScriptedUpstream::start(), ScriptedUpstream::start());
    let fusebox = Setup::of(format!(
        "listeners:
  egress:
    listen: \"{{proxy}}\"
    limits: {{ body_bytes: 1KiB }}
    routes:
      - {{ name: other, match: {{ path_prefix: /other }}, upstream: other }}
      - {{ name: first, upstream: first, fallback: {{ upstream: other }} }}
upstreams:
  first: {{ endpoints: [\"{}\"], retry: {{ attempts: 1 }} }}
  other: {{ endpoints: [\"{}\"], limits: {{ concurrency: 1, queue: 9, queue_timeout: 60s }} }}
",
        first.url(),
        other.url()
    ))
    .start();
    let gate = Gate::new();
    let answer = raw("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    other.answer(vec![Step::ReadBody, Step::WaitFor(gate.clone()), answer]);
    let mut busy = fusebox.connect();
    busy.send("GET /other HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("the only place is taken", PATIENCE, || (other.hits() == 1).then_some(()));
    first.answer(vec![raw("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"), Step::ReadBody]);
    let mut connection = fusebox.connect();
    connection.send(post("grown", "transfer-encoding: chunked"));
    connection.send(format!("200\r\n{}\r\n", "x".repeat(512)));
    wait_until("the first has failed it", PATIENCE, || (first.hits() == 1).then_some(()));
    connection.send(format!("401\r\n{}\r\n0\r\n\r\n", "x".repeat(1025)));
    gate.open();
    let answer = connection.response("POST");
    assert_eq!(answer.status, 413, "{} {}", answer.text(), fusebox.row("grown"));
    assert!(other.received().iter().all(|call| call.line.starts_with("GET ")), "none is whole");
}

#[test]
fn a_connection_ends_in_order_with_the_last_call_that_it_may_carry() {
    let (upstream, fusebox) = start("{ requests: 3 }");
    let mut connection = fusebox.connect();
    for _ in 0..2 {
        assert_eq!(connection.get("/", &[]).headers.one("connection"), None);
    }
    assert_eq!(connection.get("/", &[]).headers.one("connection"), Some("close"));
    assert!(connection.is_closed());

    let mut over_http2 = Frames::caller(fusebox.connect());
    for stream in [1, 3] {
        over_http2.get(stream);
        assert_eq!(over_http2.next_of(frames::HEADERS).stream, stream);
    }
    let gate = Gate::new();
    let answer = raw("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    upstream.answer_next([vec![Step::WaitFor(gate.clone()), answer]]);
    over_http2.get(5);
    over_http2.next_of(frames::GOAWAY);
    gate.open();
    assert_eq!(over_http2.next_of(frames::HEADERS).stream, 5, "what is under way is not cut");
}

#[test]
fn a_tunnel_is_not_cut_because_its_call_was_the_last() {
    let upstream = HeldUpstream::start();
    let fusebox = Setup::limited(&upstream.url(), "{ requests: 1 }").start();
    let mut caller = fusebox.connect();
    caller.send(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n",
    );
    let mut server = upstream.accept();
    server.request();
    server.send(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    );
    let (status, headers) = caller.head();
    assert_eq!(status, 101);
    assert!(headers.one("connection").is_some_and(|c| c.eq_ignore_ascii_case("upgrade")));
    for _ in 0..3 {
        caller.send("ping");
        assert_eq!(server.bytes(4), b"ping");
        server.send("pong");
        assert_eq!(caller.bytes(4), b"pong");
    }
}
