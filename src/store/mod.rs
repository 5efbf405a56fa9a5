//! The stores: every SQL statement of the program, behind two traits.
//!
//! [`StateStore`] holds what instances share, [`HistoryStore`] what happened. Postgres has both
//! for a fleet, SQLite both for one instance. Nothing here decides anything: a statement either
//! did what it says or did not.

mod decree;
pub mod migrate;
mod open;
mod outage;
mod past;
mod postgres;
mod rows;
mod sqlite;
mod window;
mod words;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use async_trait::async_trait;

use crate::domain::{
    breaker::{Cause, State},
    fleet::{row::Row, word::Word},
    learn::rollup::{Rollup, RollupKey},
    outcome::{Outcome, Reason},
    task::{CallRecord, Origin, TaskId},
};

pub use decree::{Decree, StoredOrder};
pub use open::{Kind, Stores, open, reader};
pub use outage::{Outage, causes};
pub use past::{Opening, PastPage, PastQuery, PastStore, past};

/// What went wrong at the store, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not reachable, restarting, failed over, or too slow: worth trying again.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// It refuses: wrong password, missing table or privilege. Trying again will not help.
    #[error("the store refused")]
    Refused(#[source] BoxError),
    /// A cursor of the journal is not where it was said to be.
    #[error("the journal's cursor in the store was moved")]
    CursorMoved,
    /// The data itself was refused; the batch must be cut to find it.
    #[error("the store refused the data")]
    BadData(#[source] BoxError),
}

/// Any cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One shared breaker as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBreaker {
    /// The breaker's key, see [`crate::config::Upstream::breaker_key`].
    pub key: String,
    /// What it says.
    pub row: Row,
    /// The order that is in force, beside the automatic state.
    pub order: Option<StoredOrder>,
}

/// A word about a shared breaker.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The breaker's key.
    pub key: String,
    /// The upstream's name, for people.
    pub upstream: String,
    /// The epoch that the word is meant for; zero where there is no row.
    pub epoch: u64,
    /// The word.
    pub word: Word,
    /// Calls in the speaker's window.
    pub window_calls: u32,
    /// Failures among them.
    pub window_failures: u32,
    /// Ids of calls behind it.
    pub task_ids: Vec<TaskId>,
}

/// What became of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Whether it did what it says.
    pub is_done: bool,
    /// What the breaker says now; none where there is no row.
    pub row: Option<StoredBreaker>,
}

/// What an instance says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// For how long it counts as alive.
    pub ttl: Duration,
    /// The breakers that it has.
    pub keys: Vec<String>,
    /// The number that it has drawn, see [`crate::domain::fleet::electorate`].
    pub ballot: u32,
}

/// A past transition of a shared breaker.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerEvent {
    /// When, in microseconds since the Unix epoch, by the store's clock.
    pub at_us: i64,
    /// The epoch that it made.
    pub epoch: u64,
    /// The state that it left.
    pub from: State,
    /// The state that it entered.
    pub to: State,
    /// Why.
    pub cause: Cause,
    /// Which instance made it.
    pub instance: String,
    /// The numbers behind it, as JSON.
    pub detail: serde_json::Value,
}

/// Who this process is, in rows and votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Sidecars with the same one share breakers.
    pub namespace: String,
    /// The service beside it.
    pub service: String,
    /// The service's version; empty when unknown.
    pub version: String,
    /// This process start, unique.
    pub instance: String,
    /// The data directory's id.
    pub journal_id: String,
    /// For people: the host's name.
    pub display_name: String,
}

impl Identity {
    /// As it stands in rows.
    pub fn origin(&self) -> Origin {
        Origin {
            namespace: self.namespace.clone(),
            service: self.service.clone(),
            version: self.version.clone(),
            instance: self.instance.clone(),
        }
    }
}

/// What instances share.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// All breakers of the namespace that are not closed, and those whose last change was less
    /// than `closed_within` ago. Complete: a key that is absent is closed.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn breakers(&self, closed_within: Duration) -> Result<Vec<StoredBreaker>, Error>;

    /// Does what a word says, if the breaker is in the epoch that it is meant for and its guards
    /// hold (see [`crate::domain::fleet::entry`]); a transition has its event row.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn say(&self, said: &Said) -> Result<Heard, Error>;

    /// Gives an order to all instances, or lifts the one that is in force. The last one wins.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn decree(&self, decree: &Decree) -> Result<(), Error>;

    /// The last transitions of a breaker, newest first.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn events(&self, key: &str, limit: u32) -> Result<Vec<BreakerEvent>, Error>;

    /// Says that this instance lives; returns how many do.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn heartbeat(&self, presence: &Presence) -> Result<u32, Error>;

    /// Begins to listen for hints that shared state changed. None where there are none to be had:
    /// the store has one user, or a pooler stands in between and swallows them (found by a
    /// self-test); then the caller polls.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn subscribe(&self) -> Result<Option<Hints>, Error>;
}

