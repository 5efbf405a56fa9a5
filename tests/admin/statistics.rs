//! Statistics by group, over time, and as lines for other programs.

use serde_json::{Value, json};

use crate::{harness::Port, sample::Sample};

const HISTORY: &str = "/api/v1/tasks/history";

#[tokio::test]
async fn an_answer_has_what_the_design_promises() {
    let port = Port::open().await;
    let data = port.get(&format!("{HISTORY}?domain=payments&action=charge")).await.data();
    for field in [
        "total",
        "successRate",
        "averageDurationMs",
        "p50Ms",
        "p95Ms",
        "p99Ms",
        "averageImpactScore",
        "costPerSuccess",
        "commonFailureReasons",
        "optimalParameters",
    ] {
        assert!(data.get(field).is_some(), "{field}");
    }
    let interval = &data["successRateInterval"];
    assert!(interval["low"].as_f64() < data["successRate"].as_f64());
    assert!(interval["high"].as_f64() > data["successRate"].as_f64());
    let all = port.get(HISTORY).await.data();
    let top = &all["topFailures"][0];
    assert_eq!(
        (&top["action"], &top["reason"], &top["count"], &top["shareOfAll"]),
        (&json!("charge"), &json!("http_503"), &json!(6), &json!(0.6))
    );
    port.finish().await;
}

#[tokio::test]
async fn groups_say_what_they_were_made_of() {
    let port = Port::open().await;
    let by_service = port.get(&format!("{HISTORY}?groupBy=action")).await.data();
    assert_eq!(
        by_service["grouped"],
        json!({"by": ["action"], "from": "rollups", "exact": true, "leftOut": 0})
    );
    let groups: Vec<_> = by_service["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (group["key"]["action"].clone(), group["total"].clone()))
        .collect();
    assert_eq!(groups, [(json!("refund"), json!(300)), (json!("charge"), json!(100))]);
    assert_eq!(by_service["groups"][1]["commonFailureReasons"][0]["trend"], "steady");

    let by_version = port.get(&format!("{HISTORY}?groupBy=version")).await.data();
    let grouped = &by_version["grouped"];
    assert_eq!((&grouped["from"], &grouped["exact"]), (&json!("rows"), &json!(false)));
    assert_eq!((&grouped["rows"], &grouped["covers"]), (&json!(100_000), &json!(1.0)));
    assert_eq!(grouped["since"], "2026-11-22T12:00:00Z", "there are older ones that were not read");
    assert_eq!(by_version["groups"][0]["key"], json!({"version": "1.1"}));

    let by_hour = port.get(&format!("{HISTORY}?groupBy=domain,action,hour")).await.data();
    assert_eq!(by_hour["grouped"]["bucket"], "1h");
    let key = json!({"bucket": "2026-11-22T12:00:00Z", "domain": "payments", "action": "refund"});
    assert_eq!(by_hour["groups"][0]["key"], key);
    port.finish().await;
}

#[tokio::test]
async fn statistics_are_exported_line_by_line() {
    let port = Port::open().await;
    let csv = port.send("GET", HISTORY, &[("Accept", "text/csv")]).await;
    assert_eq!(csv.status, 200);
    assert!(csv.head.contains("content-type: text/csv"), "{}", csv.head);
    assert!(csv.head.contains("attachment"), "{}", csv.head);
    let lines: Vec<&str> = lines(&csv.body);
    assert!(lines[0].starts_with("domain,action,total,success,failure"), "{}", lines[0]);
    assert!(lines[1].starts_with("payments,refund,300,300,0,"), "{}", lines[1]);
    assert!(lines[2].starts_with("payments,charge,100,90,6,0,4,0,0,0.9,"), "{}", lines[2]);
    assert!(lines[2].ends_with(",http_503,6,steady"), "{}", lines[2]);

    let jsonl = port.get(&format!("{HISTORY}?groupBy=service,hour&format=jsonl")).await;
    let record: Value = serde_json::from_str(lines_of(&jsonl.body)[0]).unwrap();
    assert_eq!((&record["service"], &record["total"]), (&json!("orders"), &json!(400)));
    assert_eq!(record["bucket"], "2026-11-22T12:00:00Z");
    port.finish().await;
}

#[tokio::test]
async fn rows_are_exported_page_after_page() {
    let port = Port::open().await;
    let csv = port.get("/api/v1/tasks?format=csv").await;
    let all = lines(&csv.body);
    assert!(all[0].starts_with("startedAt,id,correlationId,traceId"), "{}", all[0]);
    assert_eq!(all.len(), 11, "a heading and ten rows");
    let four = port.get("/api/v1/tasks?format=jsonl&limit=4").await;
    assert_eq!(lines_of(&four.body).len(), 4);
    for (query, says) in [
        ("format=csv&limit=100001", "a number from 1 to 100000"),
        ("format=xml", "one of json, csv, jsonl"),
        ("format=csv&cursor=x", "an export has no pages"),
    ] {
        let answer = port.get(&format!("/api/v1/tasks?{query}")).await;
        assert_eq!(answer.error().0, 400, "{query}");
        assert!(answer.body.contains(says), "{query}: {}", answer.body);
    }
    port.finish().await;
}

#[tokio::test]
async fn a_store_that_is_away_is_told_before_an_export_begins() {
    let sample = Sample { store_is_away: true, ..Sample::default() };
    let port = Port::start(sample, None, "127.0.0.1:0").await;
    for path in ["/api/v1/tasks?format=csv", "/api/v1/tasks/history?format=csv"] {
        assert_eq!(port.get(path).await.error(), (503, "store_unavailable".to_owned()), "{path}");
    }
    port.finish().await;
}

/// The lines of CSV in a body that comes in chunks.
fn lines(body: &str) -> Vec<&str> {
    body.split("\r\n").filter(|line| line.contains(',')).collect()
}

/// The JSON lines of a body that comes in chunks.
fn lines_of(body: &str) -> Vec<&str> {
    body.lines().filter(|line| line.starts_with('{')).collect()
}
