//! Files in PEM: certificates and private keys, read within a bound.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

/// No file that holds what it should is larger: the bundles of systems are a quarter of it.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {0}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// It is a directory, a device or a pipe.
    #[error("{0} is no file")]
    NotAFile(PathBuf),
    /// It is larger than anything that belongs in it.
    #[error("{0} is larger than 1 MiB")]
    TooLarge(PathBuf),
    /// It is cut off, or no PEM.
    #[error("{0} is damaged")]
    Damaged(PathBuf, #[source] pem::Error),
    /// It holds no certificate.
    #[error("{0} holds no certificate")]
    NoCertificate(PathBuf),
    /// It holds no key, or only one behind a password.
    #[error("{0} holds no private key; one that is encrypted cannot be used")]
    NoKey(PathBuf),
}

/// The certificates of a file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(FileError::NoCertificate(path.to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(FileError::Damaged(path.to_owned(), error)),
    }
}

/// The first private key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => FileError::NoKey(path.to_owned()),
        error => FileError::Damaged(path.to_owned(), error),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let unreadable = |error| FileError::Unreadable(path.to_owned(), error);
    // Asked before it is opened, for opening a pipe waits until somebody writes to it.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(FileError::NotAFile(path.to_owned()));
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    Ok(text)
}
