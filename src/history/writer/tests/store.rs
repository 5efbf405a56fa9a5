//! A history in memory with a cursor that really moves, and moods.

use std::{
    collections::HashSet,
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
        task::{CallRecord, TaskId},
    },
    store::{Advance, Error, HistoryStore, RollupQuery, StoredTask, TaskQuery},
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
    /// The sizes of the batches that were asked to be written, written or not, and their numbers.
    pub(super) asked: Mutex<Vec<(usize, u64)>>,
    /// The cursor.
    reached: Mutex<u64>,
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
        self.asked.lock().unwrap().iter().map(|(rows, _)| *rows).collect()
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        self.asked.lock().unwrap().iter().map(|(_, number)| *number).collect()
    }

    /// Moves the cursor; false when it is there already.
    fn reach(&self, advance: Advance) -> bool {
        let mut reached = self.reached.lock().unwrap();
        let is_ahead = advance.position > *reached;
        *reached = advance.position.max(*reached);
        is_ahead
    }
}

#[async_trait]
impl HistoryStore for Store {
    async fn write(
        &self,
        advance: Advance,
        rows: &[CallRecord],
        deltas: &[(RollupKey, Rollup)],
    ) -> Result<(), Error> {
        let calls: u64 = rows.iter().map(|row| u64::from(row.weight)).sum();
        assert_eq!(deltas.iter().map(|(_, rollup)| rollup.count).sum::<u64>(), calls);
        self.asked.lock().unwrap().push((rows.len(), advance.position));
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Away => return Err(Error::Unavailable("connection refused".into())),
            Mood::Refusing => return Err(Error::Refused("no such table".into())),
            Mood::Stuck => std::future::pending().await,
            Mood::Well | Mood::Forgetful | Mood::Silent => {}
        }
        if rows.iter().any(|row| self.bad.lock().unwrap().contains(&row.id)) {
            return Err(Error::BadData("out of range".into()));
        }
        if self.reach(advance) {
            self.rows.lock().unwrap().extend(rows.iter().cloned());
        }
        match mood {
            Mood::Forgetful => Err(Error::Unavailable("connection reset by peer".into())),
            Mood::Silent => std::future::pending().await,
            _ => Ok(()),
        }
    }

    async fn withdraw(&self, advance: Advance) -> Result<bool, Error> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Away => Err(Error::Unavailable("connection refused".into())),
            Mood::Refusing => Err(Error::Refused("no such table".into())),
            Mood::Stuck => std::future::pending().await,
            Mood::Well | Mood::Forgetful | Mood::Silent => Ok(self.reach(advance)),
        }
    }

    async fn tasks(&self, _: &TaskQuery) -> Result<Vec<StoredTask>, Error> {
        unreachable!("the writer does not read")
    }

    async fn rollups(&self, _: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, Error> {
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
