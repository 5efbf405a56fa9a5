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
        Broken::Answer => Reason::ProtocolError,
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

/// Whether the upstream says that it has done nothing for the request (RFC 9113 §8.7).
pub(super) fn is_refused(error: &hyper::Error) -> bool {
    code(error) == Some(Code::REFUSED_STREAM)
}

/// Whether the upstream broke the rules of HTTP/2, or cannot speak it.
fn is_malformed(error: &hyper::Error) -> bool {
    matches!(
        code(error),
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

/// The code of a reset or of a goodbye.
fn code(error: &hyper::Error) -> Option<Code> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.reason();
        }
        source = error.source();
    }
    None
}
