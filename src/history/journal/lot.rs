//! Rows that go to the store together: of one process, from the journals of its workers, each with
//! the place behind it, so that any part of a lot can be committed on its own.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::position::Position;
use crate::domain::{
    learn::rollup::{Rollup, RollupKey},
    task::{CallRecord, Origin},
};

/// See the module docs.
#[derive(Debug, Default)]
pub(in crate::history) struct Lot {
    limit: usize,
    pub(in crate::history) origin: Arc<Origin>,
    pub(in crate::history) rows: Vec<CallRecord>,
    ends: Vec<(u32, Position)>,
    /// Sums of rows that were dropped, and the place behind them; then there are no rows.
    pub(in crate::history) sums: Vec<(RollupKey, Rollup)>,
    sums_end: Option<(u32, Position)>,
}

impl Lot {
    /// An empty one in the place of this, whose room it takes.
    pub(in crate::history) fn emptied(mut self) -> Self {
        self.rows.clear();
        self.ends.clear();
        Self { rows: self.rows, ends: self.ends, ..Self::default() }
    }

    /// For so many rows.
    pub(super) const fn of(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Whether nothing more fits.
    pub(super) const fn is_full(&self) -> bool {
        self.rows.len() >= self.limit || self.sums_end.is_some()
    }

    /// Whether there is nothing to write.
    pub(in crate::history) const fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.sums_end.is_none()
    }

    /// Whether rows of this process fit in.
    pub(super) fn admits(&self, origin: &Arc<Origin>) -> bool {
        self.is_empty() || *origin == self.origin
    }

    pub(super) fn push(
        &mut self,
        origin: &Arc<Origin>,
        worker: u32,
        end: Position,
        row: CallRecord,
    ) {
        if self.rows.is_empty() {
            self.origin = Arc::clone(origin);
        }
        self.rows.push(row);
        self.ends.push((worker, end));
    }

    pub(super) fn settle(
        &mut self,
        origin: &Arc<Origin>,
        worker: u32,
        end: Position,
        sums: Vec<(RollupKey, Rollup)>,
    ) {
        self.origin = Arc::clone(origin);
        self.sums = sums;
        self.sums_end = Some((worker, end));
    }

    /// Where some of its rows, which follow what was committed before, take each worker's cursor.
    pub(in crate::history) fn reach(&self, rows: Range<usize>) -> BTreeMap<u32, Position> {
        let ends = self.ends.get(rows).unwrap_or_default();
        ends.iter().chain(&self.sums_end).copied().collect()
    }
}
