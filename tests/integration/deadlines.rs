//! The caller's own deadline: it ends the call, it is handed on, and it is nobody's failure.

use std::time::Duration;

use crate::{
    harness::{
        Fusebox, Gate, HeldUpstream, PATIENCE, Response, ScriptedUpstream, Setup, Step, attempts,
        ending, raw, stall, status,
    },
    local::wait_until,
};

const EXPECTED: &str = "x-envoy-expected-rq-timeout-ms";

/// Far above the deadlines that are set here, far below all timeouts of ours.
const SOON: Duration = Duration::from_secs(8);

fn start(keys: &[&str]) -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), keys).start();
    (upstream, fusebox)
}

/// Calls, and expects an end soon.
fn get(fusebox: &Fusebox, headers: &[(&str, &str)]) -> Response {
    let began = fusebox::clock::now();
    let response = fusebox.get("/", headers);
    let took = fusebox::clock::now().duration_since(began);
    assert!(took < SOON, "{took:?}");
    response
}

#[test]
fn a_call_ends_with_its_callers_deadline_and_nobody_failed() {
    let (upstream, fusebox) = start(&[]);
    upstream.answer(stall());
    let response = get(&fusebox, &[(EXPECTED, "200"), ("x-correlation-id", "req-brief")]);
    assert_eq!((response.status, response.proxy_error()), (504, Some("http_response_timeout")));
    assert_eq!(response.json()["type"], "urn:fusebox:problem:caller_deadline");
    let row = fusebox.row("req-brief");
    assert_eq!(ending(&row), "timeout caller_deadline 504");
    assert_eq!(row["deadlineMs"], 200);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn a_longer_deadline_than_ours_changes_nothing() {
    let (upstream, fusebox) = start(&["timeouts: { total: 200ms }"]);
    upstream.answer(stall());
    let response = get(&fusebox, &[(EXPECTED, "60000"), ("x-correlation-id", "req-long")]);
    assert_eq!(response.json()["type"], "urn:fusebox:problem:timeout_total");
    let row = fusebox.row("req-long");
    assert_eq!(
        (ending(&row).as_str(), &row["deadlineMs"]),
        ("timeout timeout_total 504", &200.into())
    );
    assert_eq!(fusebox.breaker("payments")["failureCount"], 1);
}

#[test]
fn the_upstream_is_told_what_is_left() {
    let (upstream, fusebox) = start(&["retry: { attempts: 2, statuses: [503] }"]);
    let gate = Gate::new();
    let busy = raw("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
    upstream.answer_next([vec![Step::ReadBody, Step::WaitFor(gate.clone()), busy]]);
    let mut caller = fusebox.connect();
    caller.send(format!("GET / HTTP/1.1\r\nhost: a\r\n{EXPECTED}: 30000\r\n\r\n"));
    let began =
        wait_until("it has come", PATIENCE, || (upstream.hits() == 1).then(fusebox::clock::now));
    wait_until("some time has passed", PATIENCE, || {
        (fusebox::clock::now().duration_since(began) > Duration::from_millis(300)).then_some(())
    });
    gate.open();
    assert_eq!(caller.response("GET").status, 200);
    let told: Vec<u64> = upstream
        .received()
        .iter()
        .map(|request| {
            let told = request.headers.one(EXPECTED).expect("it is told");
            told.parse().expect("milliseconds")
        })
        .collect();
    assert!((29_000..=30_000).contains(&told[0]), "{told:?}");
    assert!((25_000..=29_700).contains(&told[1]), "less for the second attempt: {told:?}");
}

#[test]
fn values_that_make_no_sense_count_for_nothing_and_go_no_further() {
    let (upstream, fusebox) = start(&[]);
    for value in ["0", "-1", "+5", "1.5", "5s", "soon", "", "99999999999", "1, 2"] {
        let headers = [(EXPECTED, value), ("x-correlation-id", "req-nonsense")];
        assert_eq!(fusebox.get("/", &headers).status, 200, "{value:?}");
        assert!(upstream.last().headers.all(EXPECTED).is_empty(), "{value:?}");
    }
    let twice = [(EXPECTED, "1000"), (EXPECTED, "2000")];
    assert_eq!(fusebox.get("/", &twice).status, 200);
    assert!(upstream.last().headers.all(EXPECTED).is_empty());
    assert_eq!(fusebox.row("req-nonsense")["deadlineMs"], 60_000);
    assert_eq!(fusebox.get("/", &[]).status, 200);
    assert!(upstream.last().headers.all(EXPECTED).is_empty(), "nothing is made up");
}

#[test]
fn a_body_that_goes_on_for_longer_than_its_caller_waits_is_cut() {
    let (upstream, fusebox) = start(&[]);
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart");
    upstream.answer(vec![Step::ReadBody, head, Step::WaitFor(Gate::new())]);
    let began = fusebox::clock::now();
    let mut caller = fusebox.connect();
    caller.send("GET / HTTP/1.1\r\nhost: a\r\nx-correlation-id: req-body\r\n");
    caller.send(format!("{EXPECTED}: 400\r\n\r\n"));
    let (code, headers) = caller.head();
    assert_eq!(code, 200);
    assert!(caller.body("GET", code, &headers).is_err());
    let took = fusebox::clock::now().duration_since(began);
    assert!((Duration::from_millis(350)..SOON).contains(&took), "{took:?}");
    assert_eq!(ending(&fusebox.row("req-body")), "timeout caller_deadline 200");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn our_own_deadline_does_not_cut_a_body() {
    let (upstream, fusebox) = start(&["timeouts: { total: 200ms }"]);
    let gate = Gate::new();
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\npart");
    upstream.answer_next([vec![Step::ReadBody, head, Step::WaitFor(gate.clone()), raw("rest")]]);
    let mut caller = fusebox.connect();
    caller.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let (code, headers) = caller.head();
    // A call that does run into the deadline shows that its time is over.
    upstream.answer(stall());
    assert_eq!(get(&fusebox, &[]).status, 504);
    gate.open();
    assert_eq!(caller.body("GET", code, &headers).expect("it is whole"), b"partrest");
}

#[test]
fn an_attempt_has_less_time_than_the_call_and_the_caller_may_have_less_than_both() {
    let keys = ["timeouts: { attempt: 200ms, total: 10s }", "retry: { attempts: 1 }"];
    let (upstream, fusebox) = start(&keys);
    upstream.answer(stall());
    let response = get(&fusebox, &[("x-correlation-id", "req-ours")]);
    assert_eq!((response.status, response.proxy_error()), (504, Some("http_response_timeout")));
    assert_eq!(ending(&fusebox.row("req-ours")), "timeout timeout_attempt 504");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 1);
    get(&fusebox, &[(EXPECTED, "50"), ("x-correlation-id", "req-theirs")]);
    assert_eq!(ending(&fusebox.row("req-theirs")), "timeout caller_deadline 504");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 1);
}

#[test]
fn the_total_ends_attempts_that_would_go_on() {
    let keys = [
        "timeouts: { attempt: 1500ms, total: 3500ms }",
        "retry: { attempts: 10, on: [timeout], backoff: 0s, backoff_max: 0s }",
        "breaker: { consecutive_failures: 100 }",
    ];
    let (upstream, fusebox) = start(&keys);
    upstream.answer(stall());
    let response = get(&fusebox, &[("x-correlation-id", "req-total")]);
    assert_eq!(response.status, 504);
    let row = fusebox.row("req-total");
    let tries = ["failure timeout_attempt", "failure timeout_attempt", "failure timeout_total"];
    assert_eq!(attempts(&row), tries);
    assert_eq!(ending(&row), "timeout timeout_total 504");
}

#[test]
fn an_upstream_that_says_too_late_as_it_was_told_did_not_fail() {
    let upstream = HeldUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let mut caller = fusebox.connect();
    caller.send(format!("GET / HTTP/1.1\r\nhost: a\r\n{EXPECTED}: 500\r\n\r\n"));
    let mut held = upstream.accept();
    let head = held.request();
    assert!(head.headers.one(EXPECTED).is_some());
    held.send("HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(caller.response("GET").status, 504);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 1, "its own haste, long before");
}

#[test]
fn a_caller_with_a_millisecond_is_told_the_truth_whatever_comes_first() {
    let (upstream, fusebox) = start(&[]);
    upstream.answer(stall());
    for _ in 0..20 {
        assert_eq!(get(&fusebox, &[(EXPECTED, "1")]).status, 504);
    }
    upstream.answer(status(200));
    assert_eq!(get(&fusebox, &[]).status, 200);
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}
