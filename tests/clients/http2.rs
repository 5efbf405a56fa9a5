//! HTTP/2 as curl and h2load speak it: by prior knowledge, and over what ALPN agrees on.

use std::process::Command;

use crate::{
    curl::{curl, large, url},
    harness::{Fusebox, ScriptedUpstream, Setup, Step, raw},
    peer::{Home, Nginx, run},
};

const PRIOR: &str = "--http2-prior-knowledge";

fn start() -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    (upstream, fusebox)
}

#[test]
fn a_call_in_http_2_goes_on_in_http_1() {
    let (upstream, fusebox) = start();
    let told = ["--write-out", " %{http_version} %{http_code}"];
    let seen = curl(&[&[PRIOR, &url(&fusebox, "/a?b")][..], &told].concat(), b"").text();
    assert_eq!(seen, "ok 2 200");
    let received = upstream.last();
    assert_eq!(received.line, "GET /a?b HTTP/1.1");
    assert_eq!(received.headers.one("host"), Some(upstream.authority().as_str()));
    assert_eq!(received.headers.one("content-length"), None);
    assert_eq!(received.headers.one("transfer-encoding"), None);
}

#[test]
fn bodies_of_known_and_unknown_length_arrive_whole() {
    let (upstream, fusebox) = start();
    let home = Home::new("curl");
    let file = home.file("upload", &large()).display().to_string();
    for source in [file.as_str(), "-"] {
        let sent = curl(&[PRIOR, "--upload-file", source, &url(&fusebox, "/upload")], &large());
        assert_eq!(sent.text(), "ok");
        assert!(upstream.last().body == large(), "it arrived as it was sent");
    }
}

#[test]
fn answers_without_a_body_and_head_end_at_once() {
    let (upstream, fusebox) = start();
    upstream.answer_on("/head", vec![raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")]);
    upstream.answer_on("/204", vec![raw("HTTP/1.1 204 No Content\r\n\r\n")]);
    upstream.answer_on("/304", vec![raw("HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n")]);
    let head = curl(&[PRIOR, "--head", &url(&fusebox, "/head")], b"").text();
    assert!(head.starts_with("HTTP/2 200"), "{head}");
    assert!(head.contains("content-length: 5\r\n"), "{head}");
    for path in ["/204", "/304"] {
        let told = ["--write-out", "%{http_code} %{size_download}"];
        let seen = curl(&[&[PRIOR, &url(&fusebox, path)][..], &told].concat(), b"");
        assert_eq!(seen.text(), format!("{} 0", &path[1..]));
    }
}

#[test]
fn fields_of_one_connection_do_not_cross_into_http_2() {
    let (upstream, fusebox) = start();
    let head = "HTTP/1.1 200 OK\r\nconnection: keep-alive, x-one\r\nkeep-alive: timeout=5\r\n\
                x-one: 1\r\nx-two: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    upstream.answer(vec![Step::ReadBody, raw(head)]);
    let seen = curl(&[PRIOR, "--include", &url(&fusebox, "/")], b"").text();
    assert!(seen.ends_with("\r\n\r\nok"), "{seen}");
    assert!(seen.contains("x-two: 2"), "{seen}");
    for gone in ["connection:", "keep-alive:", "transfer-encoding:", "x-one:"] {
        assert!(!seen.contains(gone), "{seen}");
    }
}

#[test]
fn a_body_that_breaks_off_is_never_passed_on_as_whole() {
    let (upstream, fusebox) = start();
    for framing in
        ["content-length: 10\r\n\r\npart", "transfer-encoding: chunked\r\n\r\n4\r\npart\r\n"]
    {
        let head = format!("HTTP/1.1 200 OK\r\n{framing}");
        upstream.answer(vec![Step::ReadBody, raw(&head), Step::Close]);
        let seen = curl(&[PRIOR, &url(&fusebox, "/")], b"");
        assert_ne!(seen.code, Some(0), "{framing}");
    }
}

#[test]
fn a_broken_call_leaves_its_neighbours_on_the_connection_whole() {
    let (upstream, fusebox) = start();
    upstream.answer_on("/broken", vec![Step::ReadBody, Step::Close]);
    let mut command = Command::new("nghttp");
    command.args(["--null-out", "--stat"]);
    command.args(["/a", "/broken", "/b"].map(|path| url(&fusebox, path)));
    let seen = run(command, vec![]).text();
    for (path, status) in [("/a", " 200 "), ("/broken", " 502 "), ("/b", " 200 ")] {
        let line = seen.lines().find(|line| line.ends_with(path));
        assert!(line.is_some_and(|line| line.contains(status)), "{path}: {seen}");
    }
}

#[test]
fn h2load_gets_an_answer_to_every_call() {
    let nginx = Nginx::start(
        "server { listen {listen}; keepalive_requests 1000000; location / { return 200 ok; } }",
    );
    // It does not go on over another connection when one has carried as many as it may.
    let unlimited = "{ listen: \"{proxy}\", upstream: payments, limits: { requests: 1000000 } }";
    let fusebox = Setup::of(format!(
        "listeners: {{ egress: {unlimited} }}\nupstreams: {{ payments: {{ endpoints: [\"{}\"] }} }}\n",
        nginx.url()
    ))
    .start();
    for (clients, streams) in [("1", "1"), ("1", "100"), ("10", "20")] {
        let mut command = Command::new("h2load");
        command.args(["--requests", "20000", "--clients", clients]);
        command.args(["--max-concurrent-streams", streams]).arg(url(&fusebox, "/"));
        let seen = run(command, vec![]).text();
        assert!(seen.contains("20000 succeeded, 0 failed, 0 errored, 0 timeout"), "{seen}");
        assert!(seen.contains("status codes: 20000 2xx"), "{seen}");
    }
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}
