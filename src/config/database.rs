//! Where breakers are shared and rows are kept.

use std::sync::Arc;

use super::{Aws, Secret};

/// The store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// A Postgres URL; none for the embedded SQLite file in `data_dir`.
    pub url: Option<Secret>,
    /// The schema of the tables.
    pub schema: String,
    /// Whether `run` brings the tables up to date.
    pub migrate: bool,
    /// What the environment says of AWS: with whose rights one signs in where the URL says
    /// `auth=aws-iam`, and who tells which task this is.
    pub aws: Arc<Aws>,
}
