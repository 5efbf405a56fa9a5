//! Circuits under the hands of people: orders, looking on, and routes with circuits of their own.

use serde_json::json;

use crate::{
    harness::{Fusebox, PATIENCE, ScriptedUpstream, Setup, get, run, status},
    local::wait_until,
};

fn start(keys: &[&str]) -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), keys).start();
    (upstream, fusebox)
}

/// Runs a command that asks this Fusebox; its output when it ends with this code.
#[track_caller]
fn command(fusebox: &Fusebox, args: &[&str], code: i32) -> String {
    let admin = fusebox.admin.to_string();
    let finished = run(&[args, &["--admin", &admin]].concat(), &[("USER", "ann")]);
    assert_eq!(finished.code, Some(code), "{args:?}: {}", finished.text);
    finished.text
}

#[test]
fn a_circuit_that_is_forced_open_refuses_until_the_order_is_lifted() {
    let (upstream, fusebox) = start(&[]);
    let open = ["breaker", "open", "payments", "--reason", "migration", "--for", "2h"];
    let said = command(&fusebox, &open, 0);
    assert_eq!(said, "payments is forced open by ann, for 2h: every call is refused.\n");
    let refused = fusebox.get("/", &[]);
    let retry_after: u64 = refused.headers.one("retry-after").unwrap().parse().unwrap();
    assert_eq!(refused.status, 503);
    assert!((7_100..=7_921).contains(&retry_after), "until the order ends: {retry_after}");
    assert_eq!(upstream.hits(), 0);
    let explained = command(&fusebox, &["explain", "payments"], 0);
    assert!(explained.contains("ann ordered this") && explained.contains("“migration”"));

    let said = command(&fusebox, &["breaker", "auto", "payments"], 0);
    assert_eq!(said, "payments follows its rules: it is CLOSED.\n");
    assert_eq!(fusebox.get("/", &[]).status, 200);
    fusebox.wait_for_line("who steered it", |line| {
        line["message"] == "the circuit was steered" && line["by"] == "ann" && line["act"] == "lift"
    });
}

#[test]
fn an_order_ends_by_itself() {
    let (_upstream, fusebox) = start(&[]);
    let open = ["breaker", "open", "payments", "--reason", "a moment", "--for", "1s"];
    command(&fusebox, &open, 0);
    assert_eq!(fusebox.get("/", &[]).status, 503);
    fusebox.wait_for_state("payments", "CLOSED", PATIENCE);
    assert_eq!(fusebox.get("/", &[]).status, 200);
    fusebox.wait_for_line("the end of the order", |line| {
        line["message"] == "the circuit moved"
            && (&line["to"], &line["cause"]) == (&json!("closed"), &json!("override"))
    });
}

#[test]
fn a_circuit_that_is_disabled_or_forced_closed_passes_what_fails() {
    for verb in ["disable", "close"] {
        let (upstream, fusebox) = start(&[]);
        upstream.answer(status(500));
        command(&fusebox, &["breaker", verb, "payments", "--reason", "we know"], 0);
        for _ in 0..8 {
            assert_eq!(fusebox.get("/", &[]).status, 500, "{verb}");
        }
        let counted = if verb == "close" { 8 } else { 0 };
        assert_eq!(fusebox.breaker("payments")["failureCount"], counted, "{verb}");
    }
}

#[test]
fn a_reset_closes_an_open_circuit_at_once() {
    let (upstream, fusebox) = start(&[]);
    upstream.answer(status(500));
    for _ in 0..6 {
        fusebox.get("/", &[]);
    }
    assert_eq!(fusebox.state("payments"), "OPEN");
    upstream.answer(status(200));
    let said = command(&fusebox, &["breaker", "reset", "payments", "--reason", "deployed"], 0);
    assert_eq!(said, "payments follows its rules: it is CLOSED.\n");
    assert_eq!(fusebox.get("/", &[]).status, 200);
}

#[test]
fn a_circuit_in_shadow_passes_everything_and_counts_what_it_would_have_refused() {
    let (upstream, fusebox) = start(&["breaker: { mode: shadow }"]);
    upstream.answer(status(500));
    for _ in 0..9 {
        assert_eq!(fusebox.get("/", &[]).status, 500);
    }
    let breaker = fusebox.breaker("payments");
    assert_eq!((&breaker["mode"], &breaker["wouldRefuse"]), (&json!("shadow"), &json!(4)));
    let metrics = get(fusebox.admin, "/metrics", &[]);
    let line = "fusebox_breaker_would_refuse_total{upstream=\"payments\"} 4";
    assert!(metrics.text().contains(line), "{}", metrics.text());
    let health = get(fusebox.admin, "/health", &[]).json();
    assert_ne!(health["services"]["payments"]["message"], "Circuit breaker OPEN");
    let status = command(&fusebox, &["status"], 0);
    assert!(status.contains("shadow, would have refused 4"), "{status}");
    fusebox.wait_for_line("what it would have done", |line| {
        line["message"] == "the circuit would have moved" && line["to"] == "open"
    });
    let cut_off = |line: &String| line.contains("calls are cut off");
    assert!(!fusebox.lines().iter().any(cut_off));
}

