//! History: from the end of a call to its row in the store.
//!
//! A [`Recorder`] hands each worker of the data plane a [`Lane`], into which calls are pushed
//! without waiting. One [`Writer`], on the store's thread, collects the lanes four times a second,
//! folds refused calls beyond their share ([`Refusals`]), and writes batches with their rollups.
//! While the store is away the rows wait in memory, oldest first, up to a limit.
//!
//! # What holds, and what does not yet
//!
//! A row leaves memory only when the store said that it was committed, when it was set aside
//! because the store would not take it, or as the oldest of a full queue; each is counted. Each
//! batch has a number and keeps it however often it is sent, and the store moves a cursor to that
//! number together with the rows: so a batch whose answer was lost is there once. One gap remains
//! until the journal is a file: a kill loses what is in memory.

mod batch;
mod counters;
mod fold;
mod lane;
mod line;
mod queue;
#[cfg(test)]
pub(crate) mod samples;
mod upkeep;
mod writer;

use std::sync::{Arc, atomic::AtomicUsize};

use tokio::sync::Notify;

use crate::config;
use lane::{Inbox, Shared};

pub use counters::{Counters, LastError};
pub use fold::{Folded, Refusals};
pub use lane::Lane;
pub use line::line;
pub use writer::Writer;

/// Rows of one batch at most. Statements cost per batch, memory and the loss at a cut per row.
const BATCH_ROWS: usize = 1_000;

/// Where the data plane gets its lanes.
#[derive(Debug, Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

impl Recorder {
    /// A recorder with this many lanes (at least one), and the writer that empties them.
    pub fn new(lanes: usize, limits: &config::History) -> (Self, Writer) {
        let lanes = lanes.max(1);
        let queue_rows = limits.queue_rows.get();
        let inboxes = (0..lanes).map(|_| Inbox::new(limits.refused_per_second)).collect();
        let shared = Arc::new(Shared {
            inboxes,
            lane_rows: AtomicUsize::new(queue_rows / lanes),
            is_full: Notify::new(),
            counters: Counters::new(),
        });
        (Self { shared: Arc::clone(&shared) }, Writer::new(shared, limits.clone()))
    }

    /// The lane of a worker. Workers beyond the number of lanes share.
    pub fn lane(&self, worker: usize) -> Lane {
        Lane::new(&self.shared, worker)
    }

    /// Rows in memory: in the lanes, and with the writer.
    pub fn waiting(&self) -> u64 {
        let lanes: usize = self.shared.inboxes.iter().map(Inbox::waiting).sum();
        self.counters().rows_waiting().saturating_add(lanes as u64)
    }

    /// What became of the calls so far.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }
}
