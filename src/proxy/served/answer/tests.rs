//! What is written above a body, for whom.

use super::{Date, Manner, Wishes, encode, refusal};
use crate::{
    clock,
    domain::{
        correlation::{CorrelationId, TraceContext},
        task::TaskId,
    },
    proxy::{h1::Framing, message::Reply, own::Ids},
};
use bytes::Bytes;
use http::{Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::ext::ReasonPhrase;
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// A body of which no more is looked at than its length.
struct Sized(Option<u64>);

impl Body for Sized {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.0 == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

const GET: Wishes =
    Wishes { version: Version::HTTP_11, is_head: false, keeps_alive: true, takes_trailers: false };
const HEAD: Wishes = Wishes { is_head: true, ..GET };
const OLD: Wishes = Wishes { version: Version::HTTP_10, ..GET };
const KEPT: Option<bool> = None;

fn answer(status: u16, fields: &[(&str, &str)], length: Option<u64>) -> Reply<Sized> {
    let mut answer = Response::builder().status(status);
    for (name, value) in fields {
        answer = answer.header(*name, *value);
    }
    Reply::of(answer.body(Sized(length)).unwrap())
}

/// The head without its date, and what becomes of it. `is_last` is said where it is so in any case.
fn encoded(answer: &Reply<Sized>, wishes: Wishes, is_last: Option<bool>) -> (String, Manner) {
    let (mut out, mut date) = (Vec::new(), Date::default());
    let is_last = is_last.unwrap_or(false);
    let manner = encode(answer, None, wishes, is_last, (&mut date, clock::now()), &mut out);
    let text = String::from_utf8(out).unwrap();
    let date = text.lines().find(|line| line.starts_with("date: ")).expect("there is a date");
    (text.replace(&format!("{date}\r\n"), ""), manner)
}

#[tokio::test]
async fn a_body_is_framed_once_whatever_the_fields_say() {
    let said = [("content-length", "9"), ("transfer-encoding", "gzip"), ("trailer", "x")];
    for (wishes, status, length, framing, field) in [
        (GET, 200, Some(3), Framing::Length(3), "content-length: 3\r\n"),
        (GET, 200, Some(0), Framing::Nothing, "content-length: 0\r\n"),
        (GET, 200, None, Framing::Chunked, "trailer: x\r\ntransfer-encoding: chunked\r\n"),
        (GET, 204, Some(0), Framing::Nothing, ""),
        (GET, 204, Some(3), Framing::Nothing, ""),
        (GET, 304, Some(0), Framing::Nothing, ""),
        (HEAD, 200, Some(0), Framing::Nothing, "content-length: 9\r\n"),
        (HEAD, 200, Some(3), Framing::Nothing, "content-length: 3\r\n"),
        (HEAD, 200, None, Framing::Nothing, ""),
        (HEAD, 304, Some(0), Framing::Nothing, ""),
    ] {
        let answer = answer(status, &said, length);
        let (text, manner) = encoded(&answer, wishes, KEPT);
        let reason = answer.status().canonical_reason().unwrap();
        assert_eq!(text, format!("HTTP/1.1 {status} {reason}\r\n{field}\r\n"));
        assert_eq!(manner, Manner { framing, is_last: false }, "{text}");
    }
}

#[tokio::test]
async fn a_caller_of_http_1_0_gets_no_chunks_and_is_told_that_it_is_kept() {
    let (text, manner) = encoded(&answer(200, &[], Some(3)), OLD, KEPT);
    assert_eq!(text, "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\n");
    assert!(!manner.is_last);
    let (text, manner) = encoded(&answer(200, &[], None), OLD, KEPT);
    assert_eq!(text, "HTTP/1.0 200 OK\r\n\r\n");
    assert_eq!(manner, Manner { framing: Framing::UntilClose, is_last: true });
    let leaves = Wishes { keeps_alive: false, ..OLD };
    let (text, manner) = encoded(&answer(200, &[], Some(0)), leaves, KEPT);
    assert_eq!(text, "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert!(manner.is_last);
}

#[tokio::test]
async fn the_last_answer_says_so_once() {
    let leaves = Wishes { keeps_alive: false, ..GET };
    let closes = [("connection", "close")];
    for (fields, wishes, is_last) in [
        (&[][..], leaves, KEPT),
        (&[], GET, Some(true)),
        (&closes, GET, KEPT),
        (&closes, leaves, Some(true)),
    ] {
        let (text, manner) = encoded(&answer(200, fields, Some(0)), wishes, is_last);
        assert_eq!(text, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        assert!(manner.is_last);
    }
}

#[tokio::test]
async fn a_switch_of_protocols_is_the_last_and_has_no_framing() {
    let fields = [("connection", "Upgrade"), ("upgrade", "websocket")];
    let (text, manner) = encoded(&answer(101, &fields, Some(0)), GET, KEPT);
    let expected =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    assert_eq!(text, expected);
    assert_eq!(manner, Manner { framing: Framing::Nothing, is_last: true });
}

#[tokio::test]
async fn words_and_date_of_the_upstream_are_kept() {
    let mut answer = answer(299, &[("date", "then")], Some(0));
    answer.extensions_mut().insert(ReasonPhrase::from_static(b"Fine"));
    let (mut out, mut date) = (Vec::new(), Date::default());
    encode(&answer, None, GET, false, (&mut date, clock::now()), &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text, "HTTP/1.1 299 Fine\r\ndate: then\r\ncontent-length: 0\r\n\r\n");
}

#[tokio::test]
async fn what_the_call_is_known_by_stands_in_for_what_the_upstream_says() {
    let correlation_id = CorrelationId::mint(7);
    let trace = TraceContext::next_hop(None, None, (8, 9));
    let task_id = TaskId::mint(1, 2);
    let ids = Ids { correlation_id: &correlation_id, task_id, trace: &trace };
    let said = [("x-task-id", "t"), ("x-correlation-id", "c"), ("date", "then")];
    let answer = answer(200, &said, Some(0));
    let (mut out, mut expected) = (Vec::new(), b"HTTP/1.1 200 OK\r\ndate: then\r\n".to_vec());
    encode(&answer, Some(ids), GET, false, (&mut Date::default(), clock::now()), &mut out);
    ids.write_echo(&mut expected);
    expected.extend_from_slice(b"content-length: 0\r\n\r\n");
    assert_eq!(out, expected);
}

#[tokio::test]
async fn what_is_no_request_gets_an_answer_that_ends_the_connection() {
    let head = refusal(StatusCode::BAD_REQUEST, (&mut Date::default(), clock::now()));
    let text = String::from_utf8(head).unwrap();
    assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text}");
    assert!(text.contains("\r\nconnection: close\r\ncontent-length: 0\r\n"), "{text}");
}
