//! What of calls a scrape shows.

use std::sync::Arc;

use super::{BUCKETS_US, Board, MAX_SERIES};
use crate::{
    domain::{
        breaker::State,
        correlation::{CorrelationId, TraceId},
        outcome::{Outcome, Reason, Verdict},
        task::{Attempt, CallRecord, CallSite, TaskId},
    },
    telemetry::{
        exposition::{Format, write},
        metrics::Source,
    },
};

fn site() -> CallSite {
    CallSite {
        listener: "egress".into(),
        route: "pay".into(),
        upstream: "payments".into(),
        path: "/pay/*".into(),
        ..CallSite::default()
    }
}

fn attempt(endpoint: &str, reason: Option<Reason>) -> Attempt {
    let verdict = reason.map_or(Verdict::Success, Reason::verdict);
    Attempt { instead: None, endpoint: endpoint.into(), verdict, reason, duration_us: 4_000 }
}

fn call(status: u16, attempts: &[Attempt]) -> CallRecord {
    CallRecord {
        id: TaskId::mint(0, 1),
        started_at_us: 1_700_000_000_000_000,
        correlation_id: CorrelationId::mint(1),
        trace_id: TraceId::from_u128(0xab),
        parent_id: None,
        site: Arc::new(site()),
        endpoint: None,
        method: http::Method::GET,
        status: Some(status),
        grpc_status: None,
        outcome: Outcome::Success,
        reason: None,
        attempts: attempts.iter().cloned().collect(),
        breaker_state: State::Closed,
        duration_us: 60_000,
        upstream_us: Some(50_000),
        first_byte_us: Some(40_000),
        deadline_ms: None,
        request_bytes: 0,
        response_bytes: 0,
        captured: None,
        weight: 1,
    }
}

fn scrape(board: &Board) -> String {
    write(board.families().into_iter(), Format::OpenMetrics)
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|other| other == line), "no {line} in\n{text}");
}

#[test]
fn a_call_is_one_of_the_server_and_each_attempt_one_of_the_client() {
    let board = Board::default();
    let attempts = [attempt("a:80", Some(Reason::Http503)), attempt("b:81", None)];
    board.of(0, "http", &site()).count(&call(200, &attempts), false);
    let text = scrape(&board);
    let server = "listener=\"egress\",route=\"pay\",upstream=\"payments\",http_route=\"/pay/*\",\
                  url_scheme=\"http\",http_request_method=\"GET\",\
                  http_response_status_code=\"200\",error_type=\"\"";
    has(&text, &format!("http_server_request_duration_seconds_sum{{{server}}} 0.06"));
    let client = |server: &str, port: u16, status: &str, error: &str| {
        format!(
            "upstream=\"payments\",server_address=\"{server}\",server_port=\"{port}\",\
             http_request_method=\"GET\",http_response_status_code=\"{status}\",\
             error_type=\"{error}\""
        )
    };
    let sum = |labels: String, sum: &str| {
        has(&text, &format!("http_client_request_duration_seconds_sum{{{labels}}} {sum}"));
    };
    sum(client("a", 80, "503", "http_503"), "0.004");
    sum(client("b", 81, "200", ""), "0.05");
}

#[test]
fn threads_are_added_up() {
    let board = Board::default();
    for thread in 0..3 {
        board.of(thread, "http", &site()).count(&call(200, &[]), false);
    }
    board.of(0, "http", &site()).count(&call(200, &[]), false);
    let text = scrape(&board);
    let count =
        text.lines().find(|line| line.starts_with("http_server_request_duration_seconds_count"));
    assert!(count.unwrap().ends_with("} 4"), "{text}");
}

#[test]
fn an_upstreams_inventiveness_cannot_fill_the_memory() {
    let board = Board::default();
    for status in 0..1_000 {
        board.of(0, "http", &site()).count(&call(status, &[attempt("a:80", None)]), false);
    }
    let text = scrape(&board);
    for side in ["server", "client"] {
        let name = format!("http_{side}_request_duration_seconds_count");
        let series: Vec<_> = text.lines().filter(|line| line.starts_with(&name)).collect();
        assert_eq!(series.len(), MAX_SERIES + 1);
        assert!(series.iter().any(|line| line.contains("_OTHER") && line.ends_with(" 936")));
    }
}

#[test]
fn a_sampled_call_is_an_example_of_its_bucket() {
    let board = Board::default();
    board.of(0, "http", &site()).count(&call(200, &[]), true);
    board.of(1, "http", &site()).count(&call(200, &[]), false);
    let text = scrape(&board);
    let example = "# {trace_id=\"000000000000000000000000000000ab\"} 0.06 1700000000.060";
    let lines: Vec<_> = text.lines().filter(|line| line.ends_with(example)).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains("le=\"0.075\"} 2 "), "{text}");
}

#[test]
fn the_buckets_are_those_of_the_conventions() {
    let seconds: Vec<String> =
        BUCKETS_US.iter().map(|&us| format!("{}", us as f64 / 1e6)).collect();
    let expected = "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10";
    assert_eq!(seconds.join(" "), expected);
}
