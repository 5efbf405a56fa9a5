//! Every wait ends: connect, first byte, total, body, and a caller that never finishes its head.

use std::{
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::harness::{
    Connection, Database, Fusebox, Gate, ScriptedUpstream, Setup, Step,
    frames::{self, Frames},
    pass, raw, stall,
};

/// Far above the timeouts that are set here, far below their defaults.
const SOON: Duration = Duration::from_secs(5);

fn start(timeouts: &str) -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[&format!("timeouts: {timeouts}")]).start();
    (upstream, fusebox)
}

/// Calls and expects Fusebox's own answer, soon.
fn assert_times_out(fusebox: &Fusebox, error: &str) {
    let began = fusebox::clock::now();
    let response = fusebox.get("/", &[]);
    let took = fusebox::clock::now().duration_since(began);
    assert_eq!(response.status, 504, "{}", response.text());
    assert_eq!(response.proxy_error(), Some(error));
    assert!(took < SOON, "{took:?}");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 1);
}

/// A listener whose queue is full, so that connecting to it hangs.
fn black_hole() -> (socket2::Socket, SocketAddr, Vec<TcpStream>) {
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&crate::local::free_address().into()).expect("its port is free");
    socket.listen(0).expect("it listens");
    let address = socket.local_addr().expect("it is bound").as_socket().expect("it is IPv4");
    let fill = || TcpStream::connect_timeout(&address, Duration::from_millis(100));
    let waiting: Vec<TcpStream> = std::iter::repeat_with(fill).map_while(Result::ok).collect();
    (socket, address, waiting)
}

#[test]
fn an_upstream_that_does_not_accept_is_504_after_the_connect_timeout() {
    let (_socket, address, _waiting) = black_hole();
    let keys = ["timeouts: { connect: 200ms }", "retry: { attempts: 1 }"];
    let fusebox = Setup::payments(&format!("http://{address}"), &keys).start();
    assert_times_out(&fusebox, "connection_timeout");
}

#[test]
fn an_upstream_that_does_not_answer_is_504_after_the_first_byte_timeout() {
    let (upstream, fusebox) = start("{ first_byte: 200ms }");
    upstream.answer(stall());
    assert_times_out(&fusebox, "http_response_timeout");
}

#[test]
fn a_request_that_ended_with_trailers_is_complete() {
    let (upstream, fusebox) = start("{ first_byte: 200ms }");
    upstream.answer(stall());
    let mut connection = fusebox.connect();
    let began = fusebox::clock::now();
    connection
        .send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n");
    connection.send("2\r\nok\r\n0\r\nx: 1\r\n\r\n");
    assert_eq!(connection.response("POST").status, 504);
    let took = fusebox::clock::now().duration_since(began);
    assert!(took < SOON, "{took:?}");
}

#[test]
fn the_total_timeout_ends_what_the_others_would_allow() {
    let (upstream, fusebox) = start("{ total: 200ms }");
    upstream.answer(stall());
    assert_times_out(&fusebox, "http_response_timeout");
}

#[test]
fn the_total_timeout_ends_at_the_response_head() {
    let (upstream, fusebox) = start("{ total: 300ms, first_byte: 300ms }");
    let gate = Gate::new();
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
    upstream.answer(vec![Step::ReadBody, head, Step::WaitFor(gate.clone()), raw("late")]);
    let mut connection = fusebox.connect();
    connection.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let (status, headers) = connection.head();
    // A call that does run into the timeout shows that its time is over.
    upstream.answer(stall());
    assert_eq!(fusebox.get("/", &[]).status, 504);
    gate.open();
    assert_eq!(connection.body("GET", status, &headers).unwrap(), b"late");
}

#[test]
fn a_response_body_that_stalls_is_cut_and_counts() {
    let database = Database::new();
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &["timeouts: { body_idle: 200ms }"])
        .database(&database.url)
        .start();
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart");
    upstream.answer(vec![Step::ReadBody, head, Step::WaitFor(Gate::new())]);
    let mut connection = fusebox.connect();
    connection.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let (status, headers) = connection.head();
    assert!(connection.body("GET", status, &headers).is_err());
    database.wait_for(
        "select status, outcome, failure_reason from task_history",
        "200|timeout|timeout_idle",
    );
    assert_eq!(fusebox.breaker("payments")["failureCount"], 1);
}

#[test]
fn a_caller_that_stops_in_its_body_is_told_so_and_nobody_else_is_blamed() {
    let (upstream, fusebox) = start("{ body_idle: 200ms }");
    let mut connection = fusebox.connect();
    connection.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\npart");
    assert_eq!(connection.response("POST").status, 408);
    assert!(connection.is_closed());
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
    assert!(upstream.hits() <= 1);
}

#[test]
fn a_caller_that_takes_the_total_time_for_its_body_is_told_so_and_nobody_else_is_blamed() {
    let (_upstream, fusebox) = start("{ total: 300ms }");
    let mut connection = fusebox.connect();
    connection.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\npart");
    assert_eq!(connection.response("POST").status, 408);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_caller_that_never_finishes_its_head_is_let_go() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::limited(&upstream.url(), "{ head_timeout: 200ms }").start();
    let mut idle = fusebox.connect();
    assert_eq!(idle.get("/", &[]).status, 200);
    let is_let_go = |connection: &mut Connection| {
        // It may say 408 before it closes.
        if !connection.is_closed() {
            assert_eq!(connection.response("GET").status, 408);
            assert!(connection.is_closed());
        }
    };
    for bytes in ["", "GET / HTTP/1.1\r\nhost: a\r\n"] {
        let mut connection = fusebox.connect();
        connection.send(bytes);
        is_let_go(&mut connection);
    }
    assert_eq!(idle.get("/", &[]).status, 200, "the wait for the next head is another");
    idle.send("GET / HTTP/1.1\r\nhost: a\r\n");
    is_let_go(&mut idle);
    assert_eq!(upstream.hits(), 2);
}

#[test]
fn the_first_head_has_no_more_time_for_beginning_late() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::limited(&upstream.url(), "{ head_timeout: 10s }").start();
    let began = fusebox::clock::now();
    let mut late = fusebox.connect();
    pass(Duration::from_secs(6));
    late.send("GET / HTTP/1.1\r\n");
    late.is_closed();
    let took = fusebox::clock::now().duration_since(began);
    assert!(took < Duration::from_secs(16), "{took:?}");
}

#[test]
fn a_connection_is_kept_without_a_call_for_as_long_as_configured() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::limited(&upstream.url(), "{ idle_timeout: 200ms }").start();
    let mut slow = fusebox.connect();
    slow.send("GET / HTTP/1.1\r\nhost: a\r\n");
    let mut idle = fusebox.connect();
    assert_eq!(idle.get("/", &[]).status, 200);
    assert!(idle.is_closed());
    let mut over_http2 = Frames::caller(fusebox.connect());
    over_http2.get(1);
    assert_eq!(over_http2.next_of(frames::HEADERS).stream, 1);
    over_http2.next_of(frames::GOAWAY);
    slow.send("\r\n");
    assert_eq!(slow.response("GET").status, 200, "a head that has begun is another wait");
}
