//! Why a handshake failed, in the words of somebody who has to mend it.

use std::{error::Error as StdError, io};

use jiff::Timestamp;
use rustls::{
    AlertDescription as Alert, CertificateError, Error, InvalidMessage, PeerIncompatible,
    pki_types::{ServerName, UnixTime},
};

use crate::domain::outcome::Reason;

/// As many names of a certificate are told.
const MAX_NAMES: usize = 5;

/// Why there is no TLS with a peer, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Failure {
    /// The reason, when the peer is an upstream.
    pub reason: Reason,
    /// What is wrong, for people.
    pub words: String,
}

impl Failure {
    fn new(reason: Reason, words: impl Into<String>) -> Self {
        Self { reason, words: words.into() }
    }

    /// Why a handshake failed.
    pub(super) fn of_handshake(error: io::Error) -> Self {
        Self::within(&error).unwrap_or_else(|| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Self::new(Reason::TlsFailure, "the peer closed the connection during the handshake")
            }
            _ => {
                let words = format!("the connection broke during the handshake: {error}");
                Self::new(Reason::TlsFailure, words)
            }
        })
    }

    /// The failure of TLS that an error of a connection stands for. In TLS 1.3 a server looks at
    /// a client's certificate when the client's handshake is over already.
    pub fn within(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            // The source of an I/O error is that of what it wraps, which would be passed by.
            let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            let wrapped = wrapped.map(|inner| inner as &(dyn StdError + 'static));
            if let Some(found) = wrapped.unwrap_or(error).downcast_ref::<Error>() {
                return Some(explain(found));
            }
            next = wrapped.or_else(|| error.source());
        }
        None
    }

    pub(super) fn of_name(name: &str) -> Self {
        let words = format!("`{name}` can be no name of a certificate; set `tls.server_name`");
        Self::new(Reason::TlsCertificate, words)
    }

    pub(super) fn without_http2() -> Self {
        Self::new(Reason::TlsFailure, "the peer does not speak HTTP/2")
    }
}

/// What an error of TLS means.
fn explain(error: &Error) -> Failure {
    let words = match error {
        Error::InvalidCertificate(error) => {
            return Failure::new(Reason::TlsCertificate, of_certificate(error));
        }
        Error::NoCertificatesPresented => "the peer shows no certificate".to_owned(),
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            // Every client of TLS 1.2 sends it, and no older one.
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => NO_VERSION.to_owned(),
        Error::PeerIncompatible(what) => format!("{NOTHING_IN_COMMON} ({what:?})"),
        Error::NoApplicationProtocol => NO_PROTOCOL.to_owned(),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => "the peer does not speak TLS".to_owned(),
        other => format!("the handshake failed: {other}"),
    };
    Failure::new(Reason::TlsFailure, words)
}

const NO_VERSION: &str = "no version of TLS in common; the oldest spoken here is `min_version`";
const NO_PROTOCOL: &str = "no version of HTTP in common (ALPN)";
const NOTHING_IN_COMMON: &str =
    "no way of encrypting in common, or the peer asks for a certificate that it does not get";

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired => "the peer's certificate has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the peer's certificate expired at {}", moment(*not_after))
        }
        CertificateError::NotValidYet => "the peer's certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the peer's certificate is not valid before {}", moment(*not_before))
        }
        CertificateError::NotValidForName => {
            "the peer's certificate is for another name".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            wrong_name(expected, presented)
        }
        CertificateError::UnknownIssuer => {
            "the peer's certificate is of an authority that is not trusted".to_owned()
        }
        CertificateError::Revoked => "the peer's certificate is revoked".to_owned(),
        CertificateError::BadSignature => {
            "the peer's certificate is not signed by the authority that it names".to_owned()
        }
        CertificateError::BadEncoding => "the peer's certificate is damaged".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the peer's certificate is for another purpose (extended key usage)".to_owned()
        }
        // The only way to it: the crate that names this error is not ours.
        CertificateError::Other(inner) if inner.to_string() == "CaUsedAsEndEntity" => {
            "the peer's certificate is that of an authority, which no server may show".to_owned()
        }
        other => format!("the peer's certificate cannot be used: {other}"),
    }
}

fn wrong_name(expected: &ServerName<'_>, presented: &[String]) -> String {
    let expected = expected.to_str();
    let names: Vec<_> = presented.iter().take(MAX_NAMES).map(|name| plain(name)).collect();
    let more = if presented.len() > MAX_NAMES { " and others" } else { "" };
    match names.as_slice() {
        [] => format!("the peer's certificate bears no name, and `{expected}` was asked for"),
        names => {
            let names = names.join(", ");
            format!("the peer's certificate is for {names}{more}, not for `{expected}`")
        }
    }
}

/// A name of a certificate, without the kind that rustls writes around it: `DnsName("a")`.
fn plain(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    let inner = inner.map(|inner| inner.trim_matches('"'));
    let harmless = inner.unwrap_or(name).chars().filter(char::is_ascii_graphic);
    format!("`{}`", harmless.take(253).collect::<String>())
}

fn of_alert(alert: Alert) -> String {
    let refused = "the peer does not accept our certificate";
    match alert {
        Alert::CertificateRequired => {
            "the peer asks for a certificate; set `tls.certificate` and `tls.key`".to_owned()
        }
        Alert::UnknownCA => format!("{refused}: it does not trust its authority"),
        Alert::CertificateExpired => format!("{refused}: it has expired"),
        Alert::CertificateRevoked => format!("{refused}: it is revoked"),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::AccessDenied
        | Alert::NoCertificate => format!("{refused} ({alert:?})"),
        Alert::ProtocolVersion => NO_VERSION.to_owned(),
        Alert::HandshakeFailure | Alert::InsufficientSecurity => NOTHING_IN_COMMON.to_owned(),
        Alert::UnrecognisedName => {
            "the peer does not know the name that it is asked for".to_owned()
        }
        Alert::NoApplicationProtocol => NO_PROTOCOL.to_owned(),
        other => format!("the peer gave up ({other:?})"),
    }
}

fn moment(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let moment = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| "a date that cannot be told".to_owned(), |moment| moment.to_string())
}
