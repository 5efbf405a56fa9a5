//! The harness against itself, so that a test that fails says something about Fusebox.

use crate::{
    harness::{
        BreakableLink, Connection, Gate, PATIENCE, ScriptedUpstream, Step, get, raw, status,
    },
    local::wait_until,
};

fn address(upstream: &ScriptedUpstream) -> std::net::SocketAddr {
    upstream.authority().parse().expect("an address")
}

#[test]
fn an_upstream_answers_as_told_and_keeps_what_it_received() {
    let upstream = ScriptedUpstream::start();
    upstream.answer_on("/health", status(503));
    let mut connection = Connection::open(address(&upstream));
    assert_eq!(connection.call("POST", "/a", &[("x-b", "1")], b"body").text(), "ok");
    assert_eq!(connection.get("/health", &[]).status, 503);
    let first = &upstream.received()[0];
    assert_eq!((first.line.as_str(), first.body.as_slice()), ("POST /a HTTP/1.1", &b"body"[..]));
    assert_eq!(first.headers.one("x-b"), Some("1"));
    assert_eq!(upstream.last().connection, first.connection);
}

#[test]
fn an_upstream_ends_connections_in_the_middle_as_told() {
    let upstream = ScriptedUpstream::start();
    for end in [Step::Close, Step::Reset] {
        let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart");
        upstream.answer(vec![Step::ReadBody, head, end]);
        let mut connection = Connection::open(address(&upstream));
        connection.send("GET / HTTP/1.1\r\n\r\n");
        // A reset may overtake what was sent before it.
        assert!(
            connection.try_head().is_none_or(|(status, headers)| {
                connection.body("GET", status, &headers).is_err()
            })
        );
        assert!(connection.is_closed());
    }
}

#[test]
fn an_upstream_stops_and_listens_again() {
    let mut upstream = ScriptedUpstream::start();
    let mut kept = Connection::open(address(&upstream));
    assert_eq!(kept.get("/", &[]).status, 200);
    upstream.stop();
    assert!(kept.is_closed());
    assert!(std::net::TcpStream::connect(address(&upstream)).is_err());
    upstream.resume();
    assert_eq!(get(address(&upstream), "/", &[]).status, 200);
}

#[test]
fn a_chunked_answer_is_read_chunk_by_chunk() {
    let upstream = ScriptedUpstream::start();
    let gate = Gate::new();
    let first = raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n");
    let rest = raw("2\r\nbc\r\n0\r\nx-trailer: 1\r\n\r\n");
    upstream.answer(vec![first, Step::WaitFor(gate.clone()), rest]);
    let mut connection = Connection::open(address(&upstream));
    connection.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(connection.head().0, 200);
    assert_eq!(connection.chunk(), b"a");
    gate.open();
    assert_eq!((connection.chunk(), connection.chunk()), (b"bc".to_vec(), Vec::new()));
    upstream.answer(status(200));
    assert_eq!(connection.get("/", &[]).status, 200);
}

#[test]
fn a_link_passes_holds_back_and_breaks() {
    let upstream = ScriptedUpstream::start();
    let link = BreakableLink::to(address(&upstream));
    let mut connection = Connection::open(link.address());
    assert_eq!(connection.get("/", &[]).status, 200);
    link.pause();
    connection.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(get(address(&upstream), "/", &[]).status, 200, "only the link is paused");
    assert_eq!(upstream.hits(), 2, "nothing came through");
    link.mend();
    assert_eq!(connection.response("GET").status, 200);
    wait_until("it came through", PATIENCE, || (upstream.hits() == 3).then_some(()));
    link.cut();
    assert!(connection.is_closed());
    assert!(Connection::open(link.address()).is_closed());
}
