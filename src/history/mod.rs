//! History: from the beginning of a call to its row in the store.
//!
//! A [`Recorder`] hands each worker of the data plane a [`Lane`], through which calls are told to
//! the [`journal`] without waiting: once before they are sent on, once when they have ended. One
//! [`Writer`], on the store's thread, reads the journal and gives its rows to the store.
//!
//! # What holds
//!
//! Every call that was sent on has exactly one row in the store, whatever dies in between, as long
//! as the data directory survives and the store is not away for longer than the journal has room.
//! *At least once*, because a row leaves the journal only after the store committed it, and a call
//! that was under way at a kill is closed by the next start. *At most once*, because the store's
//! cursor moves in the transaction that holds the rows, from where the writer believes it to be and
//! from nowhere else. What the bound of the journal costs is added up and stored: the sums say how
//! many rows are missing.

mod allowance;
mod aside;
mod content;
mod counters;
mod fold;
pub mod journal;
mod lane;
mod line;
mod onlooker;
mod parts;
mod queue;
mod refusals;
mod repeated;
mod sample;
#[cfg(test)]
pub(crate) mod samples;
mod upkeep;
mod writer;

use std::{path::PathBuf, sync::Arc};

use tokio::sync::Notify;

use crate::config;
use allowance::Allowances;
use aside::Aside;
use journal::{Found, Journal, Tail};
use lane::{Inbox, Shared};

pub use counters::{Counters, LastError};
pub use fold::Folded;
pub use journal::Ticket;
pub use lane::Lane;
pub use line::line;
pub use onlooker::Onlooker;
pub use writer::Writer;

/// Rows of one batch at most. Statements cost per batch, memory and the loss at a cut per row.
const BATCH_ROWS: usize = 1_000;

/// Where the data plane gets its lanes.
#[derive(Debug, Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    found: Arc<Found>,
}

impl Recorder {
    /// A recorder with this many lanes into a journal that was opened for as many,
    /// and the writer that empties it. Rows that the store does not take are kept in `directory`.
    pub fn new(
        lanes: usize,
        journal: Journal,
        limits: &config::History,
        directory: Option<PathBuf>,
    ) -> (Self, Writer) {
        let allowances = Arc::<Allowances>::default();
        let inboxes = (0..u32::try_from(lanes).unwrap_or(u32::MAX)).map(|worker| {
            let mut tail = Tail::new(worker, Arc::clone(&journal.supply));
            // Before the first call, which is to survive a kill like all others.
            if let Some(page) = journal.supply.page(worker) {
                let late = tail.give(page);
                late.into_iter().for_each(|page| journal.supply.take_back(&page));
            }
            Inbox::new(tail, limits.refused_per_second, &allowances)
        });
        let shared = Arc::new(Shared {
            inboxes: inboxes.collect(),
            is_due: Notify::new(),
            counters: Counters::new(),
        });
        // Here rather than in the writer, whom it would keep from its lanes. What cannot be read now
        // will be told when it is to be written.
        let rows_found = journal.spool.rows_found().unwrap_or(0);
        counters::add(&shared.counters.appended, rows_found);
        let found = Arc::new(journal.found.clone());
        let writer =
            Writer::new(Arc::clone(&shared), journal, limits.clone(), Aside::new(directory));
        (Self { shared, found }, writer)
    }

    /// The lane of a worker. Workers beyond the number of lanes share.
    ///
    /// # Panics
    /// There is none, as where only what was found is written.
    pub fn lane(&self, worker: usize) -> Lane {
        Lane::new(&self.shared, worker)
    }

    /// What became of the calls so far.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// What the start found in the journal.
    pub fn found(&self) -> &Found {
        &self.found
    }
}
