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

use super::{exchange::Exchange, h1::Switched, own::Ids, stream::Bounded, transport::Transport};
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

    /// What its call is known by.
    pub(super) const fn ids(&self) -> Ids<'_> {
        self.exchange.ids()
    }

    /// Carries what comes. `ahead` is what the caller sent right behind its request.
    pub(super) async fn carry(self, caller: Bounded<Transport>, ahead: Bytes) {
        let Self { exchange, upstream: switched, idle } = self;
        let mut carried = Carried { exchange, from_caller: Rc::default(), answered: Rc::default() };
        // What else there is of it goes when the tunnel does.
        let (stream, answered) = (switched.stream, switched.ahead);
        let moved = Rc::new(Cell::new(clock::now()));
        let mut caller = Side::new(caller, ahead, &carried.from_caller, &moved);
        let mut upstream = Side::new(stream, answered, &carried.answered, &moved);
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
        let exchange = &mut carried.exchange;
        match ended {
            Some(true) => exchange.body_ended(None),
            Some(false) if upstream.is_broken => exchange.body_failed(Reason::ResetMidBody),
            Some(false) => exchange.body_failed(Reason::ClientGoneMidBody),
            None => exchange.body_failed(Reason::TunnelIdle),
        }
    }
}

/// A tunnel's call, and the bytes that went through, which it is told whatever ends it.
#[derive(Debug)]
struct Carried {
    exchange: Box<Exchange>,
    from_caller: Rc<Cell<u64>>,
    answered: Rc<Cell<u64>>,
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.exchange.upload().bytes.set(self.from_caller.get());
        self.exchange.add_response_bytes(self.answered.get());
    }
}

/// One side: what it sends is counted.
#[derive(Debug)]
struct Side<S> {
    stream: S,
    /// Sent before the tunnel began.
    ahead: Bytes,
    bytes: Rc<Cell<u64>>,
    /// It was this side that failed.
    is_broken: bool,
    /// It has sent its last.
    has_ended: bool,
    /// When something moved last, on either side.
    moved: Rc<Cell<Instant>>,
}

impl<S> Side<S> {
    fn new(stream: S, ahead: Bytes, bytes: &Rc<Cell<u64>>, moved: &Rc<Cell<Instant>>) -> Self {
        let (bytes, moved) = (Rc::clone(bytes), Rc::clone(moved));
        Self { stream, ahead, bytes, has_ended: false, is_broken: false, moved }
    }

    /// Remembers a failure of this side. One that has said all that it has to say may leave.
    fn noting<T>(&mut self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.is_broken |= matches!(polled, Poll::Ready(Err(_))) && !self.has_ended;
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
            let mut polled = Pin::new(&mut this.stream).poll_read(cx, buf);
            // Of TLS: what goes through a tunnel says itself where it ends.
            if matches!(&polled, Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof) {
                polled = Poll::Ready(Ok(()));
            }
            ready!(this.noting(polled))?;
            this.has_ended |= buf.filled().len() == before;
        } else {
            let length = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead[..length]);
            this.ahead.advance(length);
        }
        this.bytes.set(this.bytes.get() + (buf.filled().len() - before) as u64);
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
