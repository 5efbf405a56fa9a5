//! What hyper does not tell about a request head, seen on its way in.
//!
//! hyper's limit on a head is that of its buffer, which a last read may exceed by as much again.
//! hyper drops `Content-Length` without a word when `Transfer-Encoding` is there too. It then
//! frames the message safely, but a request with both is an attack or a broken client, and is to be
//! refused. [`HeadWatch`] looks at the bytes that hyper reads and remembers these two facts.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::wire::Wire;

/// The header to look for, with what may begin a line before it.
const CONTENT_LENGTH: &[u8] = b"content-length";

/// Watches request heads line by line, across reads.
#[derive(Debug, Default)]
pub(super) struct HeadWatch {
    /// Past the empty line; what follows is body until [`Self::next`].
    in_body: bool,
    /// The beginning of a line that the last read cut off.
    cut: Vec<u8>,
    content_length: bool,
    /// Bytes of the head so far.
    length: usize,
}

impl HeadWatch {
    /// Looks at bytes as they are read.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !self.in_body {
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                let room = (CONTENT_LENGTH.len() + 1).saturating_sub(self.cut.len());
                self.cut.extend_from_slice(&bytes[..room.min(bytes.len())]);
                self.length += bytes.len();
                return;
            };
            let line = &bytes[..end];
            if self.cut.is_empty() {
                self.line(line);
            } else {
                let mut whole = std::mem::take(&mut self.cut);
                whole.extend_from_slice(&line[..line.len().min(CONTENT_LENGTH.len() + 1)]);
                self.line(&whole);
            }
            bytes = &bytes[end + 1..];
            self.length += end + 1;
        }
    }

    /// Whether the head had a `Content-Length`.
    pub(super) const fn has_content_length(&self) -> bool {
        self.content_length
    }

    /// How long the head is, in bytes.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// The exchange is over: the next bytes begin a new head.
    pub(super) fn next(&mut self) {
        self.in_body = false;
        self.content_length = false;
        self.length = 0;
        self.cut.clear();
    }

    fn line(&mut self, line: &[u8]) {
        match line {
            [] | [b'\r'] => self.in_body = true,
            [b'c' | b'C', ..] => {
                let name = line.get(..CONTENT_LENGTH.len());
                self.content_length |=
                    name.is_some_and(|name| name.eq_ignore_ascii_case(CONTENT_LENGTH));
            }
            _ => {}
        }
    }
}

/// A caller's connection whose heads are watched.
#[derive(Debug)]
pub(super) struct Watched {
    stream: Wire,
    watch: Rc<RefCell<HeadWatch>>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream) -> (Self, Rc<RefCell<HeadWatch>>) {
        let watch = Rc::default();
        (Self { stream: Wire::new(stream), watch: Rc::clone(&watch) }, watch)
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.watch.borrow_mut().feed(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
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
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::HeadWatch;
    use proptest::prelude::proptest;

    const BOTH: &[u8] =
        b"POST / HTTP/1.1\r\nHost: a\r\nCONTENT-length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn a_content_length_is_seen_in_the_head_and_not_in_the_body() {
        let mut watch = HeadWatch::default();
        watch.feed(b"POST / HTTP/1.1\r\nHost: a\r\n\r\ncontent-length: 5\r\n");
        assert!(!watch.has_content_length());
        watch.next();
        watch.feed(BOTH);
        assert!(watch.has_content_length());
        watch.next();
        assert!(!watch.has_content_length());
    }

    proptest! {
        #[test]
        fn where_the_reads_cut_does_not_matter(cuts in proptest::collection::vec(0_usize..80, 0..6)) {
            let mut cuts = cuts;
            cuts.extend([0, BOTH.len()]);
            cuts.sort_unstable();
            let mut watch = HeadWatch::default();
            for pair in cuts.windows(2) {
                watch.feed(&BOTH[pair[0].min(BOTH.len())..pair[1].min(BOTH.len())]);
            }
            assert!(watch.has_content_length());
            assert!(watch.in_body);
            assert_eq!(watch.length(), BOTH.len());
        }
    }
}
