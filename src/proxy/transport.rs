//! The byte streams that messages travel on, whatever they are made of.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf},
    net::{TcpStream, UnixStream},
};

use crate::tls::TlsStream;

/// A stream to a caller or to an upstream.
#[derive(Debug)]
pub(super) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// Whether nothing has come: neither the end nor bytes that nobody asked for. Costs a system
    /// call only if the runtime has heard of something.
    pub(super) fn is_quiet(&mut self) -> bool {
        let heard = match self {
            Self::Tcp(stream) => stream.try_read(&mut [0]),
            Self::Unix(stream) => stream.try_read(&mut [0]),
            // What has come may be about the session and nothing to be read.
            Self::Tls(stream) => {
                let mut byte = [0];
                let mut byte = ReadBuf::new(&mut byte);
                let mut cx = Context::from_waker(Waker::noop());
                return Pin::new(stream).poll_read(&mut cx, &mut byte).is_pending();
            }
        };
        matches!(heard, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Ends it in a way that the other side can tell from an orderly end. Over TLS any end without a
    /// goodbye can be told, and a Unix socket knows one kind of end only.
    pub(super) fn cut(&self) {
        if let Self::Tcp(stream) = self {
            // One that is gone already needs no telling.
            let _gone = stream.set_zero_linger();
        }
    }

    /// How much there is to read, up to one byte, left where it is if it can be, else put into
    /// `ahead`. Zero is the end.
    pub(super) fn poll_peek(
        &mut self,
        ahead: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tls(stream) => {
                ahead.reserve(1);
                pin!(stream.read_buf(ahead)).poll(cx)
            }
            Self::Tcp(stream) => stream.poll_peek(cx, &mut ReadBuf::new(&mut [0])),
            Self::Unix(stream) => loop {
                ready!(stream.poll_read_ready(cx))?;
                let peek = || SockRef::from(&*stream).peek(&mut [MaybeUninit::uninit()]);
                match stream.try_io(Interest::READABLE, peek) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    peeked => return Poll::Ready(peeked),
                }
            },
        }
    }
}

/// Does the same with whichever stream it is.
macro_rules! each {
    ($transport:expr, $stream:ident => $do:expr) => {
        match $transport.get_mut() {
            Transport::Tcp($stream) => $do,
            Transport::Unix($stream) => $do,
            Transport::Tls($stream) => $do,
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
