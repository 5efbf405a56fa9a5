//! The rows that wait for the store, oldest first, in bounded memory.
//!
//! Of the configured limit, a quarter is left to the lanes, so that they can take calls between
//! two collections however long the store is away; the rest waits here. When it is full the oldest
//! row goes, and is counted.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tokio::time::{Interval, MissedTickBehavior};
use tracing::warn;

use super::{BATCH_ROWS, counters, fold::Refusals, lane::Shared};
use crate::domain::task::CallRecord;

/// How often lanes are collected that hold less than a batch.
const COLLECT_EVERY: Duration = Duration::from_millis(250);

/// The room of a lane's buffer that is kept for its next use.
const KEPT_ROOM: usize = 4 * BATCH_ROWS;

/// How often lost rows are told in the log.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// See the module docs.
#[derive(Debug)]
pub(super) struct Queue {
    shared: Arc<Shared>,
    limit: usize,
    rows: VecDeque<CallRecord>,
    refusals: Refusals,
    /// Rows handed out as the current batch; they are in memory still.
    in_flight: usize,
    spare: VecDeque<CallRecord>,
    tick: Interval,
    losses: Losses,
}

impl Queue {
    pub(super) fn new(shared: &Arc<Shared>, limit: usize, refused_per_second: u32) -> Self {
        let mut tick = tokio::time::interval(COLLECT_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            shared: Arc::clone(shared),
            limit,
            rows: VecDeque::new(),
            refusals: Refusals::new(refused_per_second),
            in_flight: 0,
            spare: VecDeque::new(),
            tick,
            losses: Losses::default(),
        }
    }

    /// Waits until the lanes are worth collecting. Losing this future loses nothing.
    pub(super) async fn due(&mut self) {
        tokio::select! {
            _ = self.tick.tick() => {}
            () = self.shared.is_full.notified() => {}
        }
    }

    /// Takes in what the lanes hold.
    pub(super) fn collect(&mut self, now: Instant) {
        let shared = Arc::clone(&self.shared);
        let counters = &shared.counters;
        let mut dropped = 0;
        for inbox in &shared.inboxes {
            let taken = inbox.take(&mut self.spare);
            counters::add(&counters.recorded, taken.recorded);
            dropped += taken.dropped;
            let mut spare = std::mem::take(&mut self.spare);
            for call in spare.drain(..).chain(taken.folded) {
                let own_row = self.refusals.take(call, now);
                own_row.into_iter().for_each(|call| self.push(call));
            }
            spare.shrink_to(KEPT_ROOM);
            self.spare = spare;
        }
        let settled = self.refusals.settle(now);
        settled.into_iter().for_each(|row| self.push(row));
        dropped += self.drop_oldest();
        counters::add(&counters.dropped, dropped);
        self.losses.add(dropped, now);
        self.tell_lanes();
    }

    /// Takes in what the lanes hold, and the folded rows, whose seconds end here.
    pub(super) fn collect_all(&mut self, now: Instant) {
        self.collect(now);
        let folded = self.refusals.finish();
        folded.into_iter().for_each(|row| self.push(row));
        self.tell_lanes();
    }

    /// The next batch, oldest rows first; empty when nothing waits.
    pub(super) fn take_batch(&mut self) -> Vec<CallRecord> {
        let batch: Vec<_> = self.rows.drain(..self.rows.len().min(BATCH_ROWS)).collect();
        self.in_flight = batch.len();
        batch
    }

    /// The batch is done with, one way or another.
    pub(super) fn batch_done(&mut self) {
        self.in_flight = 0;
        self.tell_lanes();
    }

    fn push(&mut self, row: CallRecord) {
        counters::add(&self.shared.counters.folded, u64::from(row.weight.saturating_sub(1)));
        self.rows.push_back(row);
    }

    /// Makes the rows fit; returns how many calls that cost.
    fn drop_oldest(&mut self) -> u64 {
        let room = (self.limit - self.limit / 4).saturating_sub(self.in_flight);
        let excess = self.rows.len().saturating_sub(room);
        self.rows.drain(..excess).map(|row| u64::from(row.weight)).sum()
    }

    /// Shares what is left of the limit among the lanes.
    fn tell_lanes(&self) {
        let waiting = self.rows.len() + self.in_flight + self.refusals.waiting();
        let lane_rows = self.limit.saturating_sub(waiting) / self.shared.inboxes.len();
        self.shared.lane_rows.store(lane_rows, Relaxed);
        self.shared.counters.rows_waiting.store(waiting as u64, Relaxed);
    }
}

/// Tells in the log what was lost: at once, then once a minute with the sum.
#[derive(Debug, Default)]
struct Losses {
    untold: u64,
    told_at: Option<Instant>,
}

impl Losses {
    fn add(&mut self, dropped: u64, now: Instant) {
        self.untold += dropped;
        let is_due = self.told_at.is_none_or(|at| now.saturating_duration_since(at) >= TELL_EVERY);
        if self.untold > 0 && is_due {
            warn!(calls = self.untold, "the history queue is full: the oldest calls have no row");
            self.untold = 0;
            self.told_at = Some(now);
        }
    }
}
