//! Fallbacks of several upstreams, which are asked in turn.

use std::{array, thread};

use crate::{
    harness::{
        Answer, Fusebox, PATIENCE, ScriptedUpstream, Setup, Step, attempts, ending, raw, stall,
        status,
    },
    local::wait_until,
};

const NAMES: [&str; 3] = ["openai", "anthropic", "gemini"];

/// `openai`, and two for its calls; `/anthropic` and `/gemini` lead to them alone.
struct Chain {
    upstreams: [ScriptedUpstream; 3],
    fusebox: Fusebox,
}

impl Chain {
    fn start(fallback: &str, keys: [&str; 3]) -> Self {
        let upstreams: [_; 3] = array::from_fn(|_| ScriptedUpstream::start());
        let mut yaml = format!(
            "listeners:
  egress:
    listen: \"{{proxy}}\"
    routes:
      - {{ name: chat, upstream: openai, fallback: {fallback} }}
      - {{ name: anthropic, match: {{ path_prefix: /anthropic }}, upstream: anthropic }}
      - {{ name: gemini, match: {{ path_prefix: /gemini }}, upstream: gemini }}
upstreams:
"
        );
        for ((name, upstream), keys) in NAMES.iter().zip(&upstreams).zip(keys) {
            let url = upstream.url();
            yaml.push_str(&format!("  {name}: {{ endpoints: [\"{url}\"]{keys} }}\n"));
        }
        let fusebox = Setup::of(yaml).start();
        Self { upstreams, fusebox }
    }

    fn answer(&self, answers: [Answer; 3]) {
        for (upstream, answer) in self.upstreams.iter().zip(answers) {
            upstream.answer(answer);
        }
    }

    fn hits(&self) -> [usize; 3] {
        array::from_fn(|at| self.upstreams[at].hits())
    }

    /// Fails calls on a path until the breaker of this upstream is open.
    fn open(&self, at: usize, path: &str) {
        self.upstreams[at].answer(status(500));
        wait_until("the breaker is open", PATIENCE, || {
            self.fusebox.get(path, &[]);
            (self.fusebox.state(NAMES[at]) == "OPEN").then_some(())
        });
    }

    /// The upstreams that a call was sent to, in order.
    fn asked(&self, id: &str) -> Vec<String> {
        let row = self.fusebox.row(id);
        let log = row["attemptLog"].as_array().cloned().unwrap_or_default();
        log.iter().filter_map(|attempt| Some(attempt["upstream"].as_str()?.to_owned())).collect()
    }
}

fn body(status: &str, body: &str) -> Answer {
    vec![
        Step::ReadBody,
        raw(&format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())),
    ]
}

const IN_TURN: &str = "{ upstreams: [anthropic, gemini] }";
const WITH_ANSWER: &str = "{ upstreams: [anthropic, gemini], status: 203, body: later }";
const PLAIN: [&str; 3] = ["", "", ""];

#[test]
fn the_first_refuses_the_second_fails_and_the_third_answers() {
    let chain = Chain::start(IN_TURN, PLAIN);
    chain.open(0, "/");
    chain.answer([status(500), status(503), body("201 Created", "gemini")]);
    let before = chain.hits();
    let headers = [("x-correlation-id", "req-third")];
    let response = chain.fusebox.connect().call("POST", "/pay?a=b", &headers, b"whole");
    assert_eq!((response.status, response.text()), (201, "gemini"));
    assert_eq!(response.proxy_error(), None, "it is the upstream's own answer");
    assert_eq!(chain.hits(), [before[0], before[1] + 1, before[2] + 1]);
    let received = chain.upstreams[2].last();
    assert_eq!(
        (received.line.as_str(), &*received.body),
        ("POST /pay?a=b HTTP/1.1", &b"whole"[..])
    );
    assert_eq!(received.headers.one("host"), Some(chain.upstreams[2].authority().as_str()));
    let row = chain.fusebox.row("req-third");
    assert_eq!((ending(&row).as_str(), &row["upstream"]), ("success 201", &"openai".into()));
    assert_eq!(attempts(&row), ["failure http_503", "success"]);
    assert_eq!(chain.asked("req-third"), ["anthropic", "gemini"]);
    assert_eq!(row["endpoint"], chain.upstreams[2].authority());
}