/// Hints that shared state changed: each says "look", none says what. Several may arrive as one;
/// the channel closes when the connection is lost, and what happened meanwhile must be read.
pub type Hints = tokio::sync::mpsc::Receiver<()>;

/// Which rows are asked for. Empty means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskQuery {
    /// This row only.
    pub id: Option<TaskId>,
    /// Of this correlation id.
    pub correlation_id: Option<String>,
    /// Of this service.
    pub service: Option<String>,
    /// To this upstream.
    pub upstream: Option<String>,
    /// Of this domain.
    pub domain: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// For this reason.
    pub reason: Option<Reason>,
    /// With a status from the first to the second.
    pub status: Option<(u16, u16)>,
    /// With this code in `grpc-status`.
    pub grpc_status: Option<u8>,
    /// Started at or after, in microseconds since the Unix epoch.
    pub from_us: i64,
    /// Started before; zero for no end.
    pub to_us: i64,
    /// At most this many.
    pub limit: u32,
    /// After this row in the order newest first: its time and id.
    pub after: Option<(i64, TaskId)>,
}

/// A row of `task_history` as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTask {
    /// Its columns, in the order and with the names of the table, as JSON values; times in
    /// microseconds since the Unix epoch.
    pub columns: Vec<(&'static str, serde_json::Value)>,
    /// When it started, in microseconds since the Unix epoch.
    pub started_at_us: i64,
    /// Its id.
    pub id: TaskId,
}

/// Which rollups are asked for. Empty means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RollupQuery {
    /// Of this service.
    pub service: Option<String>,
    /// To this upstream.
    pub upstream: Option<String>,
    /// Of this domain.
    pub domain: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// From this minute on, counted from the Unix epoch.
    pub from_minute: i64,
    /// Before this minute; zero for no end.
    pub to_minute: i64,
}

/// How far a batch takes the cursor of one worker's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    /// Which part of the journal.
    pub worker: u32,
    /// Where the cursor is. Zero when it was never moved.
    pub from: u64,
    /// Where it goes.
    pub to: u64,
}

/// Rows that are written together, of one process.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The journal that they come from.
    pub journal_id: &'a str,
    /// Who carried the calls.
    pub origin: &'a Origin,
    /// The cursors that move with them.
    pub advances: &'a [Advance],
    /// The rows.
    pub rows: &'a [CallRecord],
    /// The rollup deltas that belong to them.
    pub deltas: &'a [(RollupKey, Rollup)],
}

/// What happened.
#[async_trait]
pub trait HistoryStore: Send + Sync {
    /// Writes a batch in one transaction, which moves each cursor from where it is said to be and
    /// from nowhere else: so a batch is applied once or not at all. Postgres has no place for a row
    /// that began before the retention last given to [`HistoryStore::maintain`]: it is bad data.
    ///
    /// # Errors
    /// The store is away, and then the batch may have been applied; or it refuses, or a cursor is
    /// elsewhere, or a row is bad, and then nothing was written.
    async fn write(&self, batch: &Batch<'_>) -> Result<(), Error>;

    /// The cursors of a journal, by worker. A worker that is absent has zero.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn cursors(&self, journal_id: &str) -> Result<BTreeMap<u32, u64>, Error>;

    /// Rows, newest first.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn tasks(&self, query: &TaskQuery) -> Result<Vec<StoredTask>, Error>;

    /// The rollups of a time range, one per key. Minutes older than two days are merged to hours
    /// and those older than ninety to days; such a rollup stands at the first minute of its hour
    /// or day.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn rollups(&self, query: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, Error>;

    /// What [`HistoryStore::rollups`] finds, added up over time: one per key, at the minute that the
    /// range begins. A month costs as much as its days, where the store has sums of these; such a sum
    /// of more than ninety days ago counts where all of its day is asked for.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn totals(&self, query: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        let mut sums: HashMap<RollupKey, Rollup> = HashMap::new();
        for (key, rollup) in self.rollups(query).await? {
            let key = RollupKey { minute: query.from_minute, ..key };
            sums.entry(key).or_default().merge(&rollup);
        }
        Ok(sums.into_iter().collect())
    }

    /// Makes room for the days ahead, drops what is past retention and merges rollups. Safe from
    /// many instances at once.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn maintain(&self, retention: Duration) -> Result<(), Error>;

    /// Whether the store answers at all.
    ///
    /// # Errors
    /// It does not.
    async fn ping(&self) -> Result<(), Error>;
}
