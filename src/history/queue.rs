//! What waits for the store: the journal's spool, kept in step with the lanes.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::time::{Interval, MissedTickBehavior};
use tracing::{error, warn};

use super::{
    BATCH_ROWS, counters,
    journal::{Dropped, Lot, Position, Spool},
    lane::Shared,
};
use crate::clock;

/// How often lanes are looked at that have less than a batch.
const COLLECT_EVERY: Duration = Duration::from_millis(250);

/// How often lost rows are told in the log.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// See the module docs.
#[derive(Debug)]
pub(super) struct Queue {
    shared: Arc<Shared>,
    spool: Spool,
    tick: Interval,
    losses: Losses,
    /// Whether it was told that rows are in memory only.
    is_told: bool,
    /// Segments that were full before the next was made, as last told.
    hasty_told: usize,
}

impl Queue {
    pub(super) fn new(shared: &Arc<Shared>, spool: Spool) -> Self {
        let mut tick = tokio::time::interval(COLLECT_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (shared, losses) = (Arc::clone(shared), Losses::default());
        Self { shared, spool, tick, losses, is_told: false, hasty_told: 0 }
    }

    /// Waits until the lanes are worth looking at. Losing this future loses nothing.
    pub(super) async fn due(&mut self) {
        tokio::select! {
            _ = self.tick.tick() => {}
            () = self.shared.is_due.notified() => {}
        }
    }

    /// Does `work`, and goes on collecting meanwhile, so that lanes get their pages.
    pub(super) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.due() => self.collect(clock::now()),
            }
        }
    }

    /// Takes in what the lanes have written, gives them pages, and keeps within the bound.
    pub(super) fn collect(&mut self, now: Instant) {
        self.take_in(now, false);
        self.spool.forget_committed(now);
        let dropped = self.make_room();
        self.losses.add(dropped, now);
        self.tell_shelter();
    }

    /// Removes what has been committed for long enough.
    pub(super) fn forget_committed(&mut self, now: Instant) {
        self.spool.forget_committed(now);
    }

    /// Takes in what the lanes have written, and the rows that were still growing.
    pub(super) fn collect_all(&mut self, now: Instant) {
        self.take_in(now, true);
    }

    /// The next rows; empty when there are none.
    pub(super) fn next(&mut self) -> Lot {
        match self.spool.next(BATCH_ROWS) {
            Ok(lot) => lot,
            Err(error) => {
                // Nothing is lost by this: it is read again.
                let error = &error as &dyn std::error::Error;
                error!(error, "the journal cannot be read");
                Lot::default()
            }
        }
    }

    /// A lot is done with.
    pub(super) fn take_back(&mut self, lot: Lot) {
        self.spool.take_back(lot);
    }

    /// The store's cursors, by worker.
    pub(super) fn rewind(&mut self, cursors: &BTreeMap<u32, u64>) {
        match self.spool.rewind(cursors) {
            Ok(more) => self.shared.counters.passed(-more),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                error!(error, "the journal cannot be read");
            }
        }
    }

    /// Reading goes on behind the cursors as they are known.
    pub(super) fn go_back(&mut self) {
        self.spool.go_back();
    }

    /// Where the store's cursor of a worker is.
    pub(super) fn cursor(&self, worker: u32) -> Position {
        self.spool.cursor(worker)
    }

    /// The store has moved these cursors.
    pub(super) fn moved(&mut self, reached: &BTreeMap<u32, Position>) {
        self.spool.moved(reached);
        self.count();
    }

    /// All rows of the last lot are done with.
    pub(super) fn settled(&mut self, now: Instant) {
        self.spool.settled(now);
        self.count();
    }

    fn take_in(&mut self, now: Instant, is_last: bool) {
        let shared = Arc::clone(&self.shared);
        let supply = Arc::clone(self.spool.supply());
        for (worker, inbox) in (0..).zip(&shared.inboxes) {
            let mut contents = inbox.lock();
            let contents_now = &mut *contents;
            if is_last {
                contents_now.refusals.finish(&mut contents_now.tail);
            } else {
                contents_now.refusals.settle(&mut contents_now.tail, now);
            }
            let unrecorded = contents_now.tail.tell_lost();
            counters::add(&shared.counters.dropped, unrecorded);
            let filled = self.spool.take_in(worker, &mut contents_now.tail);
            let rows = contents_now.tail.rows();
            counters::add(&shared.counters.appended, rows - contents_now.rows_taken);
            contents_now.rows_taken = rows;
            counters::add(&shared.counters.recorded, std::mem::take(&mut contents_now.recorded));
            let (wants_spare, wants_file) =
                (contents_now.tail.wants_spare(), contents_now.tail.wants_file());
            drop(contents);
            // Unmapping and allocating take long enough to be done without the lane.
            drop(filled);
            let page = match (wants_spare, wants_file) {
                (true, _) => supply.page(worker),
                (_, true) => supply.file(worker),
                _ => None,
            };
            if let Some(page) = page {
                let late = inbox.lock().tail.give(page);
                late.into_iter().for_each(|page| supply.take_back(&page));
            }
        }
        self.count();
    }

    fn make_room(&mut self) -> Dropped {
        let mut dropped = Dropped::default();
        loop {
            match self.spool.next_to_go() {
                Ok(Some(going)) => {
                    dropped.rows += going.dropped.rows;
                    dropped.calls += going.dropped.calls;
                    if let Some(inbox) = self.shared.inboxes.first() {
                        inbox.lock().tail.lose(going.number, &going.sums);
                    }
                    self.spool.remove(going.worker, going.number);
                }
                Ok(None) => break,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    error!(error, "the journal cannot be read");
                    break;
                }
            }
        }
        counters::add(&self.shared.counters.dropped, dropped.calls);
        counters::add(&self.shared.counters.rows_dropped, dropped.rows);
        dropped
    }

    fn count(&self) {
        let counters = &self.shared.counters;
        counters.spool_bytes.store(self.spool.bytes(), Relaxed);
        counters.damaged.store(self.spool.damaged(), Relaxed);
    }

    /// Tells when rows begin to be in memory only, and when that is over.
    fn tell_shelter(&mut self) {
        let why = self.spool.supply().why_in_memory();
        match (&why, self.is_told) {
            (Some(why), false) => {
                error!(
                    error = why,
                    "the journal is in memory only: rows that wait for the store do not survive this process"
                );
            }
            (None, true) => tracing::info!("the journal is on disk again"),
            _ => {}
        }
        let hasty = self.spool.supply().hasty();
        if hasty > self.hasty_told && why.is_none() {
            let segments = hasty - self.hasty_told;
            warn!(
                segments,
                "segments filled faster than they were made: until they are stored, their rows do not survive this process"
            );
        }
        self.hasty_told = hasty;
        self.is_told = why.is_some();
        self.shared.counters.is_in_memory_because(why);
    }
}

/// Tells in the log what was lost: at once, then once a minute with the sum.
#[derive(Debug, Default)]
struct Losses {
    untold: u64,
    told_at: Option<Instant>,
}

impl Losses {
    fn add(&mut self, dropped: Dropped, now: Instant) {
        self.untold += dropped.calls;
        let is_due = self.told_at.is_none_or(|at| now.saturating_duration_since(at) >= TELL_EVERY);
        if self.untold > 0 && is_due {
            warn!(
                calls = self.untold,
                "the spool is full: the oldest calls have no row, only their sums"
            );
            self.untold = 0;
            self.told_at = Some(now);
        }
    }
}
