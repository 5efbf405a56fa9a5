//! What there is to read of one worker's journal: its segments in order, and how far they were read.
//!
//! Three places matter: the store's *cursor*, up to which rows are committed; *at*, up to which
//! they were read; and the end, up to which they are written. Going back to the cursor and reading
//! again is how every doubt about the store is resolved.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    codec,
    frame::{Frame, Kind},
    lot::Lot,
    position::Position,
    scan::{Contents, Scan},
    segment::Segment,
    vocabulary::Vocabulary,
};

/// A segment on its way into the store.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) segment: Arc<Segment>,
    /// How far it is written.
    pub(super) end: usize,
    /// Nothing more comes.
    pub(super) is_full: bool,
    /// Since when all its rows are committed.
    pub(super) done_at: Option<Instant>,
}

impl Volume {
    pub(super) fn number(&self) -> u64 {
        self.segment.header.number
    }
}

/// See the module docs.
#[derive(Debug, Default)]
pub(super) struct Track {
    pub(super) volumes: VecDeque<Volume>,
    /// As the store told it, or as we last moved it.
    pub(super) cursor: Position,
    pub(super) at: Position,
    /// What the store's cursor was when it was first asked for: no place in what we have written.
    found: Option<Position>,
    /// Segments that a later start must read once more, to close what is open there.
    pub(super) owing: BTreeSet<u64>,
    /// The first segment that this process wrote.
    own: Option<u64>,
    /// What the numbers mean in the segment of `at`.
    words: Option<(u64, Vocabulary)>,
    /// Records that could not be read, ever.
    pub(super) damaged: u64,
    buffer: Vec<u8>,
}

impl Track {
    /// As [`Track::extend`], of a segment that this process writes.
    pub(super) fn extend_own(&mut self, segment: &Arc<Segment>, end: usize, is_full: bool) {
        self.own.get_or_insert(segment.header.number);
        self.extend(segment, end, is_full);
    }

    /// There is more to read of a segment, which is new or the newest.
    pub(super) fn extend(&mut self, segment: &Arc<Segment>, end: usize, is_full: bool) {
        let number = segment.header.number;
        match self.volumes.back_mut().filter(|volume| volume.number() == number) {
            Some(volume) => (volume.end, volume.is_full) = (end, is_full),
            None => {
                let segment = Arc::clone(segment);
                self.volumes.push_back(Volume { segment, end, is_full, done_at: None });
            }
        }
    }

    /// The store says that its cursor is here: reads go on behind it.
    pub(super) fn rewind(&mut self, cursor: Position) {
        self.found.get_or_insert(cursor);
        self.cursor = cursor;
        self.go_back();
        // A copy of the store that lacks the last commits has lost these rows again.
        let at = self.at;
        let is_behind = |volume: &&mut Volume| at < Position::new(volume.number(), volume.end);
        self.volumes.iter_mut().filter(is_behind).for_each(|volume| volume.done_at = None);
    }

    /// Reads go on behind the cursor as it is known.
    pub(super) fn go_back(&mut self) {
        self.at = self.cursor;
        self.words = None;
        // The cursor of a journal that was there before this directory was emptied or put back, or
        // the clock was: what this process writes is new for certain, what it found is old.
        let own = self.own.or_else(|| self.volumes.back().map(|newest| newest.number() + 1));
        let is_of_old = Some(self.cursor) == self.found
            || self.volumes.back().is_some_and(|v| self.cursor.segment() > v.number());
        if let Some(own) = own.map(|own| Position::new(own, 0))
            && is_of_old
        {
            self.at = self.at.min(own);
        }
    }

