//! TLS to Postgres: the certificate and the name are always checked.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::Tls;

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("cannot read the certificates of sslrootcert={0}")]
    File(PathBuf, #[source] rustls::pki_types::pem::Error),
    #[error("sslrootcert={0} holds no certificate")]
    Empty(PathBuf),
    #[error("the system has no certificate authorities; name a file with sslrootcert")]
    NoSystem,
    #[error("TLS cannot be set up")]
    Rustls(#[from] rustls::Error),
}

/// What makes connections secure. Where TLS is off it trusts nobody, and is never asked.
pub(super) fn connector(tls: &Tls) -> Result<MakeRustlsConnect, TlsError> {
    let roots = match tls {
        Tls::Off => RootCertStore::empty(),
        Tls::System => system()?,
        Tls::File(file) => from_file(file)?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn from_file(file: &PathBuf) -> Result<RootCertStore, TlsError> {
    let unreadable = |error| TlsError::File(file.clone(), error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        roots.add(certificate.map_err(unreadable)?)?;
    }
    if roots.is_empty() { Err(TlsError::Empty(file.clone())) } else { Ok(roots) }
}

fn system() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // Stores of real systems hold the odd certificate that no longer parses.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoSystem) } else { Ok(roots) }
}
