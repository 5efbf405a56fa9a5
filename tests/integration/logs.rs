//! What Fusebox says: one JSON object a line, flat, with the correlation id of the call.

use serde_json::Value;

use crate::harness::{PATIENCE, ScriptedUpstream, Setup, status};
use crate::local::wait_until;

#[test]
fn the_line_of_a_successful_call_has_its_correlation_id() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    fusebox.get("/pay?card=4111", &[("x-correlation-id", "req-abc")]);
    let line = fusebox.wait_for_line("the call's line", |line| line["correlationId"] == "req-abc");
    assert_eq!(line["upstream"], "payments", "{line}");
    assert_eq!(line["status"], 200, "{line}");
    assert_eq!(line["outcome"], "success", "{line}");
    assert_eq!(line["method"], "GET", "{line}");
    assert!(line["durationMs"].is_number(), "{line}");
    assert!(!line.to_string().contains("4111"), "queries are not logged: {line}");
}

#[test]
fn every_line_is_one_flat_object() {
    let mut upstream = ScriptedUpstream::start();
    let mut fusebox = Setup::payments(&upstream.url(), &[]).start();
    fusebox.get("/", &[]);
    upstream.answer(status(500));
    fusebox.get("/\u{7f}\"", &[("x-correlation-id", "\" bad")]);
    upstream.stop();
    for _ in 0..6 {
        fusebox.get("/", &[]);
    }
    fusebox.wait_for_line("a refused call", |line| line["outcome"] == "refused");
    assert!(fusebox.terminate().success());
    for line in fusebox.lines() {
        let parsed: Value = serde_json::from_str(&line).expect(&line);
        let fields = parsed.as_object().expect(&line);
        for (name, value) in fields {
            assert!(!value.is_object(), "`{name}` is not flat: {line}");
            let is_camel_case =
                name.chars().all(char::is_alphanumeric) && name.starts_with(char::is_lowercase);
            assert!(is_camel_case, "`{name}` is not camelCase: {line}");
        }
    }
}

#[test]
fn a_breaker_that_opens_is_a_line_of_its_own() {
    let upstream = ScriptedUpstream::start();
    let setup = Setup::payments(&upstream.url(), &[]).with("logs: { calls: none }");
    let fusebox = setup.start();
    upstream.answer(status(500));
    for _ in 0..5 {
        fusebox.get("/", &[]);
    }
    let line = fusebox.wait_for_line("the transition", |line| {
        line.to_string().to_lowercase().contains("open") && line["upstream"] == "payments"
    });
    assert!(line.to_string().contains("consecutive_failures"), "{line}");
}

#[test]
fn only_failures_are_logged_when_only_they_are_asked_for() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).with("logs: { calls: failures }").start();
    fusebox.get("/", &[("x-correlation-id", "req-good")]);
    upstream.answer(status(500));
    fusebox.get("/", &[("x-correlation-id", "req-bad")]);
    fusebox.wait_for_line("the failed call", |line| line["correlationId"] == "req-bad");
    assert!(!fusebox.lines().join("\n").contains("req-good"));
}

#[test]
fn the_log_file_gets_every_line_too() {
    let upstream = ScriptedUpstream::start();
    let file = std::env::temp_dir().join(format!("fusebox-log-{}", std::process::id()));
    let setup = Setup::payments(&upstream.url(), &[])
        .with(&format!("logs: {{ file: {} }}", file.display()));
    let fusebox = setup.start();
    fusebox.get("/", &[("x-correlation-id", "req-file")]);
    wait_until("the line is in the file", PATIENCE, || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.contains("\"req-file\"").then_some(())
    });
    fusebox.wait_for_line("and on stdout", |line| line["correlationId"] == "req-file");
    drop(std::fs::remove_file(&file));
}

#[test]
fn what_a_call_did_not_carry_is_not_told() {
    let mut upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let mut connection = fusebox.connect();
    let endless = "A".repeat(20_000);
    assert_eq!(connection.call(&endless, "/", &[], b"").status, 200);
    let line = fusebox.wait_for_line("the call's line", |line| line["message"] == "call");
    assert_eq!(line["method"], "-", "{line}");

    upstream.stop();
    assert_eq!(connection.call("HEAD", "/", &[], b"").status, 502);
    let line = fusebox.wait_for_line("the call's line", |line| line["status"] == 502);
    assert_eq!(line["responseBytes"], 0, "{line}");
}
