//! Authorities: whose certificates are believed.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use rustls::RootCertStore;

use super::{fault::Cause, pem};

/// The authorities in a file, and no others.
pub(crate) fn from_file(path: &Path) -> Result<Arc<RootCertStore>, Cause> {
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(path)? {
        roots.add(certificate).map_err(|error| Cause::Certificate(path.to_owned(), error))?;
    }
    Ok(Arc::new(roots))
}

/// The authorities of the system. Empty where it has none.
pub(crate) fn of_system() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // Stores of real systems hold the odd certificate that no longer parses.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(roots)
}

/// The same, read once by the first who asks.
#[derive(Debug, Default)]
pub(super) struct SystemRoots(OnceLock<Arc<RootCertStore>>);

impl SystemRoots {
    /// The authorities of the system.
    ///
    /// # Errors
    /// It has none.
    pub(super) fn get(&self) -> Result<Arc<RootCertStore>, Cause> {
        let roots = self.0.get_or_init(of_system);
        if roots.is_empty() { Err(Cause::NoSystemRoots) } else { Ok(Arc::clone(roots)) }
    }
}
