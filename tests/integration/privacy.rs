//! What callers put into a call is theirs: none of it reaches a row, a line, a metric or the admin
//! port but what is documented.

use serde_json::Value;

use crate::{
    harness::{Connection, Database, Fusebox, PATIENCE, ScriptedUpstream, Setup, get, raw, status},
    local::wait_until,
};

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLW9mLWNhbmFyeQ";
const AWS_KEY: &str = "AKIACANARYCANARYCANA";
const CARD: &str = "4111-1111-1111-1111";

/// Nothing that anybody else would write.
const CANARY: &str = "c4n4ry";

/// Every admin path that answers a GET, besides the stream.
const PATHS: [&str; 13] = [
    "/live",
    "/ready",
    "/health",
    "/metrics",
    "/",
    "/api/v1/circuit-breakers",
    "/api/v1/circuit-breakers/payments",
    "/api/v1/circuit-breakers/payments/events",
    "/api/v1/tasks?limit=500",
    "/api/v1/tasks/history",
    "/api/v1/status",
    "/api/v1/config",
    "/api/v1/nowhere",
];

/// Everything that remembers calls: rows, lines, the log file and the admin port, each by name.
fn memory(
    fusebox: &Fusebox,
    database: &Database<'_>,
    log: &std::path::Path,
) -> Vec<(String, String)> {
    let tables = database.query(
        "select string_agg(c.relname, ' ') from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
             and not c.relispartition",
    );
    assert!(tables.contains("task_history") && tables.contains("circuit_breaker_event"));
    let mut found: Vec<(String, String)> = tables
        .split(' ')
        .map(|table| {
            let rows = database.query(&format!("select row_to_json(t) from {table} t"));
            (format!("table {table}"), rows)
        })
        .collect();
    found.push(("stdout".to_owned(), fusebox.lines().join("\n")));
    found.push(("the log file".to_owned(), std::fs::read_to_string(log).expect("a log file")));
    for path in PATHS {
        let answer = get(fusebox.admin, path, &[]);
        found.push((path.to_owned(), String::from_utf8_lossy(&answer.body).into_owned()));
    }
    found
}

/// Secrets in every place of a request that Fusebox reads and in every one that it passes on.
fn send_secrets(fusebox: &Fusebox) {
    let secret = |place: &str| format!("{CANARY}-{place}");
    let bearer = format!("Bearer {JWT}");
    let everywhere = [
        ("authorization", bearer.as_str()),
        ("proxy-authorization", "Basic YzRuNHJ5OmM0bjRyeQ=="),
        ("cookie", &format!("session={}", secret("cookie"))),
        ("referer", &format!("http://user:{}@x.example/?q={0}", secret("referer"))),
        ("user-agent", &secret("agent")),
        ("x-correlation-id", &format!("{CANARY} not valid")),
        ("x-request-id", JWT),
        ("traceparent", &format!("00-{CANARY}")),
        ("tracestate", &format!("vendor={}", secret("tracestate"))),
        ("baggage", &format!("user={}", secret("baggage"))),
        ("x-amzn-trace-id", &format!("Root={CANARY}")),
        ("x-task-id", &secret("task")),
        ("x-forwarded-for", &secret("forwarded")),
        ("forwarded", &format!("for={}", secret("forwarded"))),
        ("x-api-key", &secret("key")),
    ];
    let path = format!("/users/{CANARY}/jo@c4n4ry.example?token={CANARY}&jwt={JWT}");
    for body in ["", "password=c4n4ry"] {
        fusebox.connect().call("POST", &path, &everywhere, body.as_bytes());
    }
    // As the method, the host and the user of an absolute target.
    for method in [AWS_KEY, "4111111111111111", "C4N4RY-C4N4RY-C4N4RY-C4N4RY-C4N4RY"] {
        fusebox.connect().call(method, "/", &[], b"");
    }
    fusebox.connect().call("GET", "/", &[("host", "c4n4ry.example")], b"");
    fusebox.connect().call("GET", "http://u:c4n4ry@localhost/", &[], b"");
    for id in [JWT, AWS_KEY, CARD, "bearer:c4n4ryc4n4ryc4n4ry", &"c4n4ry".repeat(22)] {
        fusebox.get("/", &[("x-correlation-id", id)]);
    }
    // What is no HTTP.
    for bytes in [
        format!("GET /{CANARY} HTTP/9.9\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{CANARY} : x\r\n\r\n"),
        format!("{CANARY}\0\r\n\r\n"),
        format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {CANARY}\r\n\r\n"),
    ] {
        let mut connection = Connection::open(fusebox.proxy);
        connection.send(bytes);
        connection.try_head();
    }
}

