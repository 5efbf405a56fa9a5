//! Heads and bodies of HTTP/2 that mean something else once they are HTTP/1.1.

use super::caller::{Caller, DATA, END_HEADERS, END_STREAM, GET, HEADERS, fields, frame, request};
use crate::{
    harness::{PATIENCE, ScriptedUpstream, Setup},
    local::wait_until,
};

const WINDOW: u32 = 1 << 20;

/// An ordinary head with this field in place of the one of its name, if it has one, or behind.
fn with<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut head: Vec<_> = GET.into_iter().filter(|(other, _)| *other != name).collect();
    let at = if name.starts_with(':') { 0 } else { head.len() };
    head.insert(at, (name, value));
    head
}

fn without(name: &str) -> Vec<(&str, &str)> {
    GET.into_iter().filter(|(other, _)| *other != name).collect()
}

/// Heads that must not reach an upstream.
fn refused() -> Vec<Vec<(&'static str, &'static str)>> {
    let mut heads: Vec<_> = [
        ("connection", "close"),
        ("connection", "x-secret"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("x a", "1"),
        ("X-A", "1"),
        ("x:a", "1"),
        ("x\r\nb", "1"),
        ("", "1"),
        ("x-a", "1\r\nhost: evil"),
        ("x-a", "1\nhost: evil"),
        ("x-a", "1\0"),
        ("host", "b"),
        ("content-length", "+5"),
        ("content-length", "5, 5"),
        ("content-length", "-1"),
        ("expect", "200-ok"),
        (":method", "GET / HTTP/1.1\r\nhost: b\r\n\r\nGET"),
        (":method", "GET /a"),
        (":method", ""),
        (":method", "TRACE"),
        (":path", ""),
        (":path", "a"),
        (":path", "*"),
        (":path", "http://b/"),
        (":path", "/ HTTP/1.1\r\nhost: b\r\n\r\n"),
        (":path", "/a b"),
        (":path", "/a\tb"),
        (":path", "/é"),
        (":path", "/a/../b"),
        (":authority", ""),
        (":authority", "u:p@a"),
        (":authority", "a/b"),
        (":authority", "a b"),
        (":authority", "a:b"),
        (":authority", "a\r\nx: y"),
        (":status", "200"),
        (":protocol", "websocket"),
        (":x", "y"),
    ]
    .map(|(name, value)| with(name, value))
    .into();
    heads.extend([":method", ":scheme", ":path", ":authority"].map(without));
    let behind = |name, value| GET.into_iter().chain([(name, value)]).collect();
    heads.extend(GET.map(|(name, value)| behind(name, value)));
    heads.push([("x-a", "1")].into_iter().chain(GET).collect());
    heads.push(GET.into_iter().chain([("host", "a"), ("host", "a")]).collect());
    heads.push(GET.into_iter().chain([("content-length", "5"), ("content-length", "5")]).collect());
    heads.push(vec![(":method", "CONNECT"), (":authority", "a:443")]);
    heads
}

#[test]
fn heads_that_would_mean_something_else_over_http_1_reach_nobody() {
    let upstream = ScriptedUpstream::start();
    // By path, so that it must mean what it says.
    let fusebox = Setup::of(format!(
        "listeners:
  egress:
    listen: \"{{proxy}}\"
    routes:
      - {{ match: {{ path_prefix: /admin }}, upstream: payments }}
      - {{ name: rest, upstream: payments }}
upstreams:
  payments: {{ endpoints: [\"{}\"] }}
",
        upstream.url()
    ))
    .start();
    for head in refused() {
        let mut caller = Caller::open(&fusebox, WINDOW);
        caller.send(&request(1, &head));
        // An answer of ours, a reset, or the end: anything but silence.
        caller.end_of(1);
        let received = upstream.received();
        assert!(received.is_empty(), "{head:?} became {:?}", received[0]);
    }
    let mut caller = Caller::open(&fusebox, WINDOW);
    caller.send(&request(1, &GET));
    assert_eq!(caller.end_of(1).expect("it goes on").kind, HEADERS);
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn what_is_only_unusual_arrives_as_it_was_meant() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let mut caller = Caller::open(&fusebox, WINDOW);
    for (at, (head, line)) in [
        (with(":path", "//evil.example/a"), "GET //evil.example/a HTTP/1.1"),
        (with(":path", "/a?b=http://c/"), "GET /a?b=http://c/ HTTP/1.1"),
        (with(":scheme", "https"), "GET / HTTP/1.1"),
        (with(":authority", "A:80"), "GET / HTTP/1.1"),
        (with("host", "a"), "GET / HTTP/1.1"),
        (with("content-length", "0"), "GET / HTTP/1.1"),
        (with("te", "trailers"), "GET / HTTP/1.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let stream = 2 * u32::try_from(at).expect("small") + 1;
        caller.send(&request(stream, &head));
        assert_eq!(caller.end_of(stream).expect("it goes on").kind, HEADERS, "{head:?}");
        let received = upstream.last();
        assert_eq!(received.line, line);
        assert_eq!(received.headers.one("host"), Some(&*upstream.authority()));
    }
    let crumbs = GET.into_iter().chain([("cookie", "a=1"), ("cookie", "b=2")]);
    caller.send(&request(101, &crumbs.collect::<Vec<_>>()));
    assert_eq!(caller.end_of(101).expect("it goes on").kind, HEADERS);
    assert_eq!(upstream.last().headers.all("cookie"), ["a=1; b=2"]);
}

const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")];

#[test]
fn a_body_that_is_not_as_long_as_its_head_says_is_never_whole() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    for (length, data) in [("5", "abcdef"), ("5", "abc"), ("0", "GET /smuggled HTTP/1.1\r\n\r\n")] {
        let mut caller = Caller::open(&fusebox, WINDOW);
        let head: Vec<_> = POST.into_iter().chain([("content-length", length)]).collect();
        caller.send(&frame(HEADERS, END_HEADERS, 1, &fields(&head)));
        caller.send(&frame(DATA, END_STREAM, 1, data.as_bytes()));
        let end = caller.end_of(1);
        let received = upstream.received();
        let is_whole =
            |length| received.iter().any(|r| r.trailers.is_some() && r.body.len() > length);
        assert!(!is_whole(0), "{length} {data}: {received:?} {end:?}");
        assert!(received.iter().all(|request| !request.line.contains("smuggled")));
    }
    let mut caller = Caller::open(&fusebox, WINDOW);
    let head: Vec<_> = POST.into_iter().chain([("content-length", "5")]).collect();
    caller.send(&request(1, &head));
    caller.end_of(1);
    let received = upstream.received();
    assert!(
        received
            .iter()
            .all(|r| r.headers.one("content-length") != Some("5") || r.trailers.is_none())
    );
}

#[test]
fn trailers_do_not_say_who_the_caller_is_or_where_the_message_goes() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    let mut caller = Caller::open(&fusebox, WINDOW);
    caller.send(&frame(HEADERS, END_HEADERS, 1, &fields(&POST)));
    caller.send(&frame(DATA, 0, 1, b"body"));
    let trailers = [
        ("x-sum", "1"),
        ("host", "b"),
        ("content-length", "9"),
        ("authorization", "Bearer b"),
        ("cookie", "a=1"),
        ("forwarded", "for=b"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-host", "b"),
        ("x-forwarded-proto", "https"),
        ("max-forwards", "0"),
    ];
    caller.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&trailers)));
    assert_eq!(caller.end_of(1).expect("it goes on").kind, HEADERS);
    let received = wait_until("the trailers", PATIENCE, || upstream.last().trailers);
    assert_eq!(received.names().collect::<Vec<_>>(), ["x-sum"]);
    for forbidden in [("transfer-encoding", "chunked"), ("connection", "close"), ("x\na", "1")] {
        let mut caller = Caller::open(&fusebox, WINDOW);
        caller.send(&frame(HEADERS, END_HEADERS, 1, &fields(&POST)));
        caller.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&[forbidden])));
        assert!(caller.end_of(1).is_none_or(|end| end.kind != HEADERS), "{forbidden:?}");
    }
}
