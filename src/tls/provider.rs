//! The one choice of cryptography, and of the versions that are spoken.
//!
//! The provider is handed to every configuration rather than installed for the process, so that
//! nothing depends on who came first.

use std::sync::Arc;

use rustls::{
    SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    version::{TLS12, TLS13},
};

use crate::config::TlsVersion;

/// aws-lc: the fastest of those that rustls takes, and the one with a FIPS module.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// TLS 1.3 alone.
static NEWEST: [&SupportedProtocolVersion; 1] = [&TLS13];
/// All that are spoken at all.
static ALL: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// The versions from this one on.
pub(super) fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match least {
        TlsVersion::V1_2 => &ALL,
        TlsVersion::V1_3 => &NEWEST,
    }
}
