//! Heads that are taken, heads that tell their flaw, and what is no head.

use super::{Facts, Flaw, Head, MAX_FIELDS, MAX_TARGET, Refused, take};
use crate::proxy::h1::Framing;
use bytes::BytesMut;
use http::{HeaderMap, Version};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

const LIMIT: usize = 64 << 10;

fn taken(text: &str) -> Result<Head, u16> {
    let head = take(&mut BytesMut::from(text), LIMIT, &mut HeaderMap::new());
    head.map_err(|Refused(status)| status.as_u16()).map(|head| head.expect("it is whole"))
}

fn of(fields: &str) -> Head {
    taken(&format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n")).unwrap()
}

#[test]
fn a_head_is_its_line_and_its_fields() {
    let head = taken("BREW /a%2Fb?c=d HTTP/1.1\r\nHost: a:1\r\nX-A:\r\nx-a:  2 \r\n\r\n").unwrap();
    let request = head.request;
    assert_eq!((request.method().as_str(), request.version()), ("BREW", Version::HTTP_11));
    assert_eq!(request.uri(), "/a%2Fb?c=d");
    assert_eq!(request.headers()["host"], "a:1");
    assert_eq!(request.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["", "2"]);
    assert_eq!(head.facts, Facts { length: 55, flaw: None });
    assert!(head.wishes.keeps_alive && !head.wishes.is_head && !head.waits);
    assert_eq!(head.framing, Framing::Nothing);
}

#[test]
fn what_is_no_head_is_refused() {
    for (text, status) in [
        ("GET / HTTP/1.1\r\n x: 1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nx: 1\r\n 2\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nx : 1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nx\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nx: \0\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\n\r\n", 400),
        (" GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\n\r\n", 400),
        ("GET / HTTP/1.1 x\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("G\"T / HTTP/1.1\r\n\r\n", 400),
        ("\x16\x03\x01\x02", 400),
    ] {
        assert_eq!(taken(text).map(|head| head.facts), Err(status), "{text:?}");
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let with = |count| taken(&format!("GET / HTTP/1.1\r\n{}\r\n", "x: 1\r\n".repeat(count)));
    assert_eq!(with(MAX_FIELDS).unwrap().request.headers().len(), MAX_FIELDS);
    assert_eq!(with(MAX_FIELDS + 1).map(|_| ()), Err(431));
    let target = |length| taken(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(length - 1)));
    assert_eq!(target(MAX_TARGET).unwrap().request.uri().path().len(), MAX_TARGET);
    assert_eq!(target(MAX_TARGET + 1).map(|_| ()), Err(414));
    let mut endless = BytesMut::from("GET / HTTP/1.1\r\nx: ");
    endless.resize(LIMIT - 1, b'a');
    assert!(matches!(take(&mut endless, LIMIT, &mut HeaderMap::new()), Ok(None)));
    endless.resize(LIMIT, b'a');
    let refused = take(&mut endless, LIMIT, &mut HeaderMap::new());
    assert!(matches!(refused, Err(Refused(status)) if status == 431));
}

#[test]
fn the_body_is_framed_by_length_or_chunks() {
    for (fields, framing) in [
        ("", Framing::Nothing),
        ("content-length: 0\r\n", Framing::Length(0)),
        ("Content-Length: 5\r\n", Framing::Length(5)),
        ("Transfer-Encoding:   CHUNKED \t\r\n", Framing::Chunked),
        ("transfer_encoding: chunked\r\ncontent-length: 3\r\n", Framing::Length(3)),
    ] {
        let head = of(fields);
        assert_eq!((head.framing, head.facts.flaw), (framing, None), "{fields:?}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_has_no_body_and_is_the_last() {
    let framing = [
        "content-length: 5\r\ncontent-length: 5\r\n",
        "content-length: 5, 5\r\n",
        "content-length:\r\n",
        "content-length: +5\r\n",
        "content-length: 0x5\r\n",
        "content-length: \u{663}\r\n",
        "content-length: 18446744073709551616\r\n",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked,\r\n",
        "transfer-encoding: identity\r\ncontent-length: 5\r\n",
        "transfer-encoding:\r\n",
    ];
    let line = "GET / HTTP/1.1\r\n";
    let texts = framing.map(|fields| (format!("{line}{fields}\r\n"), Flaw::Framing));
    let old = format!("{}transfer-encoding: chunked\r\n\r\n", line.replace("1.1", "1.0"));
    let others = [
        (old.as_str(), Flaw::Framing),
        ("GET / HTTP/1.1\n\r\n", Flaw::BareLf),
        ("GET / HTTP/1.1\r\n\n", Flaw::BareLf),
        ("GET / HTTP/1.1\nx: 1\r\n\r\n", Flaw::BareLf),
        ("GET / HTTP/1.1\r\nx: 1\ny: 2\r\n\r\n", Flaw::BareLf),
        ("GET / HTTP/1.1\r\nx: #\r\n\n", Flaw::BareLf),
        ("GET / HTTP/1.1\r\nx: 1\n\r\n", Flaw::BareLf),
        ("GET /a#b HTTP/1.1\r\n\r\n", Flaw::Fragment),
        ("GET /a?b#c HTTP/1.1\r\nx: 1\r\n\r\n", Flaw::Fragment),
        ("G#T / HTTP/1.1\r\nx: 1\r\n\r\n", Flaw::Fragment),
    ];
    let others = others.map(|(text, flaw)| (text.to_owned(), flaw));
    for (text, flaw) in texts.into_iter().chain(others) {
        let head = taken(&text).unwrap();
        assert_eq!(head.facts.flaw, Some(flaw), "{text:?}");
        assert!(!head.wishes.keeps_alive, "{text:?}");
        assert!(flaw != Flaw::Framing || head.framing == Framing::Nothing, "{text:?}");
    }
    assert_eq!(of("x: #1\r\n").facts.flaw, None, "a hash elsewhere is no fragment");
}

#[test]
fn a_connection_is_kept_as_its_version_has_it() {
    for (version, fields, keeps_alive) in [
        ("1.1", "", true),
        ("1.1", "connection: x, Close\r\n", false),
        ("1.1", "connection: close\r\nconnection: keep-alive\r\n", false),
        ("1.0", "", false),
        ("1.0", "connection: Keep-Alive\r\n", true),
        ("1.0", "connection: keep-alive, close\r\n", false),
    ] {
        let head = taken(&format!("GET / HTTP/{version}\r\n{fields}\r\n")).unwrap();
        assert_eq!(head.wishes.keeps_alive, keeps_alive, "{version} {fields:?}");
    }
}

#[test]
fn leave_to_send_is_waited_for_where_there_is_something_to_send() {
    let expects = "expect: 100-Continue\r\n";
    assert!(of(&format!("{expects}content-length: 5\r\n")).waits);
    assert!(!of("content-length: 5\r\n").waits);
    assert!(!of(expects).waits);
    let old = taken(&format!("POST / HTTP/1.0\r\n{expects}content-length: 5\r\n\r\n"));
    assert!(!old.unwrap().waits);
    assert!(of("te: gzip, trailers;q=1\r\n").wishes.takes_trailers);
    assert!(!of("te: gzip\r\n").wishes.takes_trailers);
}

#[test]
fn empty_lines_before_a_head_are_passed_over() {
    for empty in ["\r\n", "\n", "\r\n\n\r\n"] {
        let mut buffer = BytesMut::from(empty);
        assert!(matches!(take(&mut buffer, LIMIT, &mut HeaderMap::new()), Ok(None)));
        assert!(buffer.is_empty(), "and not kept");
        let head = taken(&format!("{empty}GET / HTTP/1.1\r\n\r\n")).unwrap();
        assert_eq!(head.facts, Facts { length: 18, flaw: None }, "{empty:?}");
    }
}

proptest! {
    #[test]
    fn a_head_is_taken_when_it_is_whole_and_not_before(cut in 0_usize..53) {
        let whole = "PUT /a HTTP/1.1\r\nHost: a\r\nX-A:\r\ncontent-length: 4\r\n\r\nbody";
        let mut part = BytesMut::from(&whole[..cut]);
        prop_assert!(matches!(take(&mut part, LIMIT, &mut HeaderMap::new()), Ok(None)));
        prop_assert_eq!(part.len(), cut, "nothing is taken");
        part.extend_from_slice(&whole.as_bytes()[cut..]);
        let head = take(&mut part, LIMIT, &mut HeaderMap::new()).unwrap().unwrap();
        prop_assert_eq!((head.framing, head.facts.length), (Framing::Length(4), 53));
        prop_assert_eq!(&part[..], b"body");
    }

    #[test]
    fn any_bytes_are_taken_or_refused_and_what_is_taken_is_clean_or_tells(
        bytes in proptest::collection::vec(any::<u8>(), 0..99),
        start in 0_usize..4,
    ) {
        let start = ["", "GET / HTTP/1.1\r\n", "GET /", "GET / HTTP/1.1\r\nhost: a\r\nte"][start];
        let mut buffer = BytesMut::from(start);
        buffer.extend_from_slice(&bytes);
        let before = buffer.clone();
        if let Ok(Some(head)) = take(&mut buffer, LIMIT, &mut HeaderMap::new()) {
            let head_bytes = &before[before.len() - buffer.len() - head.facts.length..];
            let head_bytes = &head_bytes[..head.facts.length];
            let bare = head_bytes.iter().enumerate();
            let has_bare = bare.clone().any(|(at, &b)| b == b'\n' && (at == 0 || head_bytes[at - 1] != b'\r'));
            prop_assert!(!has_bare || head.facts.flaw.is_some());
        }
    }
}
