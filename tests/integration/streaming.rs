//! Connections and bodies: kept alive on both sides, streamed both ways, framed anew.

use std::time::Duration;

use crate::{
    harness::{
        Connection, Database, Fusebox, Gate, PATIENCE, ScriptedUpstream, Setup, Step, pass, raw,
    },
    local::wait_until,
};

fn start() -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    (upstream, fusebox)
}

#[test]
fn one_connection_on_either_side_carries_many_calls() {
    let (upstream, fusebox) = start();
    let mut connection = fusebox.connect();
    for call in 0..20 {
        let path = format!("/{call}");
        assert_eq!(connection.call("POST", &path, &[], b"body").status, 200);
    }
    let received = upstream.received();
    assert_eq!(received.len(), 20);
    assert!(received.iter().all(|request| request.connection == received[0].connection));
    assert!(received.iter().all(|request| request.body == b"body"));
}

#[test]
fn calls_that_arrive_together_are_answered_in_order() {
    let (upstream, fusebox) = start();
    let mut connection = fusebox.connect();
    let heads: String =
        (0..5).map(|call| format!("GET /{call} HTTP/1.1\r\nhost: a\r\n\r\n")).collect();
    connection.send(heads);
    for _ in 0..5 {
        assert_eq!(connection.response("GET").status, 200);
    }
    let lines: Vec<String> = upstream.received().into_iter().map(|request| request.line).collect();
    assert_eq!(lines[0], "GET /0 HTTP/1.1");
    assert_eq!(lines[4], "GET /4 HTTP/1.1");
}

#[test]
fn a_response_arrives_while_it_is_still_being_made() {
    let (upstream, fusebox) = start();
    let gate = Gate::new();
    upstream.answer(vec![
        Step::ReadBody,
        raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n"),
        Step::WaitFor(gate.clone()),
        raw("4\r\nlast\r\n0\r\n\r\n"),
    ]);
    let mut connection = fusebox.connect();
    connection.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(connection.head().0, 200);
    assert_eq!(connection.chunk(), b"first");
    gate.open();
    assert_eq!(connection.chunk(), b"last");
    assert_eq!(connection.chunk(), b"");
    assert_eq!(connection.get("/", &[]).status, 200, "the connection goes on");
}

#[test]
fn a_request_arrives_while_it_is_still_being_sent() {
    let (upstream, fusebox) = start();
    let mut connection = fusebox.connect();
    connection.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    connection.send("5\r\nfirst\r\n");
    wait_until("the first chunk arrives", PATIENCE, || {
        (upstream.received().last()?.body == b"first").then_some(())
    });
    connection.send("4\r\nlast\r\n0\r\n\r\n");
    assert_eq!(connection.response("POST").status, 200);
    assert_eq!(upstream.last().body, b"firstlast");
}

#[test]
fn a_large_body_passes_whole_in_both_directions() {
    let (upstream, fusebox) = start();
    let large: Vec<u8> = (0..3_000_000_u32).map(|byte| (byte % 251) as u8).collect();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", large.len());
    upstream.answer(vec![Step::ReadBody, raw(&head), Step::Send(large.clone())]);
    let response = fusebox.connect().call("PUT", "/", &[], &large);
    assert!(response.body == large, "it came back as it went");
    assert!(upstream.last().body == large, "it arrived as it was sent");
    assert_eq!(upstream.last().headers.one("content-length"), Some("3000000"));
}

#[test]
fn responses_without_a_body_leave_the_connection_whole() {
    let (upstream, fusebox) = start();
    let mut connection = fusebox.connect();
    for (method, head, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Some("5")),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n", None),
        ("DELETE", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Some("0")),
    ] {
        upstream.answer(vec![Step::ReadBody, raw(head)]);
        let response = connection.call(method, "/", &[], b"");
        assert_eq!(response.headers.one("content-length"), length, "{head}");
        assert_eq!(response.headers.one("transfer-encoding"), None, "{head}");
        assert!(response.body.is_empty());
    }
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn trailers_end_a_response_and_the_connection_goes_on() {
    let database = Database::new();
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).database(&database.url).start();
    let bytes = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                 2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n";
    upstream.answer(vec![Step::ReadBody, raw(bytes)]);
    let mut connection = fusebox.connect();
    for _ in 0..2 {
        assert_eq!(connection.get("/", &[]).body, b"ok");
    }
    let received = upstream.received();
    assert_eq!(received[0].connection, received[1].connection);
    database.wait_for("select outcome, count(*) from task_history group by 1", "success|2");
}

#[test]
fn a_body_that_ends_with_the_connection_ends_for_the_caller_too() {
    let (upstream, fusebox) = start();
    upstream.answer(vec![Step::ReadBody, raw("HTTP/1.0 200 OK\r\n\r\nuntil the end"), Step::Close]);
    let mut connection = fusebox.connect();
    assert_eq!(connection.get("/", &[]).body, b"until the end");
}

#[test]
fn a_caller_that_waits_for_100_gets_it_before_it_sends() {
    let (upstream, fusebox) = start();
    let mut connection = fusebox.connect();
    connection
        .send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    assert_eq!(connection.head().0, 100);
    connection.send("body");
    assert_eq!(connection.response("POST").status, 200);
    assert_eq!(upstream.last().body, b"body");
}

