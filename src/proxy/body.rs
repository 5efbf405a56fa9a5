//! Bodies on their way back to the caller: frame by frame, never collected.
//!
//! Each direction has at most one frame in hand, so a slow reader slows its writer.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tokio::time::{Sleep, sleep, sleep_until};

use super::{
    answer::Answer,
    exchange::Exchange,
    headers,
    idle::{Idle, TimedOut},
    own::Ids,
    tunnel::Tunnel,
};
use crate::domain::{grpc::JUDGED_WITHIN, outcome::Reason};

/// Why a body ended early. Only its being an error matters to whoever sends it, and then aborts the
/// message.
#[derive(Debug, thiserror::Error)]
#[error("the body ended early: {}", .0.as_str())]
pub(super) struct Aborted(pub(super) Reason);

/// What the caller is sent: an answer of ours, or the upstream's as it comes.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Made here.
    Reply(Full<Bytes>),
    /// On its way through.
    Stream(Box<ResponseBody>),
    /// Nothing: the connection becomes a tunnel behind the head.
    Switch(Box<Tunnel>),
}

impl Outgoing {
    /// What the call is known by, where that is written with the head: an answer of ours has it
    /// among its fields.
    pub(super) fn ids(&self) -> Option<Ids<'_>> {
        match self {
            Self::Reply(_) => None,
            Self::Stream(body) => Some(body.exchange.ids()),
            Self::Switch(tunnel) => Some(tunnel.ids()),
        }
    }
}

impl Default for Outgoing {
    fn default() -> Self {
        Self::Reply(Full::default())
    }
}

/// How long a body may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Between two frames.
    pub(super) idle: Duration,
    /// As a whole, where the caller set an end.
    pub(super) until: Option<Instant>,
}

/// The upstream's body on its way to the caller. The exchange ends with it.
#[derive(Debug)]
pub(super) struct ResponseBody {
    incoming: Answer,
    idle: Idle,
    /// When the caller's time is over.
    until: Option<Pin<Box<Sleep>>>,
    /// When its end is not waited for any longer to know how the upstream did.
    lasting: Option<Pin<Box<Sleep>>>,
    exchange: Box<Exchange>,
    /// It has failed, which who sends it is not told before what came before has gone.
    failed: Option<Reason>,
}

impl ResponseBody {
    pub(super) fn new(mut incoming: Answer, limits: Limits, mut exchange: Box<Exchange>) -> Self {
        if incoming.is_end_stream() {
            exchange.body_ended(incoming.take_connection());
        }
        let until = limits.until.map(|until| Box::pin(sleep_until(until.into())));
        let lasting = exchange.is_awaited().then(|| Box::pin(sleep(JUDGED_WITHIN)));
        Self { incoming, idle: Idle::new(limits.idle), until, lasting, exchange, failed: None }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if let Some(reason) = self.failed.take() {
            return Poll::Ready(Some(Err(Aborted(reason))));
        }
        if is_over(&mut self.lasting, cx) {
            self.exchange.lasts();
        }
        if is_over(&mut self.until, cx) {
            return self.fail(Reason::CallerDeadline, cx);
        }
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        let frame = match ready!(self.idle.watch(polled, cx)) {
            Err(TimedOut) => Some(Err(self.exchange.upload().or_caller(Reason::TimeoutIdle))),
            // A caller's body that broke takes the upstream's stream down with it.
            Ok(frame) => frame.map(|frame| {
                frame.map_err(|reason| self.exchange.upload().fault.get().unwrap_or(reason))
            }),
        };
        Poll::Ready(match frame {
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    headers::strip_trailers(trailers);
                    self.exchange.trailed(trailers);
                }
                self.exchange.passes(frame.data_ref());
                if self.incoming.is_end_stream() {
                    self.exchange.body_ended(self.incoming.take_connection());
                }
                Some(Ok(frame))
            }
            Some(Err(reason)) => return self.fail(reason, cx),
            None => {
                self.exchange.body_ended(self.incoming.take_connection());
                None
            }
        })
    }

    /// An error drops what is still in hand, and that may be the head. Being told to wait, who sends
    /// it flushes first.
    fn fail<T>(&mut self, reason: Reason, cx: &Context<'_>) -> Poll<T> {
        self.exchange.body_failed(reason);
        self.failed = Some(reason);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Whether a moment has come. It comes once.
fn is_over(moment: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> bool {
    let is_over = moment.as_mut().is_some_and(|moment| moment.as_mut().poll(cx).is_ready());
    if is_over {
        *moment = None;
    }
    is_over
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
            Self::Stream(body) => {
                let polled = body.poll_frame(cx);
                body.exchange.tell_pace(&polled);
                polled
            }
            Self::Switch(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Reply(full) => full.is_end_stream(),
            // One that failed must never pass for one that is complete.
            Self::Stream(body) => body.failed.is_none() && body.incoming.is_end_stream(),
            Self::Switch(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Reply(full) => full.size_hint(),
            Self::Stream(body) => body.incoming.size_hint(),
            Self::Switch(_) => SizeHint::with_exact(0),
        }
    }
}
