//! A TCP stream that sends small messages with a plain `send`.
//!
//! hyper hands over a message as a list of slices, head and body. For a few hundred bytes the copy
//! into one slice costs less than what the kernel does for a list; large bodies are not copied.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Lists up to this many bytes are copied.
const SMALL: usize = 2048;

#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    /// Kept for its room.
    joined: Vec<u8>,
}

impl Wire {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, joined: Vec::new() }
    }

    /// How much there is to read, up to one byte, left where it is. Zero is the end.
    pub(super) fn poll_peek(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.stream.poll_peek(cx, &mut ReadBuf::new(&mut [0]))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
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
