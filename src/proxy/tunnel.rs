//! A connection that has been switched to another protocol: bytes both ways until one side ends it.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes},
    time::timeout_at,
};

use super::{exchange::Exchange, h1::Switched, stream::Watched};
use crate::{clock, domain::outcome::Reason};

/// Bytes on their way in each direction.
const BUFFER: usize = 16 << 10;

/// See the module's text. Its call ends with it.
#[derive(Debug)]
pub(super) struct Tunnel {
    exchange: Box<Exchange>,
    upstream: Switched,
    /// How long nothing may move in either direction.
    idle: Duration,
}

impl Tunnel {
    pub(super) const fn new(exchange: Box<Exchange>, upstream: Switched, idle: Duration) -> Self {
        Self { exchange, upstream, idle }
    }

    /// Carries what comes. `ahead` is what the caller sent right behind its request.
    pub(super) async fn carry(self, caller: Watched, ahead: Bytes) {
        let Self { mut exchange, upstream: switched, idle } = self;
        // What else there is of it goes when the tunnel does.
        let (stream, answered) = (switched.stream, switched.ahead);
        let moved = Rc::new(Cell::new(clock::now()));
        let mut caller = Side::new(caller, ahead, &moved);
        let mut upstream = Side::new(stream, answered, &moved);
        let ended = {
            let copying = copy_bidirectional_with_sizes(&mut caller, &mut upstream, BUFFER, BUFFER);
            let mut copying = pin!(copying);
            loop {
                match timeout_at((moved.get() + idle).into(), copying.as_mut()).await {
                    Ok(ended) => break Some(ended.is_ok()),
                    Err(_) if clock::now() >= moved.get() + idle => break None,
                    Err(_) => {}
                }
            }
        };
        exchange.upload().bytes.set(caller.bytes);
        exchange.add_response_bytes(upstream.bytes);
        match ended {
            Some(true) => exchange.body_ended(None),
            Some(false) if upstream.is_broken => exchange.body_failed(Reason::ResetMidBody),
            Some(false) => exchange.body_failed(Reason::ClientGoneMidBody),
            None => exchange.body_failed(Reason::TunnelIdle),
        }
    }
}

/// One side: what it sends is counted.
#[derive(Debug)]
struct Side<S> {
    stream: S,
    /// Sent before the tunnel began.
    ahead: Bytes,
    bytes: u64,
    /// It was this side that failed.
    is_broken: bool,
    /// When something moved last, on either side.
    moved: Rc<Cell<Instant>>,
}

impl<S> Side<S> {
    fn new(stream: S, ahead: Bytes, moved: &Rc<Cell<Instant>>) -> Self {
        Self { stream, ahead, bytes: 0, is_broken: false, moved: Rc::clone(moved) }
    }

    /// Remembers a failure of this side.
    fn noting<T>(&mut self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.is_broken |= matches!(polled, Poll::Ready(Err(_)));
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Side<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if this.ahead.is_empty() {
            let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
            ready!(this.noting(polled))?;
        } else {
            let length = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead[..length]);
            this.ahead.advance(length);
        }
        this.bytes += (buf.filled().len() - before) as u64;
        this.moved.set(clock::now());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Side<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.noting(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.noting(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.noting(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.noting(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
