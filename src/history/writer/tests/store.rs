//! A history in memory with a cursor that really moves, and moods.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    domain::{
        learn::rollup::{Rollup, RollupKey},
        report::{LateScore, Scored},
        task::{CallRecord, TaskId},
    },
    store::{
        Advance, Batch, Error, HistoryStore, RollupQuery, RowSums, RowSumsQuery, StoredTask,
        TaskQuery,
    },
};

/// How the store behaves now.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) enum Mood {
    #[default]
    Well,
    Away,
    Refusing,
    /// Commits, and loses the answer.
    Forgetful,
    /// Commits, and never says so.
    Silent,
    /// Never answers.
    Stuck,
}

#[derive(Default)]
pub(super) struct Store {
    mood: Mutex<Mood>,
    pub(super) bad: Mutex<HashSet<TaskId>>,
    pub(super) rows: Mutex<Vec<CallRecord>>,
    /// All deltas, added up: calls, and how many rows hold them.
    pub(super) sums: Mutex<(u64, u64)>,
    /// The sizes of the batches that were asked to be written, written or not.
    asked: Mutex<Vec<usize>>,
    cursors: Mutex<BTreeMap<u32, u64>>,
    /// How often it was asked anything by the writer.
    pub(super) tries: AtomicU32,
    pub(super) upkeeps: AtomicU32,
}

impl Store {
    pub(super) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(super) fn ids(&self) -> Vec<TaskId> {
        self.rows.lock().unwrap().iter().map(|row| row.id).collect()
    }

    pub(super) fn asked(&self) -> Vec<usize> {
        self.asked.lock().unwrap().clone()
    }

    /// A copy that lacks the rows after the first so many takes over, as in a failover.
    pub(super) fn fall_back(&self, cursors: BTreeMap<u32, u64>, rows: usize) {
        *self.cursors.lock().unwrap() = cursors;
        self.rows.lock().unwrap().truncate(rows);
    }

    pub(super) fn cursors_now(&self) -> BTreeMap<u32, u64> {
        self.cursors.lock().unwrap().clone()
    }

    fn apply(&self, batch: &Batch<'_>) -> Result<(), Error> {
        let mut cursors = self.cursors.lock().unwrap();
        let is_there = |a: &Advance| cursors.get(&a.worker).copied().unwrap_or(0) == a.from;
        if !batch.advances.iter().all(is_there) {
            return Err(Error::CursorMoved);
        }
        cursors.extend(batch.advances.iter().map(|advance| (advance.worker, advance.to)));
        self.rows.lock().unwrap().extend(batch.rows.iter().cloned());
        let mut sums = self.sums.lock().unwrap();
        for (_, delta) in batch.deltas {
            *sums = (sums.0 + delta.count, sums.1 + delta.stored);
        }
        Ok(())
    }
}

#[async_trait]
impl HistoryStore for Store {
    async fn write(&self, batch: &Batch<'_>) -> Result<(), Error> {
        self.asked.lock().unwrap().push(batch.rows.len());
        self.tries.fetch_add(1, Relaxed);
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Away => return Err(Error::Unavailable("connection refused".into())),
            Mood::Refusing => return Err(Error::Refused("no such table".into())),
            Mood::Stuck => std::future::pending().await,
            Mood::Well | Mood::Forgetful | Mood::Silent => {}
        }
        if batch.rows.iter().any(|row| self.bad.lock().unwrap().contains(&row.id)) {
            return Err(Error::BadData("out of range".into()));
        }
        self.apply(batch)?;
        match mood {
            Mood::Forgetful => Err(Error::Unavailable("connection reset by peer".into())),
            Mood::Silent => std::future::pending().await,
            _ => Ok(()),
        }
    }

    async fn cursors(&self, _: &str) -> Result<BTreeMap<u32, u64>, Error> {
        self.tries.fetch_add(1, Relaxed);
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Away => Err(Error::Unavailable("connection refused".into())),
            Mood::Refusing => Err(Error::Refused("no such table".into())),
            Mood::Stuck => std::future::pending().await,
            Mood::Well | Mood::Forgetful | Mood::Silent => Ok(self.cursors_now()),
        }
    }

    async fn tasks(&self, _: &TaskQuery) -> Result<Vec<StoredTask>, Error> {
        unreachable!("the writer does not read")
    }

    async fn rollups(&self, _: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        unreachable!("the writer does not read")
    }

    async fn known(&self, rows: &[(i64, TaskId)]) -> Result<HashSet<TaskId>, Error> {
        let wanted = |id: &TaskId| rows.iter().any(|(_, row)| row == id);
        Ok(self.ids().into_iter().filter(wanted).collect())
    }

    async fn score(&self, _: &LateScore) -> Result<Scored, Error> {
        unreachable!("the writer scores nothing")
    }

    async fn sum_rows(&self, _: &RowSumsQuery) -> Result<RowSums, Error> {
        unreachable!("the writer does not read")
    }

    async fn maintain(&self, _: Duration) -> Result<(), Error> {
        self.upkeeps.fetch_add(1, Relaxed);
        Ok(())
    }

    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }
}
