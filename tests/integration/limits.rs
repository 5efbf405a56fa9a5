//! What a listener takes at most, over all of its threads.

use std::time::Duration;

use crate::{
    harness::{Connection, Fusebox, Gate, PATIENCE, ScriptedUpstream, Setup, Step, raw},
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
