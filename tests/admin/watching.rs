//! What the pages of the dashboard ask for beside the routes of old.

use fusebox::{
    admin::timeline::Moment,
    domain::breaker::{Cause, State},
};
use serde_json::{Value, json};

use crate::{
    harness::Port,
    sample::{NOON_US, Sample, transition},
};

#[tokio::test]
async fn transitions_are_those_of_the_store_and_of_this_instance() {
    let port = Port::open().await;
    let (name, task_ids) = ("music".into(), Vec::new());
    let own = transition(State::HalfOpen, State::Ramping, Cause::ProbesSucceeded);
    port.timeline.note(Moment { name, at_us: NOON_US + 1, transition: own, task_ids });
    let data = port.get("/api/v1/transitions?limit=7").await.data();
    assert_eq!(data["storeFault"], Value::Null);
    let told = data["transitions"].as_array().unwrap();
    let seen: Vec<_> = told.iter().map(|one| (&one["name"], &one["origin"], &one["to"])).collect();
    let (music, payments) = (json!("music"), json!("payments"));
    let (here, fleet) = (json!("here"), json!("fleet"));
    let (ramping, open) = (json!("RAMPING"), json!("OPEN"));
    assert_eq!(seen, [(&music, &here, &ramping), (&payments, &fleet, &open)]);
    assert_eq!(told[1]["detail"]["limit"], 7);
    for query in ["limit=0", "limit=501", "upstream=payments"] {
        let error = port.get(&format!("/api/v1/transitions?{query}")).await.error();
        assert_eq!(error, (400, "bad_request".to_owned()), "{query}");
    }
    port.finish().await;
}

#[tokio::test]
async fn without_the_store_there_are_the_transitions_of_this_instance() {
    let sample = Sample { store_is_away: true, ..Sample::default() };
    let port = Port::start(sample, None, "127.0.0.1:0").await;
    let opened = transition(State::Closed, State::Open, Cause::Fleet);
    let (name, task_ids) = ("music".into(), Vec::new());
    port.timeline.note(Moment { name, at_us: NOON_US, transition: opened, task_ids });
    let data = port.get("/api/v1/transitions").await.data();
    assert!(data["storeFault"].as_str().is_some_and(|fault| fault.contains("does not answer")));
    assert_eq!(data["transitions"][0]["name"], "music");
    assert_eq!(port.get("/api/v1/latency").await.error().0, 503);
    port.finish().await;
}

#[tokio::test]
async fn latency_is_told_by_stretch_and_step() {
    let port = Port::open().await;
    let data = port.get("/api/v1/latency?upstream=payments&over=6h").await.data();
    assert_eq!((&data["upstream"], &data["everySeconds"]), (&json!("payments"), &json!(360)));
    let stretch = &data["stretches"][0];
    assert_eq!((&stretch["calls"], &stretch["errors"]), (&json!(400), &json!(10)));
    let counts: Vec<u64> =
        stretch["counts"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    // Refused calls took no time: they are counted, and are in no step.
    assert_eq!((counts.iter().sum::<u64>(), counts[3], counts[4]), (396, 90, 300));
    let asked = port.sample.rollup_queries.lock().unwrap().pop().unwrap();
    assert_eq!(asked.upstream.as_deref(), Some("payments"));
    assert_eq!((asked.to_minute - asked.from_minute, asked.from_minute % 6), (360, 0));
    for query in ["over=2h", "over=", "upstream=a&upstream=b", "domain=x"] {
        let error = port.get(&format!("/api/v1/latency?{query}")).await.error();
        assert_eq!(error, (400, "bad_request".to_owned()), "{query}");
    }
    port.finish().await;
}

#[tokio::test]
async fn a_trace_is_told_as_a_tree_with_offsets() {
    let port = Port::open().await;
    let data = port.get("/api/v1/traces/req-1").await.data();
    let calls = data["calls"].as_array().unwrap();
    assert_eq!((calls.len(), &data["isCut"]), (10, &json!(false)));
    let first = &calls[0];
    assert_eq!((&first["standing"], &first["depth"]), (&json!("root"), &json!(0)));
    assert_eq!((&first["offsetMs"], &calls[9]["offsetMs"]), (&json!(0.0), &json!(9_000.0)));
    assert_eq!(first["upstream"], "payments");
    let asked = port.sample.task_queries.lock().unwrap().pop().unwrap();
    assert_eq!((asked.correlation_id.as_deref(), asked.limit), (Some("req-1"), 501));
    for path in ["req%201", "%ff", "a%2Fb"] {
        let error = port.get(&format!("/api/v1/traces/{path}")).await.error();
        assert_eq!(error, (400, "bad_request".to_owned()), "{path}");
    }
    port.finish().await;
}

#[tokio::test]
async fn traffic_has_a_point_of_each_upstream_that_was_called() {
    let port = Port::open().await;
    let data = port.get("/api/v1/traffic").await.data();
    assert_eq!((&data["everySeconds"], &data["windowSeconds"]), (&json!(10), &json!(30)));
    assert!(data["upstreams"].is_object());
    port.finish().await;
}