#[test]
fn they_are_asked_in_their_order_and_the_first_that_helps_answers() {
    let chain = Chain::start("{ upstreams: [gemini, anthropic] }", PLAIN);
    chain.answer([status(503), body("201 Created", "anthropic"), status(500)]);
    let response = chain.fusebox.get("/", &[("x-correlation-id", "req-order")]);
    assert_eq!((response.status, response.text()), (201, "anthropic"));
    assert_eq!(chain.asked("req-order"), ["openai", "gemini", "anthropic"]);
    chain.answer([status(503), status(500), status(404)]);
    let response = chain.fusebox.get("/", &[("x-correlation-id", "req-second")]);
    assert_eq!(response.status, 404, "what it says of the call itself");
    assert_eq!(chain.asked("req-second"), ["openai", "gemini"]);
    let failures = NAMES.map(|name| chain.fusebox.breaker(name)["failureCount"].clone());
    assert_eq!(failures, [2, 0, 0].map(serde_json::Value::from), "each has its own breaker");
}

#[test]
fn one_whose_circuit_is_open_is_passed_over() {
    let chain = Chain::start(IN_TURN, PLAIN);
    chain.open(1, "/anthropic");
    chain.answer([status(503), status(200), body("201 Created", "gemini")]);
    let before = chain.hits();
    let response = chain.fusebox.get("/", &[("x-correlation-id", "req-over")]);
    assert_eq!((response.status, response.text()), (201, "gemini"));
    assert_eq!(chain.asked("req-over"), ["openai", "gemini"]);
    assert_eq!(chain.hits(), [before[0] + 1, before[1], before[2] + 1]);
}

#[test]
fn one_that_refuses_is_passed_over_also_where_the_chain_is_for_failures() {
    let only_failures =
        "{ upstreams: [anthropic, gemini], on: [failed], status: 203, body: later }";
    let chain = Chain::start(only_failures, PLAIN);
    chain.open(1, "/anthropic");
    chain.answer([status(503), status(200), body("201 Created", "gemini")]);
    let response = chain.fusebox.get("/", &[("x-correlation-id", "req-over")]);
    assert_eq!((response.status, response.text()), (201, "gemini"));
    assert_eq!(chain.asked("req-over"), ["openai", "gemini"]);
    chain.open(2, "/gemini");
    let response = chain.fusebox.get("/", &[]);
    assert_eq!((response.status, response.text()), (203, "later"));
}

#[test]
fn who_waits_for_a_place_at_the_next_has_none_at_the_one_before() {
    let limited = [
        ", limits: { concurrency: 1, queue: 0 }, timeouts: { total: 4s, first_byte: 1s }",
        ", limits: { concurrency: 1, queue: 9, queue_timeout: 3s }, timeouts: { first_byte: 3s }",
        "",
    ];
    let chain = Chain::start(IN_TURN, limited);
    chain.answer([status(503), stall(), status(200)]);
    thread::scope(|calls| {
        for sent in 1..=3 {
            calls.spawn(|| chain.fusebox.get("/", &[]));
            wait_until("it was sent to the first", PATIENCE, || {
                (chain.upstreams[0].hits() == sent).then_some(())
            });
        }
    });
}

#[test]
fn when_nobody_helps_the_caller_gets_the_last_answer() {
    let chain = Chain::start(IN_TURN, PLAIN);
    chain.answer([status(500), status(502), status(503)]);
    let response = chain.fusebox.get("/", &[("x-correlation-id", "req-none")]);
    assert_eq!(response.status, 503);
    let row = chain.fusebox.row("req-none");
    assert_eq!(ending(&row), "failure http_503 503");
    assert_eq!(attempts(&row), ["failure http_500", "failure http_502", "failure http_503"]);
}

#[test]
fn after_the_last_the_fixed_answer_says_how_that_one_ended() {
    let mut chain = Chain::start(WITH_ANSWER, PLAIN);
    chain.answer([status(500), status(502), status(503)]);
    let response = chain.fusebox.get("/", &[("x-correlation-id", "req-failed")]);
    assert_eq!((response.status, response.text()), (203, "later"));
    let row = chain.fusebox.row("req-failed");
    assert_eq!((ending(&row).as_str(), &row["attempts"]), ("failure http_503 203", &3.into()));
    for upstream in &mut chain.upstreams {
        upstream.stop();
    }
    wait_until("all of them are open", PATIENCE, || {
        assert_eq!(chain.fusebox.get("/", &[]).text(), "later");
        NAMES.iter().all(|name| chain.fusebox.state(name) == "OPEN").then_some(())
    });
    let response = chain.fusebox.get("/", &[("x-correlation-id", "req-refused")]);
    assert_eq!((response.status, response.proxy_error()), (203, Some("destination_unavailable")));
    let row = chain.fusebox.row("req-refused");
    assert_eq!((ending(&row).as_str(), &row["attempts"]), ("refused breaker_open 203", &0.into()));
}

