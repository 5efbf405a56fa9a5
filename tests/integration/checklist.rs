//! The classic checklist: a failing service is cut off, comes back, and everything can be asked.

use std::time::Duration;

use crate::harness::{Database, PATIENCE, ScriptedUpstream, Setup, get, status};

#[test]
fn breakers_are_listed_in_an_envelope() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let answer = get(fusebox.admin, "/api/v1/circuit-breakers", &[]).json();
    assert_eq!(answer["success"], true, "{answer}");
    assert_eq!(answer["data"]["payments"]["state"], "CLOSED", "{answer}");
    assert_eq!(answer["data"]["payments"]["failureCount"], 0, "{answer}");
}

#[test]
fn failing_checks_open_the_breaker_without_traffic_and_succeeding_ones_close_it() {
    let database = Database::new();
    let mut upstream = ScriptedUpstream::start();
    let check = "health_check: { path: /health, every: 300ms, timeout: 300ms }";
    let fusebox = Setup::payments(&upstream.url(), &[check, "breaker: { ramp: 0s }"])
        .database(&database.url)
        .start();
    assert_eq!(fusebox.state("payments"), "CLOSED");

    upstream.stop();
    fusebox.wait_for_state("payments", "OPEN", PATIENCE);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 5);
    let health = get(fusebox.admin, "/health", &[]).json();
    assert_eq!(health["services"]["payments"]["status"], "down", "{health}");

    // Connection failures opened it, so that a good check ends it before the 60 s are over.
    upstream.resume();
    let seen = fusebox.wait_for_state("payments", "CLOSED", PATIENCE);
    assert_eq!(seen, ["OPEN", "HALF_OPEN", "CLOSED"]);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
    assert!(upstream.received().iter().all(|request| request.line.starts_with("GET /health ")));

    database.wait_for(
        "select count(*) >= 5 from task_history where domain = 'system-health' \
         and action = 'monitor-services' and upstream = 'payments' \
         and outcome in ('failure', 'timeout')",
        "t",
    );
    let path = "/api/v1/tasks/history?domain=system-health&action=monitor-services";
    let statistics = fusebox.ask(path);
    assert!(statistics["total"].as_u64() >= Some(5), "{statistics}");
    let rate = statistics["successRate"].as_f64();
    assert!(rate.is_some_and(|rate| (0.0..1.0).contains(&rate)), "{statistics}");
    let reason = &statistics["commonFailureReasons"][0]["reason"];
    assert_eq!(reason, "connect_refused", "{statistics}");
}

#[test]
fn exactly_the_fifth_failed_call_opens_it_and_the_sixth_never_reaches_the_server() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    upstream.answer(status(500));
    for failed in 1..=4 {
        assert_eq!(fusebox.get("/pay", &[]).status, 500);
        assert_eq!(fusebox.breaker("payments")["failureCount"], failed);
        assert_eq!(fusebox.state("payments"), "CLOSED");
    }
    assert_eq!(fusebox.get("/pay", &[]).status, 500);
    assert_eq!(fusebox.state("payments"), "OPEN");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 5);

    let refused = fusebox.get("/pay", &[]);
    assert_eq!(refused.status, 503, "{}", refused.text());
    let wait: u64 = refused.headers.one("retry-after").and_then(|wait| wait.parse().ok()).unwrap();
    assert!((1..=70).contains(&wait), "of 60 s, jittered: {wait}");
    assert_eq!(refused.proxy_error(), Some("destination_unavailable"));
    assert_eq!(refused.headers.one("content-type"), Some("application/problem+json"));
    assert_eq!(refused.json()["status"], 503);
    assert_eq!(upstream.hits(), 5);
}

#[test]
fn a_refusal_takes_less_than_a_millisecond() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    upstream.answer(status(503));
    for _ in 0..5 {
        fusebox.get("/pay", &[]);
    }
    let mut connection = fusebox.connect();
    let mut refuse = || {
        let began = fusebox::clock::now();
        let response = connection.get("/pay", &[]);
        assert!(response.proxy_error().is_some(), "the refusal is Fusebox's own");
        fusebox::clock::now().duration_since(began)
    };
    // The best of some: the machine that runs the tests has other things to do as well.
    let fastest = (0..50).map(|_| refuse()).min().unwrap();
    assert!(fastest < Duration::from_millis(1), "{fastest:?}");
    assert_eq!(upstream.hits(), 5);
}

#[test]
fn half_open_takes_two_successes_to_close() {
    let upstream = ScriptedUpstream::start();
    let keys = ["breaker: { open_for: 500ms, ramp: 0s }"];
    let fusebox = Setup::payments(&upstream.url(), &keys).start();
    upstream.answer(status(500));
    for _ in 0..5 {
        fusebox.get("/pay", &[]);
    }
    upstream.answer(status(200));
    fusebox.wait_for_state("payments", "HALF_OPEN", PATIENCE);
    assert_eq!(fusebox.get("/pay", &[]).status, 200);
    assert_eq!(fusebox.state("payments"), "HALF_OPEN");
    assert_eq!(fusebox.get("/pay", &[]).status, 200);
    assert_eq!(fusebox.state("payments"), "CLOSED");
}

#[test]
fn every_call_is_found_by_its_correlation_id() {
    let database = Database::new();
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).database(&database.url).start();
    for (answer, id) in [(200, "req-good"), (404, "req-lost"), (500, "req-bad")] {
        upstream.answer(status(answer));
        fusebox.get("/pay?secret=1", &[("x-correlation-id", id)]);
    }
    database.wait_for(
        "select correlation_id, status, outcome, failure_reason, upstream, method, attempts \
         from task_history where correlation_id like 'req-%' order by started_at",
        "req-good|200|success||payments|GET|1\n\
         req-lost|404|success||payments|GET|1\n\
         req-bad|500|failure|http_500|payments|GET|1",
    );
    let leaked = "select count(*) from task_history t where t::text like '%secret%'";
    assert_eq!(database.query(leaked), "0", "neither query nor raw path is stored");
    let tasks = fusebox.ask("/api/v1/tasks?correlationId=req-bad");
    assert!(tasks.to_string().contains("http_500"), "{tasks}");
}
