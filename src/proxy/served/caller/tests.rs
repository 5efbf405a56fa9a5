//! Callers that send in pieces, stop, and go away.

use super::Caller;
use crate::proxy::{
    h1::Broken,
    served::{
        head::{Head, Refused},
        receiving::Receiving,
    },
    transport::Transport,
};
use bytes::BytesMut;
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    task::LocalSet,
};

type Shared = Rc<RefCell<Caller>>;

/// The caller as it is seen, and its own end.
fn pair(ahead: &str) -> (Shared, UnixStream) {
    let (ours, callers) = UnixStream::pair().unwrap();
    let caller = Caller::new(Transport::Unix(ours), BytesMut::from(ahead));
    (Rc::new(RefCell::new(caller)), callers)
}

async fn head(caller: &Shared) -> Result<Option<Head>, Refused> {
    let mut fields = HeaderMap::new();
    poll_fn(|cx| caller.borrow_mut().poll_head(8 << 10, &mut fields, cx)).await
}

/// The next head, and the body behind it.
async fn request(caller: &Shared) -> (String, Option<Receiving>) {
    let Head { request, framing, waits, .. } = head(caller).await.unwrap().expect("one more");
    (request.uri().to_string(), Receiving::begin(caller, framing, waits))
}

async fn is_in_step(caller: &Shared) -> bool {
    poll_fn(|cx| caller.borrow_mut().poll_between(cx)).await
}

fn is_gone(caller: &Shared) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    caller.borrow_mut().poll_gone(&mut cx).is_ready()
}

const POST: &str = "POST /a HTTP/1.1\r\ncontent-length: 4\r\n";
const NEXT: &str = "GET /next HTTP/1.1\r\n\r\n";

