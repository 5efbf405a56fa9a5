//! What upstreams do wrong: the caller gets a status and a reason, and the breaker counts it. Single
//! messages are in the tables of `malformed`.

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
    // A name that is not known to be this machine before it is resolved.
    let fusebox = Setup::payments("http://127.1:{port}", &[]).start();
    assert_eq!(fusebox.get("/", &[]).status, 508);
}
