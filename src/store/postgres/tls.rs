//! TLS to Postgres: the certificate and the name are always checked.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::Tls;
use crate::tls::{self, roots};

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("sslrootcert cannot be used")]
    Authorities(#[from] tls::Cause),
    #[error("the system has no certificate authorities; name a file with sslrootcert")]
    NoSystem,
    #[error("TLS cannot be set up")]
    Rustls(#[from] rustls::Error),
}

/// What makes connections secure. Where TLS is off it trusts nobody, and is never asked.
pub(super) fn connector(tls: &Tls) -> Result<MakeRustlsConnect, TlsError> {
    let roots = match tls {
        Tls::Off => Arc::new(RootCertStore::empty()),
        Tls::System => roots::of_system(),
        Tls::File(file) => roots::from_file(file)?,
    };
    if *tls == Tls::System && roots.is_empty() {
        return Err(TlsError::NoSystem);
    }
    let config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
