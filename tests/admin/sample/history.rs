//! What the sample remembers of calls.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use fusebox::{
    domain::{
        learn::rollup::{Rollup, RollupKey},
        report::{LateScore, Scored},
        task::TaskId,
    },
    store::{
        Batch, Error, HistoryStore, RollupQuery, RowKey, RowSums, RowSumsQuery, StoredTask,
        TaskQuery,
    },
};

use super::{NOON_US, Sample, row_id};
use crate::rows::{rollups, row};

#[async_trait]
impl HistoryStore for Sample {
    async fn write(&self, _: &Batch<'_>) -> Result<(), Error> {
        unreachable!("the admin port changes nothing")
    }

    async fn cursors(&self, _: &str) -> Result<BTreeMap<u32, u64>, Error> {
        unreachable!("the admin port asks for no cursor")
    }

    async fn tasks(&self, query: &TaskQuery) -> Result<Vec<StoredTask>, Error> {
        self.task_queries.lock().expect("unpoisoned").push(query.clone());
        let from = query.after.map_or(0, |(at_us, _)| (NOON_US - at_us) / 1_000_000 + 1);
        let wanted = |row: &StoredTask| query.id.is_none_or(|id| id == row.id);
        let limit = usize::try_from(query.limit).expect("a small limit");
        self.answer((from..10).map(row).filter(wanted).take(limit).collect())
    }

    async fn rollups(&self, query: &RollupQuery) -> Result<Vec<(RollupKey, Rollup)>, Error> {
        self.rollup_queries.lock().expect("unpoisoned").push(query.clone());
        self.answer(rollups())
    }

    async fn known(&self, _: &[(i64, TaskId)]) -> Result<HashSet<TaskId>, Error> {
        unreachable!("the writer asks")
    }

    async fn score(&self, late: &LateScore) -> Result<Scored, Error> {
        let mut scores = self.scores.lock().expect("unpoisoned");
        scores.push(late.clone());
        let times = scores.iter().filter(|asked| asked.id == late.id).count();
        self.answer(match late.id {
            id if id == row_id(0) => Scored::Changed,
            id if id == row_id(1) => Scored::Same,
            // Its row comes a little later.
            id if id == row_id(2) && times > 2 => Scored::Changed,
            _ => Scored::Unknown,
        })
    }

    async fn sum_rows(&self, query: &RowSumsQuery) -> Result<RowSums, Error> {
        let sums = rollups().into_iter().enumerate().map(|(at, (key, sum))| {
            let (version, instance) = (Arc::from(format!("1.{}", at % 2)), Arc::from("i"));
            (RowKey { key, version, instance }, sum)
        });
        let rows = u64::from(query.limit);
        let sums = sums.collect();
        self.answer(RowSums { sums, rows, is_one_to_one: false, cut_at_us: Some(NOON_US) })
    }

    async fn maintain(&self, _: Duration) -> Result<(), Error> {
        unreachable!("the admin port changes nothing")
    }

    async fn ping(&self) -> Result<(), Error> {
        self.answer(())
    }
}
