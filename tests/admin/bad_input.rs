//! What should not have been sent: the right status, the reason in words, and nothing changed.

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Answer, Port};

const TOKEN: &str = "correct horse battery staple";

/// A path that changes something, and a body that it would take.
const CHANGES: [(&str, &str, &str); 9] = [
    ("POST", "/api/v1/circuit-breakers/music/override", r#"{"mode":"shadow","reason":"r"}"#),
    ("DELETE", "/api/v1/circuit-breakers/music/override", r#"{"reason":"r"}"#),
    ("POST", "/api/v1/circuit-breakers/music/open", r#"{"reason":"r"}"#),
    ("POST", "/api/v1/circuit-breakers/music/close", r#"{"reason":"r"}"#),
    ("POST", "/api/v1/circuit-breakers/music/disable", r#"{"reason":"r"}"#),
    ("POST", "/api/v1/circuit-breakers/music/shadow", r#"{"reason":"r"}"#),
    ("POST", "/api/v1/circuit-breakers/music/reset", r#"{"reason":"r"}"#),
    ("POST", "/api/v1/tasks", r#"{"domain":"d","action":"a","durationMs":1,"success":true}"#),
    (
        "POST",
        "/api/v1/tasks/01a20682-22aa-72f4-9b53-02854c1825d4/feedback",
        r#"{"impactScore":50}"#,
    ),
];

/// A request to one of [`CHANGES`], as it may be sent.
struct Sent {
    method: &'static str,
    target: String,
    host: &'static str,
    token: Option<&'static str>,
    kind: Option<&'static str>,
    body: Vec<u8>,
    /// In one chunk, without saying how long it is.
    chunked: bool,
}

impl Sent {
    fn good((method, path, body): (&'static str, &str, &str)) -> Self {
        Self {
            method,
            target: path.to_owned(),
            host: "localhost",
            token: Some(TOKEN),
            kind: Some("application/json"),
            body: body.as_bytes().to_vec(),
            chunked: false,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head =
            format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.host);
        if let Some(token) = self.token {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        if let Some(kind) = self.kind {
            head.push_str(&format!("Content-Type: {kind}\r\n"));
        }
        let length = self.body.len();
        let (framing, before, after) = match self.chunked {
            false => (format!("Content-Length: {length}"), String::new(), ""),
            true => (
                "Transfer-Encoding: chunked".to_owned(),
                format!("{length:x}\r\n"),
                "\r\n0\r\n\r\n",
            ),
        };
        head.push_str(&format!("{framing}\r\nConnection: close\r\n\r\n{before}"));
        [head.as_bytes(), &self.body, after.as_bytes()].concat()
    }

    async fn to(&self, port: &Port) -> Answer {
        let mut stream = port.connect().await;
        // An answer may come before all of it is read.
        drop(stream.write_all(&self.bytes()).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        Answer::parse(&answer)
    }
}

/// What is wrong with a request, and what is said of it.
type Fault = (&'static str, fn(&mut Sent), u16, &'static str);

const FAULTS: [Fault; 19] = [
    ("no token", |sent| sent.token = None, 401, "unauthorized"),
    ("another host", |sent| sent.host = "rebound.example", 421, "host_not_allowed"),
    ("a query", |sent| sent.target.push_str("?force=true"), 400, "bad_request"),
    ("a long target", |sent| sent.target.push_str(&"x".repeat(5_000)), 414, "uri_too_long"),
    ("no content type", |sent| sent.kind = None, 415, "unsupported_media_type"),
    ("a form", |sent| sent.kind = Some("text/plain"), 415, "unsupported_media_type"),
    ("HTML", |sent| html(sent, "text/html"), 415, "unsupported_media_type"),
    ("HTML for JSON", |sent| html(sent, "application/json"), 400, "bad_request"),
    ("half of it", |sent| sent.body.truncate(sent.body.len() - 2), 400, "bad_request"),
    ("more behind it", |sent| sent.body.extend(b" {}"), 400, "bad_request"),
    ("no UTF-8", |sent| sent.body = b"{\"reason\":\"\xff\"}".to_vec(), 400, "bad_request"),
    ("a list", |sent| sent.body = b"[]".to_vec(), 400, "bad_request"),
    ("null", |sent| sent.body = b"null".to_vec(), 400, "bad_request"),
    ("a deep nest", |sent| sent.body = b"[".repeat(3_000), 400, "bad_request"),
    ("an unknown field", |sent| field(sent, r#""colour":"red""#), 400, "bad_request"),
    ("a field twice", |sent| field(sent, r#""reason":"r","reason":"r""#), 400, "bad_request"),
    (
        "a wrong type",
        |sent| sent.body = br#"{"reason":7,"domain":7,"impactScore":"x"}"#.to_vec(),
        400,
        "bad_request",
    ),
    ("a large body", |sent| sent.body = vec![b' '; 600_000], 413, "body_too_large"),
    (
        "a large body of chunks",
        |sent| (sent.body, sent.chunked) = (vec![b' '; 600_000], true),
        413,
        "body_too_large",
    ),
];

fn html(sent: &mut Sent, kind: &'static str) {
    sent.kind = Some(kind);
    sent.body = b"<html><body>502 Bad Gateway</body></html>".to_vec();
}

fn field(sent: &mut Sent, more: &str) {
    sent.body.pop();
    sent.body.extend(format!(",{more}}}").bytes());
}

fn is_untouched(port: &Port) -> bool {
    let circuit = port.sample.circuits.0.of("music").expect("it is there");
    let snapshot = circuit.snapshot(fusebox::clock::now());
    snapshot.order.is_none()
        && port.sample.reported.lock().expect("unpoisoned").is_empty()
        && port.sample.scores.lock().expect("unpoisoned").is_empty()
}

#[tokio::test]
async fn a_bad_request_is_refused_in_words_and_changes_nothing() {
    let port = Port::with_token(TOKEN).await;
    for (what, spoil, status, code) in FAULTS {
        for change in CHANGES {
            let mut sent = Sent::good(change);
            spoil(&mut sent);
            let answer = sent.to(&port).await;
            let (method, path, _) = change;
            assert_eq!(answer.error(), (status, code.to_owned()), "{what}: {method} {path}");
            assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
        }
        assert!(is_untouched(&port), "{what}");
    }
    for change in CHANGES {
        let status = Sent::good(change).to(&port).await.status;
        assert!(matches!(status, 200 | 202 | 404), "as it should be: {change:?}: {status}");
    }
    assert!(!is_untouched(&port), "what was refused above can be done");
    port.finish().await;
}

#[tokio::test]
async fn guessed_tokens_change_nothing() {
    let port = Port::with_token(TOKEN).await;
    for change in CHANGES {
        let answer = Sent { token: Some("guess"), ..Sent::good(change) }.to(&port).await;
        let (status, code) = answer.error();
        let is_slowed_down = (status, &*code) == (429, "too_many_attempts");
        assert!((status, &*code) == (401, "unauthorized") || is_slowed_down, "{status} {code}");
    }
    assert!(is_untouched(&port));
    port.finish().await;
}

/// Takes as long as a body may: all of them wait together.
#[tokio::test]
async fn a_body_that_does_not_arrive_is_waited_for_so_long_and_no_longer() {
    let port = Port::with_token(TOKEN).await;
    let slow = CHANGES.map(async |change| {
        let bytes = Sent::good(change).bytes();
        let mut stream = port.connect().await;
        stream.write_all(&bytes[..bytes.len() - 1]).await.unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        Answer::parse(&answer).error()
    });
    let waiting = join_all(slow.map(Box::pin));
    let beside = async {
        assert_eq!(port.get("/live").await.status, 200, "others are not kept waiting");
    };
    let (answers, ()) = tokio::join!(waiting, beside);
    for answer in answers {
        assert_eq!(answer, (400, "bad_request".to_owned()));
    }
    assert!(is_untouched(&port));
    port.finish().await;
}
