//! The caller's body on its way to the upstream.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::{
    body::Aborted,
    headers,
    idle::{Idle, TimedOut},
    received::{Malformed, Received},
    replay::Replay,
    sends::Asked,
};
use crate::{capture::Copied, clock, domain::outcome::Reason};

/// For so long the rest of a request is taken that is not sent on; and after the last answer of a
/// connection, whatever its caller still sends.
pub(super) const DISCARD_FOR: Duration = Duration::from_secs(5);
/// As much of it is taken.
const DISCARD_BYTES: usize = 8 << 20;

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
    /// Nobody wants the rest.
    is_given_up: Cell<bool>,
    /// The upstream has said all.
    is_answered: Cell<bool>,
    /// The number of the latest attempt, which alone may read on: were there two, each would get a
    /// part of the body. One that was answered early may still be sending when the next begins.
    turn: Cell<u32>,
    /// A copy of what came, where it is wanted. Borrowed while it is written or read only.
    pub(super) copied: RefCell<Option<Box<Copied>>>,
    /// Who waits for the caller to go on.
    waiting: RefCell<Option<Waker>>,
}

impl Upload {
    /// Why a wait was in vain: the upstream's reason, unless it is the caller who was waited for.
    pub(super) fn or_caller(&self, upstreams: Reason) -> Reason {
        let callers = self.is_awaited.get().then_some(Reason::ClientBodyTimeout);
        self.fault.get().or(callers).unwrap_or(upstreams)
    }

    /// Ends what is still under way of it: its call has come to nothing.
    pub(super) fn give_up(&self) {
        self.is_given_up.set(true);
        self.wake();
    }

    /// The upstream has said all that it has to say. What it has not had of the body by then it may
    /// take, for a while.
    pub(super) fn answered(&self) {
        self.is_answered.set(true);
        self.wake();
    }

    /// Begins another attempt, and ends those before it.
    fn begin(&self) -> u32 {
        self.turn.set(self.turn.get() + 1);
        // What the attempt before waited for says nothing about this one.
        self.is_awaited.set(false);
        self.wake();
        self.turn.get()
    }

    fn wake(&self) {
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    fn waits(&self, waker: &Waker) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.as_ref().is_some_and(|other| other.will_wake(waker)) {
            *waiting = Some(waker.clone());
        }
    }
}

/// An attempt's turn at sending a body.
#[derive(Debug)]
pub(super) struct Turn {
    upload: Rc<Upload>,
    number: u32,
}

impl Turn {
    pub(super) fn of(upload: &Rc<Upload>, number: u32) -> Self {
        Self { upload: Rc::clone(upload), number }
    }

    /// Whether nobody wants it to send any more.
    pub(super) fn is_over(&self) -> bool {
        self.upload.is_given_up.get() || self.upload.turn.get() != self.number
    }

    /// Whether there is something to be sent that the upstream, which has answered, does not take.
    pub(super) fn is_left_unread(&self) -> bool {
        self.upload.is_answered.get() && !self.upload.is_awaited.get()
    }

    /// Is to be told when any of that changes.
    pub(super) fn wake_at_end(&self, waker: &Waker) {
        self.upload.waits(waker);
    }
}

/// What a body is held to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Between two frames.
    pub(super) idle: Duration,
    /// All of it, in bytes.
    pub(super) bytes: u64,
    /// As much of it is kept for another attempt.
    pub(super) kept: usize,
}

/// The body of one attempt. Most calls have none, and it is moved about a lot before it is sent, so
/// what there is of it is behind a pointer.
#[derive(Debug)]
pub(super) struct RequestBody(Option<Box<Attempt>>);

#[derive(Debug)]
struct Attempt {
    source: Rc<RefCell<Source>>,
    /// Frames that this attempt has had of those that are kept.
    had: usize,
    /// The number of the attempt.
    turn: u32,
    /// Who wants to know whose body it is, while it is sent.
    asked: Option<Asked>,
}

/// The caller's end of a body, for all attempts.
#[derive(Debug)]
struct Source {
    incoming: Received,
    upload: Rc<Upload>,
    idle: Idle,
    /// The most that is taken, in bytes.
    limit: u64,
    /// What has come, for another attempt.
    replay: Replay,
}

impl RequestBody {
    /// The body that comes in.
    pub(super) fn new(
        incoming: Received,
        upload: &Rc<Upload>,
        bounds: Bounds,
        now: Instant,
    ) -> Self {
        if incoming.is_end_stream() {
            upload.done_at.set(Some(now));
            return Self(None);
        }
        let upload = Rc::clone(upload);
        let (idle, replay) = (Idle::new(bounds.idle), Replay::new(bounds.kept));
        let limit = bounds.bytes;
        let source = Source { incoming, upload, idle, limit, replay };
        let source = Rc::new(RefCell::new(source));
        Self(Some(Box::new(Attempt { source, had: 0, turn: 0, asked: None })))
    }

