//! A request on its way out: head and body, as fast as the upstream takes them.
//!
//! One frame of the body is in hand at most, so a slow upstream slows its caller. Small pieces are
//! joined, so that a small request is one `send`; large ones are not copied.
//!
//! An upstream may answer in the middle of an upload and close, as many do that refuse it. The next
//! write then fails while the answer waits to be read. So what cannot be written any more is thrown
//! away, and the end is told by whoever reads: after the answer, or in place of it.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, request::Parts};
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;

use super::{
    Broken,
    head::{self, Framing},
};
use crate::proxy::own::Own;

/// Up to so much is joined by copying it.
const SMALL: usize = 2 << 10;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Sending<B> {
    /// The head, sizes of chunks, and small data.
    joined: Vec<u8>,
    /// How much of that has been written.
    written: usize,
    /// Data to be written after that, and what comes behind it.
    data: Bytes,
    tail: &'static [u8],
    body: B,
    framing: Framing,
    stage: Stage,
    /// How often the upstream took something.
    taken: u64,
    /// What was written may wait in the stream: TLS keeps what its socket does not take.
    is_unflushed: bool,
    /// Something that was written is not in hand any more.
    is_gone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The body has not been asked for.
    New,
    /// There is more of the body.
    Open,
    /// All of the body is in hand or written.
    Complete,
}

impl<B: Body<Data = Bytes> + Unpin> Sending<B> {
    /// Begins with the head. `room` is for the bytes.
    pub(super) fn new(request: (&Parts, Own<'_>), body: B, mut room: Vec<u8>) -> Self {
        let (framing, stage) = if body.is_end_stream() {
            (Framing::Nothing, Stage::Complete)
        } else {
            (body.size_hint().exact().map_or(Framing::Chunked, Framing::Length), Stage::New)
        };
        room.clear();
        head::encode(request, framing, &mut room);
        Self {
            joined: room,
            written: 0,
            data: Bytes::new(),
            tail: b"",
            body,
            framing,
            stage,
            taken: 0,
            is_unflushed: false,
            is_gone: false,
        }
    }

    /// Gives the room back for the next request.
    pub(super) fn into_room(self) -> Vec<u8> {
        self.joined
    }

    /// Writes until all is written.
    ///
    /// # Errors
    /// The caller's body is broken, or the connection is for another reason than that the upstream
    /// takes no more.
    pub(super) fn poll(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            let gathered = self.gather(cx)?;
            if self.stage == Stage::New {
                // hyper reads a body once it is asked for, and most bodies are there already. The
                // head waits for that look, and goes in one piece with what it finds.
                self.stage = Stage::Open;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.has_more() {
                ready!(self.poll_write(stream, cx))?;
            } else {
                ready!(self.poll_flush(stream, cx))?;
                return gathered.map(Ok);
            }
        }
    }

    /// Whether there is something in hand that the upstream does not take.
    pub(super) fn is_held_up(&self) -> bool {
        self.has_more() || self.is_unflushed
    }

    /// A number that grows with what is written.
    pub(super) const fn progress(&self) -> u64 {
        self.taken
    }

    /// Whether all of it, or all that has come of it, can be written again.
    pub(super) const fn is_whole(&self) -> bool {
        !self.is_gone
    }

    /// Begins anew. It must be whole.
    pub(super) const fn rewind(&mut self) {
        self.written = 0;
        self.is_unflushed = false;
    }

    fn has_more(&self) -> bool {
        self.written < self.joined.len() || self.has_data()
    }

    fn has_data(&self) -> bool {
        !self.data.is_empty() || !self.tail.is_empty()
    }

    /// Takes as much of the body as belongs into the next write. Ready when the body is complete.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Broken> {
        if self.stage != Stage::Complete && self.written > 0 && self.written == self.joined.len() {
            self.joined.clear();
            self.written = 0;
            self.is_gone = true;
        }
        while self.stage != Stage::Complete && !self.has_data() && self.joined.len() < SMALL {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(None) => self.complete(None)?,
                Poll::Ready(Some(frame)) => self.add(frame.map_err(|_| Broken::Request)?)?,
            }
        }
        Ok(if self.stage == Stage::Complete { Poll::Ready(()) } else { Poll::Pending })
    }

    fn add(&mut self, frame: Frame<Bytes>) -> Result<(), Broken> {
        self.stage = Stage::Open;
        let data = match frame.into_data() {
            Ok(data) => data,
            // Trailers end a body.
            Err(frame) => return self.complete(frame.trailers_ref()),
        };
        let length = data.len() as u64;
        match &mut self.framing {
            Framing::Length(left) => *left = left.checked_sub(length).ok_or(Broken::Request)?,
            Framing::Chunked if length > 0 => {
                self.joined.extend_from_slice(format!("{length:x}\r\n").as_bytes());
                self.tail = b"\r\n";
            }
            // An empty chunk would end the body.
            Framing::Chunked | Framing::Nothing => {}
        }
        self.data = data;
        if self.joined.len() + self.data.len() <= SMALL {
            self.join();
        }
        if self.body.is_end_stream() { self.complete(None) } else { Ok(()) }
    }

    fn join(&mut self) {
        self.joined.extend_from_slice(&std::mem::take(&mut self.data));
        self.joined.extend_from_slice(std::mem::take(&mut self.tail));
    }

    /// The body has come to its end. Without chunks there is no place for trailers.
    fn complete(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Broken> {
        self.stage = Stage::Complete;
        match self.framing {
            Framing::Length(left) if left > 0 => return Err(Broken::Request),
            Framing::Chunked if self.data.is_empty() => {
                self.joined.extend_from_slice(b"0\r\n");
                let none = HeaderMap::new();
                head::encode_fields(trailers.unwrap_or(&none), &mut self.joined);
            }
            Framing::Chunked => self.tail = b"\r\n0\r\n\r\n",
            Framing::Length(_) | Framing::Nothing => {}
        }
        Ok(())
    }

    /// Writes something of what is in hand.
    fn poll_write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        let joined = &self.joined[self.written..];
        let stream = Pin::new(stream);
        let polled = if self.has_data() {
            let pieces = [joined, &self.data, self.tail].map(IoSlice::new);
            stream.poll_write_vectored(cx, &pieces)
        } else {
            stream.poll_write(cx, joined)
        };
        match ready!(polled) {
            Ok(count) if count > 0 => {
                self.taken += 1;
                self.is_unflushed = true;
                self.advance(count);
            }
            Err(error) if !takes_no_more(&error) => return Poll::Ready(Err(Broken::Connection)),
            // The kernel says so again for every write to come.
            Ok(_) | Err(_) => self.advance(usize::MAX),
        }
        Poll::Ready(Ok(()))
    }

    /// Sees to it that what is written goes out.
    fn poll_flush(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        if !self.is_unflushed {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(Pin::new(stream).poll_flush(cx));
        self.is_unflushed = false;
        Poll::Ready(match flushed {
            Err(error) if !takes_no_more(&error) => Err(Broken::Connection),
            Ok(()) | Err(_) => Ok(()),
        })
    }

    /// So much has been written, joined pieces first.
    fn advance(&mut self, count: usize) {
        let of_joined = count.min(self.joined.len() - self.written);
        self.written += of_joined;
        let of_data = (count - of_joined).min(self.data.len());
        self.data.advance(of_data);
        let of_tail = (count - of_joined - of_data).min(self.tail.len());
        self.tail = &self.tail[of_tail..];
        self.is_gone |= of_data + of_tail > 0;
    }
}

/// Whether the upstream has closed its side for what is sent to it.
fn takes_no_more(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests;
