//! The text of a configuration and where it is from.
//!
//! Whether it is YAML is not known here; that it is text of a bearable size is.

use std::{fs::File, io::Read, path::Path};

use super::{
    environment::Environment, file::Span, path::Path as KeyPath, problem::Problems,
    reading::Reading, secrets::Secrets,
};

/// The largest configuration, in bytes. Real ones have a few kilobytes.
pub const MAX_SOURCE_BYTES: usize = 1 << 20;

/// A configuration as written.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name, as shown in problems.
    pub name: String,
    /// What it says.
    pub text: String,
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is too large, or is no UTF-8.
    pub fn from_file(path: &Path) -> Result<Self, Problems> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        let bound = u64::try_from(MAX_SOURCE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        File::open(path)
            .and_then(|file| file.take(bound).read_to_end(&mut bytes))
            .map_err(|error| Problems::of_file(&name, format!("cannot be read: {error}")))?;
        Self::from_bytes(name, bytes)
    }

    /// The variable `FUSEBOX_CONFIG`, which may hold the YAML itself.
    pub fn from_environment(environment: &Environment) -> Option<Self> {
        let text = environment.get(Self::VARIABLE)?.to_owned();
        Some(Self { name: Self::VARIABLE.to_owned(), text })
    }

    /// The variable that may hold a configuration.
    pub const VARIABLE: &'static str = "FUSEBOX_CONFIG";

    /// Takes bytes that are already read.
    ///
    /// # Errors
    /// They are too many, or no UTF-8.
    pub fn from_bytes(name: String, bytes: Vec<u8>) -> Result<Self, Problems> {
        if bytes.len() > MAX_SOURCE_BYTES {
            return Err(Problems::of_file(&name, TOO_LARGE));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            let (environment, span) = (Environment::default(), Span::between(&text, at, at + 1));
            let reading = Reading::new(&environment);
            reading.error(Some(span), &KeyPath::root(), "no UTF-8 text from here on");
            reading.finish(&name, &text, &Secrets::Unparsed)
        })?;
        Ok(Self { name, text })
    }
}

/// Why a configuration of more than [`MAX_SOURCE_BYTES`] is refused.
pub(super) const TOO_LARGE: &str = "is larger than 1 MiB, the most that a configuration may have";

impl std::fmt::Debug for Source {
    /// Its name only: the text may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Source").field(&self.name).finish()
    }
}