/// An upstream that puts secrets into its answers, its errors and what is no answer.
fn answer_secrets(fusebox: &Fusebox, upstream: &ScriptedUpstream) {
    let head = |line: &str| {
        format!("HTTP/1.1 {line}\r\nset-cookie: s={CANARY}\r\nx-correlation-id: {JWT}\r\n")
    };
    for answer in [
        head("500 c4n4ry") + "content-length: 6\r\n\r\nc4n4ry",
        format!("HTTP/1.1 999999 {CANARY}\r\n\r\n"),
        format!("{CANARY} {JWT}\r\n\r\n"),
        head("200 OK") + &format!("{CANARY} : broken\r\n\r\n"),
    ] {
        upstream.answer(vec![raw(&answer), crate::harness::Step::Close]);
        fusebox.get("/", &[]);
    }
    upstream.answer(status(200));
}

#[test]
fn no_secret_of_a_call_is_kept_anywhere() {
    let upstream = ScriptedUpstream::start();
    let database = Database::new();
    let log = std::env::temp_dir().join(format!("fusebox-privacy-{}", std::process::id()));
    let fusebox = Setup::payments(&upstream.url(), &["breaker: { consecutive_failures: 50 }"])
        .database(&database.url)
        .with(&format!("logs: {{ file: {} }}", log.display()))
        .env("LOG_LEVEL", "debug")
        .start();
    send_secrets(&fusebox);
    answer_secrets(&fusebox, &upstream);
    // The last call is stored after all others.
    fusebox.get("/", &[("x-correlation-id", "req-the-end")]);
    database
        .wait_for("select count(*) from task_history where correlation_id = 'req-the-end'", "1");
    wait_until("the log file has it too", PATIENCE, || {
        std::fs::read_to_string(&log).ok()?.contains("req-the-end").then_some(())
    });

    let memory = memory(&fusebox, &database, &log);
    drop(std::fs::remove_file(&log));
    for (place, text) in &memory {
        let text = text.to_lowercase();
        for secret in [CANARY, JWT, AWS_KEY, CARD, "4111111111111111", "yzrunhj5", "eyjhbg"] {
            let found = text.find(&secret.to_lowercase());
            let around = found.map(|at| &text[at.saturating_sub(200)..text.len().min(at + 80)]);
            assert_eq!(around, None, "`{secret}` in {place}");
        }
    }
    let (_, rows) = &memory.iter().find(|(place, _)| place == "table task_history").expect("rows");
    let rows: Vec<Value> =
        rows.lines().map(|row| serde_json::from_str(row).expect("JSON")).collect();
    assert!(rows.len() > 12, "{} calls were stored", rows.len());
    assert!(rows.iter().all(|row| row["path"] == "/*" || row["path"] == "-" || row["path"] == ""));
}

#[test]
fn baggage_and_the_like_still_reach_the_upstream() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let bearer = format!("Bearer {JWT}");
    let response = fusebox.get(
        &format!("/pay?token={CANARY}"),
        &[("authorization", &bearer), ("baggage", "user=c4n4ry"), ("x-correlation-id", JWT)],
    );
    let received = upstream.last();
    assert_eq!(received.headers.one("authorization"), Some(bearer.as_str()));
    assert_eq!(received.headers.one("baggage"), Some("user=c4n4ry"));
    assert!(received.line.contains(CANARY), "{}", received.line);
    // A token is no name for a call: it gets another one.
    let id = response.headers.one("x-correlation-id").expect("an id");
    assert!(id.starts_with("req-"), "{id}");
    assert_eq!(received.headers.one("x-correlation-id"), Some(id));
}
