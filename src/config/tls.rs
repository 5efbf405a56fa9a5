//! What a listener and an upstream are told about TLS: files, names, versions.
//!
//! The files are named here and read by [`crate::tls`], when connections are about to be made.

use std::path::PathBuf;

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// What it shows to callers.
    pub identity: IdentityFiles,
    /// The authorities of callers' certificates. Callers need none without it.
    pub client_ca: Option<PathBuf>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// TLS towards those endpoints of an upstream that are `https://`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamTls {
    /// The authorities of its certificate, in place of the system's.
    pub ca: Option<PathBuf>,
    /// What is shown to it when it asks.
    pub identity: Option<IdentityFiles>,
    /// The name that it is asked for and that its certificate must bear, in place of the
    /// endpoint's host.
    pub server_name: Option<String>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// A certificate and what proves that it is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The certificate, followed by those between it and its authority, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// A version of TLS. There is none below: those are broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// TLS 1.2
    #[default]
    V1_2,
    /// TLS 1.3
    V1_3,
}

impl TlsVersion {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}
