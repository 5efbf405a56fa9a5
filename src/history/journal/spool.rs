//! All that there is to read of a journal, by worker, within a bound.
//!
//! Segments stay for a while after their rows are committed: a store that fails over to a copy
//! which lacks the last of them asks for those again. When the bound is reached, what is committed
//! goes first, then the oldest rows there are, and those are added up: their sums still reach the
//! store, and say how many rows are missing. Segments of dead processes stay until the store has told
//! which of their rows it has: rows that it has must not be added up as lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    io, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    codec,
    frame::Kind,
    lot::Lot,
    position::Position,
    scan::Contents,
    segment::{Page, Segment},
    supply::Supply,
    tail::Tail,
    track::{Track, Volume, learn},
};
use crate::domain::learn::rollup::{Ledger, Rollup, RollupKey};

/// See the module docs.
#[derive(Debug)]
pub(in crate::history) struct Spool {
    tracks: BTreeMap<u32, Track>,
    supply: Arc<Supply>,
    limit_bytes: u64,
    kept: Duration,
    /// Whether what was read last may be in the store or not.
    in_doubt: bool,
    /// Whether the store has told its cursors.
    is_told: bool,
    /// Which worker's turn it is to be read first.
    turn: u32,
    /// The last lot that is done with: were its room new each time, the system would clear it each
    /// time.
    spare: Lot,
}

/// Rows that were dropped for want of room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::history) struct Dropped {
    pub(in crate::history) rows: u64,
    pub(in crate::history) calls: u64,
}

/// A segment that has to go.
#[derive(Debug)]
pub(in crate::history) struct Going {
    pub(in crate::history) worker: u32,
    pub(in crate::history) number: u64,
    pub(in crate::history) dropped: Dropped,
    pub(in crate::history) sums: Vec<(RollupKey, Rollup)>,
}

impl Spool {
    /// A spool that begins with the segments that were found, in any order. Of these, some tell of
    /// calls that a later start must close: they stay.
    pub(super) fn new(
        (mut found, owing): (Vec<Segment>, BTreeSet<u64>),
        supply: Arc<Supply>,
        (limit_bytes, kept): (u64, Duration),
    ) -> Self {
        let mut tracks: BTreeMap<u32, Track> = BTreeMap::new();
        found.sort_by_key(|segment| segment.header.number);
        for segment in found {
            let (worker, length) = (segment.header.worker, segment.length);
            let track = tracks.entry(worker).or_default();
            track.owing.extend(owing.get(&segment.header.number));
            track.extend(&Arc::new(segment), length, true);
        }
        Self {
            tracks,
            supply,
            limit_bytes,
            kept,
            in_doubt: false,
            is_told: false,
            turn: 0,
            spare: Lot::default(),
        }
    }

    /// Takes what a tail has written.
    /// The pages that come back are full and of no more use.
    pub(in crate::history) fn take_in(&mut self, worker: u32, tail: &mut Tail) -> Vec<Page> {
        let taken = tail.take();
        let track = self.tracks.entry(worker).or_default();
        for page in &taken.filled {
            track.extend_own(&page.segment, page.end, true);
        }
        if let Some((segment, end)) = taken.current {
            track.extend_own(&segment, end, false);
        }
        taken.filled
    }

    /// Where tails get their pages, which are made without holding a tail.
    pub(in crate::history) fn supply(&self) -> &Arc<Supply> {
        &self.supply
    }

    /// The rows of the segments that were found.
    pub(in crate::history) fn rows_found(&self) -> io::Result<u64> {
        let all = |track: &Track| track.rows_between(Position::default(), Position::END);
        self.tracks.values().map(all).sum()
    }

