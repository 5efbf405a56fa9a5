//! Opening the store that the configuration names.

use std::{path::Path, sync::Arc};

use super::{
    Error, HistoryStore, Identity, LearningStore, StateStore, WarningStore,
    postgres::Postgres,
    sqlite::{self, Sqlite},
};
use crate::config;

/// All traits of one store.
#[derive(Clone)]
pub struct Stores {
    /// What instances share.
    pub state: Arc<dyn StateStore>,
    /// What happened.
    pub history: Arc<dyn HistoryStore>,
    /// What is learned from.
    pub learning: Arc<dyn LearningStore>,
    /// What was warned of.
    pub warnings: Arc<dyn WarningStore>,
    /// What it is.
    pub kind: Kind,
    /// Which one it is, without user and password: hosts, database and schema. None for a file,
    /// which nobody else has.
    pub place: Option<String>,
}

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Postgres server, for a fleet.
    Postgres,
    /// A file in the data directory, for one instance.
    Sqlite,
}

impl Kind {
    /// The name in status and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

/// Opens the store. Postgres is not contacted before its first use, so that it may be away at
/// start; the embedded file is created, with its tables.
///
/// # Errors
/// The URL, the schema's name or `sslrootcert` is wrong, or the file cannot be opened.
pub fn open(
    database: &config::Database,
    data_dir: &Path,
    identity: Identity,
) -> Result<Stores, Error> {
    Ok(match &database.url {
        Some(url) => {
            let store = Arc::new(Postgres::new(url.expose(), database, identity)?);
            let place = Some(store.place());
            stores(store, Kind::Postgres, place)
        }
        None => {
            let store = Arc::new(Sqlite::open(data_dir, identity)?);
            stores(store, Kind::Sqlite, None)
        }
    })
}

/// One store as all that it is.
fn stores<S>(store: Arc<S>, kind: Kind, place: Option<String>) -> Stores
where
    S: StateStore + HistoryStore + LearningStore + WarningStore + 'static,
{
    let (state, history, learning) = (store.clone(), store.clone(), store.clone());
    Stores { state, history, learning, warnings: store, kind, place }
}

/// Opens the store for reading its history. An embedded file that is not there is not made.
///
/// # Errors
/// As those of [`open`], and there is no such file.
pub fn reader(
    database: &config::Database,
    data_dir: &Path,
    identity: Identity,
) -> Result<Stores, Error> {
    is_there(database, data_dir)?;
    open(database, data_dir, identity)
}

/// Whether there is something to read, as far as that can be seen without asking a server.
pub(super) fn is_there(database: &config::Database, data_dir: &Path) -> Result<(), Error> {
    let file = sqlite::path(data_dir);
    if database.url.is_none() && !file.exists() {
        return Err(Error::Refused(format!("there is no {}", file.display()).into()));
    }
    Ok(())
}
