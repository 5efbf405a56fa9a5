//! What upstreams do wrong: the caller gets a status and a reason, and the breaker counts it.

use crate::harness::{Fusebox, Response, ScriptedUpstream, Setup, Step, raw};

/// What the caller of a failed upstream sees.
fn assert_is_ours(response: &Response, status: u16, error: &str) {
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(response.proxy_error(), Some(error));
    assert_eq!(response.headers.one("content-type"), Some("application/problem+json"));
    assert_eq!(response.json()["status"], status);
}

fn start() -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    (upstream, fusebox)
}

#[test]
fn an_upstream_that_does_not_listen_is_502_and_the_connection_goes_on() {
    let (mut upstream, fusebox) = start();
    upstream.stop();
    let mut connection = fusebox.connect();
    let response = connection.get("/", &[]);
    assert_is_ours(&response, 502, "connection_refused");
    assert!(
        !response.text().contains("127.0.0.1"),
        "where it is stays inside: {}",
        response.text()
    );
    assert_eq!(fusebox.breaker("payments")["failureCount"], 2, "it was tried twice");
    upstream.resume();
    assert_eq!(connection.get("/", &[]).status, 200);
}

#[test]
fn a_connection_that_ends_before_the_head_is_502() {
    let (upstream, fusebox) = start();
    for end in [Step::Close, Step::Reset] {
        upstream.answer(vec![Step::ReadBody, end]);
        assert_is_ours(&fusebox.get("/", &[]), 502, "connection_terminated");
    }
    assert_eq!(fusebox.breaker("payments")["failureCount"], 2);
}

#[test]
fn an_answer_that_is_no_http_or_can_be_read_in_two_ways_is_502() {
    let upstream = ScriptedUpstream::start();
    let keys = ["breaker: { consecutive_failures: 100 }"];
    let fusebox = Setup::payments(&upstream.url(), &keys).start();
    let mut failures = 0;
    for bytes in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nokk",
        "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        &format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-a: 1\r\n".repeat(101)),
        &format!("HTTP/1.1 200 OK\r\nx-a: {}", "a".repeat(1 << 20)),
        &"HTTP/1.1 100 Continue\r\n\r\n".repeat(100),
    ] {
        upstream.answer(vec![Step::ReadBody, raw(bytes), Step::Close]);
        assert_is_ours(&fusebox.get("/", &[]), 502, "http_protocol_error");
        failures += 1;
        assert_eq!(fusebox.breaker("payments")["failureCount"], failures, "{bytes:?}");
    }
}

#[test]
fn a_body_that_is_cut_short_is_never_passed_on_as_whole() {
    let (upstream, fusebox) = start();
    for head in [
        "content-length: 10\r\n\r\npart",
        "transfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
        "transfer-encoding: chunked\r\n\r\n4\r\npart\r\nZZ\r\nwhole\r\n0\r\n\r\n",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{head}");
        upstream.answer(vec![Step::ReadBody, raw(&head), Step::Close]);
        let mut connection = fusebox.connect();
        connection.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let (status, headers) = connection.head();
        assert_eq!(status, 200);
        assert!(connection.body("GET", status, &headers).is_err());
    }
}

#[test]
fn bytes_behind_an_answer_never_answer_the_next_call() {
    let (upstream, fusebox) = start();
    let bytes = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\
                 HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    upstream.answer_on("/first", vec![Step::ReadBody, raw(bytes)]);
    let mut connection = fusebox.connect();
    for _ in 0..5 {
        assert_eq!(connection.call("HEAD", "/first", &[], b"").status, 200);
        assert_eq!(connection.get("/second", &[]).body, b"ok");
    }
}

#[test]
fn an_idle_connection_that_the_upstream_closed_is_nobodys_failure() {
    let (mut upstream, fusebox) = start();
    let mut connection = fusebox.connect();
    for _ in 0..8 {
        assert_eq!(connection.get("/", &[]).status, 200);
        // The connection that is kept for the next call is dead now.
        upstream.stop();
        upstream.resume();
    }
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_call_that_comes_back_to_its_own_listener_ends_as_a_loop() {
    let fusebox = Setup::payments("http://{proxy}", &[]).start();
    assert_eq!(fusebox.get("/", &[]).status, 508);
}
