//! The stores in one SQLite file, for one instance.
//!
//! Complete in both traits, so that a laptop needs no server: breakers are remembered across a
//! restart, history is written in the same batches and read by the same questions. Nobody else
//! shares the file, so the host's clock is the store's. Statements block, so each runs on a thread
//! for blocking work; one connection writes and two read.

mod error;
mod history;
pub(super) mod migrate;
mod orders;
mod past;
mod read;
mod state;

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::Connection;

use super::{
    Batch, BoxError, BreakerEvent, Decree, Error, Heard, Hints, HistoryStore, Identity, Presence,
    RollupQuery, Said, StateStore, StoredBreaker, StoredTask, TaskQuery,
};
use crate::{
    clock,
    domain::learn::rollup::{Rollup, RollupKey},
};

/// Both stores in one file.
pub(super) struct Sqlite {
    identity: Arc<Identity>,
    writer: Shared,
    /// For breakers, which must not wait for a long question to the history.
    state: Shared,
    reader: Shared,
    entries: Arc<Mutex<state::Entries>>,
}

/// A connection that blocking threads take turns at. A plain mutex: no one holds it across an
/// await, and whoever waits for it waits on such a thread.
type Shared = Arc<Mutex<Connection>>;

impl Sqlite {
    /// Opens the file in `data_dir`, or makes it, and brings its tables up to date.
    pub(super) fn open(data_dir: &Path, identity: Identity) -> Result<Self, Error> {
        let mut writer = connect(data_dir)?;
        migrate::apply(&mut writer)?;
        let shared = |connection| Arc::new(Mutex::new(connection));
        Ok(Self {
            identity: Arc::new(identity),
            writer: shared(writer),
            state: shared(connect(data_dir)?),
            reader: shared(connect(data_dir)?),
            entries: Arc::default(),
        })
    }
}

/// Where the file is.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// Opens the file for its owner alone: rows say who called what.
fn connect(data_dir: &Path) -> Result<Connection, Error> {
    let unusable = |error: std::io::Error| Error::Refused(error.into());
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(unusable)?;
    let path = path(data_dir);
    OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(unusable)?;
    let connection = Connection::open(&path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    Ok(connection)
}

/// Runs blocking work on a connection.
async fn on<T: Send + 'static>(
    connection: &Shared,
    work: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error> + Send + 'static,
) -> Result<T, Error> {
    let connection = Arc::clone(connection);
    let done = tokio::task::spawn_blocking(move || {
        // A panic in between rolled its transaction back, so the connection is whole.
        work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
    });
    Ok(done.await.map_err(|error| Error::Unavailable(BoxError::from(error)))??)
}

#[async_trait]
impl StateStore for Sqlite {
    async fn breakers(&self, closed_within: Duration) -> Result<Vec<StoredBreaker>, Error> {
        let me = Arc::clone(&self.identity);
        let now_us = clock::wall_us();
        let entries = Arc::clone(&self.entries);
        on(&self.state, move |db| state::breakers(db, &me, &entries, (closed_within, now_us))).await
    }

    async fn decree(&self, decree: &Decree) -> Result<(), Error> {
        let (me, decree) = (Arc::clone(&self.identity), decree.clone());
        let now_us = clock::wall_us();
        on(&self.writer, move |db| orders::decree(db, &me, &decree, now_us)).await
    }

    async fn say(&self, said: &Said) -> Result<Heard, Error> {
        let (me, said) = (Arc::clone(&self.identity), said.clone());
        let (entries, now_us) = (Arc::clone(&self.entries), clock::wall_us());
        on(&self.writer, move |db| state::say(db, &me, &entries, (&said, now_us))).await
    }

    async fn events(&self, key: &str, limit: u32) -> Result<Vec<BreakerEvent>, Error> {
        let (me, key) = (Arc::clone(&self.identity), key.to_owned());
        on(&self.state, move |db| state::events(db, &me, &key, limit)).await
    }

    /// There is but one instance, and it is alive.
    async fn heartbeat(&self, _presence: &Presence) -> Result<u32, Error> {
        Ok(1)
    }

    /// Nobody else changes anything, so there is nothing to be told.
    async fn subscribe(&self) -> Result<Option<Hints>, Error> {
        Ok(None)
    }
}

#[async_trait]
impl HistoryStore for Sqlite {
    async fn write(&self, batch: &Batch<'_>) -> Result<(), Error> {
        let batch = history::OwnBatch::from(batch);
        let now_us = clock::wall_us();
        let written = on(&self.writer, move |db| history::write(db, &batch, now_us)).await?;
        if written { Ok(()) } else { Err(Error::CursorMoved) }
    }

    async fn cursors(&self, journal_id: &str) -> Result<BTreeMap<u32, u64>, Error> {
        let journal_id = journal_id.to_owned();
        on(&self.writer, move |db| history::cursors(db, &journal_id)).await
    }

    async fn tasks(&self, query: &TaskQuery) -> Result<Vec<StoredTask>, Error> {
        let (me, query) = (Arc::clone(&self.identity), query.clone());
        on(&self.reader, move |db| read::tasks(db, &me, &query)).await
    }

    async fn rollups(&self, query: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        let (me, query) = (Arc::clone(&self.identity), query.clone());
        on(&self.reader, move |db| read::rollups(db, &me, &query)).await
    }

    async fn totals(&self, query: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        let (me, query) = (Arc::clone(&self.identity), query.clone());
        on(&self.reader, move |db| read::totals(db, &me, &query)).await
    }

    async fn maintain(&self, retention: Duration) -> Result<(), Error> {
        let now_us = clock::wall_us();
        // Rows go in small lots, so that a batch never waits long for the writer's turn.
        while on(&self.writer, move |db| history::expire(db, retention, now_us)).await? {}
        let me = Arc::clone(&self.identity);
        on(&self.writer, move |db| history::merge(db, &me.journal_id, now_us)).await
    }

    async fn ping(&self) -> Result<(), Error> {
        on(&self.reader, |db| db.query_row("select 1", [], |_| Ok(()))).await
    }
}

/// The file's name in the data directory.
const FILE: &str = "fusebox.db";
/// How long to wait for another process that has the file, as the command line may.
const BUSY: Duration = Duration::from_secs(5);
