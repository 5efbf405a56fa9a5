//! Copies of bodies, with a bound for each and one for all together.

use super::room::Room;

/// The longest body that is copied whole, in bytes.
pub const MAX_BODY: usize = 64 << 10;

/// Of a stream, its beginning: the first events tell the model and the prompt.
const BEGINNING: usize = 8 << 10;
/// And its end. Twice as much is kept before what lies between is let go.
const END: usize = 16 << 10;
/// The most that is kept of it.
const MAX_STREAM: usize = BEGINNING + 2 * END;

/// A body from its beginning, all of it or nothing.
#[derive(Debug, Default)]
pub struct Copied {
    bytes: Vec<u8>,
    room: Room,
    is_too_large: bool,
}

impl Copied {
    /// Some of it went by.
    pub fn add(&mut self, bytes: &[u8]) {
        if self.is_too_large {
            return;
        }
        let length = self.bytes.len() + bytes.len();
        if length > MAX_BODY || !self.room.grow(length) {
            *self = Self { is_too_large: true, ..Self::default() };
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// All that went by; none if that was too much.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        (!self.is_too_large).then_some(&*self.bytes)
    }
}

/// The beginning and the end of a stream.
#[derive(Debug, Default)]
pub(super) struct Ends {
    bytes: Vec<u8>,
    room: Room,
    /// There was no room for it.
    is_left_out: bool,
    /// Something between the two was let go.
    is_cut: bool,
}

impl Ends {
    /// Some of it went by.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if self.is_left_out {
            return;
        }
        let length = (self.bytes.len() + bytes.len()).min(MAX_STREAM);
        if !self.room.grow(length) {
            *self = Self { is_left_out: true, ..Self::default() };
            return;
        }
        let room = MAX_STREAM - self.bytes.len();
        if bytes.len() <= room {
            self.bytes.extend_from_slice(bytes);
            return;
        }
        let (fits, rest) = bytes.split_at(BEGINNING.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(fits);
        self.is_cut = true;
        let rest = &rest[rest.len().saturating_sub(END)..];
        let kept = END - rest.len();
        let begin = self.bytes.len().saturating_sub(kept).max(BEGINNING);
        self.bytes.drain(BEGINNING..begin);
        self.bytes.extend_from_slice(rest);
    }

    /// What is read of it, each with whether it was cut off from what came before.
    pub(super) fn stretches(&self) -> [(&[u8], bool); 2] {
        if self.is_cut {
            let (beginning, end) = self.bytes.split_at(BEGINNING);
            [(beginning, false), (&end[end.len().saturating_sub(END)..], true)]
        } else {
            [(&self.bytes, false), (&[], true)]
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{BEGINNING, Copied, END, Ends, MAX_BODY, MAX_STREAM};

    #[test]
    fn a_body_is_copied_whole_or_not_at_all() {
        let mut copied = Copied::default();
        copied.add(&[1; MAX_BODY - 1]);
        copied.add(&[2]);
        assert_eq!(copied.bytes().map(<[u8]>::len), Some(MAX_BODY));
        copied.add(&[3]);
        assert_eq!(copied.bytes(), None);
        copied.add(&[4]);
        assert_eq!(copied.bytes(), None, "the end of a body is none");
    }

    proptest! {
        #[test]
        fn of_a_stream_both_ends_are_there_and_no_more_than_the_bound(
            pieces in proptest::collection::vec(1_usize..40_000, 0..12),
            seed in any::<u8>(),
        ) {
            let (mut ends, mut all) = (Ends::default(), Vec::new());
            for (piece, length) in pieces.into_iter().enumerate() {
                let number = |at: usize| seed.wrapping_add(u8::try_from((at + piece) % 251).unwrap());
                let bytes: Vec<u8> = (0..length).map(number).collect();
                ends.add(&bytes);
                all.extend(bytes);
            }
            let [(first, _), (last, _)] = ends.stretches();
            prop_assert!(first.len() + last.len() <= MAX_STREAM);
            prop_assert!(all.starts_with(first) && all.ends_with(last));
            if all.len() <= MAX_STREAM {
                prop_assert_eq!(first, &all);
            } else {
                prop_assert_eq!(first.len(), BEGINNING);
                prop_assert!(last.len() >= END.min(all.len() - BEGINNING));
            }
        }
    }
}
