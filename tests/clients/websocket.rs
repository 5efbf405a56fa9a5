//! WebSockets as Python's library speaks them, on both sides.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    harness::{Database, Fusebox, Setup},
    local::{free_address, wait_until},
    peer::{PATIENCE, Peer, run},
    python::{Talk, python},
};

/// A server behind a Fusebox.
struct Scene {
    _server: Peer,
    address: SocketAddr,
    fusebox: Fusebox,
}

fn start_with(keys: &[&str], change: impl FnOnce(Setup) -> Setup) -> Scene {
    let address = free_address();
    let mut command = python("ws_server.py");
    command.arg(address.port().to_string());
    let setup = change(Setup::payments(&format!("http://{address}"), keys));
    Scene { _server: Peer::listening(command, address), address, fusebox: setup.start() }
}

fn start() -> Scene {
    start_with(&[], |setup| setup)
}

/// What the client of this name makes of a server.
fn talked(to: SocketAddr, path: &str, name: &str) -> Value {
    let mut command = python("ws_client.py");
    command.arg(format!("ws://{to}{path}")).arg(name);
    serde_json::from_str(&run(command, vec![]).text()).expect("it prints JSON")
}

impl Scene {
    fn talk(&self, path: &str, name: &str) -> Value {
        talked(self.fusebox.proxy, path, name)
    }
}

#[test]
fn everything_goes_through_a_tunnel_as_it_goes_without() {
    let scene = start();
    for (path, name) in [
        ("/", "large"),
        ("/", "fragments"),
        ("/", "ping"),
        ("/push", "pushed"),
        ("/close", "close"),
        ("/gone", "close"),
        ("/", "leave"),
        ("/refused", "refused"),
        ("/", "many"),
    ] {
        let directly = talked(scene.address, path, name);
        assert_eq!(scene.talk(path, name), directly, "{name} {path}");
    }
    assert_eq!(scene.fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn messages_of_every_size_come_back_and_the_ids_with_the_upgrade() {
    let scene = start();
    let (seen, directly) = (scene.talk("/", "echo"), talked(scene.address, "/", "echo"));
    assert_eq!(seen["same"], true);
    assert_eq!(seen["subprotocol"], "chat");
    assert_eq!(seen["extensions"], directly["extensions"], "compression is between the two ends");
    assert!(seen["correlation"].is_string(), "{seen}");
}

#[test]
fn a_tunnel_in_which_nothing_is_said_ends() {
    let scene = start_with(&["timeouts: { tunnel_idle: 1s }"], |setup| setup);
    let waited = scene.talk("/", "idle").as_u64().expect("it ends");
    assert!((900..10_000).contains(&waited), "after {waited} ms");
}

#[test]
fn a_tunnel_is_in_flight_while_it_is_open_and_one_row_when_it_is_not() {
    let database = Database::new();
    let scene = start_with(&[], |setup| setup.database(&database.url));
    let mut command = python("ws_client.py");
    command.arg(format!("ws://{}/", scene.fusebox.proxy)).arg("hold");
    let talk = Talk::start(command);
    assert_eq!(talk.line(), "\"open\"");
    let in_flight = || scene.fusebox.ask("/api/v1/status")["inFlight"].as_u64();
    assert_eq!(in_flight(), Some(1), "it is counted while it is open");
    assert_eq!(database.query("select count(*) from task_history where status = 101"), "0");
    assert_eq!(talk.end(), "\"still there?\"");
    database.wait_for(
        "select status, outcome, attempts, request_bytes > 0, response_bytes > 0 from task_history",
        "101|success|1|t|t",
    );
    wait_until("it is over", PATIENCE, || (in_flight() == Some(0)).then_some(()));
}

#[test]
fn an_upgrade_that_is_refused_is_an_ordinary_answer_with_an_ordinary_row() {
    let database = Database::new();
    let scene = start_with(&[], |setup| setup.database(&database.url));
    let refused = json!({ "status": 403, "body": "not you\n" });
    assert_eq!(scene.talk("/refused", "refused"), refused);
    database.wait_for("select status, outcome from task_history", "403|success");
}

#[test]
fn a_stop_ends_open_tunnels_in_time() {
    let mut scene = start_with(&[], |setup| setup.with("drain_timeout: 1s"));
    let mut command = python("ws_client.py");
    command.arg(format!("ws://{}/", scene.fusebox.proxy)).arg("hold");
    let talk = Talk::start(command);
    assert_eq!(talk.line(), "\"open\"");
    assert!(scene.fusebox.terminate().success());
}
