//! What has begun and not ended: records that every new segment must tell again.

use super::frame::{HEAD, Kind};

/// Stands for a record that is open. Not `Clone`: opened once, closed once.
#[derive(Debug)]
#[must_use = "what began must end"]
pub struct Ticket(u32);

/// See the module docs. Closed places are used again, with the memory that they have.
#[derive(Debug, Default)]
pub(super) struct OpenRecords {
    places: Vec<Open>,
    free: Vec<u32>,
    bytes: usize,
}

/// A record that is open.
#[derive(Debug)]
pub(super) struct Open {
    /// None when the place is free.
    kind: Option<Kind>,
    pub(super) record: Vec<u8>,
    /// Where it lies in the segment that is being written; none when there was no room for it.
    pub(super) place: Option<usize>,
}

impl OpenRecords {
    /// Opens a record that lies at this place.
    pub(super) fn add(&mut self, kind: Kind, record: &[u8], place: Option<usize>) -> Ticket {
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push(Open { kind: None, record: Vec::new(), place: None });
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        self.bytes += HEAD + record.len();
        let ticket = Ticket(number);
        if let Some(open) = self.get_mut(&ticket) {
            open.kind = Some(kind);
            open.record.clear();
            open.record.extend_from_slice(record);
            open.place = place;
        }
        ticket
    }

    /// An open record.
    pub(super) fn get_mut(&mut self, ticket: &Ticket) -> Option<&mut Open> {
        self.places.get_mut(usize::try_from(ticket.0).unwrap_or(usize::MAX))
    }

    /// A record is no longer open.
    pub(super) fn close(&mut self, ticket: Ticket) {
        if let Some(open) = self.get_mut(&ticket) {
            open.kind = None;
            let bytes = HEAD + open.record.len();
            self.bytes -= bytes;
            self.free.push(ticket.0);
        }
    }

    /// Places, free ones included.
    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    /// What it takes to tell all of them.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Another segment is written from now on, and none of them lies in it yet.
    pub(super) fn leave(&mut self) {
        self.places.iter_mut().for_each(|open| open.place = None);
    }

    /// Lets `put` write the record at a place again, if it is of this kind. False when there was no
    /// room for it.
    pub(super) fn carry(
        &mut self,
        (at, kind): (usize, Kind),
        put: impl FnOnce(&[u8]) -> Option<usize>,
    ) -> bool {
        let Some(open) = self.places.get_mut(at) else { return true };
        if open.kind != Some(kind) {
            return true;
        }
        open.place = put(&open.record);
        open.place.is_some()
    }
}
