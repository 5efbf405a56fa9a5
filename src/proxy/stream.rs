//! A caller's connection as hyper sees it: what is read is watched, and writing may not stall.
//!
//! hyper bounds how long a head takes and bodies have their idle limits, but nothing bounds a
//! caller that stops reading in the middle of a response: it would hold its call, and the
//! upstream's connection, for ever.
//!
//! hyper can look for a caller that goes away in the middle of a call, but does so by a read, for
//! which it makes room: a new buffer for every call, since the head is still in the old one.
//! [`Caller::poll_gone`] looks without.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    framing::{Head, HeadWatch},
    wire::Wire,
};

/// How long a caller may take nothing of what is sent to it.
pub(super) const STALL_LIMIT: Duration = Duration::from_secs(60);

/// The one who calls, at the other end of a connection.
#[derive(Debug)]
pub(super) struct Caller {
    stream: Wire,
    /// Follows HTTP/1.1; none for another protocol.
    watch: Option<HeadWatch>,
    /// Set while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Caller {
    /// One who speaks HTTP/1.1.
    pub(super) fn http1(stream: Wire) -> Rc<RefCell<Self>> {
        let watch = Some(HeadWatch::default());
        Rc::new(RefCell::new(Self { stream, watch, stall: None }))
    }

    /// One who speaks HTTP/2, whose heads hyper tells all about.
    pub(super) fn http2(stream: Wire) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self { stream, watch: None, stall: None }))
    }

    /// What hyper does not tell about the head of the call that begins now. Once per call.
    pub(super) fn take_head(&mut self) -> Head {
        self.watch.as_mut().map_or_else(Head::default, HeadWatch::take)
    }

    /// Whether the caller is in the middle of a body.
    pub(super) fn is_in_body(&self) -> bool {
        self.watch.as_ref().is_some_and(HeadWatch::is_in_body)
    }

    /// Whether the caller went away while it waits for an answer, as far as that shows: not before
    /// what it sent ahead has been read.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.watch.as_ref().is_some_and(HeadWatch::is_between_messages) {
            return Poll::Pending;
        }
        match self.stream.poll_peek(cx) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
        }
    }

    /// Ends a wait that takes too long.
    fn bounded<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stall = None;
            return polled;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(STALL_LIMIT)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// A caller's connection. See the module's text.
#[derive(Debug)]
pub(super) struct Watched(pub(super) Rc<RefCell<Caller>>);

impl Watched {
    /// What comes from now on is no HTTP.
    pub(super) fn stop_watching(&mut self) {
        self.0.borrow_mut().watch = None;
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut caller = self.0.borrow_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut caller.stream).poll_read(cx, buf))?;
        if let Some(watch) = &mut caller.watch {
            watch.feed(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut caller = self.0.borrow_mut();
        let written = Pin::new(&mut caller.stream).poll_write(cx, buf);
        caller.bounded(written, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut caller = self.0.borrow_mut();
        let written = Pin::new(&mut caller.stream).poll_write_vectored(cx, bufs);
        caller.bounded(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::{Caller, STALL_LIMIT, Watched, Wire};
    use crate::{clock, proxy::transport::Transport};
    use std::io::ErrorKind;
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_stops_reading_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let stream = Wire::new(Transport::Tcp(listener.accept().await.unwrap().0));
        let mut stream = Watched(Caller::http1(stream));
        let began = clock::now();
        let error = stream.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(clock::now() - began >= STALL_LIMIT);
    }
}
