//! Cursors: where the next page begins, as a text that means nothing to whoever holds it.
//!
//! A cursor names the last row of its page, so that a page stays where it is while new rows arrive,
//! and holds the window of its first page, so that "the last hour" stays the same hour. A checksum
//! over both and over the filters ties it to its question: with another one it is refused.

use sha2::{Digest, Sha256};

use super::window::Window;
use crate::domain::task::TaskId;

/// Before the digits, so that another layout can be told from this one.
const VERSION: char = '1';

/// Four times eight bytes and the id's sixteen, in hexadecimal digits, and the version.
const LENGTH: usize = 1 + 2 * (4 * 8 + 16);

/// The end of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// What the question is about.
    pub(super) window: Window,
    /// The last row: its time and id.
    pub(super) after: (i64, TaskId),
}

impl Cursor {
    /// The text for the next page of the question with these filters.
    pub(super) fn write(&self, filters: &[(&str, &str)]) -> String {
        let Self { window: Window { from_us, to_us }, after: (at_us, id) } = self;
        let sum = self.checksum(filters);
        let id = id.as_u128();
        format!("{VERSION}{from_us:016x}{to_us:016x}{at_us:016x}{id:032x}{sum:016x}")
    }

    /// The cursor with this text. None when it is none, or that of another question.
    pub(super) fn read(text: &str, filters: &[(&str, &str)]) -> Option<Self> {
        let digits = text.strip_prefix(VERSION)?;
        let is_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != LENGTH || !digits.bytes().all(is_hex) {
            return None;
        }
        let number = |from: usize| u64::from_str_radix(digits.get(from..from + 16)?, 16).ok();
        let time = |from| i64::try_from(number(from)?).ok();
        let id = u128::from_str_radix(digits.get(48..80)?, 16).ok()?;
        let window = Window { from_us: time(0)?, to_us: time(16)? };
        let cursor = Self { window, after: (time(32)?, TaskId::from_u128(id)) };
        (number(80)? == cursor.checksum(filters)).then_some(cursor)
    }

    fn checksum(&self, filters: &[(&str, &str)]) -> u64 {
        let mut sum = Sha256::new();
        for at_us in [self.window.from_us, self.window.to_us, self.after.0] {
            sum.update(at_us.to_be_bytes());
        }
        sum.update(self.after.1.as_u128().to_be_bytes());
        for text in filters.iter().flat_map(|&(name, value)| [name, value]) {
            // NUL is in no filter.
            sum.update(text);
            sum.update([0]);
        }
        let mut first = [0; 8];
        first.copy_from_slice(&sum.finalize()[..8]);
        u64::from_be_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;
    use crate::{admin::window::Window, domain::task::TaskId};

    const AT_US: i64 = 1_800_000_000_000_123;
    const FILTERS: &[(&str, &str)] = &[("from", "-1h"), ("upstream", "payments")];

    fn cursor() -> Cursor {
        let window = Window { from_us: AT_US - 3_600_000_000, to_us: AT_US + 1 };
        Cursor { window, after: (AT_US, TaskId::mint(AT_US, 7)) }
    }

    #[test]
    fn a_cursor_reads_back_with_its_own_question_only() {
        let text = cursor().write(FILTERS);
        assert_eq!(Cursor::read(&text, FILTERS), Some(cursor()));
        for other in [
            &[][..],
            &[("from", "-2h"), ("upstream", "payments")],
            &[("from", "-1h"), ("upstream", "music")],
            &[("from", "-1h"), ("service", "payments")],
        ] {
            assert_eq!(Cursor::read(&text, other), None, "{other:?}");
        }
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        let text = cursor().write(FILTERS);
        let turned = format!("{}f{}", &text[..20], &text[21..]);
        let later = text.replacen('1', "2", 1);
        let upper = text.to_uppercase();
        for bad in ["", "1", "zzz", "é", &text[..96], &turned, &later, &upper, &format!("{text}0")]
        {
            assert_eq!(Cursor::read(bad, FILTERS), None, "{bad}");
        }
    }
}
