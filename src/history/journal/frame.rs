//! Frames: how records lie in a segment, one behind the other.
//!
//! Eight bytes stand before each payload: a checksum, then the kind and the length. The checksum
//! begins from a seed of the segment, so that bytes of another segment are no frame here. What is
//! not a frame is skipped to the next that is: a flipped bit costs one record, not its neighbours.
//! Pure: bytes in, frames out.

use crc32fast::Hasher;

/// The bytes before a payload.
pub(super) const HEAD: usize = 8;

/// The longest payload, in bytes. Records have a few hundred; a bound keeps the search for the next
/// frame behind damage short.
pub(super) const MAX_PAYLOAD: usize = (1 << 16) - 1;

/// The numbers at the end of a fold, which are counted up in place and so have no checksum.
pub(super) const SUMS: usize = 32;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whose segment this is.
    Header,
    /// A call site and its number.
    Site,
    /// A text and its number.
    Text,
    /// A call that is about to be sent on.
    Began,
    /// A call that ended: a row.
    Ended,
    /// A row that stands for calls that are still being added, their sums in its last bytes.
    Fold,
    /// All that was open is told again up to here.
    Carried,
    /// What was dropped for want of room, added up.
    Lost,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Header,
        Self::Site,
        Self::Text,
        Self::Began,
        Self::Ended,
        Self::Fold,
        Self::Carried,
        Self::Lost,
    ];

    /// Its number in the file, from one.
    const fn code(self) -> u32 {
        self as u32 + 1
    }

    fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The bytes at the end of its payload that no checksum covers.
    const fn unchecked(self) -> usize {
        match self {
            Self::Fold => SUMS,
            _ => 0,
        }
    }
}

/// A frame as it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) payload: &'a [u8],
    /// Where the next one begins.
    pub(super) end: usize,
}

/// What lies at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Frame(Frame<'a>),
    /// The head of a frame whose end lies beyond these bytes.
    Beyond,
    /// No frame.
    Nothing,
}

/// The head of a frame.
pub(super) fn head(kind: Kind, payload: &[u8], seed: u64) -> [u8; HEAD] {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let word = ((kind.code() << LENGTH_BITS) | length).to_le_bytes();
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&checksum(kind, word, payload, seed).to_le_bytes());
    head[4..].copy_from_slice(&word);
    head
}

/// Looks for a frame at a place.
pub(super) fn at(bytes: &[u8], place: usize, seed: u64) -> Found<'_> {
    let Some(rest) = bytes.get(place..) else { return Found::Nothing };
    let Some((head, rest)) = rest.split_first_chunk::<HEAD>() else {
        return if rest.iter().all(|&byte| byte == 0) { Found::Nothing } else { Found::Beyond };
    };
    let [a, b, c, d, word @ ..] = *head;
    let packed = u32::from_le_bytes(word);
    let Some(kind) = Kind::from_code(packed >> LENGTH_BITS) else { return Found::Nothing };
    let length = usize::try_from(packed & LENGTH_MASK).unwrap_or(usize::MAX);
    if length < kind.unchecked() || length > MAX_PAYLOAD {
        return Found::Nothing;
    }
    let Some(payload) = rest.get(..length) else { return Found::Beyond };
    if checksum(kind, word, payload, seed) != u32::from_le_bytes([a, b, c, d]) {
        return Found::Nothing;
    }
    Found::Frame(Frame { kind, payload, end: place + HEAD + length })
}

/// The next place from here on where a frame begins that is whole; none when there is none.
pub(super) fn resume(bytes: &[u8], from: usize, seed: u64) -> Option<usize> {
    let last = bytes.len().checked_sub(HEAD)?;
    (from..=last).find(|&place| {
        // The kind, the last byte of a head, is never zero, and an unused segment is full of zeros.
        bytes[place + HEAD - 1] != 0 && matches!(at(bytes, place, seed), Found::Frame(_))
    })
}

