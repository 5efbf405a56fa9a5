//! The stores in Postgres, for a fleet.
//!
//! Two steady connections: one shares breakers and listens, the other writes history; reads come
//! from a small pool that is empty when nobody asks. A connection is made when it is needed and
//! made again after it broke. Nothing is prepared by name and every table is named with its schema,
//! so that a pooler in transaction mode may stand in between.

mod connection;
mod copy;
mod cursor;
mod doubt;
mod error;
pub(super) mod examine;
mod hearing;
mod late;
mod learning;
mod listen;
mod literal;
pub(super) mod migrate;
mod names;
mod orders;
mod past;
mod pool;
mod presence;
mod read;
mod restore;
mod session;
mod state;
mod sums;
mod tables;
mod timeline;
mod tls;
mod url;
mod warning;
mod why;
mod words;
mod write;

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZeroU32,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use self::{connection::Connector, pool::Pool, session::Session, tables::Tables};
use super::{
    Batch, BreakerEvent, Decree, Error, Heard, Hints, HistoryStore, Identity, Oddities, Presence,
    Roll, RollupQuery, RowSums, RowSumsQuery, Said, StateStore, StoredBreaker, StoredTask,
    TaskQuery,
};
use crate::{
    config::Database,
    domain::{
        fleet::{
            hearing::{Ballot, Faction, Hearing},
            word::Word,
        },
        learn::rollup::{Rollup, RollupKey},
        report::{LateScore, Scored},
        task::TaskId,
    },
};

/// Both stores in one database.
pub(super) struct Postgres {
    identity: Identity,
    tables: Tables,
    /// Shares breakers and listens.
    sync: Session,
    /// Whether notifications did not come through when that was last tried.
    is_deaf: AtomicBool,
    /// Writes history.
    writer: Session,
    /// Answers questions.
    reads: Pool,
    /// What rows said that this version does not know.
    oddities: Oddities,
    /// Room for the next batch: were it new each time, the system would clear it each time.
    room: Mutex<Vec<u8>>,
    /// How long rows are kept, as last told by [`HistoryStore::maintain`].
    retention_s: AtomicI64,
}

impl Postgres {
    /// Checks the URL and the schema's name. Connects to nothing yet.
    pub(super) fn new(url: &str, of: &Database, identity: Identity) -> Result<Self, Error> {
        let connector = Connector::new(url, &of.aws)?;
        Ok(Self {
            identity,
            tables: Tables::new(&of.schema)?,
            sync: Session::new(connector.clone()),
            is_deaf: AtomicBool::new(false),
            writer: Session::new(connector.clone()),
            reads: Pool::new(connector)?,
            oddities: Oddities::default(),
            room: Mutex::default(),
            retention_s: AtomicI64::new(DEFAULT_RETENTION_S),
        })
    }
}

impl Postgres {
    /// Which database and schema it is.
    pub(super) fn place(&self) -> String {
        let config = self.reads.config();
        let (hosts, ports) = (config.get_hosts(), config.get_ports());
        format!("{hosts:?} {ports:?} {:?} {}", config.get_dbname(), self.tables.schema())
    }
}

#[async_trait]
impl StateStore for Postgres {
    async fn breakers(&self, changed_within: Duration) -> Result<Vec<StoredBreaker>, Error> {
        state::breakers(self, changed_within).await
    }

    async fn decree(&self, decree: &Decree) -> Result<(), Error> {
        orders::decree(self, decree).await
    }

    async fn say(&self, said: &Said) -> Result<Heard, Error> {
        match &said.word {
            Word::Restore(known) => restore::restore(self, said, known).await,
            _ => words::say(self, said).await,
        }
    }

    async fn events(&self, key: &str, limit: u32) -> Result<Vec<BreakerEvent>, Error> {
        state::events(self, key, limit).await
    }

    async fn last_events(&self, limit: u32) -> Result<Vec<(String, BreakerEvent)>, Error> {
        timeline::last_events(self, limit).await
    }

    async fn hearing(&self, key: &str) -> Result<Hearing, Error> {
        hearing::hearing(self, key).await
    }

    async fn ballots(&self, key: &str) -> Result<Vec<Ballot>, Error> {
        hearing::ballots(self, key).await
    }

    async fn factions(&self, keys: &[String]) -> Result<Vec<Faction>, Error> {
        presence::factions(self, keys).await
    }

    async fn heartbeat(&self, presence: &Presence) -> Result<Roll, Error> {
        self.reads.close_idle();
        presence::heartbeat(self, presence).await
    }

    async fn subscribe(&self) -> Result<Option<Hints>, Error> {
        listen::subscribe(self).await
    }
}

#[async_trait]
impl HistoryStore for Postgres {
    async fn write(&self, batch: &Batch<'_>) -> Result<(), Error> {
        write::write(self, batch).await
    }

    async fn cursors(&self, journal_id: &str) -> Result<BTreeMap<u32, u64>, Error> {
        cursor::all(self, journal_id).await
    }

    async fn tasks(&self, query: &TaskQuery) -> Result<Vec<StoredTask>, Error> {
        read::tasks(self, query).await
    }

    async fn rollups(&self, query: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        read::rollups(self, query).await
    }

    async fn totals(&self, query: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        read::totals(self, query).await
    }

    async fn series(
        &self,
        query: &RollupQuery,
        minutes: NonZeroU32,
    ) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        read::series(self, query, minutes).await
    }

    async fn sum_rows(&self, query: &RowSumsQuery) -> Result<RowSums, Error> {
        sums::rows(self, query).await
    }

    async fn known(&self, rows: &[(i64, TaskId)]) -> Result<HashSet<TaskId>, Error> {
        late::known(self, rows).await
    }

    async fn score(&self, late: &LateScore) -> Result<Scored, Error> {
        late::score(self, late).await
    }

    async fn maintain(&self, retention: Duration) -> Result<(), Error> {
        let seconds = i64::try_from(retention.as_secs()).unwrap_or(i64::MAX);
        self.retention_s.store(seconds, Ordering::Relaxed);
        write::maintain(self).await
    }

    async fn ping(&self) -> Result<(), Error> {
        read::ping(self).await
    }
}

/// The retention until one is told: that of the configuration's default, 14 days.
const DEFAULT_RETENTION_S: i64 = 14 * 86_400;
