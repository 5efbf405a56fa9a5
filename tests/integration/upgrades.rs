//! Connections that become something else than HTTP, such as WebSocket.

use std::time::Duration;

use crate::{
    harness::{Connection, Fusebox, Head, HeldUpstream, PATIENCE, ScriptedUpstream, Setup, ending},
    local::wait_until,
};

const ASK: &str = "GET /chat?room=1 HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    sec-websocket-version: 13\r\nx-correlation-id: req-chat\r\n\r\n";
const GRANT: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
    connection: Upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn start(keys: &[&str]) -> (HeldUpstream, Fusebox) {
    let upstream = HeldUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), keys).start();
    (upstream, fusebox)
}

/// A tunnel with its two ends.
fn tunnel(upstream: &HeldUpstream, fusebox: &Fusebox) -> (Connection, Connection) {
    let mut caller = fusebox.connect();
    caller.send(ASK);
    let mut server = upstream.accept();
    server.request();
    server.send(GRANT);
    assert_eq!(caller.head().0, 101);
    (caller, server)
}

fn in_flight(fusebox: &Fusebox) -> u64 {
    fusebox.ask("/api/v1/status")["inFlight"].as_u64().expect("a number")
}

#[test]
fn a_handshake_passes_with_its_fields_and_then_bytes_both_ways() {
    let (upstream, fusebox) = start(&[]);
    let mut caller = fusebox.connect();
    caller.send(ASK);
    let mut server = upstream.accept();
    let Head { line, headers, .. } = server.request();
    assert_eq!(line, "GET /chat?room=1 HTTP/1.1");
    for (name, value) in [
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ] {
        assert_eq!(headers.one(name), Some(value));
    }
    assert!(headers.one("connection").is_some_and(|c| c.eq_ignore_ascii_case("upgrade")));
    server.send(GRANT);
    let (status, headers) = caller.head();
    assert_eq!((status, headers.one("upgrade")), (101, Some("websocket")));
    assert!(headers.one("connection").is_some_and(|c| c.eq_ignore_ascii_case("upgrade")));
    assert_eq!(headers.one("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(headers.one("x-correlation-id"), Some("req-chat"));
    assert!(headers.one("content-length").is_none() && headers.one("transfer-encoding").is_none());
    for _ in 0..3 {
        caller.send("GET / HTTP/1.1\r\n\r\n");
        assert_eq!(server.bytes(18), b"GET / HTTP/1.1\r\n\r\n", "it is not read as HTTP");
        server.send([0, 255, 13, 10]);
        assert_eq!(caller.bytes(4), [0, 255, 13, 10]);
    }
    assert_eq!(in_flight(&fusebox), 1);
    let metrics = crate::harness::get(fusebox.admin, "/metrics", &[]);
    let gauge = "fusebox_calls_in_flight{upstream=\"payments\"} 1.0";
    assert!(metrics.text().contains(gauge), "{}", metrics.text());
    drop(caller);
    assert!(server.is_closed());
    drop(server);
    let row = fusebox.row("req-chat");
    assert_eq!(ending(&row), "success 101");
    assert_eq!((&row["requestBytes"], &row["responseBytes"]), (&54.into(), &12.into()), "{row}");
    assert_eq!(in_flight(&fusebox), 0);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn bytes_right_behind_the_request_and_right_behind_the_answer_are_the_tunnels() {
    let (upstream, fusebox) = start(&[]);
    let mut caller = fusebox.connect();
    caller.send(format!("{ASK}early caller"));
    let mut server = upstream.accept();
    server.request();
    server.send(format!("{GRANT}early server"));
    assert_eq!(caller.head().0, 101);
    assert_eq!(caller.bytes(12), b"early server");
    assert_eq!(server.bytes(12), b"early caller");
    caller.send("later");
    assert_eq!(server.bytes(5), b"later");
    drop((caller, server));
    let row = fusebox.row("req-chat");
    assert_eq!((&row["requestBytes"], &row["responseBytes"]), (&17.into(), &12.into()), "{row}");
}

#[test]
fn each_side_may_end_what_it_sends_and_hear_the_other_to_its_end() {
    let (upstream, fusebox) = start(&[]);
    let (mut caller, mut server) = tunnel(&upstream, &fusebox);
    caller.send("last words");
    caller.half_close();
    assert_eq!(server.bytes(10), b"last words");
    assert!(server.is_closed());
    server.send("heard");
    assert_eq!(caller.bytes(5), b"heard");
    server.send("and over");
    assert_eq!(caller.bytes(8), b"and over");
    server.half_close();
    assert!(caller.is_closed());
    assert_eq!(ending(&fusebox.row("req-chat")), "success 101");
}

#[test]
fn more_bytes_than_any_buffer_holds_pass_in_both_directions_at_once() {
    const MANY: usize = 8 << 20;
    let (upstream, fusebox) = start(&[]);
    let (mut caller, mut server) = tunnel(&upstream, &fusebox);
    let bytes: Vec<u8> = (0..MANY).map(|at| at.to_le_bytes()[at % 3]).collect();
    std::thread::scope(|scope| {
        for side in [&mut caller, &mut server] {
            let mut sender = side.another();
            let bytes = &bytes;
            scope.spawn(move || sender.send(bytes));
            scope.spawn(move || assert!(side.bytes(MANY) == *bytes, "byte for byte"));
        }
    });
    drop((caller, server));
    let row = fusebox.row("req-chat");
    assert_eq!((&row["requestBytes"], &row["responseBytes"]), (&MANY.into(), &MANY.into()));
}

#[test]
fn a_server_that_does_not_switch_gives_an_ordinary_answer() {
    let (upstream, fusebox) = start(&[]);
    for status in [200, 403, 426, 400] {
        let mut caller = fusebox.connect();
        caller.send(ASK);
        let mut server = upstream.accept();
        server.request();
        server.send(format!("HTTP/1.1 {status} No\r\ncontent-length: 2\r\n\r\nno"));
        let response = caller.response("GET");
        assert_eq!((response.status, response.text()), (status, "no"));
    }
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_server_that_switches_unasked_or_to_something_else_has_failed() {
    let plain = "GET / HTTP/1.1\r\nhost: a\r\nx-correlation-id: req-chat\r\n\r\n";
    let other = GRANT.replace("websocket\r\nconnection", "h2c\r\nconnection");
    let none = GRANT.replace("upgrade: websocket\r\n", "");
    let twice = GRANT.replace("upgrade: websocket\r\n", "upgrade: websocket\r\nupgrade: h2c\r\n");
    for (ask, grant) in [(plain, GRANT), (ASK, &other), (ASK, &none), (ASK, &twice)] {
        let (upstream, fusebox) = start(&[]);
        let mut caller = fusebox.connect();
        caller.send(ask);
        let mut server = upstream.accept();
        server.request();
        server.send(grant);
        let response = caller.response_or_switch();
        assert_eq!(
            (response.status, response.proxy_error()),
            (502, Some("http_protocol_error")),
            "{grant}"
        );
        assert!(server.is_closed());
        assert_eq!(ending(&fusebox.row("req-chat")), "failure protocol_error 502");
        assert_eq!(fusebox.breaker("payments")["failureCount"], 1);
    }
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_closed() {
    let (upstream, fusebox) = start(&["timeouts: { tunnel_idle: 400ms, body_idle: 100ms }"]);
    let (mut caller, mut server) = tunnel(&upstream, &fusebox);
    let began = fusebox::clock::now();
    // Bytes in one direction are enough to keep it, for longer than it may be idle.
    wait_until("it has been open for longer", PATIENCE, || {
        server.send("tick");
        assert_eq!(caller.bytes(4), b"tick");
        (fusebox::clock::now().duration_since(began) > Duration::from_millis(900)).then_some(())
    });
    assert!(caller.is_closed() && server.is_closed());
    assert_eq!(ending(&fusebox.row("req-chat")), "timeout tunnel_idle 101");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_tunnel_that_one_side_resets_ends_on_the_other_and_says_whose_fault_it_was() {
    for is_callers in [true, false] {
        let (upstream, fusebox) = start(&[]);
        let (mut caller, mut server) = tunnel(&upstream, &fusebox);
        server.send("hello");
        assert_eq!(caller.bytes(5), b"hello");
        let (outcome, failures) = if is_callers {
            caller.abort();
            assert!(server.is_closed());
            ("cancelled client_gone_mid_body 101", 0)
        } else {
            server.abort();
            assert!(caller.is_closed());
            ("failure reset_mid_body 101", 1)
        };
        assert_eq!(ending(&fusebox.row("req-chat")), outcome);
        assert_eq!(fusebox.breaker("payments")["failureCount"], failures);
    }
}

#[test]
fn a_stop_waits_for_a_tunnel_until_its_deadline_and_then_its_row_is_written() {
    let data_dir = std::env::temp_dir().join(format!("fusebox-tunnel-{}", std::process::id()));
    let upstream = HeldUpstream::start();
    let setup = Setup::payments(&upstream.url(), &[]).with("drain_timeout: 500ms");
    let mut fusebox = setup.data_dir(&data_dir).start();
    let (mut caller, mut server) = tunnel(&upstream, &fusebox);
    fusebox.ask_to_stop();
    fusebox.wait_for_line("it drains", |line| line["message"] == "draining");
    caller.send("still");
    assert_eq!(server.bytes(5), b"still");
    assert!(caller.is_closed() && server.is_closed());
    fusebox.wait_for_end();
    fusebox.restart();
    let row = fusebox.row("req-chat");
    drop(fusebox);
    drop(std::fs::remove_dir_all(&data_dir));
    assert_eq!(ending(&row), "interrupted shutdown 101");
}

#[test]
fn a_tunnel_takes_a_place_at_its_upstream_until_it_ends() {
    let (upstream, fusebox) = start(&["limits: { concurrency: 1, queue: 0, connections: 1 }"]);
    let (caller, server) = tunnel(&upstream, &fusebox);
    assert_eq!(fusebox.get("/", &[]).status, 503);
    drop((caller, server));
    wait_until("there is room again", PATIENCE, || (in_flight(&fusebox) == 0).then_some(()));
    let _again = tunnel(&upstream, &fusebox);
}

#[test]
fn what_cannot_be_tunnelled_is_an_ordinary_request_without_the_wish() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let asks = |upgrade: &str| {
        format!("host: a\r\nconnection: upgrade, http2-settings\r\nupgrade: {upgrade}\r\n")
    };
    for (line, rest) in [
        ("GET / HTTP/1.1", asks("h2c") + "http2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"),
        ("GET / HTTP/1.1", asks("HTTP/2.0") + "\r\n"),
        ("GET / HTTP/1.1", "host: a\r\nupgrade: websocket\r\n\r\n".to_owned()),
    ] {
        let mut caller = fusebox.connect();
        caller.send(format!("{line}\r\n{rest}"));
        let response = caller.response("GET");
        assert_eq!((response.status, response.text()), (200, "ok"), "{rest}");
        let received = upstream.last();
        for name in ["upgrade", "http2-settings", "connection"] {
            assert!(received.headers.all(name).is_empty(), "{name}: {rest}");
        }
        assert_eq!(received.body, b"");
        assert_eq!(caller.get("/", &[]).status, 200, "the connection goes on");
    }
}

#[test]
fn connect_is_refused() {
    let (_upstream, fusebox) = start(&[]);
    let mut caller = fusebox.connect();
    caller.send("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n");
    assert_eq!(caller.response("GET").status, 405);
}