#[test]
fn a_final_answer_before_the_body_does_not_spoil_later_calls() {
    let (upstream, fusebox) = start();
    // Answers without reading what follows, as upstreams do that refuse an upload.
    let refusal = raw("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    upstream.answer_on("/upload", vec![refusal, Step::Close]);
    for _ in 0..3 {
        let mut connection = fusebox.connect();
        connection.send("POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nstart");
        assert_eq!(connection.response("POST").status, 413);
        assert_eq!(fusebox.get("/", &[]).status, 200);
    }
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_call_that_is_not_sent_on_leaves_its_connection_whole() {
    let mut upstream = ScriptedUpstream::start();
    let keys = ["breaker: { consecutive_failures: 3 }", "retry: { attempts: 1 }"];
    let fusebox = Setup::payments(&upstream.url(), &keys).start();
    upstream.stop();
    let mut connection = fusebox.connect();
    let statuses: Vec<u16> = (0..6)
        .map(|_| {
            // The answer comes before the body, and the next call after it.
            connection.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\n");
            let status = connection.response("POST").status;
            connection.send("x".repeat(300_000));
            status
        })
        .collect();
    assert_eq!(statuses, [502, 502, 502, 503, 503, 503]);
}

#[test]
fn a_caller_that_waits_for_leave_does_not_get_it_for_a_refused_call() {
    let (upstream, fusebox) = start();
    let mut connection = fusebox.connect();
    connection
        .send("TRACE / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    assert_eq!(connection.head().0, 405);
    assert_eq!(upstream.hits(), 0);
}

#[test]
fn interim_responses_of_the_upstream_are_never_final() {
    let (upstream, fusebox) = start();
    let bytes = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
                 HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    upstream.answer(vec![Step::ReadBody, raw(bytes)]);
    let mut connection = fusebox.connect();
    for _ in 0..2 {
        let response = connection.get("/", &[]);
        assert_eq!((response.status, response.text()), (200, "ok"));
    }
}

#[test]
fn a_caller_of_http_1_0_gets_a_body_that_it_can_read() {
    let (upstream, fusebox) = start();
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n";
    upstream.answer(vec![Step::ReadBody, raw(chunked)]);
    let mut connection = fusebox.connect();
    connection.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    let response = connection.response("GET");
    assert_eq!(response.headers.one("transfer-encoding"), None);
    assert_eq!(response.body, b"first");
}

#[test]
fn a_body_that_breaks_off_does_not_look_whole_to_a_caller_of_http_1_0() {
    let (upstream, fusebox) = start();
    let broken = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    upstream.answer(vec![Step::ReadBody, raw(broken), Step::Close]);
    let mut connection = fusebox.connect();
    connection.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    let (status, headers) = connection.head();
    let body = connection.body("GET", status, &headers);
    assert!(body.is_err(), "it ended as if it were whole: {body:?}");
}

#[test]
fn a_refusal_reaches_a_caller_that_is_still_sending() {
    let (_upstream, fusebox) = start();
    for _ in 0..10 {
        let mut connection = fusebox.connect();
        connection.send("GET / HTTP/1.1\r\nhost: a\r\n");
        let is_heard = connection.try_send(format!("x-large: {}\r\n", "x".repeat(20_000_000)));
        assert!(is_heard, "the connection was reset under the answer");
        assert_eq!(connection.response("GET").status, 431);
    }
}

#[test]
fn an_upload_that_is_too_long_and_slow_is_heard_out_for_a_while() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::limited(&upstream.url(), "{ body_bytes: 1KiB }").start();
    let framings =
        ["content-length: 1000000\r\n\r\n", "transfer-encoding: chunked\r\n\r\nfffff\r\n"];
    let mut callers = framings.map(|framing| {
        let mut caller = fusebox.connect();
        caller.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}{}", "x".repeat(2_000)));
        caller
    });
    for _ in 0..12 {
        pass(Duration::from_millis(250));
        let is_heard = |caller: &mut Connection| caller.try_send("more");
        assert!(callers.iter_mut().all(is_heard), "reset under the answer");
    }
    for mut caller in callers {
        assert_eq!(caller.response("POST").status, 413);
        assert!(caller.is_closed());
    }
}

#[test]
fn an_upload_goes_on_when_its_answer_has_begun() {
    let (upstream, fusebox) = start();
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart");
    upstream.answer_on("/early", vec![head, Step::ReadBody, raw("whole!")]);
    let large = vec![b'x'; 5_000_000];
    let mut connection = fusebox.connect();
    for _ in 0..2 {
        connection.send("POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\n");
        let (status, headers) = connection.head();
        connection.send(&large);
        assert_eq!(connection.body("POST", status, &headers).unwrap(), b"partwhole!");
        assert!(upstream.last().body == large, "it arrived as it was sent");
    }
    let received = upstream.received();
    assert_ne!(received[0].connection, received[1].connection, "it may not be in step");
}

#[test]
fn a_final_answer_in_the_middle_of_an_upload_is_the_answer() {
    let (upstream, fusebox) = start();
    let refusal = raw("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    upstream.answer(vec![refusal, Step::Close]);
    let body = vec![b'x'; 5_000_000];
    for _ in 0..10 {
        let mut connection = fusebox.connect();
        connection.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\n");
        connection.try_send(&body);
        assert_eq!(connection.response("POST").status, 413);
    }
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}
