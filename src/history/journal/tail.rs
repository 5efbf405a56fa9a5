//! The end of one worker's journal, where records are appended.
//!
//! A call that is sent on is told twice: when it begins, and as a row when it has ended. What began
//! and has not ended is told again at the front of each new segment, so that an old one is needed
//! for its rows alone. Nothing here waits: the next segment was made ahead, and where it was not,
//! memory takes its place.

use std::{collections::VecDeque, mem, sync::Arc};

use super::{
    bytes::Writer,
    codec,
    frame::Kind,
    names::{Names, New},
    open::{Open, OpenRecords, Ticket},
    position::Numbers,
    segment::{Page, Segment},
    supply::Supply,
    vocabulary,
};
use crate::domain::{
    learn::rollup::{Ledger, Rollup, RollupKey},
    task::CallRecord,
};

/// See the module docs.
#[derive(Debug)]
pub(in crate::history) struct Tail {
    worker: u32,
    supply: Arc<Supply>,
    page: Option<Page>,
    /// The next ones, as many as it takes to tell everything that is open, and one.
    spares: VecDeque<Page>,
    filled: Vec<Page>,
    names: Names,
    open: OpenRecords,
    record: Vec<u8>,
    /// Rows that were appended, ever.
    rows: u64,
    /// Rows for which there was no room, added up until there is some for the sum.
    lost: Ledger,
}

/// What the reading side takes from a tail.
#[derive(Debug)]
pub(super) struct Taken {
    /// Pages that are full.
    pub(super) filled: Vec<Page>,
    /// The segment that is being written, and how far.
    pub(super) current: Option<(Arc<Segment>, usize)>,
}

impl Tail {
    pub(in crate::history) fn new(worker: u32, supply: Arc<Supply>) -> Self {
        Self {
            worker,
            supply,
            page: None,
            spares: VecDeque::new(),
            filled: Vec::new(),
            names: Names::default(),
            open: OpenRecords::default(),
            record: Vec::new(),
            rows: 0,
            lost: Ledger::default(),
        }
    }

    /// A tail that ends with this page.
    pub(super) fn over(page: Page) -> Self {
        let origin = Arc::clone(&page.segment.header.origin);
        let worker = page.segment.header.worker;
        let nothing_else = Supply::new(Err(String::new()), origin, Numbers::default(), 0, (0, 0));
        Self { page: Some(page), ..Self::new(worker, Arc::new(nothing_else)) }
    }

    /// A call is about to be sent on, to this endpoint.
    pub(in crate::history) fn begin(&mut self, call: &CallRecord, endpoint: &Arc<str>) -> Ticket {
        self.record.clear();
        codec::put_began(&mut self.record, call, Some(endpoint), &mut self.names);
        self.open(Kind::Began)
    }

    /// A row begins that will stand for more calls than this one, see [`Tail::count`].
    pub(in crate::history) fn fold(&mut self, row: &CallRecord, sums: [u64; 4]) -> Ticket {
        self.record.clear();
        codec::put_ended(&mut self.record, row, &mut self.names);
        let mut to = Writer(&mut self.record);
        sums.into_iter().for_each(|sum| to.u64(sum));
        self.open(Kind::Fold)
    }

    /// The sums of such a row have grown.
    pub(in crate::history) fn count(&mut self, ticket: &Ticket, sums: [u64; 4]) {
        let Some(Open { record, place, .. }) = self.open.get_mut(ticket) else { return };
        let from = record.len() - sums.len() * size_of::<u64>();
        record.truncate(from);
        let mut to = Writer(record);
        sums.into_iter().for_each(|sum| to.u64(sum));
        if let (Some(place), Some(page)) = (*place, &mut self.page) {
            page.patch(place + from, &record[from..]);
        }
    }

    /// A call has ended, or what stands for many: a row.
    pub(in crate::history) fn end(&mut self, ticket: Option<Ticket>, call: &CallRecord) {
        self.record.clear();
        codec::put_ended(&mut self.record, call, &mut self.names);
        // Before the room for it runs out, so that it is not told again.
        if let Some(ticket) = ticket {
            self.open.close(ticket);
        }
        match self.append(Kind::Ended) {
            Some(_) => self.rows += 1,
            None => self.lost.add_lost(&self.supply.origin.service, call),
        }
    }

    /// Rows were dropped for want of room: their sums, and the segment that held them.
    pub(in crate::history) fn lose(&mut self, segment: u64, sums: &[(RollupKey, Rollup)]) {
        let mut rest = sums;
        while !rest.is_empty() {
            self.record.clear();
            let fitting = codec::put_lost(&mut self.record, segment, rest);
            let (lot, others) = rest.split_at(fitting);
            if self.append(Kind::Lost).is_none() {
                lot.iter().for_each(|(key, sum)| self.lost.merge(key.clone(), sum));
            }
            rest = others;
        }
    }

