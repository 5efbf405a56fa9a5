//! Postgres goes away, hangs, refuses and comes back: no caller notices, and no row is missing.

use std::{net::SocketAddr, time::Duration};

use crate::{
    harness::{BreakableLink, Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, status},
    postgres::Server,
};

/// More than a call to an upstream on loopback takes on the busiest machine, less than any timeout of a store.
const UNNOTICED: Duration = Duration::from_secs(4);

/// Makes some calls that must all go well, with correlation ids that continue from `from`.
fn calls(fusebox: &Fusebox, from: usize, count: usize) -> usize {
    let mut connection = fusebox.connect();
    for number in from..from + count {
        let began = fusebox::clock::now();
        let id = format!("outage-{number}");
        let response = connection.get("/pay", &[("x-correlation-id", &id)]);
        let took = fusebox::clock::now().duration_since(began);
        assert_eq!(response.status, 200, "{}", response.text());
        assert!(took < UNNOTICED, "call {number} took {took:?}");
    }
    from + count
}

/// How many rows there are of how many calls.
const ROWS: &str = "select count(*), count(distinct correlation_id) from task_history \
                    where correlation_id like 'outage-%'";

#[test]
fn postgres_stopped_in_the_middle_is_noticed_by_nobody_and_costs_no_row() {
    let server = Server::start();
    let database = Database::on(&server);
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).database(&database.url).start();
    let made = calls(&fusebox, 0, 200);
    server.stop();
    let made = calls(&fusebox, made, 500);
    assert_eq!(crate::harness::get(fusebox.admin, "/live", &[]).status, 200);
    server.resume();
    let made = calls(&fusebox, made, 200);
    database.wait_for(ROWS, &format!("{made}|{made}"));
}

#[test]
fn a_circuit_that_opens_meanwhile_is_shared_when_postgres_is_back() {
    let server = Server::start();
    let database = Database::on(&server);
    let upstream = ScriptedUpstream::start();
    let [busy, idle] =
        [(), ()].map(|()| Setup::payments(&upstream.url(), &[]).database(&database.url).start());
    server.stop();
    upstream.answer(status(500));
    for _ in 0..5 {
        assert_eq!(busy.get("/pay", &[]).status, 500);
    }
    assert_eq!(busy.state("payments"), "OPEN", "the local breaker goes on alone");
    assert_eq!(idle.state("payments"), "CLOSED", "nobody could tell it");
    server.resume();
    idle.wait_for_state("payments", "OPEN", PATIENCE);
}

#[test]
fn a_link_that_hangs_or_breaks_is_noticed_by_nobody_and_costs_no_row() {
    let server = Server::start();
    let database = Database::on(&server);
    let link = BreakableLink::to(SocketAddr::from(([127, 0, 0, 1], server.port())));
    let through = database
        .url
        .replace(&format!(":{}/", server.port()), &format!(":{}/", link.address().port()));
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).database(&through).start();
    let mut made = calls(&fusebox, 0, 100);
    database.wait_for(ROWS, "100|100");
    link.pause();
    made = calls(&fusebox, made, 300);
    link.cut();
    made = calls(&fusebox, made, 300);
    link.mend();
    made = calls(&fusebox, made, 100);
    database.wait_for(ROWS, &format!("{made}|{made}"));
}

#[test]
fn it_starts_without_postgres_and_writes_its_rows_when_postgres_comes() {
    let server = Server::start();
    let database = Database::on(&server);
    let upstream = ScriptedUpstream::start();
    server.stop();
    let fusebox = Setup::payments(&upstream.url(), &[]).database(&database.url).start();
    let made = calls(&fusebox, 0, 50);
    server.resume();
    database.wait_for(ROWS, &format!("{made}|{made}"));
}

#[test]
fn a_postgres_that_refuses_is_named_in_the_log_and_changes_nothing_for_callers() {
    let database = Database::new();
    let upstream = ScriptedUpstream::start();
    let wrong = database.url.replace(crate::postgres::PASSWORD, "wrong-canary");
    let fusebox = Setup::payments(&upstream.url(), &[]).database(&wrong).start();
    calls(&fusebox, 0, 10);
    fusebox.wait_for_line("a warning about the store", |line| {
        let level = line["level"].as_str().unwrap_or_default().to_lowercase();
        let text = line.to_string();
        matches!(level.as_str(), "warn" | "error") && text.contains("password authentication")
    });
    let said = fusebox.lines().join("\n");
    assert!(!said.contains("wrong-canary"), "a password was logged: {said}");
}

#[test]
fn what_was_not_written_before_the_stop_is_printed() {
    let server = Server::start();
    let database = Database::on(&server);
    let upstream = ScriptedUpstream::start();
    let setup = Setup::payments(&upstream.url(), &[]).with("logs: { calls: none }");
    let mut fusebox = setup.database(&database.url).start();
    server.stop();
    calls(&fusebox, 0, 20);
    fusebox.terminate();
    for number in 0..20 {
        let id = format!("outage-{number}");
        fusebox.wait_for_line("a row on stdout", |line| line.to_string().contains(&id));
    }
}
