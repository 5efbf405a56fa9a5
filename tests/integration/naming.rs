//! Who is named when instances do not agree, and orders that are given past all of them.

use std::fs;

use serde_json::{Value, json};

use crate::{
    harness::{Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, get, run, status},
    local::{free_address, wait_until},
};

const BREAKER: &str = "breaker: { key: shared }";
/// So that each call is one failure.
const ONCE: &str = "retry: { attempts: 1 }";

/// An instance `orders-N` in a zone, that calls `payments` there.
fn start(number: u32, zone: &str, setup: Setup, database: &Database<'_>) -> Fusebox {
    setup
        .env("FUSEBOX_INSTANCE_NAME", &format!("orders-{number}"))
        .env("FUSEBOX_ZONE", zone)
        .database(&database.url)
        .start()
}

fn wait_for_hearts(database: &Database<'_>, count: usize) {
    let alive = "select count(*) from sidecar_instance where alive_until > now()";
    database.wait_for(alive, &count.to_string());
}

/// Until its next heartbeat an instance does not know of those that came after it.
fn wait_for_company(fleet: &[Fusebox]) {
    for fusebox in fleet {
        wait_until("it knows of the others", PATIENCE, || {
            let live = fusebox.ask("/api/v1/status")["store"]["instances"].as_u64();
            (live == Some(fleet.len() as u64)).then_some(())
        });
    }
}

fn explained(fusebox: &Fusebox, name: &str) -> Value {
    fusebox.ask(&format!("/api/v1/circuit-breakers/{name}"))
}

/// What a command prints that asks this Fusebox.
fn command(fusebox: &Fusebox, args: &[&str]) -> String {
    let finished = run(&[args, &["--admin", &fusebox.admin.to_string()]].concat(), &[]);
    assert_eq!(finished.code, Some(0), "{}", finished.text);
    finished.text
}

#[test]
fn one_that_fails_alone_is_named_with_its_zone_and_its_calls() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let refused = format!("http://{}", free_address());
    let urls =
        [(1, "eu-1b", &refused), (2, "eu-1a", &upstream.url()), (3, "eu-1a", &upstream.url())];
    let fleet = urls.map(|(number, zone, url)| {
        start(number, zone, Setup::payments(url, &[BREAKER, ONCE]), &database)
    });
    wait_for_company(&fleet);
    fleet[1..].iter().for_each(|well| assert_eq!(well.get("/", &[]).status, 200));
    for _ in 0..5 {
        fleet[0].get("/", &[]);
    }
    let line = fleet[0].wait_for_line("how the vote went", |line| {
        line["message"] == "the fleet did not agree that it fails: it is cut off here alone"
    });
    assert_eq!((&line["bad"], &line["good"]), (&json!(1), &json!(2)), "{line}");
    for fusebox in &fleet {
        let told = explained(fusebox, "payments");
        let [finding] = &told["attribution"].as_array().expect("findings")[..] else {
            panic!("{told}")
        };
        assert_eq!((&finding["kind"], &finding["name"]), (&json!("alone"), &json!("orders-1")));
        let votes = &told["fleet"]["votes"];
        let numbers = ["bad", "good", "needed", "electorate"].map(|name| votes[name].clone());
        assert_eq!(numbers, [json!(1), json!(2), json!(2), json!(3)]);
        let bad = &told["fleet"]["ballots"][0];
        assert_eq!((&bad["zone"], &bad["vote"]), (&json!("eu-1b"), &json!("bad")));
    }
    let text = command(&fleet[0], &["explain", "payments"]);
    assert!(text.contains("Only orders-1 (eu-1b"), "{text}");
    assert!(text.contains("1 of 3 say bad, 2 good; `quorum: majority` asks for 2"), "{text}");
    let calls = explained(&fleet[0], "payments")["taskIds"].clone();
    let calls = calls.as_array().expect("ids");
    assert_eq!(calls.len(), 5);
    assert!(text.contains("For example tasks"), "{text}");
    for id in calls {
        let id = id.as_str().expect("an id");
        wait_until("its row", PATIENCE, || {
            let count = format!(
                "select count(*) from task_history where id = '{id}' and outcome <> 'success'"
            );
            (database.query(&count) == "1").then_some(())
        });
    }
}

#[test]
fn an_opening_names_its_calls_in_its_event_and_in_the_log() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let fusebox = start(1, "eu-1a", Setup::payments(&upstream.url(), &[ONCE]), &database);
    wait_for_hearts(&database, 1);
    upstream.answer(status(500));
    let failed: Vec<String> = (0..5)
        .map(|_| fusebox.get("/", &[]).headers.one("x-task-id").expect("an id").to_owned())
        .collect();
    database.wait_for("select count(*) from circuit_breaker_event", "1");
    let ids = "select string_agg(task::text, ' ' order by task) \
               from circuit_breaker_event, unnest(task_ids) task";
    let mut expected = failed.clone();
    expected.sort();
    assert_eq!(database.query(ids), expected.join(" "));
    let events = fusebox.ask("/api/v1/circuit-breakers/payments/events");
    assert_eq!(events["events"][0]["detail"]["taskIds"], json!(expected));
    let line = fusebox.wait_for_line("the opening", |line| {
        line["message"] == "the circuit moved" && line["to"] == "open"
    });
    assert_eq!(line["taskIds"], failed.join(" "), "{line}");
}

