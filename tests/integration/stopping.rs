//! SIGTERM: calls under way end well, new ones are not begun, and it is over at the deadline.

use crate::{
    harness::{
        Connection, Database, Fusebox, Gate, PATIENCE, ScriptedUpstream, Setup, Step, raw, stall,
    },
    local::{free_address, wait_until},
};

/// Sends a call and waits until the upstream has it.
fn call_under_way(fusebox: &Fusebox, upstream: &ScriptedUpstream) -> Connection {
    let before = upstream.hits();
    let mut connection = fusebox.connect();
    connection.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("the call arrives", PATIENCE, || (upstream.hits() > before).then_some(()));
    connection
}

fn wait_until_it_takes_no_more(fusebox: &Fusebox) {
    wait_until("it takes no new connections", PATIENCE, || {
        std::net::TcpStream::connect(fusebox.proxy).is_err().then_some(())
    });
}

#[test]
fn a_call_under_way_ends_well_and_its_row_is_written() {
    let database = Database::new();
    let upstream = ScriptedUpstream::start();
    let mut fusebox = Setup::payments(&upstream.url(), &[]).database(&database.url).start();
    let gate = Gate::new();
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
    upstream.answer(vec![Step::ReadBody, head, Step::WaitFor(gate.clone()), raw("done")]);
    let mut connection = call_under_way(&fusebox, &upstream);
    fusebox.ask_to_stop();
    wait_until_it_takes_no_more(&fusebox);
    gate.open();
    assert_eq!(connection.response("GET").text(), "done");
    assert!(connection.is_closed());
    assert!(fusebox.wait_for_end().success());
    assert_eq!(database.query("select outcome, status from task_history"), "success|200");
}

#[test]
fn a_kept_connection_is_closed_with_the_answer_to_its_last_call() {
    let upstream = ScriptedUpstream::start();
    let mut fusebox = Setup::payments(&upstream.url(), &[]).start();
    let gate = Gate::new();
    let answer = raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    upstream.answer(vec![Step::ReadBody, Step::WaitFor(gate.clone()), answer]);
    let mut connection = call_under_way(&fusebox, &upstream);
    fusebox.ask_to_stop();
    wait_until_it_takes_no_more(&fusebox);
    gate.open();
    let response = connection.response("GET");
    assert_eq!(response.headers.one("connection"), Some("close"));
    assert!(fusebox.wait_for_end().success());
}

#[test]
fn idle_connections_do_not_hold_it_up() {
    let upstream = ScriptedUpstream::start();
    let mut fusebox = Setup::payments(&upstream.url(), &[]).start();
    let mut idle = fusebox.connect();
    assert_eq!(idle.get("/", &[]).status, 200);
    let unused = fusebox.connect();
    assert!(fusebox.terminate().success());
    assert!(idle.is_closed());
    drop(unused);
}

#[test]
fn a_call_that_does_not_end_is_cut_at_the_deadline_and_its_row_says_so() {
    let database = Database::new();
    let upstream = ScriptedUpstream::start();
    let setup = Setup::payments(&upstream.url(), &[]).with("drain_timeout: 300ms");
    let mut fusebox = setup.database(&database.url).start();
    upstream.answer(stall());
    let _connection = call_under_way(&fusebox, &upstream);
    fusebox.terminate();
    let row = "select outcome, failure_reason from task_history";
    assert_eq!(database.query(row), "interrupted|shutdown");
}

#[test]
fn a_second_signal_cuts_what_is_left_and_its_row_says_so() {
    let database = Database::new();
    let upstream = ScriptedUpstream::start();
    let setup = Setup::payments(&upstream.url(), &[]).with("workers: 2");
    let mut fusebox = setup.database(&database.url).start();
    upstream.answer(stall());
    let _connection = call_under_way(&fusebox, &upstream);
    fusebox.ask_to_stop();
    fusebox.wait_for_line("it drains", |line| line["message"] == "draining");
    assert!(fusebox.terminate().success());
    let row = "select outcome, failure_reason from task_history";
    assert_eq!(database.query(row), "interrupted|shutdown");
}

#[test]
fn it_is_not_ready_while_it_stops_but_still_alive() {
    let upstream = ScriptedUpstream::start();
    let mut fusebox = Setup::payments(&upstream.url(), &[]).start();
    let gate = Gate::new();
    let answer = raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    upstream.answer(vec![Step::ReadBody, Step::WaitFor(gate.clone()), answer]);
    let mut connection = call_under_way(&fusebox, &upstream);
    fusebox.ask_to_stop();
    wait_until("it is not ready", PATIENCE, || {
        (crate::harness::get(fusebox.admin, "/ready", &[]).status == 503).then_some(())
    });
    assert_eq!(crate::harness::get(fusebox.admin, "/live", &[]).status, 200);
    gate.open();
    assert_eq!(connection.response("GET").status, 200);
    assert!(fusebox.wait_for_end().success());
}

#[test]
fn a_store_that_never_came_does_not_hold_it_up_and_its_rows_are_printed() {
    let upstream = ScriptedUpstream::start();
    let nowhere = format!("postgres://a:b@{}/c?sslmode=disable", free_address());
    let mut fusebox = Setup::payments(&upstream.url(), &[]).database(&nowhere).start();
    assert_eq!(fusebox.get("/pay", &[("x-correlation-id", "req-last")]).status, 200);
    wait_until("status tells that the store is away", PATIENCE, || {
        (fusebox.ask("/api/v1/status")["store"]["reachable"] == false).then_some(())
    });
    fusebox.ask_to_stop();
    assert!(fusebox.wait_for_end().success());
    fusebox.wait_for_line("the row is printed", |line| {
        line["correlationId"] == "req-last" && line["startedAtUs"].is_u64()
    });
}
