//! Bodies on their way through: frame by frame, never collected.
//!
//! Each direction has at most one frame in hand, so a slow reader slows its writer. An idle timer
//! exists only while a frame is awaited: a body that is there already costs no timer.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::{Sleep, timeout};

use super::{exchange::Exchange, h1::Arriving};
use crate::{clock, domain::outcome::Reason};

/// For so long the rest of a request is taken that is not sent on.
const DISCARD_FOR: Duration = Duration::from_secs(5);
/// As much of it is taken.
const DISCARD_BYTES: usize = 8 << 20;

/// Why a body ended early. Only its being an error matters to hyper, which then aborts the message.
#[derive(Debug, thiserror::Error)]
#[error("the body ended early: {}", .0.as_str())]
pub(super) struct Aborted(Reason);

/// How far the caller's body has got; shared with the exchange, which outlives the sending.
#[derive(Debug, Default)]
pub(super) struct Upload {
    /// Bytes that the caller sent.
    pub(super) bytes: Cell<u64>,
    /// When it was complete.
    pub(super) done_at: Cell<Option<Instant>>,
    /// What the caller did wrong.
    pub(super) fault: Cell<Option<Reason>>,
    /// The caller waits for leave to send (`Expect: 100-continue`).
    pub(super) is_on_hold: Cell<bool>,
    /// The upstream could go on if only the caller did.
    is_awaited: Cell<bool>,
}

impl Upload {
    /// Why a wait was in vain: the upstream's reason, unless it is the caller who was waited for.
    pub(super) fn or_caller(&self, upstreams: Reason) -> Reason {
        let callers = self.is_awaited.get().then_some(Reason::ClientBodyTimeout);
        self.fault.get().or(callers).unwrap_or(upstreams)
    }
}

/// The caller's body on its way to the upstream. Most calls have none, and it is moved about a lot
/// before it is sent, so what there is of it is behind a pointer.
#[derive(Debug)]
pub(super) struct RequestBody(Option<Box<Uploading>>);

#[derive(Debug)]
struct Uploading {
    incoming: Incoming,
    upload: Rc<Upload>,
    idle: Idle,
}

impl RequestBody {
    /// `idle` bounds the time between two frames.
    pub(super) fn new(
        incoming: Incoming,
        upload: &Rc<Upload>,
        idle: Duration,
        now: Instant,
    ) -> Self {
        if incoming.is_end_stream() {
            upload.done_at.set(Some(now));
            return Self(None);
        }
        let upload = Rc::clone(upload);
        Self(Some(Box::new(Uploading { incoming, upload, idle: Idle::new(idle) })))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match &mut self.get_mut().0 {
            Some(uploading) => uploading.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|uploading| uploading.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let none = || SizeHint::with_exact(0);
        self.0.as_ref().map_or_else(none, |uploading| uploading.incoming.size_hint())
    }
}

impl Uploading {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        let polled = self.idle.watch(polled, cx);
        self.upload.is_awaited.set(polled.is_pending());
        let frame = match ready!(polled) {
            Err(TimedOut) => Some(Err(Reason::ClientBodyTimeout)),
            Ok(frame) => frame.map(|frame| frame.map_err(|_| Reason::ClientBodyError)),
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.upload.bytes.set(self.upload.bytes.get() + length);
                if is_last(&self.incoming, &frame) {
                    self.upload.done_at.set(Some(clock::now()));
                }
                Some(Ok(frame))
            }
            Some(Err(reason)) => {
                self.upload.fault.set(Some(reason));
                Some(Err(Aborted(reason)))
            }
            None => {
                self.upload.done_at.set(Some(clock::now()));
                None
            }
        })
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        self.upload.is_awaited.set(false);
    }
}