    /// The same body for another attempt, from its beginning; it can be used if [`Again::get`] gives
    /// one when its time comes.
    pub(super) fn again(&self) -> Again {
        Again(self.0.as_ref().map(|attempt| Rc::clone(&attempt.source)))
    }

    /// It is sent over a connection of HTTP/2, whose tasks want to know whose body it is.
    pub(super) fn goes_over(&mut self, asked: Asked) {
        if let Some(attempt) = &mut self.0 {
            attempt.asked = Some(asked);
        }
    }
}

/// A body that may be sent once more.
#[derive(Debug)]
pub(super) struct Again(Option<Rc<RefCell<Source>>>);

impl Again {
    /// Whether all that has come of it is still there.
    pub(super) fn is_whole(&self) -> bool {
        self.0.as_ref().is_none_or(|source| {
            let source = source.borrow();
            source.replay.is_whole() && source.upload.fault.get().is_none()
        })
    }

    /// The body, from its beginning. Attempts before this one get no more of it.
    pub(super) fn get(&self) -> RequestBody {
        RequestBody(self.0.as_ref().map(|source| {
            let turn = source.borrow().upload.begin();
            Box::new(Attempt { source: Rc::clone(source), had: 0, turn, asked: None })
        }))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let Some(Attempt { source, had, turn, asked }) = self.get_mut().0.as_deref_mut() else {
            return Poll::Ready(None);
        };
        let mut source = source.borrow_mut();
        if let Some(asked) = asked {
            asked.note(Turn::of(&source.upload, *turn));
        }
        if source.upload.turn.get() != *turn || source.upload.is_given_up.get() {
            return Poll::Ready(Some(Err(Aborted(Reason::ClientBodyError))));
        }
        // What is kept of a body that broke off is not all of it.
        if let Some(reason) = source.upload.fault.get() {
            return Poll::Ready(Some(Err(Aborted(reason))));
        }
        if let Some(frame) = source.replay.frame(*had) {
            *had += 1;
            return Poll::Ready(Some(Ok(frame)));
        }
        let polled = source.poll_frame(cx);
        *had = source.replay.len();
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|attempt| {
            let source = attempt.source.borrow();
            let has_all =
                attempt.had >= source.replay.len() && source.upload.turn.get() == attempt.turn;
            has_all && source.upload.fault.get().is_none() && source.incoming.is_end_stream()
        })
    }

    fn size_hint(&self) -> SizeHint {
        let Some(attempt) = &self.0 else { return SizeHint::with_exact(0) };
        let source = attempt.source.borrow();
        let kept = source.replay.bytes_from(attempt.had);
        source
            .incoming
            .size_hint()
            .exact()
            .map_or_else(SizeHint::new, |rest| SizeHint::with_exact(rest + kept))
    }
}

impl Source {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        let polled = self.idle.watch(polled, cx);
        self.upload.is_awaited.set(polled.is_pending());
        if polled.is_pending() {
            self.upload.waits(cx.waker());
        }
        let frame = match ready!(polled) {
            Err(TimedOut) => Some(Err(Reason::ClientBodyTimeout)),
            Ok(frame) => frame.map(|frame| frame.map_err(|Malformed| Reason::ClientBodyError)),
        };
        let frame = frame.map(|frame| frame.and_then(|frame| self.fitting(frame)));
        Poll::Ready(match frame {
            Some(Ok(mut frame)) => {
                frame.trailers_mut().map(headers::strip_trailers);
                if is_last(&self.incoming, &frame) {
                    self.upload.done_at.set(Some(clock::now()));
                }
                if let (Some(copied), Some(bytes)) =
                    (&mut *self.upload.copied.borrow_mut(), frame.data_ref())
                {
                    copied.add(bytes);
                }
                self.replay.keep(&frame);
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

impl Source {
    /// Counts a frame; one with which the body becomes too long goes nowhere.
    fn fitting(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Reason> {
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        let bytes = self.upload.bytes.get() + length;
        self.upload.bytes.set(bytes);
        if bytes > self.limit { Err(Reason::BodyTooLarge) } else { Ok(frame) }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let source = self.source.borrow();
        if source.upload.turn.get() == self.turn {
            source.upload.is_awaited.set(false);
        }
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
fn is_last(incoming: &Received, frame: &Frame<Bytes>) -> bool {
    incoming.is_end_stream() || frame.is_trailers()
}
