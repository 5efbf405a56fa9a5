//! The stores in Postgres, for a fleet.
//!
//! Two steady connections: one shares breakers and listens, the other writes history; reads come
//! from a small pool that is empty when nobody asks. A connection is made when it is needed and
//! made again after it broke. Nothing is prepared by name and every table is named with its schema,
//! so that a pooler in transaction mode may stand in between.

mod connection;
mod copy;
mod cursor;
mod error;
mod listen;
mod literal;
pub(super) mod migrate;
mod orders;
mod past;
mod pool;
mod read;
mod session;
mod state;
mod tables;
mod tls;
mod url;
mod words;
mod write;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use self::{connection::Connector, pool::Pool, session::Session, tables::Tables};
use super::{
    Batch, BreakerEvent, Decree, Error, Heard, Hints, HistoryStore, Identity, Presence,
    RollupQuery, Said, StateStore, StoredBreaker, StoredTask, TaskQuery,
};
use crate::domain::learn::rollup::{Rollup, RollupKey};

/// Both stores in one database.
pub(super) struct Postgres {
    identity: Identity,
    tables: Tables,
    /// Shares breakers and listens.
    sync: Session,
    /// Writes history.
    writer: Session,
    /// Answers questions.
    reads: Pool,
    /// Room for the next batch: were it new each time, the system would clear it each time.
    room: Mutex<Vec<u8>>,
    /// How long rows are kept, as last told by [`HistoryStore::maintain`].
    retention_s: AtomicI64,
}

impl Postgres {
    /// Checks the URL and the schema's name. Connects to nothing yet.
    pub(super) fn new(url: &str, schema: &str, identity: Identity) -> Result<Self, Error> {
        let connector = Connector::new(url)?;
        Ok(Self {
            identity,
            tables: Tables::new(schema)?,
            sync: Session::new(connector.clone()),
            writer: Session::new(connector.clone()),
            reads: Pool::new(connector)?,
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
    async fn breakers(&self, closed_within: Duration) -> Result<Vec<StoredBreaker>, Error> {
        state::breakers(self, closed_within).await
    }

    async fn decree(&self, decree: &Decree) -> Result<(), Error> {
        orders::decree(self, decree).await
    }

    async fn say(&self, said: &Said) -> Result<Heard, Error> {
        words::say(self, said).await
    }

    async fn events(&self, key: &str, limit: u32) -> Result<Vec<BreakerEvent>, Error> {
        state::events(self, key, limit).await
    }

    async fn heartbeat(&self, presence: &Presence) -> Result<u32, Error> {
        self.reads.close_idle();
        state::heartbeat(self, presence).await
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
