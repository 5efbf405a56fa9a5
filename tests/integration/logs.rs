//! What Fusebox says: one JSON object a line, flat, with the correlation id of the call.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Connection, PATIENCE, ScriptedUpstream, Setup, status};
use crate::local::{free_address, signal, wait_until};

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

#[test]
fn a_stdout_that_nobody_reads_stops_neither_calls_nor_the_end() {
    let upstream = ScriptedUpstream::start();
    let (proxy, admin) = (free_address(), free_address());
    let home = std::env::temp_dir().join(format!("fusebox-unread-{}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a directory of its own");
    let mut process = Command::new(env!("CARGO_BIN_EXE_fusebox"))
        .args(["run", "--listen", &proxy.to_string(), "--admin", &admin.to_string()])
        .args(["--upstream", &format!("payments={}", upstream.url())])
        .env_clear()
        .current_dir(&home)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    wait_until("it listens", PATIENCE, || std::net::TcpStream::connect(admin).ok());
    let mut connection = Connection::open(proxy);
    // More lines than a pipe holds.
    for _ in 0..1_000 {
        assert_eq!(connection.get("/", &[]).status, 200);
    }
    signal(process.id(), "TERM");
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until("it ends", PATIENCE, || process.try_wait().expect("it is our child"))
    }));
    process.kill().ok();
    std::fs::remove_dir_all(home).ok();
    assert!(ended.expect("it ends in time").success());
}
