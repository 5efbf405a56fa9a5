//! A place in the journal of one worker, as the store's cursor keeps it: one number that only grows.
//!
//! The upper bits number the segment, the lower ones count the bytes in it. Segments are numbered
//! by time, so that numbers grow although a directory is emptied and its cursor in the store is not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// See the module docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(in crate::history) struct Position(u64);

impl Position {
    /// Beyond all others.
    pub(super) const END: Self = Self(u64::MAX);

    /// The place so many bytes into a segment.
    pub(super) const fn new(segment: u64, offset: usize) -> Self {
        Self((segment << OFFSET_BITS) | (offset as u64 & OFFSET_MASK))
    }

    /// What the store keeps.
    pub(in crate::history) const fn to_cursor(self) -> u64 {
        self.0
    }

    /// As the store kept it.
    pub(super) const fn from_cursor(cursor: u64) -> Self {
        Self(cursor)
    }

    /// The segment.
    pub(super) const fn segment(self) -> u64 {
        self.0 >> OFFSET_BITS
    }

    /// The bytes into it.
    pub(super) fn offset(self) -> usize {
        usize::try_from(self.0 & OFFSET_MASK).unwrap_or(usize::MAX)
    }
}

/// Gives segments their numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers(AtomicU64);

impl Numbers {
    /// Numbers from `last` on are free.
    pub(super) const fn after(last: u64) -> Self {
        Self(AtomicU64::new(last))
    }

    /// The next number, at this wall clock time: higher than all before.
    pub(super) fn next(&self, wall_us: i64) -> u64 {
        let ticks = u64::try_from(wall_us / TICK_US).unwrap_or(0);
        let next = |last: u64| Some(ticks.max(last + 1));
        match self.0.fetch_update(Relaxed, Relaxed, next) {
            Ok(last) | Err(last) => ticks.max(last + 1),
        }
    }
}

/// A segment is at most so long: 8 MiB.
pub(super) const MAX_SEGMENT: usize = 1 << OFFSET_BITS;

const OFFSET_BITS: u32 = 23;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;
/// Numbers count tenths of a second since 1970: the 40 bits above an offset last for 3,400 years,
/// and a journal would have to fill ten segments a second for good to run ahead of time.
const TICK_US: i64 = 100_000;

#[cfg(test)]
mod tests {
    use super::{MAX_SEGMENT, Numbers, Position};

    #[test]
    fn positions_sort_by_segment_and_then_by_offset() {
        let places = [(1, 0), (1, 8), (1, MAX_SEGMENT - 1), (2, 0), (17_000_000_000, 5)];
        let positions = places.map(|(segment, offset)| Position::new(segment, offset));
        assert!(positions.is_sorted());
        assert_eq!(positions.map(|at| (at.segment(), at.offset())), places);
        assert!(i64::try_from(positions[4].to_cursor()).is_ok(), "the store's numbers are signed");
    }

    #[test]
    fn numbers_follow_the_clock_and_never_fall() {
        let numbers = Numbers::after(0);
        let given = [1_000_000, 1_000_000, 500_000, 9_000_000].map(|us| numbers.next(us));
        assert_eq!(given, [10, 11, 12, 90]);
    }
}
