//! The stores: every SQL statement of the program, behind two traits.
//!
//! [`StateStore`] holds what instances share, [`HistoryStore`] what happened. Postgres has both
//! for a fleet, SQLite both for one instance. Nothing here decides anything: a statement either
//! did what it says or did not.

mod decree;
mod examine;
mod grants;
mod learning;
pub mod migrate;
mod oddities;
mod open;
mod outage;
pub(crate) mod params;
mod past;
mod postgres;
mod presence;
mod rows;
mod sqlite;
mod state;
mod sums;
mod warning;
mod why;
mod window;
mod words;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    num::NonZeroU32,
    time::Duration,
};

use async_trait::async_trait;

use crate::domain::{
    learn::rollup::{Rollup, RollupKey},
    outcome::{Outcome, Reason},
    report::{LateScore, Scored},
    task::{CallRecord, Origin, TaskId},
};

use oddities::Oddities;

pub use crate::domain::fleet::decree::{Decree, Forgotten, StoredOrder};
pub use examine::{Findings, examine};
pub use learning::{DayCell, LearningStore, Lesson, LessonQuery, OperationName};
pub use open::{Kind, Stores, open, reader};
pub use outage::{Outage, causes};
pub use past::{Opening, PastPage, PastQuery, PastStore, past};
pub use presence::{Found, Identity, Place, Presence, Roll};
pub use rows::task_columns;
pub use state::{BreakerEvent, Heard, Hints, Said, StateStore, StoredBreaker};
pub use sums::{RowKey, RowSums, RowSumsQuery};
pub use warning::{Merit, Notice, Prediction, Subject, WarningStore, Which};
pub use why::{Counted, WhyQuery};

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

    /// What [`HistoryStore::rollups`] finds, added up by stretches of so many minutes, counted from
    /// the Unix epoch: one per key and stretch, at the minute in which it begins. The range is to
    /// begin and end with a stretch.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn series(
        &self,
        query: &RollupQuery,
        minutes: NonZeroU32,
    ) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        let length = i64::from(minutes.get());
        let mut sums: HashMap<RollupKey, Rollup> = HashMap::new();
        for (key, rollup) in self.rollups(query).await? {
            let key = RollupKey { minute: key.minute - key.minute.rem_euclid(length), ..key };
            sums.entry(key).or_default().merge(&rollup);
        }
        Ok(sums.into_iter().collect())
    }

    /// Rows added up, where rollups do not know enough.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn sum_rows(&self, query: &RowSumsQuery) -> Result<RowSums, Error>;

    /// Which of these rows, by their time and id, are there.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn known(&self, rows: &[(i64, TaskId)]) -> Result<HashSet<TaskId>, Error>;

    /// Gives a row a late score. The row and the sums change together or not at all.
    ///
    /// # Errors
    /// The store is away, and then both may have changed; or it refuses.
    async fn score(&self, late: &LateScore) -> Result<Scored, Error>;

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