    /// The store's cursors, by worker: reading goes on behind them. Returns by how many rows there
    /// are more to read than before, or fewer.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub(in crate::history) fn rewind(&mut self, cursors: &BTreeMap<u32, u64>) -> io::Result<i64> {
        (self.in_doubt, self.is_told) = (false, true);
        let mut moves = Vec::new();
        for (worker, track) in &mut self.tracks {
            let before = track.cursor;
            let cursor = cursors.get(worker).copied().unwrap_or_default();
            track.rewind(Position::from_cursor(cursor));
            moves.push((*worker, before, track.cursor));
        }
        // Only now, so that a segment that cannot be read keeps none from being read from the right
        // place.
        let mut more = 0;
        for (worker, before, cursor) in moves {
            let Some(track) = self.tracks.get(&worker) else { continue };
            let passed = track.rows_between(before.min(cursor), before.max(cursor))?;
            let passed = i64::try_from(passed).unwrap_or(i64::MAX);
            more += if cursor < before { passed } else { -passed };
        }
        Ok(more)
    }

    /// Reading goes on behind the cursors as they are known.
    pub(in crate::history) fn go_back(&mut self) {
        self.tracks.values_mut().for_each(Track::go_back);
    }

    /// Where the records of the first segment begin.
    #[cfg(test)]
    pub(super) fn first_record(&self) -> usize {
        self.volumes().next().map_or(0, |(_, volume)| volume.segment.first)
    }

    /// How far the rows of a worker were read.
    #[cfg(test)]
    pub(super) fn position(&self, worker: u32) -> Position {
        self.tracks.get(&worker).map(|track| track.at).unwrap_or_default()
    }

    /// Where the store's cursor of a worker is, as far as we know.
    pub(in crate::history) fn cursor(&self, worker: u32) -> Position {
        self.tracks.get(&worker).map(|track| track.cursor).unwrap_or_default()
    }

    /// The next rows, oldest first by worker; empty when all were read. A segment that cannot be
    /// read holds up its own worker only.
    ///
    /// # Errors
    /// A segment cannot be read, and there is nothing else to read.
    pub(in crate::history) fn next(&mut self, limit: usize) -> io::Result<Lot> {
        let (mut lot, mut result) = (mem::take(&mut self.spare).of(limit), Ok(()));
        let turn = self.turn;
        let order: Vec<u32> =
            self.tracks.range(turn..).chain(self.tracks.range(..turn)).map(|(&w, _)| w).collect();
        for worker in order {
            let read = self.tracks.get_mut(&worker).map_or(Ok(()), |track| track.read(&mut lot));
            result = result.and(read);
            if lot.is_full() {
                // The others come first the next time, so that none waits for long.
                self.turn = worker + 1;
                break;
            }
        }
        self.in_doubt = !lot.is_empty();
        // What was read before an error must go on its way: it is not read again.
        if lot.is_empty() { result.map(|()| lot) } else { Ok(lot) }
    }

    /// A lot is done with.
    pub(in crate::history) fn take_back(&mut self, lot: Lot) {
        self.spare = lot.emptied();
    }

    /// The store has moved these cursors.
    pub(in crate::history) fn moved(&mut self, reached: &BTreeMap<u32, Position>) {
        for (worker, &position) in reached {
            if let Some(track) = self.tracks.get_mut(worker) {
                track.cursor = position;
            }
        }
    }

    /// Everything that was read is committed.
    pub(in crate::history) fn settled(&mut self, now: Instant) {
        self.in_doubt = false;
        self.tracks.values_mut().for_each(|track| track.settled(now));
    }

    /// Records that could not be read.
    pub(in crate::history) fn damaged(&self) -> u64 {
        self.tracks.values().map(|track| track.damaged).sum()
    }

    /// The bytes that the segments take.
    pub(in crate::history) fn bytes(&self) -> u64 {
        self.volumes().map(|(_, volume)| volume.segment.length as u64).sum()
    }

    /// Removes what has been committed for long enough.
    pub(in crate::history) fn forget_committed(&mut self, now: Instant) {
        for worker in self.workers() {
            while let Some(number) =
                self.tracks.get(&worker).and_then(|track| track.outlived(self.kept, now))
            {
                self.remove(worker, number);
            }
        }
    }

    /// The segment that has to go for the others to fit into the bound, with the sums of what is
    /// lost with it; none when they fit. It is the caller's to tell the sums and then to remove it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(in crate::history) fn next_to_go(&self) -> io::Result<Option<Going>> {
        if !self.is_over() {
            return Ok(None);
        }
        let Some((worker, number)) = self.least_missed() else { return Ok(None) };
        let (dropped, ledger) = self.sum_up(worker, number)?;
        Ok(Some(Going { worker, number, dropped, sums: ledger.into_sums() }))
    }

    fn is_over(&self) -> bool {
        self.bytes() > self.limit_bytes || self.supply.is_memory_scarce()
    }

    /// The segment that is missed the least: one whose rows are committed, else the oldest. None is
    /// taken that is written to, whose rows are on their way, or may have arrived.
    fn least_missed(&self) -> Option<(u32, u64)> {
        let only_memory = self.bytes() <= self.limit_bytes;
        let candidates = self.volumes().filter(|(worker, volume)| {
            volume.is_full
                && !(only_memory && volume.segment.path.is_some())
                && (self.is_told || self.is_ours(volume))
                && !self.is_on_its_way(*worker, volume.number())
        });
        let is_missed = |worker: u32, volume: &Volume| {
            let track = self.tracks.get(&worker);
            let is_owing = track.is_some_and(|track| track.owing.contains(&volume.number()));
            volume.done_at.is_none() || is_owing
        };
        let (worker, volume) = candidates.min_by_key(|(w, v)| (is_missed(*w, v), v.number()))?;
        Some((worker, volume.number()))
    }

    fn is_ours(&self, volume: &Volume) -> bool {
        volume.segment.header.origin == self.supply.origin
    }

    fn is_on_its_way(&self, worker: u32, number: u64) -> bool {
        let Some(track) = self.tracks.get(&worker) else { return false };
        self.in_doubt && (track.cursor.segment()..=track.at.segment()).contains(&number)
    }

    /// What a segment holds that is not committed.
    fn sum_up(&self, worker: u32, number: u64) -> io::Result<(Dropped, Ledger)> {
        let (mut dropped, mut ledger) = (Dropped::default(), Ledger::default());
        let Some(track) = self.tracks.get(&worker) else { return Ok((dropped, ledger)) };
        let Some(volume) = track.volumes.iter().find(|v| v.number() == number) else {
            return Ok((dropped, ledger));
        };
        if volume.done_at.is_some() {
            return Ok((dropped, ledger));
        }
        let segment = &volume.segment;
        let words = learn(segment, volume.end)?;
        let contents = Contents::read(segment, volume.end)?;
        let mut scan = contents.scan();
        while let Some(frame) = scan.next() {
            if Position::new(number, frame.end) <= track.cursor {
                continue;
            }
            match frame.kind {
                Kind::Ended => {
                    if let Some(call) = codec::ended(frame.payload, &words) {
                        dropped.rows += 1;
                        dropped.calls += u64::from(call.weight);
                        ledger.add_lost(&segment.header.origin.service, &call);
                    }
                }
                Kind::Lost => {
                    let sums = codec::lost(frame.payload, &words).map(|lost| lost.sums);
                    sums.into_iter().flatten().for_each(|(key, sum)| ledger.merge(key, &sum));
                }
                _ => {}
            }
        }
        Ok((dropped, ledger))
    }

    /// Removes a segment.
    pub(in crate::history) fn remove(&mut self, worker: u32, number: u64) {
        let Some(track) = self.tracks.get_mut(&worker) else { return };
        let Some(Volume { segment, .. }) = track.remove(number) else { return };
        if segment.path.is_none() {
            self.supply.memory_back();
        }
        if let Err(error) = segment.remove() {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, path = ?segment.path, "a segment of the journal cannot be removed");
        }
    }

    fn workers(&self) -> Vec<u32> {
        self.tracks.keys().copied().collect()
    }

    fn volumes(&self) -> impl Iterator<Item = (u32, &Volume)> {
        self.tracks
            .iter()
            .flat_map(|(&worker, track)| track.volumes.iter().map(move |v| (worker, v)))
    }
}
