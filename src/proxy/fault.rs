//! Whose fault it is when an attempt fails, and what to call it.

use super::{body::Upload, h1::Broken};
use crate::domain::outcome::Reason;

/// The reason behind an attempt that died between sending and the response head.
///
/// A caller's broken body takes the upstream's connection down with it; the upload knows, and says
/// so first.
pub(super) fn of_send(broken: Broken, upload: &Upload) -> Reason {
    upload.fault.get().unwrap_or(match broken {
        Broken::Request => Reason::ClientBodyError,
        Broken::Answer => Reason::ProtocolError,
        Broken::Connection => Reason::ResetBeforeHeaders,
    })
}
