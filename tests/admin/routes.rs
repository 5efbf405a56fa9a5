//! Every path: what it answers, and how it says no.

use serde_json::{Value, json};

use fusebox::{
    admin::timeline::Moment,
    domain::breaker::{Cause, State},
};
use tokio::io::AsyncWriteExt;

use crate::{
    configuration::{DATABASE_PASSWORD, HEADER_SECRET},
    harness::{Port, read_until},
    sample::{NOON_US, Sample, now_us, row_id, transition},
};

#[tokio::test]
async fn breakers_are_keyed_by_upstream() {
    let port = Port::open().await;
    let data = port.get("/api/v1/circuit-breakers").await.data();
    assert_eq!(data.as_object().map(|all| all.len()), Some(5));
    let payments = &data["payments"];
    let since: jiff::Timestamp = payments["since"].as_str().unwrap().parse().unwrap();
    let age_ms = now_us() / 1_000 - since.as_millisecond();
    assert!((19_000..25_000).contains(&age_ms), "{age_ms}");
    let mut rest = payments.clone();
    rest["since"] = Value::Null;
    let expected = json!({
        "state": "OPEN", "failureCount": 5, "scope": "fleet", "since": null,
        "retryAfterMs": 41_300, "reason": "consecutive_failures",
        "openedBy": "consecutive_failures", "failureRate": 0.1219,
        "windowCalls": 41, "mode": "auto", "order": null, "wouldRefuse": 0, "epoch": 3,
        "reporters": 3,
    });
    assert_eq!(rest, expected);
    assert_eq!(data["inventory"]["reason"], Value::Null);
    port.finish().await;
}

#[tokio::test]
async fn one_breaker_has_what_this_instance_remembers_of_it() {
    let port = Port::open().await;
    let opened = transition(State::Closed, State::Open, Cause::ConsecutiveFailures);
    port.timeline.note(Moment {
        name: "payments".into(),
        at_us: NOON_US,
        transition: opened,
        task_ids: vec![row_id(1)],
    });
    let data = port.get("/api/v1/circuit-breakers/payments").await.data();
    assert_eq!(data["state"], "OPEN");
    let expected = json!([{
        "at": "2026-11-22T12:00:00Z", "from": "CLOSED", "to": "OPEN",
        "cause": "consecutive_failures", "failureCount": 5, "windowCalls": 41,
        "windowFailures": 5, "openForMs": 60_000, "mode": "auto",
        "taskIds": [row_id(1).to_string()],
    }]);
    assert_eq!(data["recentTransitions"], expected);
    let missing = port.get("/api/v1/circuit-breakers/nobody").await;
    assert_eq!(missing.error(), (404, "not_found".to_owned()));
    let broken = port.get("/api/v1/circuit-breakers/%ff").await;
    assert_eq!(broken.error(), (400, "bad_request".to_owned()));
    port.finish().await;
}

#[tokio::test]
async fn the_past_of_a_breaker_comes_from_the_store() {
    let port = Port::open().await;
    let data = port.get("/api/v1/circuit-breakers/payments/events?limit=7").await.data();
    let expected = json!({ "events": [{
        "at": "2026-11-22T12:00:00Z", "epoch": 3, "from": "CLOSED", "to": "OPEN",
        "cause": "consecutive_failures", "instance": "ip-10-0-3-7",
        "detail": { "key": "key-of-payments", "limit": 7 },
    }]});
    assert_eq!(data, expected);
    for bad in ["limit=0", "limit=501", "limit=x", "offset=1"] {
        let answer = port.get(&format!("/api/v1/circuit-breakers/payments/events?{bad}")).await;
        assert_eq!(answer.error().0, 400, "{bad}");
    }
    port.finish().await;
}

