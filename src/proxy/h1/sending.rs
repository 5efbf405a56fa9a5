//! A message on its way out: head and body, as fast as the other side takes them.
//!
//! One frame of the body is in hand at most, so a slow reader slows the writer behind. Small pieces
//! are joined, so that a small message is one `send`; large ones are not copied.
//!
//! An upstream may answer in the middle of an upload and close, as many do that refuse it. The next
//! write then fails while the answer waits to be read. So what cannot be written any more is thrown
//! away, and the end is told by whoever reads: after the answer, or in place of it. A caller that
//! takes no more of its answer is gone.

use std::{
    io::{self, ErrorKind, IoSlice, Write as _},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;

use super::{Broken, Framing, head};
use crate::proxy::own::Own;

/// Up to so much is joined by copying it.
const SMALL: usize = 2 << 10;

/// See the module's text.
#[derive(Debug)]
pub(in crate::proxy) struct Sending<B> {
    /// The head, sizes of chunks, and small data.
    joined: Vec<u8>,
    /// How much of that has been written.
    written: usize,
    /// Data to be written after that, and what comes behind it.
    data: Bytes,
    tail: &'static [u8],
    /// None once all of it is in hand or written.
    body: Option<B>,
    framing: Framing,
    kind: Kind,
    /// How often the other side took something.
    taken: u64,
    /// What was written may wait in the stream: TLS keeps what its socket does not take.
    is_unflushed: bool,
    /// Something that was written is not in hand any more.
    is_gone: bool,
}

/// What the message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    /// An answer, to one who takes trailers or not.
    Answer {
        trailers: bool,
    },
}

impl<B: Body<Data = Bytes> + Unpin> Sending<B> {
    /// Begins a request with its head. `room` is for the bytes.
    pub(super) fn request(request: (&Request<()>, Own<'_>), body: B, mut room: Vec<u8>) -> Self {
        let (framing, body) = if body.is_end_stream() {
            (Framing::Nothing, None)
        } else {
            let length = body.size_hint().exact();
            (length.map_or(Framing::Chunked, Framing::Length), Some(body))
        };
        room.clear();
        head::encode(request, framing, &mut room);
        Self::new(room, framing, body, Kind::Request)
    }

    /// Begins an answer with its head. There is a body if the framing says so.
    pub(in crate::proxy) const fn answer(
        head: Vec<u8>,
        framing: Framing,
        body: Option<B>,
        trailers: bool,
    ) -> Self {
        Self::new(head, framing, body, Kind::Answer { trailers })
    }

    const fn new(joined: Vec<u8>, framing: Framing, body: Option<B>, kind: Kind) -> Self {
        Self {
            joined,
            written: 0,
            data: Bytes::new(),
            tail: b"",
            body,
            framing,
            kind,
            taken: 0,
            is_unflushed: false,
            is_gone: false,
        }
    }

    /// Gives the room back for the next message.
    pub(in crate::proxy) fn into_room(self) -> Vec<u8> {
        self.joined
    }

    /// Writes until all is written.
    ///
    /// # Errors
    /// The body is broken, or the connection is; for a request for another reason than that the
    /// upstream takes no more.
    pub(in crate::proxy) fn poll(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        loop {
            let gathered = self.gather(cx)?;
            if self.has_more() {
                ready!(self.poll_write(stream, cx))?;
            } else {
                ready!(self.poll_flush(stream, cx))?;
                return gathered.map(Ok);
            }
        }
    }

    /// Whether there is something in hand that the other side does not take.
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
        if self.body.is_some() && self.written > 0 && self.written == self.joined.len() {
            self.joined.clear();
            self.written = 0;
            self.is_gone = true;
        }
        while let Some(body) = &mut self.body {
            if !self.data.is_empty() || !self.tail.is_empty() || self.joined.len() >= SMALL {
                return Ok(Poll::Pending);
            }
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(None) => self.complete(None)?,
                Poll::Ready(Some(frame)) => self.add(frame.map_err(|_| Broken::Request)?)?,
            }
        }
        Ok(Poll::Ready(()))
    }

    fn add(&mut self, frame: Frame<Bytes>) -> Result<(), Broken> {
        let data = match frame.into_data() {
            Ok(data) => data,
            // Trailers end a body.
            Err(frame) => return self.complete(frame.trailers_ref()),
        };
        let length = data.len() as u64;
        match &mut self.framing {
            Framing::Length(left) => *left = left.checked_sub(length).ok_or(Broken::Request)?,
            Framing::Chunked if length > 0 => {
                write!(self.joined, "{length:x}\r\n").map_err(|_| Broken::Request)?;
                self.tail = b"\r\n";
            }
            // An empty chunk would end the body.
            Framing::Chunked | Framing::Nothing | Framing::UntilClose => {}
        }
        self.data = data;
        if self.joined.len() + self.data.len() <= SMALL {
            self.join();
        }
        let is_over = self.body.as_ref().is_none_or(Body::is_end_stream);
        if is_over { self.complete(None) } else { Ok(()) }
    }

    fn join(&mut self) {
        self.joined.extend_from_slice(&std::mem::take(&mut self.data));
        self.joined.extend_from_slice(std::mem::take(&mut self.tail));
    }

    /// The body has come to its end. Without chunks there is no place for trailers.
    fn complete(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Broken> {
        self.body = None;
        let trailers = trailers.filter(|_| self.kind != Kind::Answer { trailers: false });
        match self.framing {
            Framing::Length(left) if left > 0 => return Err(Broken::Request),
            Framing::Chunked if self.data.is_empty() => {
                self.joined.extend_from_slice(b"0\r\n");
                let none = HeaderMap::new();
                head::encode_fields(trailers.unwrap_or(&none), &mut self.joined);
            }
            Framing::Chunked => self.tail = b"\r\n0\r\n\r\n",
            Framing::Length(_) | Framing::Nothing | Framing::UntilClose => {}
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
        let taken = ready!(polled).and_then(|count| match count {
            0 => Err(ErrorKind::BrokenPipe.into()),
            _ => Ok(count),
        });
        match taken {
            Ok(count) => {
                self.taken += 1;
                self.is_unflushed = true;
                self.advance(count);
            }
            Err(error) if !self.forgives(&error) => return Poll::Ready(Err(Broken::Connection)),
            // The kernel says so again for every write to come.
            Err(_) => self.advance(usize::MAX),
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
            Err(error) if !self.forgives(&error) => Err(Broken::Connection),
            Ok(()) | Err(_) => Ok(()),
        })
    }

    /// Whether the other side may take no more.
    fn forgives(&self, error: &io::Error) -> bool {
        self.kind == Kind::Request
            && matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
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

#[cfg(test)]
mod tests;