#[tokio::test]
async fn messages_come_in_their_order_however_they_are_cut() {
    let chunks = "POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\nx: 1\r\n\r\n";
    let wire = format!("{POST}\r\nbody\r\n{chunks}{NEXT}");
    for size in [1, 7, wire.len()] {
        let (caller, mut callers) = pair("");
        let wire = wire.clone();
        let writing = async {
            for piece in wire.as_bytes().chunks(size) {
                callers.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let reading = async {
            let (path, body) = request(&caller).await;
            assert_eq!(
                (path.as_str(), body.as_ref().unwrap().size_hint().exact()),
                ("/a", Some(4))
            );
            assert_eq!(body.unwrap().collect().await.unwrap().to_bytes(), "body");
            assert!(is_in_step(&caller).await);
            let (path, body) = request(&caller).await;
            assert_eq!((path.as_str(), body.as_ref().unwrap().size_hint().exact()), ("/b", None));
            let body = body.unwrap().collect().await.unwrap();
            assert_eq!(body.trailers().unwrap()["x"], "1");
            assert_eq!(body.to_bytes(), "body");
            assert!(is_in_step(&caller).await);
            let (path, body) = request(&caller).await;
            assert!(path == "/next" && body.is_none() && is_in_step(&caller).await);
        };
        tokio::join!(writing, reading);
        drop(callers);
        assert!(head(&caller).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_head_that_ends_in_the_middle_is_none_and_one_without_end_is_refused() {
    let (caller, callers) = pair("GET / HTTP/1.1\r\n");
    drop(callers);
    assert!(matches!(head(&caller).await, Ok(None)));
    let (caller, mut callers) = pair("GET / HTTP/1.1\r\nx: ");
    callers.write_all(&[b'a'; 8 << 10]).await.unwrap();
    assert!(matches!(head(&caller).await, Err(Refused(status)) if status == 431));
}

#[tokio::test]
async fn leave_to_send_is_given_when_the_body_is_wanted() {
    let (caller, mut callers) = pair(&format!("{POST}expect: 100-continue\r\n\r\n"));
    let (_, body) = request(&caller).await;
    let mut body = body.unwrap();
    let mut said = [0; 25];
    let asking = async {
        callers.read_exact(&mut said).await.unwrap();
        callers.write_all(b"body").await.unwrap();
    };
    let (_, frame) = tokio::join!(asking, body.frame());
    assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "body");
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
}

#[tokio::test]
async fn leave_is_not_given_once_the_answer_begins() {
    let (caller, mut callers) = pair(&format!("{POST}expect: 100-continue\r\n\r\n"));
    let (_, body) = request(&caller).await;
    let mut out = b"answer".to_vec();
    caller.borrow_mut().answers(&mut out);
    assert_eq!(out, b"answer");
    callers.write_all(b"body").await.unwrap();
    assert_eq!(body.unwrap().collect().await.unwrap().to_bytes(), "body");
    drop(caller);
    let mut said = Vec::new();
    callers.read_to_end(&mut said).await.unwrap();
    assert!(said.is_empty());
}

#[tokio::test]
async fn a_body_that_nobody_wants_is_passed_over_if_it_is_there() {
    for (ahead, sent, expected) in [
        ("body", "", true),
        ("bo", "dy", true),
        ("", "body", true),
        ("bo", "", false),
        ("", "", false),
    ] {
        let (caller, mut callers) = pair(&format!("{POST}\r\n{ahead}"));
        let (_, body) = request(&caller).await;
        callers.write_all(sent.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        callers.writable().await.unwrap();
        drop(body);
        assert_eq!(caller.borrow().is_out_of_step(), !expected, "{ahead:?} {sent:?}");
        assert_eq!(is_in_step(&caller).await, expected, "{ahead:?} {sent:?}");
    }
}

#[tokio::test]
async fn the_next_head_waits_for_a_body_that_somebody_holds() {
    LocalSet::new()
        .run_until(async {
            for (rest, expected) in [("dy", true), ("", false)] {
                let (caller, mut callers) = pair(&format!("{POST}\r\nbo"));
                let (_, body) = request(&caller).await;
                let reading =
                    tokio::task::spawn_local(
                        async move { body.unwrap().collect().await.map(|_| ()) },
                    );
                let mut waiting = Box::pin(is_in_step(&caller));
                let mut cx = Context::from_waker(Waker::noop());
                assert!(waiting.as_mut().poll(&mut cx).is_pending());
                callers.write_all(rest.as_bytes()).await.unwrap();
                drop(callers);
                assert_eq!(waiting.await, expected);
                assert_eq!(reading.await.unwrap().is_ok(), expected);
            }
        })
        .await;
}

#[tokio::test]
async fn who_reads_a_body_is_told_when_the_connection_is_over() {
    LocalSet::new()
        .run_until(async {
            let (caller, _callers) = pair(&format!("{POST}\r\nbo"));
            let (_, body) = request(&caller).await;
            let reading =
                tokio::task::spawn_local(async move { body.unwrap().collect().await.map(|_| ()) });
            tokio::task::yield_now().await;
            caller.borrow_mut().close();
            assert_eq!(reading.await.unwrap(), Err(Broken::Connection));
        })
        .await;
}

#[tokio::test]
async fn a_body_is_over_when_the_next_has_begun() {
    let (caller, _callers) = pair(&format!("{POST}\r\nbody{POST}\r\nmore"));
    let (_, first) = request(&caller).await;
    let mut first = first.unwrap();
    assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "body");
    let (_, second) = request(&caller).await;
    assert!(first.is_end_stream() && first.frame().await.is_none());
    drop(first);
    assert_eq!(second.unwrap().collect().await.unwrap().to_bytes(), "more");
}

#[tokio::test]
async fn a_caller_is_gone_when_it_has_said_all_and_closes() {
    let (caller, mut callers) = pair(NEXT);
    request(&caller).await;
    assert!(!is_gone(&caller));
    callers.write_all(b"x").await.unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(caller.borrow_mut().poll_gone(&mut cx), Poll::Pending, "there is something to read");
    drop(callers);
    assert!(!is_gone(&caller), "it has not been read");
    let (caller, callers) = pair(NEXT);
    request(&caller).await;
    drop(callers);
    poll_fn(|cx| caller.borrow_mut().poll_gone(cx)).await;
}
