//! The body of a caller's request, whichever protocol it comes over.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::served::Receiving;

/// A body on its way in.
#[derive(Debug)]
pub(super) enum Received {
    /// Nothing, as with most requests.
    Nothing,
    Http1(Receiving),
    Http2(Incoming),
}

/// It ended early, or made no sense.
#[derive(Debug)]
pub(super) struct Malformed;

impl Body for Received {
    type Data = Bytes;
    type Error = Malformed;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Malformed>>> {
        match self.get_mut() {
            Self::Nothing => Poll::Ready(None),
            Self::Http1(body) => Pin::new(body).poll_frame(cx).map_err(|_| Malformed),
            Self::Http2(body) => Pin::new(body).poll_frame(cx).map_err(|_| Malformed),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
