//! A caller's stream, to which writing may not stall.
//!
//! Heads have their limit and so do bodies, but neither bounds a caller that stops reading in the
//! middle of an answer: it would hold its call, and the upstream's connection, for ever.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How long a caller may take nothing of what is sent to it.
pub(super) const STALL_LIMIT: Duration = Duration::from_secs(60);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    pub(super) stream: S,
    /// Set while something waits, and what.
    stall: Option<(Waits, Pin<Box<Sleep>>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// There is something to be written.
    Write,
    /// Something that was written is still here. Where nothing is kept, a flush never waits and says
    /// nothing about writing.
    Flush,
}

impl<S> Bounded<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, stall: None }
    }

    /// Ends a wait that takes too long.
    fn bounded<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        waits: Waits,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            if waits == Waits::Write || matches!(self.stall, Some((Waits::Flush, _))) {
                self.stall = None;
            }
            return polled;
        }
        // A flush that nobody asked for again says nothing about how long a write has waited.
        let is_other = matches!(self.stall, Some((Waits::Flush, _))) && waits == Waits::Write;
        if is_other {
            self.stall = None;
        }
        let (_, stall) = self.stall.get_or_insert_with(|| (waits, Box::pin(sleep(STALL_LIMIT))));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.bounded(written, Waits::Write, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.bounded(flushed, Waits::Flush, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut_down = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bounded(shut_down, Waits::Flush, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.bounded(written, Waits::Write, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounded, STALL_LIMIT};
    use crate::clock;
    use std::{
        future::poll_fn,
        io::ErrorKind,
        pin::Pin,
        task::{Poll, ready},
        time::Duration,
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_stops_reading_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut stream = Bounded::new(listener.accept().await.unwrap().0);
        let began = clock::now();
        let piece = vec![0; 64 << 20];
        let error = poll_fn(|cx| {
            loop {
                // Asked to flush, a socket says that it has, whatever it does not take.
                assert!(Pin::new(&mut stream).poll_flush(cx).is_ready());
                match ready!(Pin::new(&mut stream).poll_write(cx, &piece)) {
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(error),
                }
            }
        });
        assert_eq!(error.await.kind(), ErrorKind::TimedOut);
        assert!(clock::now() - began >= STALL_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_reads_now_and_then_is_not() {
        let (ours, mut callers) = tokio::io::duplex(1);
        let mut stream = Bounded::new(ours);
        let writing = stream.write_all(&[7; 5]);
        let reading = async {
            let mut taken = [0; 5];
            for byte in taken.chunks_mut(1) {
                tokio::time::sleep(STALL_LIMIT - Duration::from_secs(1)).await;
                callers.read_exact(byte).await.unwrap();
            }
        };
        tokio::join!(writing, reading).0.unwrap();
    }
}
