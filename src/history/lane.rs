//! Where the data plane tells of its calls: one lane per worker.
//!
//! Telling is a copy into the worker's journal, under a lock that only this worker and, four times
//! a second, the writer take. It never waits for anything else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{
    BATCH_ROWS, Counters,
    allowance::Allowances,
    journal::{Tail, Ticket},
    refusals::Refusals,
};
use crate::{
    clock,
    domain::{outcome::Outcome, task::CallRecord},
};

/// What lanes and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inboxes: Box<[Inbox]>,
    /// A lane has a whole batch, or needs another page.
    pub(super) is_due: Notify,
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

    /// A call is about to be sent on, to this endpoint: whatever happens now, it has a row.
    pub fn begin(&self, call: &CallRecord, endpoint: &Arc<str>) -> Ticket {
        self.shared.inboxes[self.at].lock().tail.begin(call, endpoint)
    }

    /// A call has ended; `begun` is what [`Lane::begin`] gave for it, if it was sent on.
    pub fn record(&self, call: &CallRecord, begun: Option<Ticket>) {
        if self.shared.inboxes[self.at].push(call, begun) {
            self.shared.is_due.notify_one();
        }
    }
}

/// The end of one worker's journal, on cache lines of its own so that workers do not slow each
/// other.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Inbox(Mutex<Contents>);

#[derive(Debug)]
pub(super) struct Contents {
    pub(super) tail: Tail,
    pub(super) refusals: Refusals,
    /// Calls since the writer looked.
    pub(super) recorded: u64,
    /// The rows of the tail when the writer looked.
    pub(super) rows_taken: u64,
}

impl Inbox {
    pub(super) fn new(tail: Tail, refused_per_second: u32, allowances: &Arc<Allowances>) -> Self {
        let refusals = Refusals::new(refused_per_second, Arc::clone(allowances));
        Self(Mutex::new(Contents { tail, refusals, recorded: 0, rows_taken: 0 }))
    }

    /// A std mutex: held for the time of a copy, never across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a call; true when that completes a batch or a page.
    fn push(&self, call: &CallRecord, begun: Option<Ticket>) -> bool {
        let mut contents = self.lock();
        let Contents { tail, refusals, recorded, rows_taken } = &mut *contents;
        let had_filled = tail.has_filled();
        *recorded += u64::from(call.weight);
        if call.outcome == Outcome::Refused && begun.is_none() {
            refusals.take(call, tail, clock::now());
        } else {
            tail.end(begun, call);
        }
        (tail.has_filled() && !had_filled) || tail.rows() == *rows_taken + BATCH_ROWS as u64
    }
}
