//! Bringing the tables up to date.
//!
//! Each file in `migrations/` is one block that takes the lock of all migrations, does nothing when
//! it was done before and records itself, so that `psql -f` does what [`up`] does. What `up` adds
//! is the checksum: a file that was changed after it was applied is refused. A database that knows
//! newer migrations than this program is left alone, for they only ever add.

use std::{fmt::Write, path::Path};

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{Error, postgres, sqlite};
use crate::config;

/// A migration that was applied just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub version: i32,
    /// Its file's name.
    pub name: String,
}

/// A migration and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its number.
    pub version: i32,
    /// Its file's name.
    pub name: String,
    /// What became of it.
    pub progress: Progress,
}

/// What became of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It was applied.
    Applied {
        /// When, in microseconds since the Unix epoch.
        at_us: i64,
        /// By which version of Fusebox, or `psql`.
        by: String,
    },
    /// It was not.
    Pending,
    /// It was applied, but the file is another one now.
    Changed,
    /// It was applied by a newer version of Fusebox; this one does not know it.
    Newer,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Applied { at_us, by } => match jiff::Timestamp::from_microsecond(*at_us) {
                Ok(at) => write!(f, "applied {at} by {by}"),
                Err(_) => write!(f, "applied by {by}"),
            },
            Self::Pending => f.write_str("pending"),
            Self::Changed => f.write_str("applied, but the file has changed since"),
            Self::Newer => f.write_str("applied by a newer version"),
        }
    }
}

/// A migration that is about to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How many were applied before it.
    pub done: u64,
    /// How many were missing.
    pub all: u64,
    /// Its file's name.
    pub name: &'static str,
}

/// Whoever looks on while migrations are applied.
pub type Onlooker = watch::Sender<Option<Step>>;

/// Tells of each migration before it is applied.
pub(super) fn told<'a>(
    missing: &'a [&'a Migration],
    onlooker: &'a Onlooker,
) -> impl Iterator<Item = &'a Migration> {
    let all = missing.len() as u64;
    (0..).zip(missing).map(move |(done, &migration)| {
        onlooker.send_replace(Some(Step { done, all, name: migration.name }));
        migration
    })
}

/// Applies what is missing, one process at a time, and returns what that was.
///
/// # Errors
/// The store is away, or refuses, or an applied file was changed since.
pub async fn up(database: &config::Database, data_dir: &Path) -> Result<Vec<Applied>, Error> {
    up_telling(database, data_dir, Onlooker::default()).await
}

/// The same, while somebody looks on.
///
/// # Errors
/// As [`up`].
pub async fn up_telling(
    database: &config::Database,
    data_dir: &Path,
    onlooker: Onlooker,
) -> Result<Vec<Applied>, Error> {
    match &database.url {
        Some(url) => postgres::migrate::up(url.expose(), database, onlooker).await,
        None => sqlite::migrate::up(data_dir, onlooker).await,
    }
}

/// Lets a role that does not own the tables do what Fusebox does at run time. Repeated, it changes
/// nothing, but for what new tables bring.
///
/// # Errors
/// The store is away or refuses: there is no such role, the tables are not up to date, or they are
/// another's. The embedded store knows no roles.
pub async fn grant(database: &config::Database, role: &str) -> Result<(), Error> {
    // To the server that means everybody, and a longer name is cut.
    if role.is_empty() || role.len() > 63 || role == "public" {
        return Err(Error::Refused(format!("`{role}` is no role that can be granted to").into()));
    }
    match &database.url {
        Some(url) => postgres::migrate::grant(url.expose(), database, role).await,
        None => Err(Error::Refused("the embedded store knows no roles".into())),
    }
}

/// All migrations that the program or the database knows, in order. Changes nothing in Postgres;
/// the embedded file is created.
///
/// # Errors
/// The store is away or refuses.
pub async fn status(database: &config::Database, data_dir: &Path) -> Result<Vec<Status>, Error> {
    match &database.url {
        Some(url) => postgres::migrate::status(url.expose(), database).await,
        None => sqlite::migrate::status(data_dir).await,
    }
}

/// The files for Postgres, name and text, in order.
pub fn sql() -> &'static [(&'static str, &'static str)] {
    &POSTGRES
}

