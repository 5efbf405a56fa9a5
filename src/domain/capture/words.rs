//! Bytes that end something, looked for eight at a time.
//!
//! Most texts and numbers of a document are short and of any length. One byte after the other they
//! would cost a branch that no processor foresees for each; a word of eight tells by arithmetic
//! where the first byte is that matters. Long texts go by blocks, which the compiler takes as
//! wide as it can.

/// Bytes in a word.
const WORD: usize = 8;

/// Bytes in a block.
const BLOCK: usize = 32;

/// The lowest bit of each byte, and the highest.
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Where a text ends that goes on at `at`: at a quote, a backslash, a control character or the end.
#[inline]
pub(super) fn end_of_text(bytes: &[u8], at: usize) -> usize {
    let ends = |byte: u8| (byte == b'"') | (byte == b'\\') | (byte < b' ');
    let marks = |word: u64| is(word, b'"') | is(word, b'\\') | is_below(word, b' ');
    end(bytes, at, ends, marks)
}

/// Where a line ends that goes on at `at`: at a line feed, a carriage return or the end.
#[inline]
pub(super) fn end_of_line(bytes: &[u8], at: usize) -> usize {
    let ends = |byte: u8| (byte == b'\n') | (byte == b'\r');
    end(bytes, at, ends, |word| is(word, b'\n') | is(word, b'\r'))
}

/// Where digits end that go on at `at`.
#[inline(always)]
pub(super) fn end_of_digits(bytes: &[u8], mut at: usize) -> usize {
    // Numbers are short: here a branch for each digit is cheaper than to wait for a sum.
    while let Some(next) = bytes.get(at..at + WORD) {
        match next.iter().position(|byte| !byte.is_ascii_digit()) {
            Some(digits) => return at + digits,
            None => at += WORD,
        }
    }
    at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Where the first byte is that ends something, by one of two ways to ask.
#[inline]
fn end(
    bytes: &[u8],
    mut at: usize,
    ends: impl Fn(u8) -> bool,
    marks: impl Fn(u64) -> u64,
) -> usize {
    // A text that ends soon, which most do.
    for _ in 0..2 {
        let Some(word) = word(bytes, at) else { break };
        let found = marks(word);
        if found != 0 {
            return at + first(found);
        }
        at += WORD;
    }
    let has_none = |block: &&[u8]| !block.iter().fold(false, |found, &byte| found | ends(byte));
    at += bytes[at..].chunks_exact(BLOCK).take_while(has_none).count() * BLOCK;
    while let Some(word) = word(bytes, at) {
        let found = marks(word);
        if found != 0 {
            return at + first(found);
        }
        at += WORD;
    }
    at + bytes[at..].iter().take_while(|byte| !ends(**byte)).count()
}

/// Eight bytes, the first of which is the lowest.
#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + WORD)?;
    bytes.try_into().map(u64::from_le_bytes).ok()
}

/// Which byte the lowest mark is in.
#[inline]
const fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / WORD
}

/// Marks the bytes that are this one. Above the first there may be marks that are none.
#[inline]
fn is(word: u64, byte: u8) -> u64 {
    let differs = word ^ (LOW * u64::from(byte));
    differs.wrapping_sub(LOW) & !differs & HIGH
}

/// Marks the bytes that are below this one. Above the first there may be marks that are none.
#[inline]
fn is_below(word: u64, byte: u8) -> u64 {
    word.wrapping_sub(LOW * u64::from(byte)) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{end_of_digits, end_of_line, end_of_text};

    fn one_by_one(bytes: &[u8], at: usize, ends: impl Fn(u8) -> bool) -> usize {
        at + bytes[at..].iter().take_while(|byte| !ends(**byte)).count()
    }

    proptest! {
        #[test]
        fn words_find_what_one_finds_byte_by_byte(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
            long in 0_usize..80,
            at: proptest::sample::Index,
        ) {
            // Random bytes end soon, so there is something before them that does not.
            for filling in [b'a', b'7', 0xff] {
                let all = [vec![filling; long], bytes.clone(), vec![b' ']].concat();
                let at = at.index(all.len());
                let text = |byte| byte == b'"' || byte == b'\\' || byte < b' ';
                prop_assert_eq!(end_of_text(&all, at), one_by_one(&all, at, text));
                let line = |byte| byte == b'\n' || byte == b'\r';
                prop_assert_eq!(end_of_line(&all, at), one_by_one(&all, at, line));
                let digits = |byte: u8| !byte.is_ascii_digit();
                prop_assert_eq!(end_of_digits(&all, at), one_by_one(&all, at, digits));
            }
        }

        #[test]
        fn near_misses_are_none(bytes in proptest::collection::vec(
            proptest::sample::select(vec![b'"', b'#', b'!', b'\\', b'[', b']', 0x1f, b' ', 0x7f, 0x80, 0x9f, 0xa0, b'/', b'0', b'9', b':']), 0..40)) {
            let text = |byte| byte == b'"' || byte == b'\\' || byte < b' ';
            prop_assert_eq!(end_of_text(&bytes, 0), one_by_one(&bytes, 0, text));
            prop_assert_eq!(end_of_digits(&bytes, 0), one_by_one(&bytes, 0, |byte| !byte.is_ascii_digit()));
        }
    }

    #[test]
    fn at_the_end_there_is_nothing() {
        assert_eq!(
            (end_of_text(b"abc", 3), end_of_digits(b"123", 3), end_of_line(b"", 0)),
            (3, 3, 0)
        );
    }
}
