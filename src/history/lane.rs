//! Where the data plane leaves its calls: one lane per worker.
//!
//! Recording is a push under a lock that only this worker and, four times a second, the writer
//! take. It never waits for anything else and never wakes the writer for a single call. How many
//! rows a lane may hold is told by the writer, from what waits already.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::sync::Notify;

use super::{BATCH_ROWS, Counters, fold::Refusals};
use crate::{
    clock,
    domain::{outcome::Outcome, task::CallRecord},
};

/// What lanes and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inboxes: Box<[Inbox]>,
    /// Rows that one lane may hold now. Written by the writer, read by every call.
    pub(super) lane_rows: AtomicUsize,
    /// A lane holds a whole batch.
    pub(super) is_full: Notify,
    pub(super) counters: Counters,
}

/// Takes the calls of one worker. Cheap to clone, but meant for one thread: sharing a lane is
/// allowed and costs contention.
#[derive(Debug, Clone)]
pub struct Lane {
    shared: Arc<Shared>,
    at: usize,
}

impl Lane {
    pub(super) fn new(shared: &Arc<Shared>, worker: usize) -> Self {
        Self { shared: Arc::clone(shared), at: worker % shared.inboxes.len() }
    }

    /// Takes a call that has ended. Where nothing more fits, the oldest of this lane is dropped and
    /// counted.
    pub fn record(&self, call: CallRecord) {
        let limit = self.shared.lane_rows.load(Relaxed);
        if self.shared.inboxes[self.at].push(call, limit) {
            self.shared.is_full.notify_one();
        }
    }
}

/// The calls of one lane, on cache lines of their own so that workers do not slow each other.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Inbox(Mutex<Contents>);

#[derive(Debug)]
struct Contents {
    rows: VecDeque<CallRecord>,
    /// Keeps a flood of refused calls from pushing other rows out before the writer looks.
    refusals: Refusals,
    recorded: u64,
    dropped: u64,
}

/// What the writer took from a lane besides its rows.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) folded: Vec<CallRecord>,
    pub(super) recorded: u64,
    pub(super) dropped: u64,
}

impl Inbox {
    pub(super) fn new(refused_per_second: u32) -> Self {
        let refusals = Refusals::new(refused_per_second);
        Self(Mutex::new(Contents { rows: VecDeque::new(), refusals, recorded: 0, dropped: 0 }))
    }

    /// Swaps the rows into `rows`, which must be empty, and takes what else there is.
    pub(super) fn take(&self, rows: &mut VecDeque<CallRecord>) -> Taken {
        let mut contents = self.lock();
        mem::swap(&mut contents.rows, rows);
        Taken {
            folded: contents.refusals.finish(),
            recorded: mem::take(&mut contents.recorded),
            dropped: mem::take(&mut contents.dropped),
        }
    }

    /// Rows that wait here.
    pub(super) fn waiting(&self) -> usize {
        self.lock().rows.len()
    }

    /// Adds a call; true when it completes a batch.
    fn push(&self, call: CallRecord, limit: usize) -> bool {
        let mut contents = self.lock();
        contents.recorded += u64::from(call.weight);
        if call.outcome != Outcome::Refused {
            return contents.push(call, limit);
        }
        let own_row = contents.refusals.take(call, clock::now());
        own_row.is_some_and(|call| contents.push(call, limit))
    }

    /// A std mutex: held for the time of a push, never across an await.
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn push(&mut self, call: CallRecord, limit: usize) -> bool {
        // The limit may have shrunk below what is here: one out for one in keeps this cheap.
        if self.rows.len() >= limit.max(1) {
            let oldest = self.rows.pop_front();
            self.dropped += oldest.map_or(0, |oldest| u64::from(oldest.weight));
        }
        self.rows.push_back(call);
        self.rows.len() == BATCH_ROWS.min(limit / 2).max(1)
    }
}
