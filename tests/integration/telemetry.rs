//! What is told to CloudWatch and to Prometheus, from real calls.

use serde_json::Value;

use crate::harness::{Fusebox, PATIENCE, ScriptedUpstream, Setup, get, status};
use crate::local::wait_until;

const EMF: &str = "telemetry: { emf: { enabled: true, every: 1s } }";

/// The lines for CloudWatch so far.
fn told(fusebox: &Fusebox) -> Vec<Value> {
    let lines = fusebox.lines().into_iter();
    let parsed = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    parsed.filter(|line| line["_aws"].is_object()).collect()
}

fn sum(lines: &[Value], metric: &str) -> Value {
    lines.iter().filter_map(|line| line[metric].as_f64()).sum::<f64>().into()
}

#[test]
fn cloudwatch_is_told_also_when_nothing_happens() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).with(EMF).start();
    let lines =
        wait_until("two lines", PATIENCE, || Some(told(&fusebox)).filter(|lines| lines.len() >= 2));
    let line = &lines[0];
    assert_eq!(line["Service"], "orders", "{line}");
    assert_eq!(line["Environment"], "default", "{line}");
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Fusebox", "{line}");
    for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().expect("metrics") {
        assert_eq!(line[metric["Name"].as_str().expect("a name")], 0.0, "{line}");
    }
}

#[test]
fn cloudwatch_is_told_of_tasks_rejections_and_circuits() {
    let upstream = ScriptedUpstream::start();
    let setup = Setup::payments(&upstream.url(), &["breaker: { ramp: 0s }"]);
    let mut fusebox = setup.with(EMF).with("environment: production").start();
    fusebox.get("/", &[]);
    upstream.answer(status(500));
    for _ in 0..5 {
        fusebox.get("/", &[]);
    }
    for _ in 0..3 {
        assert_eq!(fusebox.get("/", &[]).status, 503);
    }
    // Of the last part of a minute a line tells at the stop.
    assert!(fusebox.terminate().success());
    let lines = told(&fusebox);
    assert!(lines.iter().all(|line| line["Environment"] == "production"), "{lines:?}");
    assert_eq!(sum(&lines, "RejectedRequests"), 3.0, "{lines:?}");
    assert_eq!(sum(&lines, "CircuitStateChanges"), 1.0, "{lines:?}");
    assert_eq!(sum(&lines, "JudgedTasks"), 6.0, "{lines:?}");
    assert_eq!(sum(&lines, "FailedTasks"), 5.0, "{lines:?}");
    let last = lines.last().expect("a line at the stop");
    assert_eq!(last["CircuitBreakersOpen"], 1.0, "{last}");
    let idle = |line: &Value| line["TasksPerHour"] == 0.0;
    for line in &lines {
        assert_eq!(idle(line), line["AverageDurationMs"].is_null(), "{line}");
    }
    let busy = |line: &&Value| line["TaskFailureRate"].as_f64() > Some(0.0);
    let busiest = lines.iter().find(busy).expect("a line with failures");
    assert!(busiest["AverageDurationMs"].as_f64() > Some(0.0), "{busiest}");
    assert!(busiest["TasksPerHour"].as_f64() > Some(0.0), "{busiest}");
}

#[test]
fn cloudwatch_is_told_what_tasks_cost() {
    let upstream = ScriptedUpstream::start();
    let setup = Setup::of(format!(
        "listeners:\n  egress:\n    listen: \"{{proxy}}\"\n    routes:\n      \
         - {{ upstream: payments, task: {{ cost: [{{ fixed_usd: 0.25 }}] }} }}\n\
         upstreams:\n  payments: {{ endpoints: [\"{}\"] }}\n",
        upstream.url()
    ));
    let mut fusebox = setup.with(EMF).start();
    fusebox.get("/", &[]);
    assert!(fusebox.terminate().success());
    let lines = told(&fusebox);
    assert!(lines.iter().any(|line| line["CostPerTask"] == 0.25), "{lines:?}");
    assert_eq!(sum(&lines, "TaskCost"), 0.25, "{lines:?}");
    assert_eq!(sum(&lines, "PricedTasks"), 1.0, "{lines:?}");
}

#[test]
fn nothing_is_told_to_cloudwatch_unless_it_is_asked_for() {
    let upstream = ScriptedUpstream::start();
    let mut fusebox = Setup::payments(&upstream.url(), &[]).start();
    assert!(fusebox.terminate().success());
    assert_eq!(told(&fusebox), Vec::<Value>::new());
    fusebox.restart();
}

#[test]
fn a_scrape_is_in_the_format_that_is_asked_for() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    fusebox.get("/", &[]);
    let plain = get(fusebox.admin, "/metrics", &[]);
    assert!(plain.text().contains("# TYPE fusebox_calls_total counter"), "{}", plain.text());
    assert!(!plain.text().contains("# EOF"));
    let open = get(fusebox.admin, "/metrics", &[("accept", "application/openmetrics-text")]);
    assert!(open.text().contains("# TYPE fusebox_calls counter"), "{}", open.text());
    assert!(open.text().ends_with("# EOF\n"));
}

#[test]
fn no_label_is_taken_from_a_caller() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let mut connection = fusebox.connect();
    let headers = [("x-correlation-id", "zebra-id"), ("user-agent", "zebra-agent")];
    connection.call("ZEBRA", "/zebra-path?zebra-query", &headers, b"");
    let scrape = get(fusebox.admin, "/metrics", &[]);
    let text = scrape.text();
    assert!(text.contains("http_request_method=\"_OTHER\""), "{text}");
    assert!(!text.to_lowercase().contains("zebra"), "{text}");
}
