//! curl as the caller.

use std::process::Command;

use crate::{
    harness::{Fusebox, ScriptedUpstream, Setup, Step, raw},
    peer::{Finished, Home, run},
};

/// Large enough for curl to ask for leave before it sends.
const LARGE: usize = 3_000_000;

fn start() -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    (upstream, fusebox)
}

/// curl without anybody's settings, and with a deadline of its own.
pub(crate) fn curl(args: &[&str], input: &[u8]) -> Finished {
    let mut command = Command::new("curl");
    command.args(["--disable", "--silent", "--show-error", "--max-time", "50"]).args(args);
    run(command, input.to_vec())
}

pub(crate) fn url(fusebox: &Fusebox, path: &str) -> String {
    format!("http://{}{path}", fusebox.proxy)
}

pub(crate) fn large() -> Vec<u8> {
    (0..LARGE).map(|byte| u8::try_from(byte % 251).expect("a byte")).collect()
}

#[test]
fn a_large_upload_waits_for_leave_and_arrives_whole() {
    let (upstream, fusebox) = start();
    let home = Home::new("curl");
    let file = home.file("upload", &large()).display().to_string();
    let sent = curl(
        &[
            "--verbose",
            // Longer than the test may take: without leave it fails.
            "--expect100-timeout",
            "100",
            "--header",
            "expect: 100-continue",
            "--upload-file",
            &file,
            &url(&fusebox, "/upload"),
        ],
        b"",
    );
    assert_eq!(sent.text(), "ok");
    assert!(sent.stderr.contains("< HTTP/1.1 100 Continue"), "{}", sent.stderr);
    assert!(upstream.last().body == large(), "it arrived as it was sent");
    assert_eq!(upstream.last().headers.one("expect"), None);
}

#[test]
fn an_upload_of_unknown_length_is_chunked_on_both_sides() {
    let (upstream, fusebox) = start();
    let sent = curl(&["--upload-file", "-", &url(&fusebox, "/upload")], &large());
    assert_eq!(sent.text(), "ok");
    assert_eq!(upstream.last().headers.one("transfer-encoding"), Some("chunked"));
    assert!(upstream.last().body == large(), "it arrived as it was sent");
}

#[test]
fn forms_arrive_as_they_were_sent() {
    let (upstream, fusebox) = start();
    curl(&["--form", "a=1", "--form", "b=@-;filename=b", &url(&fusebox, "/form")], b"two").text();
    let (body, kind) = (upstream.last().body, upstream.last().headers);
    let boundary = kind.one("content-type").and_then(|kind| kind.split_once("boundary="));
    let (_, boundary) = boundary.expect("it is a form");
    assert_eq!(String::from_utf8_lossy(&body).matches(boundary).count(), 3);
}

#[test]
fn head_and_answers_without_a_body_end_at_once() {
    let (upstream, fusebox) = start();
    upstream.answer_on("/head", vec![raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")]);
    upstream.answer_on("/204", vec![raw("HTTP/1.1 204 No Content\r\n\r\n")]);
    upstream.answer_on("/304", vec![raw("HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n")]);
    let head = curl(&["--head", &url(&fusebox, "/head")], b"").text();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-length: 5\r\n"), "{head}");
    for path in ["/204", "/304"] {
        let arguments = ["--write-out", "%{http_code} %{size_download}", &url(&fusebox, path)];
        assert_eq!(curl(&arguments, b"").text(), format!("{} 0", &path[1..]));
    }
}

#[test]
fn one_connection_carries_calls_of_every_kind() {
    let (upstream, fusebox) = start();
    upstream.answer_on("/204", vec![raw("HTTP/1.1 204 No Content\r\n\r\n")]);
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    upstream.answer_on("/chunked", vec![Step::ReadBody, raw(chunked)]);
    let told = ["--output", "/dev/null", "--write-out", "%{http_code} %{num_connects}\n"];
    let urls = ["/plain", "/204", "/chunked", "/plain"].map(|path| url(&fusebox, path));
    let mut arguments: Vec<&str> = Vec::new();
    for url in &urls {
        if !arguments.is_empty() {
            arguments.push("--next");
        }
        arguments.extend(["--silent", "--data", "body"]);
        arguments.extend(told);
        arguments.push(url);
    }
    assert_eq!(curl(&arguments, b"").text(), "200 1\n204 0\n200 0\n200 0\n");
    let received = upstream.received();
    assert!(received.iter().all(|request| request.connection == received[0].connection));
}

#[test]
fn a_caller_that_offers_http_2_by_upgrade_is_answered_in_http_1() {
    let (upstream, fusebox) = start();
    let arguments = ["--http2", "--write-out", " %{http_version}", &url(&fusebox, "/")];
    assert_eq!(curl(&arguments, b"").text(), "ok 1.1");
    let headers = upstream.last().headers;
    assert_eq!((headers.one("upgrade"), headers.one("http2-settings")), (None, None));
}

#[test]
fn a_caller_of_http_1_0_is_answered() {
    let (_upstream, fusebox) = start();
    assert_eq!(curl(&["--http1.0", &url(&fusebox, "/")], b"").text(), "ok");
}

#[test]
fn fusebox_is_an_http_proxy_for_what_it_knows_and_for_nothing_else() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::of(format!(
        "listeners:
  egress:
    listen: \"{{proxy}}\"
    routes:
      - {{ match: {{ host: payments.internal }}, upstream: payments }}
upstreams:
  payments: {{ endpoints: [\"{}\"] }}
",
        upstream.url()
    ))
    .start();
    let proxy = url(&fusebox, "");
    let through = |target: &str| {
        let status = ["--output", "/dev/null", "--write-out", "%{http_code} %{http_connect}"];
        curl(&[&["--proxy", &proxy, target][..], &status].concat(), b"")
    };
    assert_eq!(through("http://payments.internal/a?b").text(), "200 000");
    assert_eq!(upstream.last().line, "GET /a?b HTTP/1.1");
    assert_eq!(upstream.last().headers.one("host"), Some(upstream.authority().as_str()));
    assert_eq!(through("http://elsewhere.internal/").text(), "404 000");
    let tunnel = through("https://payments.internal/");
    assert_eq!(String::from_utf8_lossy(&tunnel.stdout), "000 405");
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn many_calls_at_the_same_time_get_their_own_answers() {
    let (upstream, fusebox) = start();
    let paths = url(&fusebox, "/call/[1-200]");
    let told = ["--output", "/dev/null", "--write-out", "%{http_code}\n"];
    let parallel = ["--parallel", "--parallel-max", "50", "--no-progress-meter", &paths];
    let statuses = curl(&[&told[..], &parallel].concat(), b"").text();
    assert_eq!(statuses, "200\n".repeat(200));
    let mut lines: Vec<String> = upstream.received().into_iter().map(|it| it.line).collect();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 200);
}