/// Takes a request's body that is not sent on. A caller that writes all of it before it reads then
/// finds an answer; closing on it would reset the connection under the answer. Bounded in time and
/// bytes; after that the connection does close.
pub(super) fn discard(mut body: impl Body<Data = Bytes> + Unpin + 'static) {
    if body.is_end_stream() {
        return;
    }
    let rest = async move {
        let mut left = Some(DISCARD_BYTES);
        while let (Some(room), Some(Ok(frame))) = (left, body.frame().await) {
            left = room.checked_sub(frame.data_ref().map_or(0, Bytes::len));
        }
    };
    tokio::task::spawn_local(timeout(DISCARD_FOR, rest));
}

/// Whether nothing comes after this frame. Whoever gets trailers does not ask again.
fn is_last(incoming: &Incoming, frame: &Frame<Bytes>) -> bool {
    incoming.is_end_stream() || frame.is_trailers()
}

/// What the caller is sent: an answer of ours, or the upstream's as it comes.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Made here.
    Reply(Full<Bytes>),
    /// On its way through.
    Stream(Box<ResponseBody>),
}

/// The upstream's body on its way to the caller. The exchange ends with it.
#[derive(Debug)]
pub(super) struct ResponseBody {
    incoming: Arriving,
    idle: Idle,
    exchange: Box<Exchange>,
    /// It has failed, which hyper is not told before it has sent what came before.
    failed: Option<Reason>,
}

impl ResponseBody {
    /// `idle` bounds the time between two frames.
    pub(super) fn new(mut incoming: Arriving, idle: Duration, mut exchange: Box<Exchange>) -> Self {
        if incoming.is_end_stream() {
            exchange.body_ended(incoming.take_connection());
        }
        Self { incoming, idle: Idle::new(idle), exchange, failed: None }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if let Some(reason) = self.failed.take() {
            return Poll::Ready(Some(Err(Aborted(reason))));
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        let frame = match ready!(self.idle.watch(polled, cx)) {
            Err(TimedOut) => Some(Err(self.exchange.upload().or_caller(Reason::TimeoutIdle))),
            // A caller's body that broke takes the upstream's connection down with it.
            Ok(frame) => frame.map(|frame| {
                frame
                    .map_err(|_| self.exchange.upload().fault.get().unwrap_or(Reason::ResetMidBody))
            }),
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                self.exchange.add_response_bytes(frame.data_ref().map_or(0, Bytes::len) as u64);
                if self.incoming.is_end_stream() {
                    self.exchange.body_ended(self.incoming.take_connection());
                }
                Some(Ok(frame))
            }
            Some(Err(reason)) => {
                self.exchange.body_failed(reason);
                // An error drops what is still in hyper's buffer, and that may be the head. Being
                // told to wait, hyper flushes first.
                self.failed = Some(reason);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => {
                self.exchange.body_ended(self.incoming.take_connection());
                None
            }
        })
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match self.get_mut() {
            Self::Reply(full) => Pin::new(full).poll_frame(cx).map_err(|never| match never {}),
            Self::Stream(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Reply(full) => full.is_end_stream(),
            // One that failed must never pass for one that is complete.
            Self::Stream(body) => body.failed.is_none() && body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Reply(full) => full.size_hint(),
            Self::Stream(body) => body.incoming.size_hint(),
        }
    }
}

/// The bound on the wait for a frame.
#[derive(Debug)]
struct Idle {
    timeout: Duration,
    /// Set while a frame is awaited.
    timer: Option<Pin<Box<Sleep>>>,
}

/// No frame came in time.
#[derive(Debug)]
struct TimedOut;

impl Idle {
    const fn new(timeout: Duration) -> Self {
        Self { timeout, timer: None }
    }

    /// Passes on what came, or the news that nothing came in time.
    fn watch<T>(&mut self, polled: Poll<T>, cx: &mut Context<'_>) -> Poll<Result<T, TimedOut>> {
        if let Poll::Ready(frame) = polled {
            self.timer = None;
            return Poll::Ready(Ok(frame));
        }
        let timeout = self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(TimedOut))
    }
}
