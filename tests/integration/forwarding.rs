//! What a call looks like on the other side: path, host, headers, ids, and which upstream it is.

use crate::harness::{Fusebox, ScriptedUpstream, Setup, Step, raw};

fn start() -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    (upstream, fusebox)
}

/// One listener with these keys and this route to one upstream.
fn routed(upstream: &ScriptedUpstream, listener: &str, route: &str) -> Fusebox {
    Setup::of(format!(
        "listeners:
  egress:
    listen: \"{{proxy}}\"
    {listener}
    routes:
      - {{ upstream: payments, {route} }}
upstreams:
  payments: {{ endpoints: [\"{}\"] }}
",
        upstream.url()
    ))
    .start()
}

#[test]
fn the_path_arrives_byte_for_byte() {
    let (upstream, fusebox) = start();
    for path in ["/", "/a%2Fb/../c//d/./e;x?q=%20;y&z=%zz", "/?", "/%E2%82%AC?a=b?c"] {
        assert_eq!(fusebox.get(path, &[]).status, 200, "{path}");
        assert_eq!(upstream.last().line, format!("GET {path} HTTP/1.1"));
    }
}

#[test]
fn a_matched_prefix_is_removed_when_asked() {
    let upstream = ScriptedUpstream::start();
    let fusebox = routed(&upstream, "", "match: { path_prefix: /music/ }, strip_prefix: true");
    for (path, arrives) in [
        ("/music/beat?x=1", "/beat?x=1"),
        ("/music/", "/"),
        ("/music", "/"),
        ("/music?x", "/?x"),
        ("/%6dusic/%7ebeat", "/%7ebeat"),
    ] {
        assert_eq!(fusebox.get(path, &[]).status, 200, "{path}");
        assert_eq!(upstream.last().line, format!("GET {arrives} HTTP/1.1"), "{path}");
    }
    assert_eq!(fusebox.get("/musical", &[]).status, 404, "prefixes are whole segments");
}

#[test]
fn the_upstream_sees_its_own_host_unless_the_callers_is_kept() {
    let (upstream, fusebox) = start();
    fusebox.get("/", &[("host", "payments.internal")]);
    assert_eq!(upstream.last().headers.one("host"), Some(upstream.authority().as_str()));
    let keeping = routed(&upstream, "", "preserve_host: true");
    keeping.get("/", &[("host", "payments.internal")]);
    assert_eq!(upstream.last().headers.one("host"), Some("payments.internal"));
}

#[test]
fn routes_set_and_remove_headers_both_ways() {
    let upstream = ScriptedUpstream::start();
    let rules = "request_headers: { set: { x-team: orders }, remove: [cookie] }, \
                 response_headers: { set: { x-served-by: fusebox }, remove: [server] }";
    let fusebox = routed(&upstream, "", rules);
    let answer = raw("HTTP/1.1 200 OK\r\nserver: secret\r\ncontent-length: 0\r\n\r\n");
    upstream.answer(vec![Step::ReadBody, answer]);
    let response = fusebox.get("/", &[("x-team", "a"), ("x-team", "b"), ("cookie", "c")]);
    assert_eq!(upstream.last().headers.one("x-team"), Some("orders"));
    assert_eq!(upstream.last().headers.one("cookie"), None);
    assert_eq!(response.headers.one("x-served-by"), Some("fusebox"));
    assert_eq!(response.headers.one("server"), None);
}

#[test]
fn fields_of_the_connection_end_with_the_connection() {
    let (upstream, fusebox) = start();
    let fields =
        "connection: x-mine\r\ncontent-length: 0\r\nkeep-alive: 5\r\nx-mine: 1\r\nx-kept: 1";
    let head = raw(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"));
    upstream.answer(vec![Step::ReadBody, head]);
    let response = fusebox.get(
        "/",
        &[
            ("connection", "x-first, X-Correlation-Id"),
            ("connection", "x-second"),
            ("x-first", "1"),
            ("x-second", "1"),
            ("x-kept", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic secret"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAA"),
            ("x-correlation-id", "req-kept"),
        ],
    );
    let seen = upstream.last().headers;
    for gone in [
        "x-first",
        "x-second",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
        "http2-settings",
    ] {
        assert!(seen.all(gone).is_empty(), "{gone}: {seen:?}");
    }
    assert_eq!(seen.one("x-kept"), Some("1"));
    let own = (seen.one("connection"), seen.one("te"));
    assert_eq!(own, (Some("TE"), Some("trailers")), "trailers are welcome here too");
    assert_eq!(seen.one("x-correlation-id"), Some("req-kept"), "a caller cannot take ours away");
    assert_eq!(response.headers.one("x-mine"), None);
    assert_eq!(response.headers.one("keep-alive"), None);
    assert_eq!(response.headers.one("x-kept"), Some("1"));
}

#[test]
fn via_names_this_hop_after_those_before() {
    let (upstream, fusebox) = start();
    fusebox.get("/", &[("via", "1.0 first")]);
    let via = upstream.last().headers.all("via").join(", ");
    assert!(via.starts_with("1.0 first, 1.1 "), "{via}");
}

#[test]
fn forwarded_fields_follow_the_listeners_rule() {
    for (rule, expected) in [
        ("forwarded: off", Some("10.1.1.1")),
        ("forwarded: replace", Some("127.0.0.1")),
        ("forwarded: append", Some("10.1.1.1, 127.0.0.1")),
        // The default on loopback is off.
        ("", Some("10.1.1.1")),
    ] {
        let upstream = ScriptedUpstream::start();
        let fusebox = routed(&upstream, rule, "match: { path_prefix: / }");
        fusebox.get("/", &[("host", "shop.example"), ("x-forwarded-for", "10.1.1.1")]);
        let seen = upstream.last().headers;
        assert_eq!(Some(seen.all("x-forwarded-for").join(", ").as_str()), expected, "{rule}");
        let host = (rule == "forwarded: replace").then_some("shop.example");
        if host.is_some() {
            assert_eq!(seen.one("x-forwarded-host"), host);
            assert_eq!(seen.one("x-forwarded-proto"), Some("http"));
        }
        fusebox.get("/", &[]);
        let added = !upstream.last().headers.all("x-forwarded-for").is_empty();
        assert_eq!(added, rule.ends_with("replace") || rule.ends_with("append"), "{rule}");
    }
}

#[test]
fn a_valid_correlation_id_is_kept_and_any_other_is_replaced() {
    let (upstream, fusebox) = start();
    let long = "a".repeat(129);
    for (name, value, kept) in [
        ("x-correlation-id", "req-abc", true),
        ("x-request-id", "550e8400-e29b:41d4._", true),
        ("x-correlation-id", "'; drop table task_history", false),
        ("x-correlation-id", "", false),
        ("x-correlation-id", long.as_str(), false),
        ("x-unrelated", "1", false),
    ] {
        let response = fusebox.get("/", &[(name, value)]);
        let forwarded = upstream.last().headers;
        let forwarded = forwarded.one("x-correlation-id").expect("there always is one");
        assert_eq!(response.headers.one("x-correlation-id"), Some(forwarded), "it is echoed");
        assert_eq!(forwarded == value, kept, "{value}: {forwarded}");
        assert_eq!(forwarded.starts_with("req-"), !kept || value == "req-abc", "{forwarded}");
    }
    let both = [("x-request-id", "second"), ("x-correlation-id", "first")];
    assert_eq!(fusebox.get("/", &both).headers.one("x-correlation-id"), Some("first"));
}

#[test]
fn every_response_names_its_task() {
    let (_upstream, fusebox) = start();
    let mut ids: Vec<String> = (0..3)
        .map(|_| fusebox.get("/", &[]).headers.one("x-task-id").expect("a task id").to_owned())
        .collect();
    assert!(ids.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'7'), "{ids:?}");
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn the_trace_goes_on_with_a_span_of_its_own() {
    let (upstream, fusebox) = start();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    fusebox.get("/", &[("traceparent", &parent), ("tracestate", "a=1"), ("baggage", "b=2")]);
    let seen = upstream.last().headers;
    let forwarded = seen.one("traceparent").expect("it is propagated");
    let parts: Vec<&str> = forwarded.split('-').collect();
    assert_eq!(parts[..2], ["00", trace]);
    assert_ne!(parts[2], "b7ad6b7169203331");
    assert_eq!((parts[2].len(), parts[3]), (16, "01"));
    assert_eq!(seen.one("tracestate"), Some("a=1"));
    assert_eq!(seen.one("baggage"), Some("b=2"));

    let invalid = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
    for fields in [vec![], vec![("traceparent", invalid.as_str()), ("tracestate", "a=1")]] {
        fusebox.get("/", &fields);
        let seen = upstream.last().headers;
        let minted = seen.one("traceparent").expect("a trace begins here");
        assert_eq!(minted.len(), 55, "{minted}");
        assert!(!minted.contains(&"0".repeat(32)), "{minted}");
        assert_eq!(seen.one("tracestate"), None);
    }
}

#[test]
fn an_absolute_target_is_routed_by_its_authority_and_arrives_as_a_path() {
    let (payments, music) = (ScriptedUpstream::start(), ScriptedUpstream::start());
    let fusebox = Setup::of(format!(
        "listeners:
  egress:
    listen: \"{{proxy}}\"
    routes:
      - {{ match: {{ host: payments.internal }}, upstream: payments }}
      - {{ match: {{ host: music.internal }}, upstream: music }}
upstreams:
  payments: {{ endpoints: [\"{}\"] }}
  music: {{ endpoints: [\"{}\"] }}
",
        payments.url(),
        music.url()
    ))
    .start();
    let response = fusebox.get("http://music.internal/beat?x=1", &[("host", "music.internal")]);
    assert_eq!(response.status, 200);
    assert_eq!(music.last().line, "GET /beat?x=1 HTTP/1.1");
    assert_eq!(fusebox.get("/", &[("host", "PAYMENTS.internal:8080")]).status, 200);
    assert_eq!((payments.hits(), music.hits()), (1, 1));
}

#[test]
fn endpoints_share_the_calls() {
    let (one, other) = (ScriptedUpstream::start(), ScriptedUpstream::start());
    let both = format!("{}\", \"{}", one.url(), other.url());
    let fusebox = Setup::payments(&both, &[]).start();
    let mut connection = fusebox.connect();
    for _ in 0..40 {
        assert_eq!(connection.get("/", &[]).status, 200);
    }
    // Chance names them: fewer than five of forty for one is one case in ten million.
    assert!(one.hits().min(other.hits()) >= 5, "{} and {}", one.hits(), other.hits());
    assert_eq!(one.hits() + other.hits(), 40);
}
