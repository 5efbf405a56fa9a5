//! What has begun and not ended: records that every new segment must tell again.

use super::frame::Kind;

/// Stands for a record that is open. Not `Clone`: opened once, closed once.
#[derive(Debug)]
#[must_use = "what began must end"]
pub struct Ticket(u32);

/// See the module docs. Closed places are used again, with the memory that they have.
#[derive(Debug, Default)]
pub(super) struct OpenRecords {
    places: Vec<Open>,
    free: Vec<u32>,
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
            self.free.push(ticket.0);
        }
    }

    /// Places, free ones included.
    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    /// Lets `put` write the record at a place again. False when there was no room for it.
    pub(super) fn carry(
        &mut self,
        at: usize,
        put: impl FnOnce(Kind, &[u8]) -> Option<usize>,
    ) -> bool {
        let Some(open) = self.places.get_mut(at) else { return true };
        let Some(kind) = open.kind else { return true };
        open.place = put(kind, &open.record);
        open.place.is_some()
    }
}
