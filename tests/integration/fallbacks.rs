//! What a route does instead when its upstream refuses or fails a call.

use crate::{
    harness::{
        Answer, Fusebox, Gate, PATIENCE, ScriptedUpstream, Setup, Step, attempts, ending, raw,
        stall, status,
    },
    local::wait_until,
};

/// `payments`, and `standby` for its calls, each with further keys of its own.
struct Pair {
    payments: ScriptedUpstream,
    standby: ScriptedUpstream,
    fusebox: Fusebox,
}

fn yaml(fallback: &str, upstreams: [(&str, &ScriptedUpstream, &str); 2]) -> String {
    let mut yaml = format!(
        "listeners:
  egress:
    listen: \"{{proxy}}\"
    routes:
      - {{ name: pay, upstream: payments, fallback: {fallback} }}
      - {{ name: other, match: {{ path_prefix: /standby }}, upstream: standby }}
upstreams:
"
    );
    for (name, upstream, keys) in upstreams {
        yaml.push_str(&format!("  {name}: {{ endpoints: [\"{}\"]{keys} }}\n", upstream.url()));
    }
    yaml
}

impl Pair {
    fn start(fallback: &str, payments_keys: &str, standby_keys: &str) -> Self {
        let (payments, standby) = (ScriptedUpstream::start(), ScriptedUpstream::start());
        standby.answer(answer("201 Created", "standby"));
        let upstreams =
            [("payments", &payments, payments_keys), ("standby", &standby, standby_keys)];
        let fusebox = Setup::of(yaml(fallback, upstreams)).start();
        Self { payments, standby, fusebox }
    }

    /// Fails calls until the breaker of `payments` is open, which its fallback hides.
    fn open_the_breaker(&self) {
        self.payments.answer(status(500));
        wait_until("the breaker is open", PATIENCE, || {
            self.fusebox.get("/", &[]);
            (self.fusebox.state("payments") == "OPEN").then_some(())
        });
    }
}

fn answer(status: &str, body: &str) -> Answer {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    vec![Step::ReadBody, raw(&head)]
}

const TO_STANDBY: &str = "{ upstream: standby }";

#[test]
fn a_refused_call_goes_to_the_other_upstream() {
    let pair = Pair::start("{ upstream: standby, on: [refused] }", "", "");
    pair.open_the_breaker();
    let before = (pair.payments.hits(), pair.standby.hits());
    let headers = [("x-correlation-id", "req-other"), ("x-kind", "beat")];
    let response = pair.fusebox.connect().call("POST", "/pay?a=b", &headers, b"body");
    assert_eq!((response.status, response.text()), (201, "standby"));
    assert_eq!(response.proxy_error(), None, "it is the upstream's own answer");
    assert_eq!((pair.payments.hits(), pair.standby.hits()), (before.0, before.1 + 1));
    let received = pair.standby.last();
    assert_eq!(
        (received.line.as_str(), received.body.as_slice()),
        ("POST /pay?a=b HTTP/1.1", &b"body"[..])
    );
    assert_eq!(received.headers.one("host"), Some(pair.standby.authority().as_str()));
    assert_eq!(received.headers.one("x-kind"), Some("beat"));
    let row = pair.fusebox.row("req-other");
    assert_eq!(ending(&row), "success 201");
    assert_eq!((&row["upstream"], &row["attempts"]), (&"payments".into(), &1.into()), "{row}");
    assert_eq!(row["endpoint"], pair.standby.authority());
}

#[test]
fn a_failed_call_goes_to_the_other_upstream_with_its_whole_body() {
    let keys = ", breaker: { consecutive_failures: 1000 }";
    let pair = Pair::start(TO_STANDBY, keys, "");
    let body: Vec<u8> = (0..50_000_u32).map(|at| at.to_be_bytes()[3]).collect();
    for (end, reason) in
        [(status(503), "http_503"), (vec![Step::ReadBody, Step::Reset], "reset_before_headers")]
    {
        pair.payments.answer(end);
        let id = format!("req-{reason}");
        let id = id.replace('_', "-");
        // A fallback is no second try at the same place: any method will do.
        let headers = [("x-correlation-id", id.as_str())];
        let response = pair.fusebox.connect().call("POST", "/", &headers, &body);
        assert_eq!((response.status, response.text()), (201, "standby"));
        assert!(pair.standby.last().body == body, "byte for byte");
        let row = pair.fusebox.row(&id);
        assert_eq!(ending(&row), "success 201");
        assert_eq!(attempts(&row), [format!("failure {reason}"), "success".to_owned()]);
        let log = |at: usize| row["attemptLog"][at].clone();
        assert_eq!(log(0)["endpoint"], pair.payments.authority());
        assert_eq!(log(1)["endpoint"], pair.standby.authority());
        assert_eq!(log(0)["upstream"], "payments");
        assert_eq!(log(1)["upstream"], "standby");
    }
    assert_eq!(pair.fusebox.breaker("payments")["failureCount"], 2, "failures stay failures");
    assert_eq!(pair.fusebox.breaker("standby")["failureCount"], 0);
}

