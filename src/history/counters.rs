//! What became of the calls, counted: for metrics, the admin port and tests.
//!
//! Calls, not rows, unless the name says so: a folded row counts as many as it stands for. So
//! `recorded = written + dropped + set aside + still waiting` once the lanes are collected.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// The counters of one recorder. All of them only grow, except what waits and whether it is up.
#[derive(Debug)]
pub struct Counters {
    pub(super) recorded: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) rows_written: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) folded: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) set_aside: AtomicU64,
    pub(super) rows_waiting: AtomicU64,
    store_up: AtomicBool,
    last_error: Mutex<Option<LastError>>,
}

/// The last error of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// What it said, with its causes.
    pub message: String,
}

impl Counters {
    /// Nothing counted, and the store taken to be up until it fails.
    pub(super) fn new() -> Self {
        let zero = AtomicU64::default;
        Self {
            recorded: zero(),
            written: zero(),
            rows_written: zero(),
            batches: zero(),
            folded: zero(),
            dropped: zero(),
            set_aside: zero(),
            rows_waiting: zero(),
            store_up: AtomicBool::new(true),
            last_error: Mutex::default(),
        }
    }

    /// Calls that lanes were given and the writer has collected.
    pub fn recorded(&self) -> u64 {
        self.recorded.load(Relaxed)
    }

    /// Calls that the store has committed.
    pub fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Rows that the store has committed; fewer than calls where calls were folded.
    pub fn rows_written(&self) -> u64 {
        self.rows_written.load(Relaxed)
    }

    /// Batches that the store has committed.
    pub fn batches(&self) -> u64 {
        self.batches.load(Relaxed)
    }

    /// Calls without a row of their own.
    pub fn folded(&self) -> u64 {
        self.folded.load(Relaxed)
    }

    /// Calls lost because the queue was full, oldest first.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Calls whose row the store would not take.
    pub fn set_aside(&self) -> u64 {
        self.set_aside.load(Relaxed)
    }

    /// Rows that wait in memory for the store.
    pub fn rows_waiting(&self) -> u64 {
        self.rows_waiting.load(Relaxed)
    }

    /// Whether the last batch went through.
    pub fn store_up(&self) -> bool {
        self.store_up.load(Relaxed)
    }

    /// The last error of the store, also when it is long over.
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn went_well(&self) {
        self.store_up.store(true, Relaxed);
    }

    pub(super) fn went_wrong(&self, is_up: bool, error: LastError) {
        self.store_up.store(is_up, Relaxed);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Relaxed);
}
