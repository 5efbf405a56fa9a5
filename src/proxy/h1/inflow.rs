//! What has been read from a connection and not taken, and how much to read next.

use std::{
    io,
    pin::pin,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Room for a read: most messages are smaller.
const ROOM: usize = 4 << 10;
/// Room for a read of a large body. With less, small pieces wake the task more often.
const MAX_ROOM: usize = 256 << 10;

/// See the module's text.
#[derive(Debug)]
pub(in crate::proxy) struct Inflow {
    pub(in crate::proxy) buffer: BytesMut,
    /// Grows while reads fill it.
    room: usize,
}

impl Inflow {
    /// With what has been read already.
    pub(in crate::proxy) const fn new(buffer: BytesMut) -> Self {
        Self { buffer, room: ROOM }
    }

    /// Reads more. Zero is the end.
    pub(in crate::proxy) fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        // What is left of the last room will do as long as it is not too little.
        if self.buffer.capacity() - self.buffer.len() < self.room / 4 {
            self.buffer.reserve(self.room);
        }
        let read = ready!(pin!(stream.read_buf(&mut self.buffer)).poll(cx))?;
        if self.buffer.len() == self.buffer.capacity() {
            self.room = (self.room * 2).min(MAX_ROOM);
        }
        Poll::Ready(Ok(read))
    }

    /// Gives up what was needed for a large message.
    pub(in crate::proxy) fn rest(&mut self) {
        if self.room > ROOM && self.buffer.is_empty() {
            *self = Self::new(BytesMut::new());
        }
    }
}
