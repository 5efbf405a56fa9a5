//! Whose fault it is when an attempt fails, and what to call it.

use super::body::Upload;
use crate::domain::outcome::Reason;

/// The reason behind an attempt that died between sending and the response head.
///
/// hyper reports a caller's broken body as an error of the upstream connection; the upload knows
/// better, and says so first.
pub(super) fn of_send(error: &hyper::Error, upload: &Upload) -> Reason {
    if let Some(reason) = upload.fault.get() {
        return reason;
    }
    if error.is_user() {
        return Reason::Internal;
    }
    if error.is_parse() { Reason::ProtocolError } else { Reason::ResetBeforeHeaders }
}
