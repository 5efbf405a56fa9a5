//! Node as the upstream and as the caller.

use std::{net::SocketAddr, process::Command};

use serde_json::{Value, json};

use crate::{
    harness::{Connection, Fusebox, PATIENCE, Setup},
    local::{free_address, wait_until},
    peer::{Peer, run, script},
};

/// Node's own server behind a Fusebox.
struct Scene {
    _node: Peer,
    address: SocketAddr,
    fusebox: Fusebox,
}

fn start() -> Scene {
    let address = free_address();
    let mut command = Command::new("node");
    command.arg(script("upstream.js")).arg(address.port().to_string());
    let node = Peer::listening(command, address);
    // Every thread has connections of its own; with one thread they can be counted.
    let fusebox = Setup::payments(&url(address), &[]).with("workers: 1").start();
    Scene { _node: node, address, fusebox }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

impl Scene {
    /// Node's own client makes the call of this name.
    fn call(&self, name: &str, path: &str) -> Value {
        let mut command = Command::new("node");
        command.arg(script("caller.js")).arg(name).arg(url(self.fusebox.proxy) + path);
        serde_json::from_str(&run(command, vec![]).text()).expect("it prints JSON")
    }

    fn is_blameless(&self) -> bool {
        self.fusebox.breaker("payments")["failureCount"] == 0
    }
}

#[test]
fn calls_share_a_connection_from_end_to_end() {
    let scene = start();
    let seen = scene.call("reuse", "/echo");
    let reused: Vec<&Value> =
        seen.as_array().expect("three").iter().map(|it| &it["reused"]).collect();
    assert_eq!(reused, [&json!(false), &json!(true), &json!(true)]);
    assert!(seen.as_array().expect("three").iter().all(|it| it["body"] == "body"), "{seen}");
    // Fusebox has one, and the question for the number uses it.
    assert_eq!(scene.fusebox.get("/connections", &[]).text(), "1");
}

#[test]
fn leave_to_send_is_given() {
    let seen = start().call("leave", "/echo");
    assert_eq!((&seen["status"], &seen["body"]), (&json!(200), &json!("body")));
}

#[test]
fn a_body_that_is_made_while_it_is_sent_arrives_whole() {
    let seen = start().call("stream", "/told");
    let told: Value = serde_json::from_str(seen["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(told["bytes"], 1_000_000);
    assert_eq!(told["headers"]["transfer-encoding"], "chunked");
}

#[test]
fn an_answer_with_trailers_and_one_behind_interim_answers_arrive() {
    let scene = start();
    let mut connection = scene.fusebox.connect();
    for _ in 0..3 {
        assert_eq!(connection.get("/trailers", &[]).text(), "body");
        assert_eq!(connection.get("/hints", &[]).text(), "final");
    }
    assert!(scene.is_blameless());
}

#[test]
fn an_answer_before_the_body_has_ended_is_the_answer() {
    let scene = start();
    for path in ["/early", "/early-and-gone"] {
        for _ in 0..5 {
            let mut connection = scene.fusebox.connect();
            let head =
                format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\n");
            connection.send(head);
            connection.try_send(vec![b'x'; 5_000_000]);
            assert_eq!(connection.response("POST").status, 413, "{path}");
            assert_eq!(scene.fusebox.get("/", &[]).text(), "ok", "{path}");
        }
    }
    assert!(scene.is_blameless());
}

#[test]
fn an_answer_that_breaks_off_is_the_upstreams_failure_and_never_whole() {
    let scene = start();
    let mut connection = scene.fusebox.connect();
    connection.send("GET /broken HTTP/1.1\r\nhost: a\r\n\r\n");
    let (status, headers) = connection.head();
    assert_eq!(status, 200);
    assert!(connection.body("GET", status, &headers).is_err());
    wait_until("it is counted", PATIENCE, || (!scene.is_blameless()).then_some(()));
}

#[test]
fn fusebox_ends_idle_connections_before_node_does() {
    let scene = start();
    assert_eq!(scene.fusebox.get("/", &[]).text(), "ok");
    // Asked past Fusebox, on a connection that is never idle.
    let mut asking = Connection::open(scene.address);
    wait_until("the connection of Fusebox ends", PATIENCE, || {
        let ends = asking.get("/ends", &[]).json();
        assert_eq!(ends["ours"], 0, "Node was first, and a call could have been under way");
        (ends["theirs"] == 1).then_some(())
    });
}