    /// Reads rows into a lot until it is full, or the rows of another process would come.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub(super) fn read(&mut self, lot: &mut Lot) -> io::Result<()> {
        while !lot.is_full() {
            let Some(volume) = self.volumes.iter().position(|v| v.number() >= self.at.segment())
            else {
                return Ok(());
            };
            let Volume { segment, end, is_full, .. } = &self.volumes[volume];
            let (segment, end, is_full) = (Arc::clone(segment), *end, *is_full);
            let number = segment.header.number;
            if number != self.at.segment() || self.at.offset() < segment.first {
                self.at = Position::new(number, segment.first);
            }
            if self.at.offset() >= end {
                if !is_full || volume + 1 == self.volumes.len() {
                    return Ok(());
                }
                self.at = Position::new(number + 1, 0);
                continue;
            }
            if !lot.admits(&segment.header.origin) {
                return Ok(());
            }
            self.learn_words(&segment)?;
            let before = self.at;
            let mut goes_on = self.read_some(&segment, end, CHUNK, lot)?;
            if goes_on && self.at == before {
                // Damage, the zeros of an end, or a long record: the rest at once shows which.
                goes_on = self.read_some(&segment, end, usize::MAX, lot)?;
            }
            if !goes_on {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads so much of a segment; false when the lot should go first.
    fn read_some(
        &mut self,
        segment: &Segment,
        end: usize,
        most: usize,
        lot: &mut Lot,
    ) -> io::Result<bool> {
        let from = self.at.offset();
        let length = (end - from).min(most);
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        let read = &mut buffer[..length];
        segment.read_at(read, from)?;
        let mut scan = Scan::new(read, from, segment.seed(), from + length == end);
        let mut goes_on = true;
        while goes_on && !lot.is_full() {
            let Some(frame) = scan.next() else { break };
            goes_on = self.take(segment, &frame, lot);
            if goes_on {
                self.at = Position::new(segment.header.number, frame.end);
            }
        }
        if goes_on && !lot.is_full() {
            self.at = Position::new(segment.header.number, scan.offset());
        }
        self.damaged += scan.damaged;
        self.buffer = buffer;
        Ok(goes_on)
    }

    /// Takes in a record; false when it must wait for the next lot.
    fn take(&mut self, segment: &Segment, frame: &Frame<'_>, lot: &mut Lot) -> bool {
        let Some((_, words)) = &mut self.words else { return true };
        let end = Position::new(segment.header.number, frame.end);
        let worker = segment.header.worker;
        let is_read = match frame.kind {
            Kind::Site => words.learn_site(frame.payload).is_some(),
            Kind::Text => words.learn_text(frame.payload).is_some(),
            Kind::Ended => match codec::ended(frame.payload, words) {
                Some(call) => {
                    lot.push(&segment.header.origin, worker, end, call);
                    true
                }
                None => false,
            },
            Kind::Lost => {
                if !lot.is_empty() {
                    return false;
                }
                let sums = codec::lost(frame.payload, words);
                sums.map(|lost| lot.settle(&segment.header.origin, worker, end, lost.sums))
                    .is_some()
            }
            Kind::Header | Kind::Began | Kind::Fold | Kind::Carried => true,
        };
        self.damaged += u64::from(!is_read);
        true
    }

    /// Learns what the numbers mean where `at` is.
    fn learn_words(&mut self, segment: &Segment) -> io::Result<()> {
        let number = segment.header.number;
        if self.words.as_ref().is_some_and(|(known, _)| *known == number) {
            return Ok(());
        }
        let words = learn(segment, self.at.offset())?;
        self.words = Some((number, words));
        Ok(())
    }

    /// How many rows there are behind one place, up to another.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub(super) fn rows_between(&self, after: Position, up_to: Position) -> io::Result<u64> {
        let mut rows = 0;
        for Volume { segment, end, .. } in &self.volumes {
            let number = segment.header.number;
            if !(after.segment()..=up_to.segment()).contains(&number) {
                continue;
            }
            let contents = Contents::read(segment, *end)?;
            let mut scan = contents.scan();
            while let Some(frame) = scan.next() {
                let place = Position::new(number, frame.end);
                rows += u64::from(frame.kind == Kind::Ended && place > after && place <= up_to);
            }
        }
        Ok(rows)
    }

    /// Everything that was read is committed.
    pub(super) fn settled(&mut self, now: Instant) {
        let at = self.at;
        for volume in self.volumes.iter_mut().filter(|volume| volume.is_full) {
            if at >= Position::new(volume.number(), volume.end) {
                volume.done_at.get_or_insert(now);
            }
        }
    }

    /// The oldest segment that has been committed for so long, and is of no more use.
    pub(super) fn outlived(&self, kept: Duration, now: Instant) -> Option<u64> {
        let is_over = |volume: &&Volume| {
            let done_at = volume.done_at;
            done_at.is_some_and(|done_at| now.saturating_duration_since(done_at) >= kept)
                && !self.owing.contains(&volume.number())
        };
        self.volumes.iter().find(is_over).map(Volume::number)
    }

    /// Takes a segment out.
    pub(super) fn remove(&mut self, number: u64) -> Option<Volume> {
        let place = self.volumes.iter().position(|volume| volume.number() == number)?;
        self.volumes.remove(place)
    }
}

/// What the numbers mean in a segment, up to a place in it.
///
/// # Errors
/// It cannot be read.
pub(super) fn learn(segment: &Segment, up_to: usize) -> io::Result<Vocabulary> {
    let mut words = segment.words.clone();
    let mut bytes = vec![0; up_to.saturating_sub(segment.first)];
    segment.read_at(&mut bytes, segment.first)?;
    let mut scan = Scan::new(&bytes, segment.first, segment.seed(), true);
    while let Some(frame) = scan.next() {
        match frame.kind {
            Kind::Site => words.learn_site(frame.payload),
            Kind::Text => words.learn_text(frame.payload),
            _ => None,
        };
    }
    Ok(words)
}

/// What is read at a time: a thousand calls or so.
const CHUNK: usize = 1 << 18;
