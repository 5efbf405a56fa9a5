//! A caller's stream at its beginning, and for HTTP/2 to its end: what was read to learn the protocol
//! is read again, and small messages go out with a plain `send`.
//!
//! hyper hands over a message as a list of slices, head and body. For a few hundred bytes the copy
//! into one slice costs less than what the kernel does for a list; large bodies are not copied.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::transport::Transport;

/// Lists up to this many bytes are copied.
const SMALL: usize = 2048;

/// Room for what is read ahead: most heads are smaller.
const AHEAD: usize = 4 << 10;

/// What HTTP/2 begins with (RFC 9113 §3.4). No other request does: `PRI` is kept free for it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug)]
pub(super) struct Wire {
    stream: Transport,
    /// Read to learn the protocol, and not yet handed on.
    ahead: BytesMut,
    /// Kept for its room.
    joined: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: Transport) -> Self {
        Self { stream, ahead: BytesMut::new(), joined: Vec::new() }
    }

    /// What there is beneath, and what has been read from it.
    pub(super) fn into_parts(self) -> (Transport, BytesMut) {
        (self.stream, self.ahead)
    }

    /// Whether the caller begins as HTTP/2 does. Reads no further than it must to tell.
    pub(super) async fn speaks_http2(&mut self) -> io::Result<bool> {
        self.ahead.reserve(AHEAD);
        loop {
            let seen = self.ahead.len().min(PREFACE.len());
            if self.ahead[..seen] != PREFACE[..seen] {
                return Ok(false);
            }
            if seen == PREFACE.len() {
                return Ok(true);
            }
            if self.stream.read_buf(&mut self.ahead).await? == 0 {
                return Ok(false);
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let length = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..length]);
        self.ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let [only] = bufs {
            return Pin::new(&mut this.stream).poll_write(cx, only);
        }
        if bufs.iter().map(|buf| buf.len()).sum::<usize>() > SMALL {
            return Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        }
        this.joined.clear();
        bufs.iter().for_each(|buf| this.joined.extend_from_slice(buf));
        Pin::new(&mut this.stream).poll_write(cx, &this.joined)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
