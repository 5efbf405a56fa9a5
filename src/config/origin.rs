//! The file that a configuration is from, so that it can be read again.

use std::path::{Path, PathBuf};

use super::{Environment, Loaded, Problems, Source, load};

/// See the module docs.
#[derive(Debug, Clone)]
pub struct Origin {
    path: PathBuf,
    /// The variables of the process, which are those of its start for as long as it lives.
    environment: Environment,
}

impl Origin {
    /// A file, whose variables are these.
    pub const fn new(path: PathBuf, environment: Environment) -> Self {
        Self { path, environment }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it as it is now.
    ///
    /// # Errors
    /// It cannot be used as it is; every problem is reported.
    pub fn load(&self) -> Result<Loaded, Problems> {
        load(&Source::from_file(&self.path)?, &self.environment)
    }
}
