//! Whose fault it is when an attempt fails, and what to call it.

use std::io::ErrorKind;

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

/// The reason behind a connection that did not come about.
pub(super) fn of_connect(error: &std::io::Error) -> Reason {
    match error.kind() {
        ErrorKind::ConnectionRefused => Reason::ConnectRefused,
        ErrorKind::TimedOut => Reason::ConnectTimeout,
        _ => Reason::ConnectReset,
    }
}

#[cfg(test)]
mod tests {
    use super::of_connect;
    use crate::domain::outcome::{Reason, Verdict};
    use std::io::{Error, ErrorKind};

    #[test]
    fn every_failed_connect_counts_against_the_upstream() {
        for (kind, reason) in [
            (ErrorKind::ConnectionRefused, Reason::ConnectRefused),
            (ErrorKind::TimedOut, Reason::ConnectTimeout),
            (ErrorKind::HostUnreachable, Reason::ConnectReset),
        ] {
            assert_eq!(of_connect(&Error::from(kind)), reason);
            assert_eq!(reason.verdict(), Verdict::Failure);
        }
    }
}
