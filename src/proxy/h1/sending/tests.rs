//! Callers and upstreams that take their time, in every order.

use super::{Broken, SMALL, Sending};
use crate::proxy::own::Own;
use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use proptest::prelude::{any, prop_assert_eq, proptest};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use tokio::io::AsyncWrite;

/// What a caller does, in its order; nothing is to wait, and an error a broken body.
#[derive(Debug, Default)]
struct Caller {
    steps: VecDeque<Option<Result<Vec<u8>, ()>>>,
    length: Option<u64>,
}

impl Body for Caller {
    type Data = Bytes;
    type Error = ();

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(None) => Poll::Pending,
            Some(Some(step)) => Poll::Ready(Some(step.map(|data| Frame::data(data.into())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// An upstream that takes so much per write, and an error or a wait where that is nothing.
#[derive(Debug)]
struct Upstream {
    writes: Vec<Vec<u8>>,
    takes: usize,
    fails: Option<io::ErrorKind>,
    is_ready: bool,
    /// How many writes have gone out, as opposed to those that the stream keeps.
    flushed: usize,
    /// How often a flush waits.
    flush_waits: u8,
}

impl Upstream {
    const fn new(takes: usize) -> Self {
        let writes = Vec::new();
        Self { writes, takes, fails: None, is_ready: true, flushed: 0, flush_waits: 0 }
    }
}

impl AsyncWrite for Upstream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(kind) = self.fails {
            return Poll::Ready(Err(kind.into()));
        }
        let count = bytes.len().min(self.takes);
        // One that takes little takes it every other time.
        if self.takes < SMALL && !std::mem::replace(&mut self.is_ready, false) {
            self.is_ready = true;
            return Poll::Pending;
        }
        self.writes.push(bytes[..count].to_vec());
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write(cx, &pieces.iter().flat_map(|piece| piece.to_vec()).collect::<Vec<_>>())
    }

    fn poll_flush(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(left) = self.flush_waits.checked_sub(1) {
            self.flush_waits = left;
            return Poll::Pending;
        }
        self.flushed = self.writes.len();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Sends a body until it is sent or broken.
fn send(caller: Caller, upstream: &mut Upstream) -> Result<(), Broken> {
    let head = Request::post("/").body(()).unwrap();
    let mut sending = Sending::request((&head, Own::default()), caller, Vec::new());
    loop {
        let polled = sending.poll(upstream, &mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(sent) = polled {
            return sent;
        }
    }
}

fn caller<const N: usize>(steps: [Option<Result<&str, ()>>; N], length: Option<u64>) -> Caller {
    let owned = |step: Result<&str, ()>| step.map(|data| data.as_bytes().to_vec());
    Caller { steps: steps.map(|step| step.map(owned)).into(), length }
}

fn written(caller: Caller) -> Vec<String> {
    let mut upstream = Upstream::new(usize::MAX);
    send(caller, &mut upstream).unwrap();
    upstream.writes.into_iter().map(|write| String::from_utf8(write).unwrap()).collect()
}

const CHUNKED: &str = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
const OF_FOUR: &str = "POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\n";

#[test]
fn a_small_request_is_one_write() {
    assert_eq!(written(Caller::default()), ["POST / HTTP/1.1\r\n\r\n"]);
    assert_eq!(written(caller([Some(Ok("body"))], Some(4))), [format!("{OF_FOUR}body")]);
    assert_eq!(written(caller([None, Some(Ok("body"))], Some(4))), [OF_FOUR, "body"]);
    assert_eq!(
        written(caller([Some(Ok("bo")), Some(Ok("")), Some(Ok("dy"))], None)),
        [format!("{CHUNKED}2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n")]
    );
}

#[test]
fn what_is_there_does_not_wait_for_what_is_not() {
    let steps = [None, None, Some(Ok("bo")), None, Some(Ok("dy"))];
    assert_eq!(written(caller(steps, Some(4))), [OF_FOUR, "bo", "dy"]);
    let steps = [None, None, Some(Ok("body")), None];
    assert_eq!(written(caller(steps, None)), [CHUNKED, "4\r\nbody\r\n", "0\r\n\r\n"]);
}

#[test]
fn a_body_that_is_not_what_its_head_said_is_broken() {
    for steps in
        [[Some(Ok("bo")), Some(Err(()))], [Some(Ok("bo")), None], [Some(Ok("bo")), Some(Ok("dy!"))]]
    {
        let sent = send(caller(steps, Some(4)), &mut Upstream::new(usize::MAX));
        assert_eq!(sent, Err(Broken::Request));
    }
}

#[test]
fn what_the_upstream_refuses_is_thrown_away_and_other_errors_are_not() {
    for (kind, expected) in [
        (io::ErrorKind::BrokenPipe, Ok(())),
        (io::ErrorKind::ConnectionReset, Ok(())),
        (io::ErrorKind::TimedOut, Err(Broken::Connection)),
    ] {
        let mut upstream = Upstream { fails: Some(kind), ..Upstream::new(usize::MAX) };
        let steps = [Some(Ok("bo")), None, Some(Ok("dy"))];
        assert_eq!(send(caller(steps, Some(4)), &mut upstream), expected, "{kind}");
    }
}

proptest! {
    #[test]
    fn the_upstream_gets_every_byte_once_and_in_order(
        sizes in proptest::collection::vec((0_usize..3 * SMALL, any::<bool>()), 0..6),
        takes in 1_usize..2 * SMALL,
        is_chunked in any::<bool>(),
    ) {
        let total: usize = sizes.iter().map(|(size, _)| size).sum();
        let (mut body, mut steps) = (Vec::<u8>::new(), VecDeque::new());
        for (size, waits) in sizes {
            let data: Vec<u8> = (b'a'..=b'z').cycle().skip(body.len() % 26).take(size).collect();
            body.extend(&data);
            steps.extend(waits.then_some(None));
            steps.push_back(Some(Ok(data)));
        }
        let is_empty = steps.is_empty();
        let mut upstream = Upstream::new(takes);
        let length = (!is_chunked).then_some(total as u64);
        send(Caller { steps, length }, &mut upstream).unwrap();
        let wire = upstream.writes.concat();
        let end = wire.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let sent = if is_chunked && !is_empty { unchunked(&wire[end..]) } else { wire[end..].to_vec() };
        prop_assert_eq!(sent, body);
    }
}

fn unchunked(wire: &[u8]) -> Vec<u8> {
    use crate::proxy::h1::decoder::{Decoder, Framing};
    let (mut decoder, mut buffer) = (Decoder::new(Framing::Chunked), wire.into());
    let mut data = Vec::new();
    while let Some(bytes) = decoder.take(&mut buffer).unwrap() {
        data.extend_from_slice(&bytes);
    }
    assert!(decoder.is_done() && buffer.is_empty());
    data
}

#[test]
fn what_the_stream_keeps_goes_out_before_a_request_is_sent_and_while_its_caller_waits() {
    for waits in [0, 3] {
        let mut upstream = Upstream { flush_waits: waits, ..Upstream::new(usize::MAX) };
        let steps = [Some(Ok("a")), None, Some(Ok("b"))];
        let head = Request::post("/").body(()).unwrap();
        let body = caller(steps, None);
        let mut sending = Sending::request((&head, Own::default()), body, Vec::new());
        let mut cx = Context::from_waker(Waker::noop());
        while sending.poll(&mut upstream, &mut cx).is_pending() {
            assert!(upstream.flushed == upstream.writes.len() || sending.is_held_up());
        }
        assert_eq!(upstream.flushed, upstream.writes.len());
        assert!(upstream.flushed > 0);
    }
}