fn checksum(kind: Kind, word: [u8; 4], payload: &[u8], seed: u64) -> u32 {
    let (covered, _) = payload.split_at(payload.len().saturating_sub(kind.unchecked()));
    // The length of what came before only matters when checksums are joined.
    let folded = u32::try_from((seed ^ (seed >> 32)) & u64::from(u32::MAX)).unwrap_or_default();
    let mut hasher = Hasher::new_with_initial(folded);
    hasher.update(&word);
    hasher.update(covered);
    hasher.finalize()
}

/// The bits of a length.
const LENGTH_BITS: u32 = 24;
const LENGTH_MASK: u32 = (1 << LENGTH_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::{Found, HEAD, Kind, SUMS, at, head, resume};
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    const SEED: u64 = 0x1234_5678_9abc;

    fn lay(frames: &[(Kind, Vec<u8>)]) -> Vec<u8> {
        let frames = frames.iter();
        frames.flat_map(|(kind, p)| [&head(*kind, p, SEED)[..], p].concat()).collect()
    }

    /// Every frame that is found from the start, with its place.
    fn found(bytes: &[u8]) -> Vec<(usize, Kind, Vec<u8>)> {
        let (mut place, mut all) = (0, Vec::new());
        loop {
            match at(bytes, place, SEED) {
                Found::Frame(frame) => {
                    all.push((place, frame.kind, frame.payload.to_vec()));
                    place = frame.end;
                }
                Found::Beyond | Found::Nothing => match resume(bytes, place + 1, SEED) {
                    Some(next) => place = next,
                    None => return all,
                },
            }
        }
    }

    fn some_frames() -> impl Strategy<Value = Vec<(Kind, Vec<u8>)>> {
        let kind = prop_oneof![Just(Kind::Began), Just(Kind::Ended), Just(Kind::Lost)];
        proptest::collection::vec((kind, proptest::collection::vec(any::<u8>(), 1..80)), 1..20)
    }

    proptest! {
        #[test]
        fn frames_are_found_as_they_were_laid(frames in some_frames(), zeros in 0_usize..64) {
            let mut bytes = lay(&frames);
            bytes.extend(vec![0; zeros]);
            let found: Vec<_> = found(&bytes).into_iter().map(|(_, kind, p)| (kind, p)).collect();
            assert_eq!(found, frames);
        }

        #[test]
        fn a_damaged_byte_costs_its_own_frame_and_no_other(frames in some_frames(), place in any::<proptest::sample::Index>(), flip in 1_u8..) {
            let mut bytes = lay(&frames);
            let whole = found(&bytes);
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
            let left = found(&bytes);
            let hit = |(start, _, payload): &(usize, Kind, Vec<u8>)| (*start..start + HEAD + payload.len()).contains(&place);
            let expected: Vec<_> = whole.into_iter().filter(|frame| !hit(frame)).collect();
            assert_eq!(left, expected);
        }

        #[test]
        fn a_torn_end_is_no_frame(frames in some_frames(), cut in 1_usize..9) {
            let bytes = lay(&frames);
            let left = found(&bytes[..bytes.len() - cut.min(HEAD)]);
            assert_eq!(left.len(), frames.len() - 1);
        }
    }

    #[test]
    fn the_sums_of_a_fold_may_change_and_the_rest_may_not() {
        let mut bytes = lay(&[(Kind::Fold, vec![7; 8 + SUMS])]);
        let end = bytes.len();
        bytes[end - 1] = 9;
        assert!(matches!(at(&bytes, 0, SEED), Found::Frame(_)));
        bytes[HEAD] = 9;
        assert_eq!(at(&bytes, 0, SEED), Found::Nothing);
    }

    #[test]
    fn a_frame_of_another_segment_is_none_here() {
        let bytes = lay(&[(Kind::Ended, vec![1, 2, 3])]);
        assert_eq!(at(&bytes, 0, SEED + 1), Found::Nothing);
    }
}
