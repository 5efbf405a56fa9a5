//! Times in log lines: RFC 3339 in UTC with microseconds, made cheaply.

use std::fmt::Write as _;

/// Formats times; remembers the text of the last second, which most lines share.
#[derive(Debug, Default)]
pub struct Stamp {
    second: Option<i64>,
    /// `2026-11-22T10:00:03.`
    prefix: String,
}

impl Stamp {
    /// Appends `2026-11-22T10:00:03.123456Z`.
    pub fn append(&mut self, line: &mut Vec<u8>, at_us: i64) {
        let (second, mut micros) = (at_us.div_euclid(1_000_000), at_us.rem_euclid(1_000_000));
        if self.second != Some(second) {
            self.second = Some(second);
            self.prefix.clear();
            let at = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            // Writing to a String cannot fail.
            if write!(self.prefix, "{}.", at.strftime("%Y-%m-%dT%H:%M:%S")).is_err() {
                self.prefix.clear();
            }
        }
        let mut digits = *b"000000Z";
        for slot in digits[..6].iter_mut().rev() {
            *slot = b'0' + u8::try_from(micros % 10).unwrap_or(0);
            micros /= 10;
        }
        line.extend_from_slice(self.prefix.as_bytes());
        line.extend_from_slice(&digits);
    }
}

#[cfg(test)]
mod tests {
    use super::Stamp;

    #[test]
    fn a_time_is_written_with_microseconds_in_utc() {
        let mut stamp = Stamp::default();
        let mut line = Vec::new();
        stamp.append(&mut line, 1_700_000_000_000_042);
        stamp.append(&mut line, 1_700_000_000_999_999);
        stamp.append(&mut line, 1_700_000_001_000_000);
        let text = String::from_utf8(line).unwrap();
        assert_eq!(
            text,
            "2023-11-14T22:13:20.000042Z2023-11-14T22:13:20.999999Z2023-11-14T22:13:21.000000Z"
        );
    }
}