#[test]
fn a_wrong_order_is_a_usage_error_and_an_unknown_breaker_is_named() {
    let (_upstream, fusebox) = start(&[]);
    let said = command(&fusebox, &["breaker", "open", "payments"], 2);
    assert!(said.contains("--reason"), "{said}");
    for (args, code, says) in [
        (&["disable", "payments", "--reason", "x", "--for", "25h"][..], 2, "1d at most, not 25h"),
        (&["disable", "payments", "--reason", " "], 2, "a reason is required"),
        (&["open", "payments", "--reason", "x", "--for", "soon"], 2, "`ttl`: expected a duration"),
        (&["open", "paymets", "--reason", "x"], 1, "did you mean `payments`?"),
    ] {
        let said = command(&fusebox, &[&["breaker"], args].concat(), code);
        assert!(said.contains(says), "{args:?}: {said}");
    }
    let said = command(&fusebox, &["explain", "paymets"], 1);
    assert!(said.contains("did you mean `payments`?"), "{said}");
    assert_eq!(fusebox.breaker("payments")["mode"], "auto");
}

#[test]
fn a_route_with_a_circuit_of_its_own_fails_alone() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::of(format!(
        "listeners:\n  egress:\n    listen: \"{{proxy}}\"\n    routes:\n      \
         - {{ match: {{ path_prefix: /charges }}, upstream: payments, \
         breaker: {{ consecutive_failures: 2, failure_statuses: [500, 418] }} }}\n      \
         - {{ upstream: payments }}\n\
         upstreams:\n  payments: {{ endpoints: [\"{}\"] }}\n",
        upstream.url()
    ))
    .start();
    upstream.answer_on("/charges", status(418));
    for _ in 0..2 {
        assert_eq!(fusebox.get("/charges", &[]).status, 418);
    }
    let refused = fusebox.get("/charges", &[]);
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("payments/charges"), "{}", refused.text());
    assert_eq!(fusebox.get("/refunds", &[]).status, 200);
    assert_eq!(fusebox.state("payments/charges"), "OPEN");
    assert_eq!(fusebox.state("payments"), "CLOSED");
    let one = fusebox.ask("/api/v1/circuit-breakers/payments%2Fcharges");
    assert_eq!(
        (&one["failureCount"], &one["openedBy"]),
        (&json!(2), &json!("consecutive_failures"))
    );

    upstream.answer(status(500));
    for _ in 0..5 {
        assert_eq!(fusebox.get("/refunds", &[]).status, 500);
    }
    assert_eq!(
        fusebox.get("/refunds", &[]).status,
        503,
        "the upstream's own opens by its own rules"
    );
    upstream.answer_on("/charges", status(200));
    let reset = ["breaker", "reset", "payments/charges", "--reason", "fixed"];
    assert_eq!(command(&fusebox, &reset, 0), "payments/charges follows its rules: it is CLOSED.\n");
    assert_eq!(fusebox.get("/charges", &[]).status, 200, "whatever the upstream's own says");
    assert_eq!(fusebox.state("payments"), "OPEN");
}

#[test]
fn a_probe_whose_caller_goes_away_leaves_the_slot_to_the_next() {
    let (upstream, fusebox) = start(&["breaker: { open_for: 100ms, ramp: 0s }"]);
    upstream.answer(status(500));
    for _ in 0..5 {
        fusebox.get("/", &[]);
    }
    fusebox.wait_for_state("payments", "HALF_OPEN", PATIENCE);
    upstream.answer(crate::harness::stall());
    let before = upstream.hits();
    let mut probe = fusebox.connect();
    probe.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until("the probe arrives", PATIENCE, || (upstream.hits() > before).then_some(()));
    assert_eq!(fusebox.get("/", &[]).status, 503, "one at a time");
    upstream.answer(status(200));
    probe.abort();
    wait_until("the circuit closes", PATIENCE, || {
        (fusebox.get("/", &[]).status == 200 && fusebox.state("payments") == "CLOSED").then_some(())
    });
}
