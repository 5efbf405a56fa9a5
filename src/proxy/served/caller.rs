//! The one who calls, at the other end of a connection: what it sends, in its order.
//!
//! Heads are read by whoever serves the connection, bodies by whoever carries the call, which may
//! be another task and last for longer than the answer. One of them reads at a time: while a body
//! is in somebody's hands, nobody else does.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;
use tokio::io::AsyncWrite;

use super::head::{self, Head, Refused};
use crate::proxy::{
    h1::{Broken, Decoder, Framing, Inflow},
    stream::Bounded,
    transport::Transport,
};

/// What one who waits for leave to send a body is told.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

pub(super) type Stream = Bounded<Transport>;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Caller {
    /// None when the connection is over.
    stream: Option<Stream>,
    inflow: Inflow,
    /// How much of it has been looked at for a head.
    seen: usize,
    /// Takes the body apart that follows the last head.
    decoder: Decoder,
    /// Which body that is.
    turn: u64,
    /// It is in somebody's hands.
    is_held: bool,
    /// What is to be said before it is read.
    interim: &'static [u8],
    /// Who reads it.
    reader: Option<Waker>,
    /// Who waits for its end.
    waiting: Option<Waker>,
}

impl Caller {
    /// `ahead` has been read already.
    pub(super) const fn new(stream: Transport, ahead: BytesMut) -> Self {
        Self {
            stream: Some(Bounded::new(stream)),
            inflow: Inflow::new(ahead),
            seen: 0,
            decoder: Decoder::new(Framing::Nothing),
            turn: 0,
            is_held: false,
            interim: b"",
            reader: None,
            waiting: None,
        }
    }