#[tokio::test]
async fn rows_are_paged_by_their_keys() {
    let port = Port::open().await;
    let mut seen = Vec::new();
    let mut path = "/api/v1/tasks?limit=4".to_owned();
    loop {
        let data = port.get(&path).await.data();
        let ids = data["tasks"].as_array().unwrap().iter().map(|row| row["id"].clone());
        seen.extend(ids);
        let Some(cursor) = data["nextCursor"].as_str() else { break };
        path = format!("/api/v1/tasks?limit=4&cursor={cursor}");
    }
    let all: Vec<_> = (0..10).map(|at| json!(row_id(at).to_string())).collect();
    assert_eq!(seen, all);
    let queries = port.sample.task_queries.lock().unwrap().clone();
    assert_eq!(queries.len(), 3);
    assert_eq!(queries[0].to_us - queries[0].from_us, 86_400_000_000, "a day unless asked");
    assert_eq!(queries[1].after, Some((NOON_US - 3_000_000, row_id(3))));
    port.finish().await;
}

#[tokio::test]
async fn filters_reach_the_store_as_asked() {
    let port = Port::open().await;
    let query = "correlationId=req-abc&upstream=payments&domain=d&action=a&service=s\
                 &outcome=timeout&reason=timeout_total&status=5xx&grpcStatus=DEADLINE_EXCEEDED\
                 &from=2026-11-22T11:00:00Z&to=1795348800000&limit=500";
    port.get(&format!("/api/v1/tasks?{query}")).await.data();
    let asked = port.sample.task_queries.lock().unwrap().remove(0);
    assert_eq!(asked.correlation_id.as_deref(), Some("req-abc"));
    assert_eq!(asked.upstream.as_deref(), Some("payments"));
    assert_eq!((asked.domain.as_deref(), asked.action.as_deref()), (Some("d"), Some("a")));
    assert_eq!(asked.service.as_deref(), Some("s"));
    assert_eq!(asked.outcome.map(|outcome| outcome.as_str()), Some("timeout"));
    assert_eq!(asked.reason.map(|reason| reason.as_str()), Some("timeout_total"));
    assert_eq!((asked.status, asked.grpc_status), (Some((500, 599)), Some(4)));
    assert_eq!((asked.from_us, asked.to_us), (NOON_US - 3_600_000_000, NOON_US));
    port.finish().await;
}

#[tokio::test]
async fn a_row_is_found_by_its_id() {
    let port = Port::open().await;
    let data = port.get(&format!("/api/v1/tasks/{}", row_id(1))).await.data();
    let expected = json!({
        "startedAt": "2026-11-22T11:59:59Z", "id": row_id(1).to_string(),
        "correlationId": "req-0000000000000001", "upstream": "payments", "method": "POST",
        "path": "/v1/charges", "status": 503, "outcome": "failure",
        "failureReason": "http_503", "attempts": 1, "durationMs": 12.346, "weight": 1,
    });
    assert_eq!(data, expected);
    let missing = port.get("/api/v1/tasks/019aab2e-b400-7000-8000-000000000000").await;
    assert_eq!(missing.error(), (404, "not_found".to_owned()));
    assert_eq!(port.get("/api/v1/tasks/42").await.error(), (400, "bad_request".to_owned()));
    port.finish().await;
}

