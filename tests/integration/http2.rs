//! HTTP/2, frame by frame: what a listener takes, and what upstreams may do to a stream.

use std::time::Duration;

use crate::{
    harness::{
        Connection, Fusebox, Gate, HeldUpstream, PATIENCE, ScriptedUpstream, Setup, Step, attempts,
        ending,
        frames::{self, Frames},
        pass, raw, stall,
    },
    local::wait_until,
};

const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;
const CANCEL: u32 = 8;

fn listener_with(limits: &str) -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::limited(&upstream.url(), limits).start();
    (upstream, fusebox)
}

#[test]
fn a_stream_beyond_the_limit_is_refused_and_the_others_go_on() {
    let (upstream, fusebox) = listener_with("{ streams: 2 }");
    let gate = Gate::new();
    let answer = raw("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    upstream.answer(vec![Step::ReadBody, Step::WaitFor(gate.clone()), answer]);
    let mut caller = Frames::caller(fusebox.connect());
    assert_eq!(caller.setting(frames::MAX_STREAMS), Some(2));
    for stream in [1, 3, 5] {
        caller.get(stream);
    }
    let refused = caller.next_of(frames::RST_STREAM);
    assert_eq!((refused.stream, refused.payload), (5, REFUSED_STREAM.to_be_bytes().to_vec()));
    wait_until("the others arrive", PATIENCE, || (upstream.hits() == 2).then_some(()));
    gate.open();
    let mut answered = [caller.next_of(frames::HEADERS), caller.next_of(frames::HEADERS)];
    answered.sort_by_key(|frame| frame.stream);
    for (frame, stream) in answered.iter().zip([1, 3]) {
        assert_eq!((frame.stream, frame.payload[0]), (stream, 0x88), "200");
    }
    caller.get(7);
    assert_eq!(caller.next_of(frames::HEADERS).stream, 7);
    assert_eq!(upstream.hits(), 3, "what was refused never arrives");
}

#[test]
fn a_caller_that_resets_its_stream_has_gone_away_and_its_neighbour_has_not() {
    let (upstream, fusebox) = listener_with("{}");
    upstream.answer_next([stall()]);
    let mut caller = Frames::caller(fusebox.connect());
    caller.get(1);
    wait_until("it arrives", PATIENCE, || (upstream.hits() == 1).then_some(()));
    caller.reset(1, CANCEL);
    let line = fusebox.wait_for_line("its line", |line| line["outcome"] == "cancelled");
    assert_eq!(line["reason"], "client_gone_before_headers", "{line}");
    caller.get(3);
    assert_eq!(caller.next_of(frames::HEADERS).stream, 3);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_stop_says_goodbye_and_lets_streams_under_way_end() {
    let (upstream, mut fusebox) = listener_with("{}");
    let gate = Gate::new();
    let answer = raw("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    upstream.answer(vec![Step::ReadBody, Step::WaitFor(gate.clone()), answer]);
    let mut caller = Frames::caller(fusebox.connect());
    caller.get(1);
    wait_until("it arrives", PATIENCE, || (upstream.hits() == 1).then_some(()));
    fusebox.ask_to_stop();
    caller.next_of(frames::GOAWAY);
    gate.open();
    assert_eq!(caller.next_of(frames::HEADERS).stream, 1);
    drop(caller);
    assert!(fusebox.wait_for_end().success());
}

fn upstream_with(keys: &[&str]) -> (HeldUpstream, Fusebox) {
    let upstream = HeldUpstream::start();
    let keys = [&["protocol: http2"], keys].concat();
    let fusebox = Setup::payments(&upstream.url(), &keys).with("workers: 1").start();
    (upstream, fusebox)
}

/// A call under way.
fn call(fusebox: &Fusebox, method: &str) -> Connection {
    let mut caller = fusebox.connect();
    let id = "x-correlation-id: req-h2";
    let body = if method == "GET" { "\r\n" } else { "content-length: 4\r\n\r\nbody" };
    caller.send(format!("{method} /pay HTTP/1.1\r\nhost: a\r\n{id}\r\n{body}"));
    caller
}

#[test]
fn calls_share_a_connection_to_an_upstream_of_http_2() {
    let (upstream, fusebox) = upstream_with(&[]);
    let mut first = call(&fusebox, "GET");
    let mut server = Frames::server(upstream.accept(), 100);
    assert_eq!(server.next_of(frames::HEADERS).stream, 1);
    let mut second = call(&fusebox, "GET");
    assert_eq!(server.next_of(frames::HEADERS).stream, 3);
    server.answer(3, 404);
    assert_eq!(second.response("GET").status, 404, "in whichever order they come");
    server.answer(1, 204);
    assert_eq!(first.response("GET").status, 204);
    assert!(upstream.try_accept().is_none());
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_refused_stream_is_sent_again_whatever_it_is() {
    let (upstream, fusebox) = upstream_with(&[]);
    let mut caller = call(&fusebox, "POST");
    let mut server = Frames::server(upstream.accept(), 100);
    server.next_of(frames::HEADERS);
    assert_eq!(server.next_of(frames::DATA).payload, b"body");
    server.reset(1, REFUSED_STREAM);
    assert_eq!(server.next_of(frames::HEADERS).stream, 3);
    let again = server.next_of(frames::DATA);
    assert_eq!((again.stream, again.payload.as_slice()), (3, &b"body"[..]));
    server.answer(3, 200);
    assert_eq!(caller.response("POST").status, 200);
    let row = fusebox.row("req-h2");
    assert_eq!(attempts(&row), ["failure reset_before_headers", "success"]);
}

#[test]
fn a_stream_that_may_have_been_processed_is_not() {
    let (upstream, fusebox) = upstream_with(&["retry: { on: [unsent, reset] }"]);
    let mut caller = call(&fusebox, "POST");
    let mut server = Frames::server(upstream.accept(), 100);
    server.next_of(frames::HEADERS);
    server.reset(1, INTERNAL_ERROR);
    let response = caller.response("POST");
    assert_eq!((response.status, response.proxy_error()), (502, Some("connection_terminated")));
    assert_eq!(ending(&fusebox.row("req-h2")), "failure reset_before_headers 502");
    let mut caller = call(&fusebox, "GET");
    assert_eq!(server.next_of(frames::HEADERS).stream, 3);
    server.reset(3, INTERNAL_ERROR);
    assert_eq!(server.next_of(frames::HEADERS).stream, 5, "but where twice is as good as once");
    server.answer(5, 200);
    assert_eq!(caller.response("GET").status, 200);
}

#[test]
fn an_upstream_that_says_goodbye_gets_its_next_call_over_another_connection() {
    let (upstream, fusebox) = upstream_with(&[]);
    let mut caller = call(&fusebox, "GET");
    let mut leaving = Frames::server(upstream.accept(), 100);
    leaving.next_of(frames::HEADERS);
    leaving.send(frames::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    leaving.answer(1, 200);
    assert_eq!(caller.response("GET").status, 200);
    assert!(leaving.is_closed_in_the_end());
    let mut caller = call(&fusebox, "POST");
    let mut next = Frames::server(upstream.accept(), 100);
    assert_eq!(next.next_of(frames::HEADERS).stream, 1);
    next.answer(1, 200);
    assert_eq!(caller.response("POST").status, 200);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_stream_that_came_too_late_for_a_goodbye_is_sent_again_whatever_it_is() {
    let (upstream, fusebox) = upstream_with(&[]);
    let mut first = call(&fusebox, "GET");
    let mut leaving = Frames::server(upstream.accept(), 100);
    assert_eq!(leaving.next_of(frames::HEADERS).stream, 1);
    let mut late = call(&fusebox, "POST");
    assert_eq!(leaving.next_of(frames::HEADERS).stream, 3);
    leaving.send(frames::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    let mut next = Frames::server(upstream.accept(), 100);
    assert_eq!(next.next_of(frames::DATA).payload, b"body");
    next.answer(1, 200);
    assert_eq!(late.response("POST").status, 200);
    leaving.answer(1, 204);
    assert_eq!(first.response("GET").status, 204, "the others end where they are");
}

#[test]
fn a_connection_that_was_said_goodbye_to_costs_no_call_an_attempt_while_it_ends() {
    let (upstream, fusebox) = upstream_with(&["retry: { attempts: 1 }"]);
    let mut first = call(&fusebox, "GET");
    let mut leaving = Frames::server(upstream.accept(), 100);
    leaving.next_of(frames::HEADERS);
    leaving.send(frames::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    // Its reply says that the goodbye was read.
    leaving.send(frames::PING, 0, 0, &[0; 8]);
    leaving.next_of(frames::PING);
    let mut second = call(&fusebox, "POST");
    let mut next = Frames::server(upstream.accept(), 100);
    assert_eq!(next.next_of(frames::DATA).payload, b"body");
    next.answer(1, 200);
    assert_eq!(second.response("POST").status, 200);
    leaving.answer(1, 204);
    assert_eq!(first.response("GET").status, 204);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_connection_that_was_said_goodbye_to_counts_until_it_has_ended() {
    let keys = ["limits: { connections: 1 }", "timeouts: { connect: 300ms }"];
    let (upstream, fusebox) = upstream_with(&keys);
    let mut first = call(&fusebox, "GET");
    let mut leaving = Frames::server(upstream.accept(), 100);
    leaving.next_of(frames::HEADERS);
    leaving.send(frames::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    leaving.send(frames::PING, 0, 0, &[0; 8]);
    leaving.next_of(frames::PING);
    assert_eq!(call(&fusebox, "POST").response("POST").status, 503, "there is no room for another");
    leaving.answer(1, 204);
    assert_eq!(first.response("GET").status, 204);
    assert!(leaving.is_closed_in_the_end());
    let mut second = call(&fusebox, "POST");
    let mut next = Frames::server(upstream.accept(), 100);
    next.next_of(frames::DATA);
    next.answer(1, 200);
    assert_eq!(second.response("POST").status, 200);
}

#[test]
fn a_connection_that_is_too_old_takes_no_more_streams_and_ends_with_the_last() {
    let (upstream, fusebox) = upstream_with(&["pool: { max_age: 1s }"]);
    let mut first = call(&fusebox, "GET");
    let mut old = Frames::server(upstream.accept(), 100);
    assert_eq!(old.next_of(frames::HEADERS).stream, 1);
    pass(Duration::from_secs(1));
    let mut second = call(&fusebox, "GET");
    let mut next = Frames::server(upstream.accept(), 100);
    assert_eq!(next.next_of(frames::HEADERS).stream, 1);
    next.answer(1, 200);
    assert_eq!(second.response("GET").status, 200);
    old.answer(1, 200);
    assert_eq!(first.response("GET").status, 200);
    assert!(old.is_closed_in_the_end());
}

#[test]
fn an_old_connection_is_better_than_none() {
    let keys = ["pool: { max_age: 1s }", "limits: { connections: 1 }"];
    let (upstream, fusebox) = upstream_with(&keys);
    let mut first = call(&fusebox, "GET");
    let mut old = Frames::server(upstream.accept(), 100);
    assert_eq!(old.next_of(frames::HEADERS).stream, 1);
    pass(Duration::from_secs(1));
    let mut second = call(&fusebox, "GET");
    assert_eq!(old.next_of(frames::HEADERS).stream, 3);
    old.answer(3, 200);
    assert_eq!(second.response("GET").status, 200);
    old.answer(1, 200);
    assert_eq!(first.response("GET").status, 200);
}

#[test]
fn streams_beyond_what_the_upstream_takes_go_over_another_connection() {
    let (upstream, fusebox) = upstream_with(&[]);
    let mut first = call(&fusebox, "GET");
    let mut one = Frames::server(upstream.accept(), 1);
    assert_eq!(one.next_of(frames::HEADERS).stream, 1);
    assert_eq!(one.next_of(frames::SETTINGS).flags, frames::END, "it has read the settings");
    let mut second = call(&fusebox, "GET");
    let mut other = Frames::server(upstream.accept(), 1);
    assert_eq!(other.next_of(frames::HEADERS).stream, 1);
    other.answer(1, 200);
    assert_eq!(second.response("GET").status, 200);
    one.answer(1, 200);
    assert_eq!(first.response("GET").status, 200);
}

#[test]
fn a_stream_that_ends_makes_room_for_who_waits_for_a_connection() {
    let keys = ["limits: { connections: 1 }", "timeouts: { connect: 3s }"];
    let (upstream, fusebox) = upstream_with(&keys);
    let mut first = call(&fusebox, "GET");
    let mut one = Frames::server(upstream.accept(), 1);
    assert_eq!(one.next_of(frames::HEADERS).stream, 1);
    assert_eq!(one.next_of(frames::SETTINGS).flags, frames::END, "it has read the settings");
    let mut second = call(&fusebox, "GET");
    wait_until("both are in flight", PATIENCE, || {
        (fusebox.ask("/api/v1/status")["inFlight"] == 2).then_some(())
    });
    one.answer(1, 200);
    assert_eq!(first.response("GET").status, 200);
    assert!(one.is_closed_in_the_end(), "one at a time");
    let mut other = Frames::server(upstream.accept(), 1);
    assert_eq!(other.next_of(frames::HEADERS).stream, 1);
    other.answer(1, 200);
    assert_eq!(second.response("GET").status, 200);
}