    /// Tells what was lost for want of room, now that there is some. Returns how many calls.
    pub(in crate::history) fn tell_lost(&mut self) -> u64 {
        if self.lost.is_empty() || self.page.is_none() {
            return 0;
        }
        let lost = mem::take(&mut self.lost);
        let calls = lost.calls();
        self.lose(0, &lost.into_sums());
        calls - self.lost.calls().min(calls)
    }

    /// How many rows were appended.
    pub(in crate::history) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether a page is full that the reading side does not know of.
    pub(in crate::history) const fn has_filled(&self) -> bool {
        !self.filled.is_empty()
    }

    /// What is there to read, and the pages that are full.
    pub(super) fn take(&mut self) -> Taken {
        let current = self.page.as_ref().map(|page| (Arc::clone(&page.segment), page.end));
        Taken { filled: mem::take(&mut self.filled), current }
    }

    /// Whether the next page is still to be made.
    pub(in crate::history) fn wants_spare(&self) -> bool {
        // One is at hand while the other is made.
        self.spares.len() <= 1 + self.needed_to_turn()
    }

    /// Pages beside the next that what is open will take.
    fn needed_to_turn(&self) -> usize {
        self.open.bytes() / (self.supply.segment_bytes / 2).max(1)
    }

    /// Whether a page for later is one in memory, for which there should be a file.
    pub(in crate::history) fn wants_file(&self) -> bool {
        self.spares.iter().any(|page| !page.is_file())
    }

    /// Takes a page for later; gives back one that came too late, or one in memory whose place a
    /// file takes. What goes to memory goes on in a file at once, now that there is one.
    pub(in crate::history) fn give(&mut self, page: Page) -> Option<Page> {
        if self.page.as_ref().is_some_and(|now| number(now) > number(&page)) {
            return Some(page);
        }
        let is_file = page.is_file();
        let in_memory = self.spares.iter().position(|spare| is_file && !spare.is_file());
        let given_back = in_memory.and_then(|at| self.spares.remove(at));
        self.spares.push_back(page);
        if is_file
            && self.page.as_ref().is_some_and(|now| !now.is_file())
            && self.spares.len() > self.needed_to_turn()
        {
            self.turn();
        }
        given_back
    }

    fn open(&mut self, kind: Kind) -> Ticket {
        let place = self.append(kind);
        self.open.add(kind, &self.record, place)
    }

    /// Appends the record; returns its place, or none when there is no room anywhere.
    fn append(&mut self, kind: Kind) -> Option<usize> {
        if !self.names.news.is_empty() {
            self.introduce();
        }
        if let Some(place) = self.page.as_mut().and_then(|page| page.put(kind, &self.record)) {
            return Some(place);
        }
        self.turn();
        self.page.as_mut()?.put(kind, &self.record)
    }

    /// Writes the names that are new.
    fn introduce(&mut self) {
        let news = mem::take(&mut self.names.news);
        let Some(page) = &mut self.page else { return };
        if !news.iter().all(|new| put_name(page, new)) {
            self.turn();
        }
    }

    /// Turns to the next page, and tells there what is open.
    fn turn(&mut self) {
        if !self.next_page() {
            return;
        }
        let since = self.page.as_ref().map_or(0, number);
        // What still grows comes last, so that it lies in the segment that is written.
        let all =
            [Kind::Began, Kind::Fold].map(|kind| (0..self.open.len()).map(move |at| (at, kind)));
        for place in all.into_iter().flatten() {
            while let Some(page) = &mut self.page
                && !self.open.carry(place, |record| page.put(place.1, record))
            {
                let is_fresh = !page.has_records();
                if is_fresh || !self.next_page() {
                    return;
                }
            }
        }
        if let Some(page) = &mut self.page {
            page.put(Kind::Carried, &since.to_le_bytes());
        }
    }

    /// Turns to the next page, which begins with all names.
    fn next_page(&mut self) -> bool {
        let spare = self.spares.pop_front();
        let Some(mut page) = spare.or_else(|| self.supply.in_haste(self.worker)) else {
            return false;
        };
        for name in self.names.all() {
            put_name(&mut page, &name);
        }
        page.begin_records();
        self.open.leave();
        self.filled.extend(self.page.replace(page));
        true
    }
}

fn number(page: &Page) -> u64 {
    page.segment.header.number
}

fn put_name(page: &mut Page, new: &New) -> bool {
    let mut record = Vec::new();
    let kind = match new {
        New::Site(number, site) => {
            vocabulary::put_site(&mut record, *number, site);
            Kind::Site
        }
        New::Text(number, text) => {
            vocabulary::put_text(&mut record, *number, text);
            Kind::Text
        }
    };
    page.put(kind, &record).is_some()
}