#[test]
fn one_that_fails_with_most_of_its_upstreams_is_degraded_itself() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let setup = |url: &str| {
        Setup::of(format!(
            "listeners:\n  egress:\n    listen: \"{{proxy}}\"\n    routes:\n\
             \x20     - {{ match: {{ path_prefix: /ledger }}, upstream: ledger }}\n\
             \x20     - {{ match: {{ path_prefix: /mail }}, upstream: mail }}\n\
             upstreams:\n\
             \x20 ledger: {{ endpoints: [\"{url}\"], breaker: {{ key: ledger }} }}\n\
             \x20 mail: {{ endpoints: [\"{url}\"], breaker: {{ key: mail }} }}\n"
        ))
    };
    let refused = format!("http://{}", free_address());
    let sick = start(1, "eu-1b", setup(&refused), &database);
    let well = [2, 3].map(|number| start(number, "eu-1a", setup(&upstream.url()), &database));
    wait_for_hearts(&database, 3);
    let call_all = || {
        for path in ["/ledger", "/mail"] {
            well.iter().for_each(|fusebox| assert_eq!(fusebox.get(path, &[]).status, 200));
            (0..5).for_each(|_| drop(sick.get(path, &[])));
        }
    };
    call_all();
    let health = |fusebox: &Fusebox| get(fusebox.admin, "/health", &[]).json();
    let reason = wait_until("it knows that it is sick", PATIENCE, || {
        call_all();
        health(&sick)["reason"].as_str().map(str::to_owned)
    });
    assert!(reason.contains("(ledger, mail): it is this instance, not the upstreams"), "{reason}");
    assert_eq!(health(&sick)["status"], "degraded");
    assert_eq!(health(&well[0])["reason"], Value::Null);
    let status = command(&sick, &["status"]);
    assert!(status.contains("degraded   2 of the 2 upstreams"), "{status}");
    let others = command(&well[0], &["explain", "mail"]);
    assert!(others.contains("Instance orders-1 (eu-1b"), "{others}");
    assert_eq!(database.query("select count(*) from circuit_breaker_event"), "0");
}

#[test]
fn who_has_other_rules_is_named_in_status_explain_and_once_in_the_log() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let keys = [BREAKER, BREAKER, "breaker: { key: shared, consecutive_failures: 3 }"];
    let mut number = 0;
    let fleet = keys.map(|breaker| {
        number += 1;
        start(number, "eu-1a", Setup::payments(&upstream.url(), &[breaker]), &database)
    });
    wait_for_hearts(&database, 3);
    let drift = "1 of 3 instances (orders-3) has other rules than the rest";
    for fusebox in &fleet {
        wait_until("status names it", PATIENCE, || {
            command(fusebox, &["status"]).contains(drift).then_some(())
        });
        assert!(command(fusebox, &["explain", "payments"]).contains(drift));
        let told = explained(fusebox, "payments")["fleet"]["rules"]["drift"].clone();
        assert_eq!((&told["count"], &told["names"]), (&json!(1), &json!(["orders-3"])));
        fusebox.wait_for_line("a warning", is_of_drift);
    }
    let warnings = |fusebox: &Fusebox| {
        let lines = fusebox.lines();
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).filter(is_of_drift).count()
    };
    assert_eq!(warnings(&fleet[2]), 1);
}

fn is_of_drift(line: &Value) -> bool {
    line["message"].as_str().is_some_and(|message| message.contains("other rules than the rest"))
}

#[test]
fn an_order_is_given_and_lifted_with_sql_to_a_breaker_that_was_never_open() {
    let (upstream, database) = (ScriptedUpstream::start(), Database::new());
    let fusebox = start(1, "eu-1a", Setup::payments(&upstream.url(), &[]), &database);
    wait_for_hearts(&database, 1);
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/breakers.md"));
    let docs = docs.expect("the guide");
    let statements: Vec<&str> =
        docs.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [give, lift] = statements[..] else { panic!("two statements: {statements:?}") };
    assert_eq!(database.query("select count(*) from circuit_breaker_state"), "0");
    database.query(give);
    fusebox.wait_for_state("payments", "OPEN", PATIENCE);
    let breaker = fusebox.breaker("payments");
    assert_eq!((&breaker["mode"], &breaker["order"]["by"]), (&json!("forced_open"), &json!("ann")));
    assert_eq!(breaker["order"]["reason"], "the ledger moves");
    database.query(lift);
    fusebox.wait_for_state("payments", "CLOSED", PATIENCE);
    // The automatic state was never touched: it opens as ever, and can be steered again.
    upstream.answer(status(500));
    (0..5).for_each(|_| drop(fusebox.get("/", &[])));
    database.wait_for("select state, epoch from circuit_breaker_state", "open|1");
    database.query(give);
    wait_until("the order", PATIENCE, || {
        (fusebox.breaker("payments")["mode"] == "forced_open").then_some(())
    });
}
