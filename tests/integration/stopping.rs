//! SIGTERM: calls under way end well, the service beside makes its last ones, others are not begun,
//! and it is over at the deadline.

use std::net::{SocketAddr, TcpStream};

use std::{
    fs::{self, File},
    process::Command,
};

use crate::{
    harness::{
        Connection, Database, Fusebox, Gate, PATIENCE, ScriptedUpstream, Setup, Step, get, raw,
        run, stall,
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

/// Waits until rows can be written: one that stops before there are tables leaves them in its journal.
fn wait_for_tables(database: &Database<'_>) {
    database.wait_for("select count(*) from task_history", "0");
}

fn wait_until_it_takes_no_more(listener: SocketAddr) {
    wait_until("it takes no new connections", PATIENCE, || {
        TcpStream::connect(listener).is_err().then_some(())
    });
}

/// Both ways of a service: it is called through a listener of its own, at the address returned, and
/// calls `payments`.
fn both_ways(service: &ScriptedUpstream, payments: &ScriptedUpstream) -> (Setup, SocketAddr) {
    let ingress = free_address();
    let yaml = format!(
        "listeners:
  ingress: {{ listen: \"{ingress}\", forwarded: replace, upstream: self }}
  egress: {{ listen: \"{{proxy}}\", upstream: payments }}
upstreams:
  self: {{ endpoints: [\"{}\"] }}
  payments: {{ endpoints: [\"{}\"] }}
",
        service.url(),
        payments.url()
    );
    (Setup::of(yaml), ingress)
}

#[test]
fn a_call_under_way_ends_well_and_its_row_is_written() {
    let database = Database::new();
    let upstream = ScriptedUpstream::start();
    let mut fusebox = Setup::payments(&upstream.url(), &[]).database(&database.url).start();
    wait_for_tables(&database);
    let gate = Gate::new();
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
    upstream.answer(vec![Step::ReadBody, head, Step::WaitFor(gate.clone()), raw("done")]);
    let mut connection = call_under_way(&fusebox, &upstream);
    fusebox.ask_to_stop();
    wait_until_it_takes_no_more(fusebox.proxy);
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
    wait_until_it_takes_no_more(fusebox.proxy);
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
    wait_for_tables(&database);
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
    wait_for_tables(&database);
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
        (get(fusebox.admin, "/ready", &[]).status == 503).then_some(())
    });
    assert_eq!(get(fusebox.admin, "/live", &[]).status, 200);
    gate.open();
    assert_eq!(connection.response("GET").status, 200);
    assert!(fusebox.wait_for_end().success());
}

#[test]
fn the_service_may_call_while_it_answers_its_own_callers() {
    let (database, service) = (Database::new(), ScriptedUpstream::start());
    let payments = ScriptedUpstream::start();
    let (setup, ingress) = both_ways(&service, &payments);
    let mut fusebox = setup.database(&database.url).drain_quiet("200ms").start();
    let (gate, answer) = (Gate::new(), raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    service.answer(vec![Step::ReadBody, Step::WaitFor(gate.clone()), answer]);
    let mut caller = Connection::open(ingress);
    caller.send("GET /order HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("the call arrives", PATIENCE, || (service.hits() == 1).then_some(()));
    let mut kept = fusebox.connect();
    assert_eq!(kept.get("/pay", &[]).headers.one("connection"), None);
    fusebox.ask_to_stop();
    // Nobody may come in any more, and the service may go out.
    wait_until_it_takes_no_more(ingress);
    assert_eq!(get(fusebox.admin, "/ready", &[]).status, 503);
    for response in [fusebox.get("/pay", &[]), kept.get("/pay", &[]), fusebox.get("/pay", &[])] {
        assert_eq!((response.status, response.headers.one("connection")), (200, Some("close")));
    }
    assert!(kept.is_closed());
    gate.open();
    assert_eq!(caller.response("GET").text(), "ok");
    assert!(fusebox.wait_for_end().success());
    let rows = "select upstream, outcome, count(*) from task_history group by 1, 2 order by 1";
    assert_eq!(database.query(rows), "payments|success|4\nself|success|1");
}

#[test]
fn a_drain_waits_for_the_service_to_be_quiet() {
    let (service, payments) = (ScriptedUpstream::start(), ScriptedUpstream::start());
    let (setup, ingress) = both_ways(&service, &payments);
    let mut fusebox = setup.drain_quiet("1h").with("drain_timeout: 1h").start();
    let drained = run(&["drain", "--admin", &fusebox.admin.to_string()], &[]);
    assert_eq!(drained.code, Some(0), "{}", drained.text);
    wait_until_it_takes_no_more(ingress);
    // It has not been quiet for an hour.
    assert_eq!(fusebox.get("/pay", &[]).status, 200);
    assert!(fusebox.terminate().success());
}

#[test]
fn a_service_that_is_quiet_is_not_waited_for() {
    let upstream = ScriptedUpstream::start();
    let setup = Setup::payments(&upstream.url(), &[]).with("drain_timeout: 1h");
    let mut fusebox = setup.drain_quiet("300ms").start();
    assert_eq!(fusebox.get("/pay", &[]).status, 200);
    assert!(fusebox.terminate().success());
    assert_eq!(
        fusebox.wait_for_line("it ends", |line| line["message"] == "drained")["complete"],
        true
    );
}

#[test]
fn a_service_that_never_stops_calling_does_not_hold_it_up() {
    let upstream = ScriptedUpstream::start();
    let setup = Setup::payments(&upstream.url(), &[]).with("drain_timeout: 2s");
    let mut fusebox = setup.drain_quiet("1h").start();
    fusebox.ask_to_stop();
    wait_until("its calls are refused", PATIENCE, || {
        let Ok(stream) = TcpStream::connect(fusebox.proxy) else { return Some(()) };
        let mut call = Connection::of(stream);
        // Who comes in at the very end may find nobody.
        let _answered =
            call.try_send("GET /pay HTTP/1.1\r\nhost: a\r\n\r\n") && call.try_head().is_some();
        None
    });
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

#[test]
fn a_collector_that_never_answers_does_not_hold_it_up_and_rows_have_their_time() {
    let upstream = ScriptedUpstream::start();
    let collector = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", collector.local_addr().expect("an address"));
    let nowhere = format!("postgres://a:b@{}/c?sslmode=disable", free_address());
    let mut fusebox = Setup::payments(&upstream.url(), &[])
        .database(&nowhere)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &url)
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "600000")
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .start();
    assert_eq!(fusebox.get("/pay", &[("x-correlation-id", "req-last")]).status, 200);
    collector.set_nonblocking(true).expect("it does not block");
    let _post = wait_until("spans are posted", PATIENCE, || collector.accept().ok());
    assert!(fusebox.terminate().success());
    fusebox.wait_for_line("the row is printed", |line| {
        line["correlationId"] == "req-last" && line["startedAtUs"].is_u64()
    });
    fusebox.wait_for_line("spans are counted as lost", |line| {
        line["message"] == "stopped before the collector had every span" && line["spans"] == 2
    });
}

#[test]
fn a_file_that_keeps_its_reader_waiting_does_not_hold_it_up() {
    let upstream = ScriptedUpstream::start();
    let mut fusebox = Setup::payments(&upstream.url(), &[]).start();
    let pipe = fusebox.data_dir().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo starts").success());
    // Open on both sides, so that whoever reads waits for what never comes.
    let _pipe = File::options().read(true).write(true).open(&pipe).expect("it is opened");
    fs::rename(&pipe, fusebox.config()).expect("it is put in place of the file");
    let file = fs::canonicalize(fusebox.config()).expect("it is there");
    wait_until("it is read", PATIENCE, || {
        let open = fs::read_dir(format!("/proc/{}/fd", fusebox.pid())).expect("a process");
        let mut open = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        open.any(|it| it == file).then_some(())
    });
    assert!(fusebox.terminate().success());
}