    /// The next head; none when the caller has sent its last. The one before it must be done with.
    pub(super) fn poll_head(
        &mut self,
        limit: usize,
        map: &mut HeaderMap,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Head>, Refused>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(None)) };
        loop {
            let buffer = &mut self.inflow.buffer;
            // A head that comes byte by byte is looked at once per line.
            let news = &buffer[self.seen.min(buffer.len())..];
            let is_worth_it = (self.seen == 0 && !news.is_empty())
                || buffer.len() >= limit
                || memchr::memchr(b'\n', news).is_some();
            if is_worth_it && let Some(head) = head::take(buffer, limit, map)? {
                self.seen = 0;
                return Poll::Ready(Ok(Some(head)));
            }
            self.seen = buffer.len();
            match ready!(self.inflow.poll_read(stream, cx)) {
                Ok(0) | Err(_) => return Poll::Ready(Ok(None)),
                Ok(_) => {}
            }
        }
    }

    /// Whether nothing of a message has come.
    pub(super) fn is_silent(&self) -> bool {
        self.inflow.buffer.is_empty()
    }

    /// Whether the caller went away while it waits for an answer, as far as that shows: not before
    /// what it sent ahead has been read.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(()) };
        if !self.decoder.is_done() {
            // Somebody else may read the body to its end, which is when to look.
            self.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if !self.inflow.buffer.is_empty() {
            return Poll::Pending;
        }
        match stream.stream.poll_peek(&mut self.inflow.buffer, cx) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
        }
    }

    /// Whether another head may follow, once the body before it is out of the way.
    pub(super) fn poll_between(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if !self.is_held || self.is_at_end() {
            self.inflow.rest();
            return Poll::Ready(self.decoder.is_done());
        }
        self.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether the rest of the body will not be read: what follows is no head.
    pub(super) fn is_out_of_step(&self) -> bool {
        !self.is_held && !self.decoder.is_done()
    }

    /// The answer begins: leave is given no more, save the rest of one that has begun.
    pub(super) fn answers(&mut self, out: &mut Vec<u8>) {
        let interim = std::mem::take(&mut self.interim);
        if interim.len() < CONTINUE.len() {
            out.extend_from_slice(interim);
        }
    }

    /// What is written to.
    pub(super) const fn stream(&mut self) -> Option<&mut Stream> {
        self.stream.as_mut()
    }

    /// The connection as what it has been switched to, and what was read ahead of it.
    pub(super) fn switch(&mut self) -> Option<(Stream, Bytes)> {
        Some((self.stream.take()?, std::mem::take(&mut self.inflow.buffer).freeze()))
    }

    /// The body that was being sent has no end: the caller is not to take the connection's for it.
    pub(super) fn cut(&self) {
        if let Some(stream) = &self.stream {
            stream.stream.cut();
        }
    }

    /// Drops what the caller still sends, up to its end. A connection that is closed over what
    /// nobody has read is reset, and the reset may overtake the last answer.
    pub(super) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(()) };
        loop {
            self.inflow.buffer.clear();
            match ready!(self.inflow.poll_read(stream, cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// The connection is over; who reads from it is told.
    pub(super) fn close(&mut self) {
        self.stream = None;
        self.reader.take().into_iter().for_each(Waker::wake);
    }

    /// The body begins that follows the last head; none if there is nothing of it. `waits` says
    /// whether the caller wants to be told to send it.
    pub(super) fn begin_body(&mut self, framing: Framing, waits: bool) -> Option<u64> {
        self.decoder = Decoder::new(framing);
        self.turn += 1;
        if self.decoder.is_done() {
            return None;
        }
        self.is_held = true;
        self.interim = if waits { CONTINUE } else { b"" };
        Some(self.turn)
    }

    /// Which body it is.
    pub(super) const fn turn(&self) -> u64 {
        self.turn
    }

    /// Whether there is no more of it.
    pub(super) fn is_at_end(&self) -> bool {
        self.decoder.is_done() && !self.decoder.has_trailers()
    }

    /// How much data of it is still to come, if that is known.
    pub(super) const fn left(&self) -> Option<u64> {
        self.decoder.left()
    }

    /// The next frame of it.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if !self.decoder.is_done() {
            match ready!(self.poll_data(cx)) {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        let trailers = self.decoder.take_trailers().transpose();
        self.moved();
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)))
    }

    /// The next data; none at the end.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        let polled = self.poll_data_or_wait(cx);
        if polled.is_pending()
            && !self.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker()))
        {
            self.reader = Some(cx.waker().clone());
        }
        polled
    }

    fn poll_data_or_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        while !self.decoder.is_done() {
            let Some(stream) = &mut self.stream else {
                return Poll::Ready(Err(Broken::Connection));
            };
            ready!(poll_say(stream, &mut self.interim, cx)).map_err(|_| Broken::Connection)?;
            if let Some(data) = self.decoder.take(&mut self.inflow.buffer)? {
                self.moved();
                return Poll::Ready(Ok(Some(data)));
            }
            if self.decoder.is_done() {
                break;
            }
            match ready!(self.inflow.poll_read(stream, cx)) {
                Ok(0) | Err(_) => return Poll::Ready(Err(Broken::Connection)),
                Ok(_) => {}
            }
        }
        Poll::Ready(Ok(None))
    }

    /// The body got on. If that was its end, who waits for it goes on.
    fn moved(&mut self) {
        if self.is_at_end() {
            self.waiting.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Nobody holds the body any more. What is there of it is taken: it may be all.
    pub(super) fn let_go(&mut self) {
        let mut has_read = false;
        while !self.decoder.is_done() {
            match self.decoder.take(&mut self.inflow.buffer) {
                Ok(Some(_)) => continue,
                Ok(None) if !self.decoder.is_done() && !has_read => {}
                Ok(None) | Err(_) => break,
            }
            has_read = true;
            let Some(stream) = &mut self.stream else { break };
            let mut cx = Context::from_waker(Waker::noop());
            if !matches!(self.inflow.poll_read(stream, &mut cx), Poll::Ready(Ok(1..))) {
                break;
            }
        }
        self.interim = b"";
        self.is_held = false;
        self.reader = None;
        self.waiting.take().into_iter().for_each(Waker::wake);
    }
}

/// Says what is to be said.
fn poll_say(
    stream: &mut Stream,
    interim: &mut &'static [u8],
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !interim.is_empty() {
        let count = ready!(Pin::new(&mut *stream).poll_write(cx, interim))?;
        *interim = &interim[count..];
        if interim.is_empty() {
            // So little waits in no stream.
            let _is_kept = Pin::new(&mut *stream).poll_flush(cx)?;
        }
    }
    Poll::Ready(Ok(()))
}

#[cfg(test)]
mod tests;
