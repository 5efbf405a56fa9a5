//! The records in some bytes of a segment, one after the other, damage passed over.

use super::{
    frame::{self, Found, Frame, Kind},
    segment::{MAGIC, Segment},
};

/// Goes through bytes that begin at `base` in their segment. See the module docs.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    base: usize,
    seed: u64,
    place: usize,
    /// Nothing is written behind these bytes.
    is_all: bool,
    /// Places where something other than a record was followed by one.
    pub(super) damaged: u64,
}

impl<'a> Scan<'a> {
    /// Goes through `bytes`, which begin at `base`. Whether they are all that there is decides what
    /// a record that is cut off at the end means: more to come, or the moment of a kill.
    pub(super) const fn new(bytes: &'a [u8], base: usize, seed: u64, is_all: bool) -> Self {
        Self { bytes, base, seed, place: 0, is_all, damaged: 0 }
    }

    /// Where the next record begins in the segment.
    pub(super) const fn offset(&self) -> usize {
        self.base + self.place
    }

    /// The next record. None at the end, and where the rest must be read first.
    pub(super) fn next(&mut self) -> Option<Frame<'a>> {
        loop {
            match frame::at(self.bytes, self.place, self.seed) {
                Found::Frame(frame) => {
                    self.place = frame.end;
                    return Some(Frame { end: self.base + frame.end, ..frame });
                }
                Found::Beyond if !self.is_all => return None,
                Found::Beyond | Found::Nothing => {
                    if self.place >= self.bytes.len() {
                        return None;
                    }
                    let Some(next) = frame::resume(self.bytes, self.place + 1, self.seed) else {
                        // A torn end, or none yet.
                        if self.is_all {
                            self.place = self.bytes.len();
                        }
                        return None;
                    };
                    self.damaged += 1;
                    self.place = next;
                }
            }
        }
    }
}

/// All bytes of a segment, to go through more than once.
#[derive(Debug)]
pub(super) struct Contents {
    bytes: Vec<u8>,
    first: usize,
    seed: u64,
}

impl Contents {
    /// Reads a segment up to `end`.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn read(segment: &Segment, end: usize) -> std::io::Result<Self> {
        let mut bytes = vec![0; end.saturating_sub(segment.first)];
        segment.read_at(&mut bytes, segment.first)?;
        Ok(Self { bytes, first: segment.first, seed: segment.seed() })
    }

    /// Its records.
    pub(super) const fn scan(&self) -> Scan<'_> {
        Scan::new(self.bytes.as_slice(), self.first, self.seed, true)
    }

    /// Whether it has any.
    pub(super) fn is_empty(&self) -> bool {
        self.scan().next().is_none_or(|frame| frame.kind == Kind::Header)
    }
}

const _: () = assert!(MAGIC.len() == frame::HEAD, "a header is framed like a record");
