//! The batch on its way to the store, cut in halves where the store will not take it.
//!
//! A list of ranges that are still to be written, first one on top. A refused range is replaced by
//! its halves, so that one bad row among a thousand is found in about twenty writes and costs the
//! others nothing.

use std::ops::Range;

use crate::domain::task::CallRecord;

/// See the module docs.
#[derive(Debug, Default)]
pub(super) struct Batch {
    rows: Vec<CallRecord>,
    todo: Vec<Range<usize>>,
    /// Whether the first range was sent, so that it may have been written.
    is_sent: bool,
}

impl Batch {
    pub(super) fn new(rows: Vec<CallRecord>) -> Self {
        let all = 0..rows.len();
        let todo = if all.is_empty() { Vec::new() } else { vec![all] };
        Self { rows, todo, is_sent: false }
    }

    /// Whether all rows are written or set aside.
    pub(super) fn is_done(&self) -> bool {
        self.todo.is_empty()
    }

    /// The rows to write next; none when all are done with.
    pub(super) fn next(&self) -> Option<&[CallRecord]> {
        self.rows.get(self.todo.last()?.clone())
    }

    /// These rows are sent. True the first time, when they need a number of their own.
    pub(super) fn send(&mut self) -> bool {
        !std::mem::replace(&mut self.is_sent, true)
    }

    /// Whether it is not known what became of the rows to write next.
    pub(super) fn is_sent(&self) -> bool {
        self.is_sent && !self.is_done()
    }

    /// These rows are written.
    pub(super) fn written(&mut self) {
        self.todo.pop();
        self.is_sent = false;
    }

    /// These rows were refused: they are tried by halves. A row that was refused alone comes back.
    pub(super) fn refused(&mut self) -> Option<&CallRecord> {
        let range = self.todo.pop()?;
        self.is_sent = false;
        if range.len() == 1 {
            return self.rows.get(range.start);
        }
        let middle = range.start + range.len() / 2;
        self.todo.extend([middle..range.end, range.start..middle]);
        None
    }

    /// The rows that are neither written nor set aside, oldest first.
    pub(super) fn rest(&self) -> impl Iterator<Item = &CallRecord> {
        self.todo.iter().rev().flat_map(|range| &self.rows[range.clone()])
    }
}

#[cfg(test)]
mod tests {
    use super::Batch;
    use crate::history::samples;
    use proptest::prelude::{any, proptest};

    proptest! {
        #[test]
        fn every_good_row_is_written_once_and_every_bad_one_is_found(bad in proptest::collection::vec(any::<bool>(), 0..64)) {
            let site = samples::site("payments");
            let rows: Vec<_> = bad.iter().map(|_| samples::success(&site)).collect();
            let is_bad = |id| rows.iter().zip(&bad).any(|(row, &bad)| bad && row.id == id);
            let mut batch = Batch::new(rows.clone());
            let (mut written, mut found, mut writes) = (Vec::new(), Vec::new(), 0);
            while let Some(next) = batch.next() {
                writes += 1;
                let ids: Vec<_> = next.iter().map(|row| row.id).collect();
                let done = written.len() + found.len();
                let rest: Vec<_> = batch.rest().map(|row| row.id).collect();
                assert_eq!(rest, rows[done..].iter().map(|row| row.id).collect::<Vec<_>>());
                if ids.iter().any(|&id| is_bad(id)) {
                    found.extend(batch.refused().map(|row| row.id));
                } else {
                    written.extend(ids);
                    batch.written();
                }
            }
            let of = |wanted: bool| rows.iter().zip(&bad).filter(move |(_, bad)| **bad == wanted).map(|(row, _)| row.id);
            assert_eq!(written, of(false).collect::<Vec<_>>());
            assert_eq!(found, of(true).collect::<Vec<_>>());
            assert!(writes <= 1 + 2 * 6 * found.len(), "{writes} writes to find {}", found.len());
        }
    }
}