#[tokio::test]
async fn statistics_are_added_up_from_rollups() {
    let port = Port::open().await;
    let data = port.get("/api/v1/tasks/history").await.data();
    assert_eq!((&data["total"], &data["successRate"]), (&json!(400), &json!(0.975)));
    assert_eq!(data["averageDurationMs"], json!(18.181));
    assert!((19.0..21.0).contains(&data["p50Ms"].as_f64().unwrap()));
    let reasons = json!([
        { "reason": "http_503", "count": 6, "share": 0.6, "rate": 0.015, "trend": "steady",
            "before": { "count": 6, "share": 0.6, "rate": 0.015 } },
        { "reason": "breaker_open", "count": 4, "share": 0.4, "rate": 0.01, "trend": "steady",
            "before": { "count": 4, "share": 0.4, "rate": 0.01 } },
    ]);
    assert_eq!(data["commonFailureReasons"], reasons);
    assert_eq!(data["outcomes"]["refused"], 4);
    assert_eq!(data["averageImpactScore"], Value::Null);
    assert_eq!(data["costPerSuccess"], Value::Null);
    assert_eq!(data["optimalParameters"]["status"], "collecting");
    let operations: Vec<_> = data["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["action"].as_str().unwrap(), one["total"].as_u64().unwrap()))
        .collect();
    assert_eq!(operations, [("refund", 300), ("charge", 100)]);
    port.finish().await;
}

#[tokio::test]
async fn statistics_are_of_a_day_unless_the_question_says_otherwise() {
    let port = Port::open().await;
    let data = port.get("/api/v1/tasks/history?domain=payments&action=charge").await.data();
    assert_eq!(data["operations"], Value::Null, "one was asked for");
    assert_eq!((&data["domain"], &data["action"]), (&json!("payments"), &json!("charge")));
    let queries = port.sample.rollup_queries.lock().unwrap().clone();
    let [query, before] = &queries[..] else { panic!("two questions: {queries:?}") };
    assert_eq!(before.to_minute, query.from_minute, "reasons are held against the day before");
    assert_eq!(query.domain.as_deref(), Some("payments"));
    let minutes = query.to_minute - query.from_minute;
    assert!((1_440..=1_442).contains(&minutes), "{minutes}");
    port.finish().await;
}

#[tokio::test]
async fn bad_values_of_a_query_are_refused_before_the_store_is_asked() {
    let port = Port::open().await;
    for path in [
        "/api/v1/tasks?limit=501",
        "/api/v1/tasks?limit=0",
        "/api/v1/tasks?limit=-1",
        "/api/v1/tasks?from=yesterday",
        "/api/v1/tasks?from=2026-11-22T10:00:00Z&to=2026-11-22T09:00:00Z",
        "/api/v1/tasks?outcome=splendid",
        "/api/v1/tasks?cursor=zzz",
        "/api/v1/tasks?correlationId=a%20b",
        "/api/v1/tasks?corelationId=req-abc",
        "/api/v1/tasks?upstream=a&upstream=b",
        "/api/v1/tasks?reason=bad_luck",
        "/api/v1/tasks?status=abc",
        "/api/v1/tasks?upstream=%ff",
        "/api/v1/tasks?upstream=a%00b",
        "/api/v1/tasks?from=-32d",
        "/api/v1/tasks/history?domain=",
        "/api/v1/tasks/history?outcome=success",
        "/api/v1/circuit-breakers?state=OPEN",
        "/api/v1/status?x",
    ] {
        assert_eq!(port.get(path).await.error(), (400, "bad_request".to_owned()), "{path}");
    }
    assert!(port.sample.task_queries.lock().unwrap().is_empty());
    assert!(port.sample.rollup_queries.lock().unwrap().is_empty());
    port.finish().await;
}

#[tokio::test]
async fn health_reports_each_upstream_and_is_always_200() {
    let port = Port::open().await;
    let answer = port.get("/health").await;
    assert_eq!(answer.status, 200);
    let health = answer.json();
    assert_eq!((&health["status"], &health["store"]["status"]), (&json!("degraded"), &json!("up")));
    let open = json!({
        "status": "down", "message": "Circuit breaker OPEN", "latency": 0.0,
        "timestamp": "2026-11-22T12:00:00Z",
    });
    assert_eq!(health["services"]["payments"], open);
    let up = &health["services"]["inventory"];
    assert_eq!((&up["status"], &up["latency"]), (&json!("up"), &json!(12.5)));
    assert_eq!(health["services"]["search"]["status"], "degraded");
    port.finish().await;
}

#[tokio::test]
async fn a_lost_store_is_503_for_reads_of_it_and_nothing_else() {
    let sample = Sample { store_is_away: true, ..Sample::default() };
    let port = Port::start(sample, None, "127.0.0.1:0").await;
    let id = format!("/api/v1/tasks/{}", row_id(1));
    for path in
        ["/api/v1/tasks", "/api/v1/tasks/history", "/api/v1/circuit-breakers/music/events", &id]
    {
        let error = port.get(path).await.error();
        assert_eq!(error, (503, "store_unavailable".to_owned()), "{path}");
    }
    assert_eq!(port.get("/api/v1/circuit-breakers").await.status, 200);
    assert_eq!(port.get("/live").await.status, 200);
    assert_eq!(port.get("/ready").await.status, 200);
    let health = port.get("/health").await;
    assert_eq!((health.status, &health.json()["store"]["status"]), (200, &json!("down")));
    assert!(!health.body.contains("refused"), "nobody showed a token for the store's own words");
    let status = port.get("/api/v1/status").await.data();
    assert_eq!(status["store"]["reachable"], false);
    assert_eq!(status["store"]["fault"], "connection refused");
    port.finish().await;
}

#[tokio::test]
async fn live_ready_and_metrics() {
    let sample = Sample { not_ready: Some("draining"), ..Sample::default() };
    let port = Port::start(sample, None, "127.0.0.1:0").await;
    assert_eq!(port.get("/live").await.data(), json!({ "live": true }));
    assert_eq!(port.get("/ready").await.error(), (503, "not_ready".to_owned()));
    let plain = port.get("/metrics").await;
    assert!(plain.head.contains("content-type: text/plain; version=0.0.4"), "{}", plain.head);
    let accept = [("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")];
    let metrics = port.send("GET", "/metrics", &accept).await;
    assert!(metrics.head.contains("content-type: application/openmetrics-text"));
    assert!(metrics.body.ends_with("# EOF\n"));
    port.finish().await;
}

#[tokio::test]
async fn status_shows_the_process_at_a_glance() {
    let port = Port::open().await;
    let status = port.get("/api/v1/status").await.data();
    for (pointer, expected) in [
        ("/version", json!("0.1.0")),
        ("/service", json!("orders")),
        ("/namespace", json!("production")),
        ("/uptimeMs", json!(3_723_400)),
        ("/listeners/egress", json!("127.0.0.1:8080")),
        ("/store/kind", json!("postgres")),
        ("/store/reachable", json!(true)),
        ("/store/syncMode", json!("listen")),
        ("/store/lagMs", json!(400)),
        ("/history/written", json!(120_345)),
        ("/inFlight", json!(17)),
        ("/upstreams/inventory/callsPerSecond", json!(120.0)),
        ("/upstreams/payments/errorShare", json!(1.0)),
        ("/upstreams/payments/p50Ms", Value::Null),
    ] {
        assert_eq!(status.pointer(pointer), Some(&expected), "{pointer}");
    }
    assert_eq!(status["warnings"].as_array().map(Vec::len), Some(1));
    port.finish().await;
}

#[tokio::test]
async fn the_configuration_is_shown_without_its_secrets() {
    const TOKEN: &str = "hunter2-token";
    let sample = Sample { token: Some(TOKEN), ..Sample::default() };
    let port = Port::start(sample, None, "127.0.0.1:0").await;
    let answer = port.get("/api/v1/config").await;
    for secret in [TOKEN, DATABASE_PASSWORD, HEADER_SECRET, "hunter2"] {
        assert!(!answer.body.contains(secret), "{secret}");
    }
    let config = answer.data();
    for (pointer, expected) in [
        ("/admin/token", json!("***")),
        ("/database/url", json!("***")),
        ("/listeners/egress/routes/0/request_headers/set/authorization", json!("***")),
        ("/upstreams/payments/endpoints/0", json!("http://payments:8080")),
        ("/upstreams/payments/breaker/open_for", json!("1m")),
        ("/upstreams/payments/breaker/consecutive_failures", json!(5)),
        ("/history/retention", json!("14d")),
    ] {
        assert_eq!(config.pointer(pointer), Some(&expected), "{pointer}");
    }
    port.finish().await;
}

#[tokio::test]
async fn events_begin_with_the_state_and_tell_of_transitions_at_once() {
    let port = Port::open().await;
    let mut stream = port.connect().await;
    let request = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let first = read_until(&mut stream, "event: state").await;
    assert!(first.to_ascii_lowercase().contains("content-type: text/event-stream"));
    let opened = transition(State::Closed, State::Open, Cause::FailureRate);
    let (name, task_ids) = ("music".into(), Vec::new());
    port.timeline.note(Moment { name, at_us: NOON_US, transition: opened, task_ids });
    let heard = read_until(&mut stream, "event: transition").await;
    let then = read_until(&mut stream, "event: state").await;
    assert!(format!("{heard}{then}").contains(r#""name":"music""#), "{heard}{then}");
    // The stream is open still; the port must stop all the same.
    port.finish().await;
}
