//! Why TLS cannot be set up, with the key of the configuration that it is about.

use std::{error::Error, fmt, path::PathBuf};

use super::pem::FileError;

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A certificate is none, or of a kind that is not supported.
    #[error("{0} holds a certificate that cannot be used")]
    Certificate(PathBuf, #[source] rustls::Error),
    /// A key is of a kind that is not supported.
    #[error("{0} holds a key that cannot be used")]
    Key(PathBuf, #[source] rustls::Error),
    /// The key is that of another certificate.
    #[error("the key in {key} is not that of the certificate in {certificate}")]
    Mismatch {
        /// Where the certificate is.
        certificate: PathBuf,
        /// Where the key is.
        key: PathBuf,
    },
    /// There is nobody to trust.
    #[error("the system has no certificate authorities; name a file of them here")]
    NoSystemRoots,
    /// No certificate can bear this name.
    #[error("`{0}` can be no name of a certificate; give another here")]
    Name(String),
    /// Anything else.
    #[error("TLS cannot be set up")]
    Rustls(#[from] rustls::Error),
}

/// What is wrong, and where the configuration says it.
#[derive(Debug)]
pub struct Fault {
    /// The key: `listeners.egress.tls.key`.
    pub path: String,
    /// What is wrong with it.
    pub cause: Cause,
}

impl Fault {
    /// What is wrong with a key of the mapping at `place`.
    pub(super) fn new(place: &str, key: &str, cause: impl Into<Cause>) -> Self {
        Self { path: format!("{place}.{key}"), cause: cause.into() }
    }

    /// What is wrong, down to the first cause.
    pub fn message(&self) -> String {
        let mut message = self.cause.to_string();
        let mut deeper = self.cause.source();
        while let Some(cause) = deeper {
            message = format!("{message}: {cause}");
            deeper = cause.source();
        }
        message
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message())
    }
}

/// Everything that is wrong.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// The value; none where there are faults, which are kept.
    pub(super) fn take<T>(&mut self, made: Result<T, Self>) -> Option<T> {
        made.map_err(|more| self.extend(more)).ok()
    }

    fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// The value, if nothing is wrong.
    pub(super) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Both values, or what is wrong with either.
    pub(super) fn both<A, B>(a: Result<A, Self>, b: Result<B, Self>) -> Result<(A, B), Self> {
        match (a, b) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            (Err(mut faults), Err(more)) => {
                faults.extend(more);
                Err(faults)
            }
            (Err(faults), Ok(_)) | (Ok(_), Err(faults)) => Err(faults),
        }
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(Fault::to_string).collect();
        f.write_str(&all.join("; "))
    }
}

impl Error for Faults {}
