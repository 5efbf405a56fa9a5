//! What a call must not do to the next one on its connection, and one attempt not to another.

use std::{sync::Arc, time::Duration};

use crate::{
    harness::{Connection, Gate, PATIENCE, ScriptedUpstream, Setup, Step, raw, status},
    local::wait_until,
};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

/// Sends these bytes and a request behind them, and reads the one answer that there is to be.
fn only_answer(upstream: &ScriptedUpstream, first: &str) -> u16 {
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let mut caller = fusebox.connect();
    caller.send(format!("{first}{SMUGGLED}"));
    let response = caller.response("GET");
    assert_eq!(response.headers.one("connection"), Some("close"));
    assert!(caller.is_closed());
    assert!(upstream.received().iter().all(|request| !request.line.contains("smuggled")));
    response.status
}

#[test]
fn what_comes_behind_a_refused_upgrade_is_no_request() {
    for answered in [200, 403, 426] {
        let upstream = ScriptedUpstream::start();
        upstream.answer(status(answered));
        let ask = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        assert_eq!(only_answer(&upstream, ask), answered);
    }
    let mut gone = ScriptedUpstream::start();
    gone.stop();
    let ask = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    assert_eq!(only_answer(&gone, ask), 502);
}

#[test]
fn a_request_that_can_be_read_in_two_ways_is_the_last_even_if_it_calls_itself_grpc() {
    for framing in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ] {
        let upstream = ScriptedUpstream::start();
        let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\n";
        only_answer(&upstream, &format!("{head}{framing}"));
        assert_eq!(upstream.hits(), 0);
    }
}

/// Sends a chunk of a body.
fn chunk(caller: &mut Connection, data: &[u8]) {
    caller.send([format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat());
}

#[test]
fn an_upload_that_was_answered_early_takes_nothing_from_the_next_attempt() {
    let (payments, standby) = (ScriptedUpstream::start(), ScriptedUpstream::start());
    let reads: Arc<Gate> = Gate::new();
    let early = "HTTP/1.1 503 Early\r\ncontent-length: 0\r\n\r\n";
    payments.answer(vec![raw(early), Step::WaitFor(Arc::clone(&reads)), Step::ReadBody]);
    let fusebox = Setup::of(format!(
        "listeners:
  egress:
    listen: \"{{proxy}}\"
    routes: [{{ upstream: payments, fallback: {{ upstream: standby }} }}]
upstreams:
  payments: {{ endpoints: [\"{}\"], retry: {{ body_bytes: 1MiB }} }}
  standby: {{ endpoints: [\"{}\"] }}
",
        payments.url(),
        standby.url()
    ))
    .start();
    let mut caller = fusebox.connect();
    caller.send("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    let pieces: Vec<Vec<u8>> = (0..=255_u8).map(|byte| vec![byte; 16 << 10]).collect();
    chunk(&mut caller, &pieces[0]);
    wait_until("the other upstream has the call", PATIENCE, || (standby.hits() > 0).then_some(()));
    for (at, piece) in pieces.iter().enumerate().skip(1) {
        chunk(&mut caller, piece);
        // From here on it would take what it can get.
        if at == 32 {
            reads.open();
        }
    }
    caller.send("0\r\n\r\n");
    assert_eq!(caller.response("PUT").status, 200);
    let received = standby.last();
    assert!(received.trailers.is_some(), "the whole body");
    assert!(received.body == pieces.concat(), "every byte of it, in order");
    assert!(payments.last().trailers.is_none(), "and nobody else has one that seems whole");
}

/// Answers when the gate opens.
fn gated(gate: &Arc<Gate>) -> Vec<Step> {
    let mut answer = status(200);
    answer.insert(0, Step::WaitFor(Arc::clone(gate)));
    answer
}

#[test]
fn a_wait_for_room_is_no_time_of_the_upstreams() {
    let (upstream, first) = (ScriptedUpstream::start(), Gate::new());
    upstream.answer_on("/first", gated(&first));
    let keys = [
        "limits: { concurrency: 1, queue_timeout: 9s }",
        "timeouts: { connect: 100ms }",
        "breaker: { slow_calls: { over: 1%, slower_than: 300ms, window: 30s, min_calls: 1 } }",
    ];
    let fusebox = Setup::payments(&upstream.url(), &keys).start();
    let (mut one, mut other) = (fusebox.connect(), fusebox.connect());
    // It may take its time: only the other's is looked at.
    one.send("GET /first HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n");
    wait_until("it is under way", PATIENCE, || (upstream.hits() > 0).then_some(()));
    other.send("GET /second HTTP/1.1\r\nhost: a\r\n\r\n");
    let waited = fusebox::clock::now();
    wait_until("the other has waited for longer than a connection may take", PATIENCE, || {
        (fusebox::clock::now() - waited > Duration::from_millis(500)).then_some(())
    });
    assert_eq!(upstream.hits(), 1);
    one.abort();
    let response = other.response("GET");
    assert_eq!((response.status, response.proxy_error()), (200, None));
    assert_eq!(fusebox.state("payments"), "CLOSED");
    first.open();
}
