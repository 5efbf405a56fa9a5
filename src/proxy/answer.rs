//! The body of an upstream's answer, whichever protocol it comes over.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{
    fault,
    h1::{Arriving, Outbound, Switched},
    h2::Streaming,
};
use crate::domain::outcome::Reason;

/// A body on its way in.
#[derive(Debug)]
pub(super) enum Answer {
    Http1(Arriving),
    /// A stream of a connection that others share. It counts there until it is dropped.
    Http2 {
        incoming: Incoming,
        _share: Streaming,
    },
}

impl Answer {
    /// The connection, when it can carry another call. The body must have come to its end.
    pub(super) fn take_connection(&mut self) -> Option<Box<Outbound>> {
        match self {
            Self::Http1(arriving) => arriving.take_connection(),
            Self::Http2 { .. } => None,
        }
    }

    /// The connection as what it has been switched to.
    pub(super) fn into_switched(self) -> Option<Switched> {
        match self {
            Self::Http1(arriving) => arriving.into_switched(),
            Self::Http2 { .. } => None,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Reason;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Reason>>> {
        Poll::Ready(match self.get_mut() {
            Self::Http1(arriving) => {
                let frame = ready!(Pin::new(arriving).poll_frame(cx));
                frame.map(|frame| frame.map_err(|_| Reason::ResetMidBody))
            }
            Self::Http2 { incoming, .. } => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                frame.map(|frame| frame.map_err(|error| fault::of_body(&error)))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(arriving) => arriving.is_end_stream(),
            Self::Http2 { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(arriving) => arriving.size_hint(),
            Self::Http2 { incoming, .. } => incoming.size_hint(),
        }
    }
}
