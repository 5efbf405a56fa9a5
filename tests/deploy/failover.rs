//! A failover of Postgres with streaming replication, under load: callers see nothing, no row is lost,
//! and circuits are as they were.

use crate::{
    harness::{Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, get, status},
    local::wait_until,
    postgres::Server,
    rotation::{Callers, Rotation},
};

/// How many calls pass before and after.
const BEFORE: usize = 500;
const AFTER: usize = 1_000;

const EPOCHS: &str = "select key, state, epoch from circuit_breaker_state order by key";
const ROWS: &str = "select count(*), count(distinct id) from task_history \
                    where listener = 'egress' and upstream = 'payments'";

/// A sidecar with an upstream that is well and one that is not.
fn sidecar(url: &str, payments: &ScriptedUpstream, ledger: &ScriptedUpstream) -> Fusebox {
    let yaml = format!(
        "logs: {{ calls: none }}\nlisteners:\n  egress:\n    listen: \"{{proxy}}\"\n    routes:\n\
         \x20     - {{ match: {{ path_prefix: /ledger }}, upstream: ledger }}\n\
         \x20     - {{ match: {{}}, upstream: payments }}\n\
         upstreams:\n  payments: {{ endpoints: [\"{}\"] }}\n\
         \x20 ledger: {{ endpoints: [\"{}\"], breaker: {{ open_for: 10m }} }}\n",
        payments.url(),
        ledger.url(),
    );
    Setup::of(yaml).database(url).start()
}

#[test]
fn a_promoted_standby_has_every_row_and_circuits_stay_as_they_were() {
    let server = Server::start();
    let database = Database::on(&server);
    let standby = server.stand_by();
    let name = database.url.rsplit('/').next().and_then(|rest| rest.split('?').next());
    let name = name.expect("a database").to_owned();
    // Both hosts, as a cluster's clients name them; the one that writes is found.
    let here = format!("127.0.0.1:{}", server.port());
    let url = database.url.replace(&here, &format!("{here},127.0.0.1:{standby}"));
    let (payments, ledger) = (ScriptedUpstream::start(), ScriptedUpstream::start());
    ledger.answer(status(500));
    let mut fleet = [(); 3].map(|()| sidecar(&url, &payments, &ledger));
    for fusebox in &fleet {
        wait_until("all are there", PATIENCE, || {
            (fusebox.ask("/api/v1/status")["store"]["instances"] == 3).then_some(())
        });
    }
    wait_until("the circuit of all opens", PATIENCE, || {
        for fusebox in &fleet {
            drop(get(fusebox.proxy, "/ledger", &[]));
        }
        fleet.iter().all(|fusebox| fusebox.breaker("ledger")["state"] == "OPEN").then_some(())
    });
    let opened = wait_until("it is stored", PATIENCE, || {
        Some(server.psql_at(server.port(), &name, EPOCHS)).filter(|rows| rows.contains("|open|"))
    });

    let rotation = Rotation::of(fleet.iter().map(|fusebox| fusebox.proxy));
    let callers = Callers::start(&rotation, 3);
    let until = |count: usize| {
        wait_until("calls pass", PATIENCE, || (rotation.passed() >= count).then_some(()));
    };
    until(BEFORE);
    server.promote();
    until(rotation.passed() + AFTER);
    let (passed, failed) = callers.stop();
    eprintln!("{passed} calls around a failover");
    assert_eq!(failed, 0, "of {passed} calls");
    let expected = format!("{passed}|{passed}");
    let mut last = String::new();
    wait_until("every row is there", PATIENCE * 3, || {
        last = server.psql_at(standby, &name, ROWS);
        (last == expected).then_some(())
    });
    assert_eq!(server.psql_at(standby, &name, EPOCHS), opened, "epochs are kept");
    for fusebox in &mut fleet {
        assert_eq!(fusebox.state("ledger"), "OPEN");
        assert!(fusebox.terminate().success());
    }
}
