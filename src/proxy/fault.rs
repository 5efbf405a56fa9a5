//! Whose fault it is when an attempt fails, and what to call it.

use std::error::Error as _;

use h2::Reason as Code;

use super::{h1::Broken, upload::Upload};
use crate::{domain::outcome::Reason, tls::Failure};

/// The reason behind an attempt that died between sending and the response head.
///
/// A caller's broken body takes the upstream's connection down with it; the upload knows, and says
/// so first.
pub(super) fn of_send(broken: Broken, upload: &Upload) -> Reason {
    upload.fault.get().unwrap_or(match broken {
        Broken::Request => Reason::ClientBodyError,
        Broken::Malformed => Reason::ProtocolError,
        Broken::Connection => Reason::ResetBeforeHeaders,
        Broken::Tls(reason) => reason,
    })
}

/// The same over HTTP/2.
pub(super) fn of_stream(error: &hyper::Error, upload: &Upload) -> Reason {
    let own = upload.fault.get().or_else(|| error.is_user().then_some(Reason::ClientBodyError));
    own.or_else(|| Failure::within(error).map(|failure| failure.reason)).unwrap_or_else(|| {
        if is_malformed(error) { Reason::ProtocolError } else { Reason::ResetBeforeHeaders }
    })
}

/// The reason behind an HTTP/2 body that broke off.
pub(super) fn of_body(error: &hyper::Error) -> Reason {
    if is_malformed(error) { Reason::ProtocolError } else { Reason::ResetMidBody }
}

/// Whether the upstream says that it has done nothing for the request (RFC 9113 §8.7): it refused
/// the stream, or said goodbye and named an earlier one as the last that it has looked at.
pub(super) fn is_refused(error: &hyper::Error) -> bool {
    cause(error).is_some_and(|error| {
        error.reason() == Some(Code::REFUSED_STREAM) || (error.is_go_away() && error.is_remote())
    })
}

/// Whether the upstream broke the rules of HTTP/2, or cannot speak it.
fn is_malformed(error: &hyper::Error) -> bool {
    matches!(
        cause(error).and_then(h2::Error::reason),
        Some(
            Code::PROTOCOL_ERROR
                | Code::FRAME_SIZE_ERROR
                | Code::FLOW_CONTROL_ERROR
                | Code::COMPRESSION_ERROR
                | Code::STREAM_CLOSED
                | Code::HTTP_1_1_REQUIRED
        )
    )
}

/// What HTTP/2 says about it, such as a reset or a goodbye.
fn cause(error: &hyper::Error) -> Option<&h2::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        source = error.source();
    }
    None
}