#[test]
fn an_upstream_that_does_not_listen_is_tried_in_vain_and_stood_in_for() {
    let mut pair = Pair::start(TO_STANDBY, "", "");
    pair.payments.stop();
    let response =
        pair.fusebox.connect().call("POST", "/", &[("x-correlation-id", "req-gone")], b"body");
    assert_eq!((response.status, pair.standby.last().body), (201, b"body".to_vec()));
    let refused = "failure connect_refused";
    assert_eq!(attempts(&pair.fusebox.row("req-gone")), [refused, refused, "success"]);
}

#[test]
fn a_body_that_is_too_long_to_be_kept_ends_with_the_failure() {
    let pair = Pair::start(TO_STANDBY, ", retry: { body_bytes: 1KiB }", "");
    pair.payments.answer(status(503));
    let response = pair.fusebox.connect().call("POST", "/", &[], &[b'a'; 2_000]);
    assert_eq!((response.status, response.text(), pair.standby.hits()), (503, "ok", 0));
}

#[test]
fn each_upstream_has_its_own_breaker() {
    let pair = Pair::start(TO_STANDBY, "", "");
    pair.payments.answer(status(500));
    pair.standby.answer(status(500));
    let response = pair.fusebox.get("/", &[("x-correlation-id", "req-both")]);
    assert_eq!((response.status, response.text()), (500, "ok"), "the last answer");
    let row = pair.fusebox.row("req-both");
    assert_eq!(ending(&row), "failure http_500 500");
    assert_eq!(attempts(&row), ["failure http_500", "failure http_500"]);
    pair.open_the_breaker();
    assert_eq!(pair.fusebox.state("standby"), "OPEN");
    let hits = (pair.payments.hits(), pair.standby.hits());
    let response = pair.fusebox.get("/", &[("x-correlation-id", "req-none")]);
    assert_eq!((response.status, response.proxy_error()), (503, Some("destination_unavailable")));
    assert!(response.text().contains("standby"), "{}", response.text());
    assert_eq!(ending(&pair.fusebox.row("req-none")), "refused breaker_open 503");
    assert_eq!((pair.payments.hits(), pair.standby.hits()), hits);
}

#[test]
fn what_stands_in_has_its_own_time() {
    let keys = ", timeouts: { total: 300ms }";
    let pair = Pair::start(TO_STANDBY, keys, "");
    pair.payments.answer(stall());
    let response = pair.fusebox.get("/", &[("x-correlation-id", "req-slow")]);
    assert_eq!((response.status, response.text()), (201, "standby"));
    assert_eq!(attempts(&pair.fusebox.row("req-slow")), ["failure timeout_total", "success"]);
    assert_eq!(pair.fusebox.breaker("standby")["failureCount"], 0);
}

#[test]
fn what_stands_in_is_cut_off_by_its_own_timeouts() {
    let pair = Pair::start(TO_STANDBY, "", ", timeouts: { total: 300ms, body_idle: 200ms }");
    pair.payments.answer(status(503));
    pair.standby.answer(stall());
    let response = pair.fusebox.get("/", &[("x-correlation-id", "req-late")]);
    assert_eq!(response.status, 504);
    let row = pair.fusebox.row("req-late");
    assert_eq!(attempts(&row), ["failure http_503", "failure timeout_total"]);
    let head = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart");
    pair.standby.answer(vec![Step::ReadBody, head, Step::WaitFor(Gate::new())]);
    let mut caller = pair.fusebox.connect();
    caller.send("GET / HTTP/1.1\r\nhost: a\r\nx-correlation-id: req-idle\r\n\r\n");
    let (code, headers) = caller.head();
    assert!(caller.body("GET", code, &headers).is_err());
    assert_eq!(ending(&pair.fusebox.row("req-idle")), "timeout timeout_idle 200");
    assert_eq!(pair.fusebox.breaker("standby")["failureCount"], 2);
}

const ANSWER: &str = "{ status: 203, content_type: application/json, body: '{\"beats\": []}' }";

