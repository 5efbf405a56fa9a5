//! gRPC as Python's library speaks it, on both sides.

use std::{net::SocketAddr, process::Command};

use serde_json::{Value, json};

use crate::{
    harness::{Database, Fusebox, Setup},
    local::{free_address, wait_until},
    peer::{PATIENCE, Peer, run},
    python::python,
};

/// A server behind a Fusebox.
struct Scene {
    server: Option<Peer>,
    address: SocketAddr,
    fusebox: Fusebox,
}

fn server(address: SocketAddr) -> Peer {
    let mut command = python("grpc_server.py");
    command.arg(address.port().to_string());
    Peer::listening(command, address)
}

fn start_with(keys: &[&str], change: impl FnOnce(Setup) -> Setup) -> Scene {
    let address = free_address();
    let setup = change(Setup::payments(&format!("http://{address}"), keys));
    Scene { server: Some(server(address)), address, fusebox: setup.start() }
}

fn start() -> Scene {
    start_with(&[], |setup| setup)
}

impl Scene {
    /// The client makes the calls of this name, and tells what came of them.
    fn calls(&self, name: &str, arguments: &[&str]) -> Value {
        let mut command: Command = python("grpc_client.py");
        command.arg(self.fusebox.proxy.to_string()).arg(name).args(arguments);
        serde_json::from_str(&run(command, vec![]).text()).expect("it prints JSON")
    }

    fn failures(&self) -> Value {
        self.fusebox.breaker("payments")["failureCount"].clone()
    }
}

#[test]
fn calls_of_one_message_each_way_and_of_none() {
    assert_eq!(start().calls("echo", &[]), json!([true, true, true]));
}

#[test]
fn a_message_of_sixteen_mebibytes_goes_there_and_back() {
    assert_eq!(start().calls("large", &["16777216"]), true);
}

#[test]
fn messages_stream_to_the_upstream() {
    assert_eq!(start().calls("collect", &[]), "500 500000");
}

#[test]
fn messages_stream_to_the_caller() {
    assert_eq!(start().calls("expand", &[]), json!([500, 500_000]));
}

#[test]
fn messages_stream_both_ways_each_as_it_is_sent() {
    let chat = start().calls("chat", &[]);
    assert_eq!(chat["code"], "OK");
    assert_eq!(chat["seen"].as_array().map(Vec::len), Some(20));
    assert_eq!(chat["rest"], json!([]));
}

#[test]
fn five_hundred_calls_at_the_same_time_share_a_channel() {
    assert_eq!(start().calls("many", &["500"]), true);
}

#[test]
fn status_codes_arrive_with_their_words_and_trailers_and_are_judged_by_the_table() {
    let database = Database::new();
    let keys = ["breaker: { consecutive_failures: 100 }"];
    let scene = start_with(&keys, |setup| setup.database(&database.url));
    let callers =
        ["NOT_FOUND", "INVALID_ARGUMENT", "PERMISSION_DENIED", "UNIMPLEMENTED", "UNKNOWN"];
    let upstreams = ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "DATA_LOSS"];
    for (codes, failures) in [(&callers[..], 0), (&upstreams[..], upstreams.len())] {
        let seen = scene.calls("fail", codes);
        for code in codes {
            let seen = &seen[code];
            assert_eq!(seen["code"], *code, "{seen}");
            assert_eq!(seen["details"], "as it was told: ö", "{seen}");
            assert_eq!(seen["trailers"]["x-why"], "asked for", "{seen}");
            assert_eq!(seen["trailers"]["x-why-bin"], "b'\\x00\\xff'", "{seen}");
        }
        assert_eq!(scene.failures(), failures);
    }
    database.wait_for(
        "select outcome, count(*) from task_history where grpc_status > 0 group by 1 order by 1",
        "failure|3\nsuccess|5\ntimeout|1",
    );
    let numbers =
        "select string_agg(grpc_status::text, ' ' order by grpc_status) from task_history";
    database.wait_for(numbers, "2 3 4 5 7 12 13 14 15");
}

#[test]
fn a_failure_behind_messages_is_the_upstreams() {
    let scene = start();
    let seen = scene.calls("fail_late", &[]);
    assert_eq!(seen["seen"], json!(["one", "two"]));
    assert_eq!((&seen["code"], &seen["details"]), (&json!("DATA_LOSS"), &json!("in the end")));
    wait_until("it is counted", PATIENCE, || (scene.failures() == 1).then_some(()));
}

#[test]
fn a_caller_that_waits_no_longer_ends_its_call_and_the_upstream_is_told_how_long_it_has() {
    let scene = start();
    let seen = scene.calls("deadline", &[]);
    assert_eq!(seen["code"], "DEADLINE_EXCEEDED");
    assert!(seen["took_ms"].as_u64().is_some_and(|ms| (250..5_000).contains(&ms)), "{seen}");
    let remaining: i64 = seen["remaining_ms"].as_str().and_then(|ms| ms.parse().ok()).expect("ms");
    assert!((1..=5_050).contains(&remaining), "{seen}");
    assert_eq!(scene.failures(), 0, "its own shorter deadline is no failure of the upstream");
}

#[test]
fn calls_that_are_given_up_end_at_the_upstream_too() {
    let scene = start();
    let seen = scene.calls("cancel", &[]);
    assert_eq!(seen, json!({ "arrived": true, "codes": ["CANCELLED"], "seen": true }));
    assert_eq!(scene.failures(), 0);
}

#[test]
fn metadata_arrives_and_the_ids_come_back() {
    let scene = start();
    let seen = scene.calls("metadata", &[]);
    let arrived = seen["arrived"].as_str().expect("text");
    for line in ["x-plain: a b", "x-bytes-bin: b'\\x00\\xff\\x80'", "x-correlation-id: req-grpc"] {
        assert!(arrived.lines().any(|arrived| arrived == line), "{line}: {arrived}");
    }
    assert!(arrived.contains("traceparent: 00-"), "{arrived}");
    assert_eq!(seen["came_back"]["x-correlation-id"], "req-grpc");
    assert!(seen["came_back"]["x-task-id"].is_string(), "{seen}");
}

#[test]
fn an_upstream_that_is_away_opens_the_circuit_which_refuses_in_the_words_of_grpc() {
    let mut scene = start();
    assert_eq!(scene.calls("one", &[])["answer"], "hello");
    scene.server = None;
    for _ in 0..5 {
        assert_eq!(scene.calls("one", &[])["code"], "UNAVAILABLE");
    }
    assert_eq!(scene.fusebox.state("payments"), "OPEN");
    for name in ["one", "stream"] {
        let refused = scene.calls(name, &[]);
        assert_eq!(refused["code"], "UNAVAILABLE", "{refused}");
        let said = refused["details"].as_str().expect("it says why");
        assert!(said.contains("payments"), "{said}");
    }
    scene.server = Some(server(scene.address));
    assert_eq!(scene.calls("one", &[])["code"], "UNAVAILABLE", "it stays open");
}

#[test]
fn five_calls_that_end_unavailable_open_the_circuit() {
    let scene = start();
    for _ in 0..5 {
        let seen = scene.calls("fail", &["UNAVAILABLE"]);
        assert_eq!(seen["UNAVAILABLE"]["details"], "as it was told: ö");
    }
    assert_eq!(scene.fusebox.state("payments"), "OPEN");
}
