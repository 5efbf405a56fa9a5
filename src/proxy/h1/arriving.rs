//! The body of an answer, read from its connection as it is asked for.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::{net::tcp::OwnedWriteHalf, task::JoinHandle};

use super::{
    Broken,
    connection::{Connection, Source},
    decoder::{Decoder, Framing},
    sending::Sending,
};

/// A body on its way in.
#[derive(Debug)]
pub(in crate::proxy) struct Arriving {
    /// None once the connection has gone on.
    source: Option<Source>,
    decoder: Decoder,
    /// The connection may carry another call.
    is_reusable: bool,
    /// The rest of the request, when the upstream answered before it had all of it.
    upload: Option<JoinHandle<Result<(), Broken>>>,
}

impl Arriving {
    pub(super) const fn new(source: Source, framing: Framing, is_reusable: bool) -> Self {
        Self { source: Some(source), decoder: Decoder::new(framing), is_reusable, upload: None }
    }

    /// Lets the rest of the request go on by itself: the caller may read nothing before it has
    /// written all. It ends with the caller's body, which has its limits, and that with the caller.
    pub(super) fn during<B: Body<Data = Bytes> + Unpin + 'static>(
        mut self,
        mut sending: Sending<B>,
        mut writing: OwnedWriteHalf,
    ) -> Self {
        self.upload = Some(tokio::task::spawn_local(async move {
            let sent = std::future::poll_fn(|cx| sending.poll(&mut writing, cx)).await;
            // To some upstreams a connection that is closed in one direction is closed.
            writing.forget();
            sent
        }));
        self
    }

    /// The connection, if it can carry another call. Once, when the body is done.
    pub(in crate::proxy) fn take_connection(&mut self) -> Option<Connection> {
        if !self.is_reusable || !self.decoder.is_done() {
            return None;
        }
        match self.source.take()? {
            Source::Connection(connection) => connection.rested(),
            Source::Half(..) => None,
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        while !self.decoder.is_done() {
            let Some(source) = &mut self.source else { break };
            match self.decoder.take(source.buffer()) {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(None) if self.decoder.is_done() => break,
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            match source.poll_read(cx) {
                Poll::Ready(Ok(0)) => {
                    if let Err(error) = self.decoder.end() {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(Broken::Connection))),
                Poll::Pending => return self.poll_upload(cx).map(|error| Some(Err(error))),
            }
        }
        Poll::Ready(None)
    }

    /// Whether the rest of the request has failed, and the answer with it.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        let Some(upload) = &mut self.upload else { return Poll::Pending };
        let Poll::Ready(ended) = Pin::new(upload).poll(cx) else { return Poll::Pending };
        self.upload = None;
        match ended {
            Ok(Ok(())) => Poll::Pending,
            Ok(Err(error)) => Poll::Ready(error),
            Err(_) => Poll::Ready(Broken::Request),
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.get_mut().poll_data(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.decoder.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.left().map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