#[test]
fn a_refused_call_gets_the_fixed_answer_which_says_why() {
    let pair = Pair::start(ANSWER, "", "");
    pair.open_the_breaker();
    let hits = pair.payments.hits();
    let response =
        pair.fusebox.connect().call("POST", "/", &[("x-correlation-id", "req-fixed")], b"body");
    assert_eq!((response.status, response.text()), (203, "{\"beats\": []}"));
    assert_eq!(response.headers.one("content-type"), Some("application/json"));
    assert_eq!(response.headers.one("x-correlation-id"), Some("req-fixed"));
    assert_eq!(response.proxy_error(), Some("destination_unavailable"));
    let row = pair.fusebox.row("req-fixed");
    assert_eq!(ending(&row), "refused breaker_open 203");
    assert_eq!((&row["attempts"], &row["breakerState"]), (&0.into(), &"open".into()), "{row}");
    assert_eq!(pair.payments.hits(), hits);
}

#[test]
fn a_failed_call_gets_the_fixed_answer_and_is_a_failure_still() {
    let mut pair = Pair::start(ANSWER, ", breaker: { consecutive_failures: 1000 }", "");
    let mut caller = pair.fusebox.connect();
    for (end, reason, error) in [
        (status(500), "http_500", "proxy_internal_response"),
        (vec![Step::ReadBody, Step::Reset], "reset_before_headers", "connection_terminated"),
    ] {
        pair.payments.answer(end);
        let id = reason.replace('_', "-");
        let response = caller.call("POST", "/", &[("x-correlation-id", &id)], b"body");
        assert_eq!((response.status, response.proxy_error()), (203, Some(error)));
        assert_eq!(ending(&pair.fusebox.row(&id)), format!("failure {reason} 203"));
    }
    pair.payments.stop();
    let response = caller.call("HEAD", "/", &[], b"");
    assert_eq!((response.status, response.proxy_error()), (203, Some("connection_refused")));
    assert_eq!(pair.fusebox.breaker("payments")["failureCount"], 4);
}

#[test]
fn a_fallback_for_refusals_does_not_hide_failures() {
    let pair = Pair::start("{ status: 200, body: kept, on: [refused] }", "", "");
    pair.payments.answer(status(500));
    let response = pair.fusebox.get("/", &[]);
    assert_eq!((response.status, response.text()), (500, "ok"));
    pair.open_the_breaker();
    let response = pair.fusebox.get("/", &[]);
    assert_eq!((response.status, response.text()), (200, "kept"));
}

#[test]
fn a_fallback_for_failures_does_not_hide_refusals() {
    let pair = Pair::start("{ status: 200, body: kept, on: [failed] }", "", "");
    pair.payments.answer(status(500));
    assert_eq!(pair.fusebox.get("/", &[]).text(), "kept");
    pair.open_the_breaker();
    let response = pair.fusebox.get("/", &[]);
    assert_eq!((response.status, response.proxy_error()), (503, Some("destination_unavailable")));
}

#[test]
fn what_the_upstream_says_of_the_call_itself_is_passed_on() {
    let pair = Pair::start(TO_STANDBY, "", "");
    for code in [404, 400, 409, 429, 501] {
        pair.payments.answer(status(code));
        assert_eq!(pair.fusebox.get("/", &[]).status, code);
    }
    assert_eq!(pair.standby.hits(), 0);
}

#[test]
fn no_fault_of_the_caller_gets_a_fallback() {
    let pair = Pair::start(TO_STANDBY, ", timeouts: { body_idle: 200ms }", "");
    pair.payments.answer(stall());
    let mut idle = pair.fusebox.connect();
    idle.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\npart");
    assert_eq!(idle.response("POST").status, 408);
    let mut broken = pair.fusebox.connect();
    broken.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n");
    assert_eq!(broken.response("POST").status, 400);
    let late = [("x-envoy-expected-rq-timeout-ms", "100")];
    assert_eq!(pair.fusebox.get("/", &late).status, 504, "the caller's own deadline");
    let mut gone = pair.fusebox.connect();
    gone.send("GET / HTTP/1.1\r\nhost: a\r\nx-correlation-id: req-gone\r\n\r\n");
    wait_until("it is under way", PATIENCE, || {
        (pair.fusebox.ask("/api/v1/status")["inFlight"] == 1).then_some(())
    });
    gone.abort();
    assert_eq!(ending(&pair.fusebox.row("req-gone")), "cancelled client_gone_before_headers");
    assert_eq!(pair.standby.hits(), 0);
}

#[test]
fn a_call_that_finds_no_room_goes_elsewhere_and_takes_none() {
    let pair = Pair::start(TO_STANDBY, ", limits: { concurrency: 1, queue: 0 }", "");
    pair.payments.answer(stall());
    let mut busy = pair.fusebox.connect();
    busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("it is under way", PATIENCE, || (pair.payments.hits() == 1).then_some(()));
    for _ in 0..3 {
        assert_eq!(pair.fusebox.get("/", &[]).text(), "standby");
    }
    assert_eq!(pair.payments.hits(), 1);
}