#[test]
fn a_chain_for_refusals_ends_with_a_failure() {
    let chain =
        Chain::start("{ upstreams: [anthropic, gemini], body: later, on: [refused] }", PLAIN);
    chain.open(0, "/");
    chain.answer([status(500), status(503), status(200)]);
    let response = chain.fusebox.get("/", &[("x-correlation-id", "req-on")]);
    assert_eq!((response.status, response.text()), (503, "ok"));
    assert_eq!(
        (chain.asked("req-on"), chain.upstreams[2].hits()),
        (vec!["anthropic".to_owned()], 0)
    );
}

#[test]
fn each_has_its_own_time_within_that_of_the_first() {
    let chain = Chain::start(IN_TURN, ["", ", timeouts: { total: 300ms, first_byte: 300ms }", ""]);
    chain.answer([status(503), stall(), body("201 Created", "gemini")]);
    let response = chain.fusebox.get("/", &[("x-correlation-id", "req-own")]);
    assert_eq!((response.status, response.text()), (201, "gemini"));
    assert_eq!(chain.asked("req-own"), ["openai", "anthropic", "gemini"]);
    assert_eq!(chain.fusebox.breaker("anthropic")["failureCount"], 1);
}

#[test]
fn the_total_of_the_first_ends_the_chain_and_blames_nobody_who_had_only_the_rest() {
    let keys = [", timeouts: { total: 2s, first_byte: 300ms }", "", ""];
    for (fallback, code) in [(IN_TURN, 504), (WITH_ANSWER, 203)] {
        let chain = Chain::start(fallback, keys);
        chain.answer([stall(), stall(), status(200)]);
        let response = chain.fusebox.get("/", &[("x-correlation-id", "req-late")]);
        assert_eq!(response.status, code);
        let row = chain.fusebox.row("req-late");
        assert_eq!(ending(&row), format!("timeout timeout_total {code}"));
        assert_eq!(attempts(&row), ["failure timeout_first_byte", "neutral timeout_total"]);
        assert_eq!(chain.asked("req-late"), ["openai", "anthropic"]);
        assert_eq!(chain.fusebox.breaker("anthropic")["failureCount"], 0);
        assert_eq!(chain.hits(), [1, 1, 0]);
    }
}

#[test]
fn the_callers_deadline_ends_the_chain_without_a_fixed_answer() {
    let chain = Chain::start(WITH_ANSWER, PLAIN);
    chain.answer([status(503), stall(), status(200)]);
    let headers =
        [("x-envoy-expected-rq-timeout-ms", "1500"), ("x-correlation-id", "req-deadline")];
    assert_eq!(chain.fusebox.get("/", &headers).status, 504);
    let row = chain.fusebox.row("req-deadline");
    assert_eq!(attempts(&row), ["failure http_503", "neutral caller_deadline"]);
    assert_eq!(chain.upstreams[2].hits(), 0);
}

#[test]
fn a_body_that_is_too_long_to_be_kept_goes_no_further_than_to_the_first_that_takes_it() {
    let chain = Chain::start(WITH_ANSWER, [", retry: { body_bytes: 1KiB }", "", ""]);
    chain.answer([status(503), status(503), status(200)]);
    let long = [("x-correlation-id", "req-long")];
    let response = chain.fusebox.connect().call("POST", "/", &long, &[b'a'; 2_000]);
    assert_eq!((response.status, response.text()), (203, "later"));
    let row = chain.fusebox.row("req-long");
    assert_eq!((ending(&row).as_str(), &row["attempts"]), ("failure http_503 203", &1.into()));
    assert_eq!((chain.upstreams[1].hits(), chain.upstreams[2].hits()), (0, 0));
    chain.open(0, "/");
    let before = chain.hits();
    let response = chain.fusebox.connect().call("POST", "/", &[], &[b'a'; 2_000]);
    assert_eq!((response.status, response.text()), (203, "later"));
    assert_eq!(chain.hits(), [before[0], before[1] + 1, before[2]], "a refusal has taken nothing");
}
