//! The stores in one SQLite file, for one instance.
//!
//! Complete in both traits, so that a laptop needs no server: breakers are remembered across a
//! restart, history is written in the same batches and read by the same questions. Nobody else
//! shares the file, so the host's clock is the store's. Statements block, so each runs on a thread
//! for blocking work; one connection writes and two read.

mod error;
mod history;
mod late;
mod learning;
pub(super) mod migrate;
mod orders;
mod past;
mod presence;
mod read;
mod state;
mod sums;
mod warning;
mod why;

use std::{
    collections::{BTreeMap, HashSet},
    fs::{DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::Mutex;

use super::{
    Batch, BoxError, BreakerEvent, Decree, Error, Heard, Hints, HistoryStore, Identity, Presence,
    Roll, RollupQuery, RowSums, RowSumsQuery, Said, StateStore, StoredBreaker, StoredTask,
    TaskQuery, migrate::Onlooker,
};
use crate::{
    clock,
    domain::{
        fleet::hearing::{Ballot, Faction, Hearing},
        learn::rollup::{Rollup, RollupKey},
        report::{LateScore, Scored},
        task::TaskId,
    },
};

/// Both stores in one file.
pub(super) struct Sqlite {
    identity: Arc<Identity>,
    writer: Shared,
    /// For breakers, which must not wait for a long question to the history.
    state: Shared,
    reader: Shared,
    entries: Arc<state::Entries>,
    /// For how long rows are kept, in microseconds, as far as that was said.
    retention_us: AtomicI64,
}

/// A connection that jobs take turns at. A mutex of tokio's: whoever waits for it waits without a
/// thread, so that a slow disk does not collect threads, each with memory of its own.
type Shared = Arc<Mutex<Connection>>;

impl Sqlite {
    /// Opens the file in `data_dir`, or makes it, and brings its tables up to date.
    pub(super) fn open(data_dir: &Path, identity: Identity) -> Result<Self, Error> {
        let mut writer = connect(data_dir)?;
        migrate::apply(&mut writer, &Onlooker::default())?;
        let shared = |connection| Arc::new(Mutex::new(connection));
        Ok(Self {
            identity: Arc::new(identity),
            writer: shared(writer),
            state: shared(connect(data_dir)?),
            reader: shared(connect(data_dir)?),
            entries: Arc::default(),
            retention_us: AtomicI64::new(i64::MAX),
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

/// Runs blocking work on a connection when its turn comes. Given up before that, it never runs.
async fn on<T: Send + 'static>(
    connection: &Shared,
    work: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error> + Send + 'static,
) -> Result<T, Error> {
    // After a panic it is whole, for that rolled its transaction back.
    let mut turn = Arc::clone(connection).lock_owned().await;
    let done = tokio::task::spawn_blocking(move || work(&mut turn));
    Ok(done.await.map_err(|error| Error::Unavailable(BoxError::from(error)))??)
}

#[async_trait]
impl StateStore for Sqlite {
    async fn breakers(&self, changed_within: Duration) -> Result<Vec<StoredBreaker>, Error> {
        let me = Arc::clone(&self.identity);
        let now_us = clock::wall_us();
        let entries = Arc::clone(&self.entries);
        on(&self.state, move |db| state::breakers(db, &me, &entries, (changed_within, now_us)))
            .await
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
        let entries = Arc::clone(&self.entries);
        on(&self.state, move |db| state::events(db, &me, &entries, (&key, limit))).await
    }

    async fn last_events(&self, limit: u32) -> Result<Vec<(String, BreakerEvent)>, Error> {
        let (me, entries) = (Arc::clone(&self.identity), Arc::clone(&self.entries));
        on(&self.state, move |db| state::last_events(db, &me, &entries, limit)).await
    }

    /// Nobody else says anything.
    async fn hearing(&self, _key: &str) -> Result<Hearing, Error> {
        Ok(Hearing::default())
    }

    /// Nobody else votes.
    async fn ballots(&self, _key: &str) -> Result<Vec<Ballot>, Error> {
        Ok(Vec::new())
    }

    /// Nobody else follows other rules.
    async fn factions(&self, _keys: &[String]) -> Result<Vec<Faction>, Error> {
        Ok(Vec::new())
    }

    /// There is but one instance, and it is alive.
    async fn heartbeat(&self, _presence: &Presence) -> Result<Roll, Error> {
        Ok(Roll { live: 1, is_uniform: true })
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

    async fn sum_rows(&self, query: &RowSumsQuery) -> Result<RowSums, Error> {
        let (me, query) = (Arc::clone(&self.identity), query.clone());
        on(&self.reader, move |db| sums::rows(db, &me, &query)).await
    }

    async fn known(&self, rows: &[(i64, TaskId)]) -> Result<HashSet<TaskId>, Error> {
        let (me, rows) = (Arc::clone(&self.identity), rows.to_vec());
        on(&self.reader, move |db| late::known(db, &me, &rows)).await
    }

    async fn score(&self, late: &LateScore) -> Result<Scored, Error> {
        let (me, late) = (Arc::clone(&self.identity), late.clone());
        on(&self.writer, move |db| late::score(db, &me, &late)).await
    }

    async fn maintain(&self, retention: Duration) -> Result<(), Error> {
        let now_us = clock::wall_us();
        let kept_us = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
        self.retention_us.store(kept_us, Ordering::Relaxed);
        // Rows go in small lots, so that a batch never waits long for the writer's turn.
        while on(&self.writer, move |db| history::expire(db, retention, now_us)).await? {}
        let me = Arc::clone(&self.identity);
        let upkeep = move |db: &mut Connection| {
            presence::note(db, &me, (retention, now_us))?;
            history::merge(db, &me.journal_id, now_us)
        };
        on(&self.writer, upkeep).await
    }

    async fn ping(&self) -> Result<(), Error> {
        on(&self.reader, |db| db.query_row("select 1", [], |_| Ok(()))).await
    }
}

/// The file's name in the data directory.
const FILE: &str = "fusebox.db";
/// How long to wait for another process that has the file, as the command line may.
const BUSY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use futures_util::{FutureExt as _, future::join_all};
    use rusqlite::Connection;
    use tokio::{runtime::Builder, sync::Mutex, task::spawn_blocking, time::timeout};

    use super::on;

    #[test]
    fn those_who_wait_for_a_connection_take_no_thread() {
        let only_one = Builder::new_current_thread().enable_time().max_blocking_threads(1).build();
        only_one.unwrap().block_on(async {
            let connection = Arc::new(Mutex::new(Connection::open_in_memory().unwrap()));
            let taken = connection.lock().await;
            let ask = |_| on(&connection, |db| db.query_row("select 1", (), |row| row.get(0)));
            let mut asked = join_all((0..200).map(ask));
            assert!((&mut asked).now_or_never().is_none());
            let other = timeout(Duration::from_secs(10), spawn_blocking(|| "free"));
            assert_eq!(other.await.expect("nobody has the only thread").unwrap(), "free");
            drop(taken);
            let answers: Vec<i64> = asked.await.into_iter().map(Result::unwrap).collect();
            assert_eq!(answers, [1; 200]);
        });
    }
}
