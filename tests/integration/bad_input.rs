//! What callers send wrong: each a clear answer, the connection handled right, and the upstream
//! neither reached nor blamed. Single messages are in the tables of `malformed`.

use crate::harness::{Connection, Fusebox, Response, ScriptedUpstream, Setup, get};

fn start() -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    (upstream, fusebox)
}

/// Sends these bytes on a connection of their own and reads the answer.
fn answer(fusebox: &Fusebox, bytes: impl AsRef<[u8]>) -> (Response, Connection) {
    let mut connection = fusebox.connect();
    connection.send(bytes);
    (connection.response("GET"), connection)
}

#[test]
fn a_head_is_judged_alike_wherever_it_stands_on_its_connection() {
    let (upstream, fusebox) = start();
    let mut connection = fusebox.connect();
    let body = format!("{}\r\ncontent-length: 3\r\n", "x".repeat(100_000));
    let length = body.len();
    connection.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n"));
    connection.send(body);
    connection.send(
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n\
         POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n\
         POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    let answers: Vec<u16> = (0..4).map(|_| connection.response("POST").status).collect();
    assert_eq!(answers, [200, 200, 200, 400]);
    assert!(connection.is_closed());
    assert_eq!(upstream.hits(), 3);
}

#[test]
fn an_unknown_host_is_a_404_problem_and_a_wrong_method_405_on_connections_that_go_on() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::of(format!(
        "listeners:
  egress:
    listen: \"{{proxy}}\"
    routes:
      - match: {{ host: payments.internal, path_prefix: /pay, methods: [POST, PUT] }}
        upstream: payments
upstreams:
  payments: {{ endpoints: [\"{}\"] }}
",
        upstream.url()
    ))
    .start();
    let mut connection = fusebox.connect();
    let unknown = connection.get("/pay", &[("host", "unknown.internal")]);
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.headers.one("content-type"), Some("application/problem+json"));
    assert_eq!(unknown.json()["status"], 404);
    assert_eq!(unknown.proxy_error(), Some("http_request_error"));

    let wrong = connection.get("/pay/1", &[("host", "payments.internal")]);
    assert_eq!(wrong.status, 405);
    assert_eq!(wrong.headers.one("allow"), Some("POST, PUT"));
    assert_eq!(upstream.hits(), 0);

    let right = connection.call("POST", "/pay/1", &[("host", "payments.internal:80")], b"1");
    assert_eq!(right.status, 200);
}

#[test]
fn a_broken_request_body_is_the_callers_fault_alone() {
    let (_upstream, fusebox) = start();
    for _ in 0..6 {
        let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        let (response, mut connection) = answer(&fusebox, format!("{head}ZZ\r\nnot a chunk"));
        assert_eq!(response.status, 400);
        assert!(connection.is_closed());
    }
    assert_eq!(fusebox.state("payments"), "CLOSED");
    assert_eq!(fusebox.breaker("payments")["failureCount"], 0);
}

#[test]
fn the_admin_port_asks_for_the_token_and_for_a_host_that_it_knows() {
    let upstream = ScriptedUpstream::start();
    let token = "a-token-that-is-long-enough-for-anybody";
    let fusebox = Setup::payments(&upstream.url(), &[]).env("FUSEBOX_ADMIN_TOKEN", token).start();
    let path = "/api/v1/circuit-breakers";
    for wrong in [None, Some("Bearer wrong"), Some("Bearer "), Some(token)] {
        let headers: Vec<_> = wrong.map(|value| ("authorization", value)).into_iter().collect();
        let response = get(fusebox.admin, path, &headers);
        assert_eq!(response.status, 401, "{wrong:?}");
        assert_eq!(response.json()["success"], false, "{wrong:?}");
        assert!(response.headers.one("www-authenticate").is_some(), "{wrong:?}");
    }
    let right = format!("Bearer {token}");
    assert_eq!(get(fusebox.admin, path, &[("authorization", &right)]).status, 200);
    for open in ["/live", "/ready", "/health", "/metrics", "/"] {
        assert_eq!(get(fusebox.admin, open, &[]).status, 200, "{open} needs no token");
    }
    let rebound = [("authorization", right.as_str()), ("host", "attacker.example")];
    assert!((400..500).contains(&get(fusebox.admin, path, &rebound).status));
}

#[test]
fn the_admin_port_answers_again_when_there_are_file_descriptors_again() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    fusebox.limit_files(1);
    let waiting = Connection::open(fusebox.admin);
    fusebox.wait_for_line("the port is out of files", |line| {
        line.to_string().contains("could not accept")
    });
    fusebox.limit_files(1_024);
    drop(waiting);
    assert_eq!(get(fusebox.admin, "/live", &[]).status, 200);
}
