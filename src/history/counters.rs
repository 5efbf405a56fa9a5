//! What became of the calls, counted: for metrics, the admin port and tests.
//!
//! Calls, not rows, unless the name says so: a folded row counts as many as it stands for.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
};

/// The counters of one recorder. All of them only grow, except what waits and whether it is up.
#[derive(Debug)]
pub struct Counters {
    pub(super) recorded: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) rows_written: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) rows_dropped: AtomicU64,
    pub(super) set_aside: AtomicU64,
    pub(super) rows_set_aside: AtomicU64,
    /// Rows that were appended to the journal, or found in it.
    pub(super) appended: AtomicU64,
    /// Rows that the store's cursor has passed without a write of ours; fewer than none when it
    /// went back.
    passed: AtomicI64,
    pub(super) damaged: AtomicU64,
    pub(super) spool_bytes: AtomicU64,
    in_memory_because: Mutex<Option<String>>,
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
            dropped: zero(),
            rows_dropped: zero(),
            set_aside: zero(),
            rows_set_aside: zero(),
            appended: zero(),
            passed: AtomicI64::new(0),
            damaged: zero(),
            spool_bytes: zero(),
            in_memory_because: Mutex::default(),
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

    /// Calls that lost their row because the spool was full, oldest first.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Calls whose row the store would not take.
    pub fn set_aside(&self) -> u64 {
        self.set_aside.load(Relaxed)
    }

    /// Rows that wait for the store, in the journal.
    pub fn rows_waiting(&self) -> u64 {
        let done = [&self.rows_written, &self.rows_dropped, &self.rows_set_aside];
        let done: u64 = done.iter().map(|counter| counter.load(Relaxed)).sum();
        let passed = self.passed.load(Relaxed);
        self.appended.load(Relaxed).saturating_add_signed(-passed).saturating_sub(done)
    }

    /// Records of the journal that could not be read.
    pub fn damaged(&self) -> u64 {
        self.damaged.load(Relaxed)
    }

    /// The bytes that the journal takes.
    pub fn spool_bytes(&self) -> u64 {
        self.spool_bytes.load(Relaxed)
    }

    /// Why rows that wait do not survive the process; none when they do.
    pub fn in_memory_because(&self) -> Option<String> {
        self.in_memory_because.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the last batch went through.
    pub fn store_up(&self) -> bool {
        self.store_up.load(Relaxed)
    }

    /// The last error of the store, also when it is long over.
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The store has committed a batch.
    pub(super) fn was_written(&self, rows: u64, calls: u64) {
        add(&self.written, calls);
        add(&self.rows_written, rows);
        add(&self.batches, u64::from(rows > 0));
    }

    /// The store's cursor has passed so many rows without a write of ours.
    pub(super) fn passed(&self, rows: i64) {
        self.passed.fetch_add(rows, Relaxed);
    }

    /// So many of these were written by us after all.
    pub(super) fn not_passed(&self, rows: u64) {
        self.passed(-i64::try_from(rows).unwrap_or(i64::MAX));
    }

    pub(super) fn is_in_memory_because(&self, why: Option<String>) {
        *self.in_memory_because.lock().unwrap_or_else(PoisonError::into_inner) = why;
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