/// The files for Postgres.
const POSTGRES: [(&str, &str); 14] = [
    ("001_circuit_breakers.sql", include_str!("../../migrations/001_circuit_breakers.sql")),
    ("002_task_history.sql", include_str!("../../migrations/002_task_history.sql")),
    ("003_maintenance.sql", include_str!("../../migrations/003_maintenance.sql")),
    ("004_history_at_scale.sql", include_str!("../../migrations/004_history_at_scale.sql")),
    ("005_journal.sql", include_str!("../../migrations/005_journal.sql")),
    ("006_fleet.sql", include_str!("../../migrations/006_fleet.sql")),
    ("007_names.sql", include_str!("../../migrations/007_names.sql")),
    ("009_statistics.sql", include_str!("../../migrations/009_statistics.sql")),
    ("010_learning.sql", include_str!("../../migrations/010_learning.sql")),
    ("011_predictions.sql", include_str!("../../migrations/011_predictions.sql")),
    ("012_fleet_at_scale.sql", include_str!("../../migrations/012_fleet_at_scale.sql")),
    ("013_quantiles.sql", include_str!("../../migrations/013_quantiles.sql")),
    ("014_evidence.sql", include_str!("../../migrations/014_evidence.sql")),
    ("015_identity.sql", include_str!("../../migrations/015_identity.sql")),
];

/// One file, ready to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Migration {
    pub(super) version: i32,
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    /// Of the text, in hexadecimal digits.
    pub(super) sha256: String,
}

/// A row of `fusebox_migration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) version: i32,
    pub(super) name: String,
    /// None when it was run by hand and nobody has looked since.
    pub(super) sha256: Option<String>,
    pub(super) at_us: i64,
    pub(super) tool_version: String,
}

/// The version of this program, as recorded beside what it applied.
pub(super) const TOOL_VERSION: &str = concat!("fusebox ", env!("CARGO_PKG_VERSION"));

/// The files with their numbers and checksums.
pub(super) fn migrations(files: &[(&'static str, &'static str)]) -> Vec<Migration> {
    let migration = |&(name, text): &(&'static str, &'static str)| {
        let version = version_of(name);
        Migration { version, name, text, sha256: sha256(text) }
    };
    files.iter().map(migration).collect()
}

/// The number that a file's name begins with.
pub fn version_of(name: &str) -> i32 {
    let digits = name.split('_').next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}

/// What is still to be applied.
///
/// # Errors
/// An applied file was changed since.
pub(super) fn pending<'a>(
    known: &'a [Migration],
    applied: &[Record],
) -> Result<Vec<&'a Migration>, Error> {
    let mut pending = Vec::new();
    for migration in known {
        let record = applied.iter().find(|record| record.version == migration.version);
        match record.map(|record| record.sha256.as_deref()) {
            None => pending.push(migration),
            Some(Some(recorded)) if recorded != migration.sha256 => {
                return Err(Error::Refused(Box::new(Drift {
                    name: migration.name,
                    recorded: recorded.to_owned(),
                    ours: migration.sha256.clone(),
                })));
            }
            Some(_) => {}
        }
    }
    Ok(pending)
}

/// Known and recorded migrations side by side.
pub(super) fn compare(known: &[Migration], applied: &[Record]) -> Vec<Status> {
    let ours = known.iter().map(|migration| {
        let record = applied.iter().find(|record| record.version == migration.version);
        let progress = match record {
            None => Progress::Pending,
            Some(Record { sha256: Some(sha256), .. }) if *sha256 != migration.sha256 => {
                Progress::Changed
            }
            Some(record) => {
                Progress::Applied { at_us: record.at_us, by: record.tool_version.clone() }
            }
        };
        Status { version: migration.version, name: migration.name.to_owned(), progress }
    });
    let newer = applied.iter().filter(|record| known.iter().all(|m| m.version != record.version));
    let newer = newer.map(|record| Status {
        version: record.version,
        name: record.name.clone(),
        progress: Progress::Newer,
    });
    let mut all: Vec<Status> = ours.chain(newer).collect();
    all.sort_by_key(|status| status.version);
    all
}

/// Says once that the database is ahead of this program.
pub(super) fn warn_of_newer(known: &[Migration], applied: &[Record]) {
    let newest = applied.iter().map(|record| record.version).max();
    let ours = known.iter().map(|migration| migration.version).max();
    if newest > ours {
        tracing::warn!(
            database_version = newest,
            program_version = ours,
            "the database has newer tables than this version of Fusebox knows; going on"
        );
    }
}

/// An applied file was changed.
#[derive(Debug, thiserror::Error)]
#[error(
    "migration {name} was changed after it was applied (sha256 {recorded} then, {ours} in this \
     version); restore the file, or build from the version that was applied"
)]
struct Drift {
    name: &'static str,
    recorded: String,
    ours: String,
}

fn sha256(text: &str) -> String {
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        write!(digits, "{byte:02x}").ok();
    }
    digits
}
