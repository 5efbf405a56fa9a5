//! Advice as the value of a header: an item of structured fields (RFC 9651), how much it is worth,
//! with the parameters that work best: `confirmed;bpm=120;genre="jazz"`.

use std::fmt::Write;

use super::Advice;
use crate::domain::learn::setting::Bin;

/// The longest value that is told, in bytes.
const MAX_LENGTH: usize = 1_024;

/// Whole numbers of more digits are none of structured fields.
const MAX_INTEGER: f64 = 999_999_999_999_999.0;

/// Nor are others from here on, or with more than three digits behind the point.
const MAX_DECIMAL: f64 = 1e12;

impl Advice {
    /// See the module docs. A parameter that is best left out is the token `absent`, one that is
    /// best among several numbers a text, `"90..120"`. None where nothing can be told: names and
    /// texts that are not plain ASCII cannot, nor can values that were not told apart.
    pub fn to_field(&self) -> Option<String> {
        let mut field = self.status.as_str().to_owned();
        let mut is_any = false;
        for (name, bin) in self.setting.iter().filter(|(name, _)| is_key(name)) {
            let Some(value) = value(bin) else { continue };
            write!(field, ";{name}={value}").ok()?;
            is_any = true;
        }
        (is_any && field.len() <= MAX_LENGTH).then_some(field)
    }
}

/// Whether a name can be one of a parameter (RFC 9651 §3.1.2).
fn is_key(name: &str) -> bool {
    let is_inner = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(byte, b'_' | b'-' | b'.' | b'*')
    };
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(is_inner)
}

fn value(bin: &Bin) -> Option<String> {
    match bin {
        Bin::Absent => Some("absent".to_owned()),
        Bin::Other => None,
        Bin::Text(text) => quoted(text),
        Bin::Numbers(low, high) if low == high => {
            let number = low.value();
            let is_integer = number.fract() == 0.0 && number.abs() <= MAX_INTEGER;
            let is_decimal = (number * 1_000.0).fract() == 0.0 && number.abs() < MAX_DECIMAL;
            if is_integer || is_decimal {
                Some(number.to_string())
            } else {
                quoted(&bin.to_string())
            }
        }
        Bin::Numbers(..) => quoted(&bin.to_string()),
    }
}

/// A text between quotes, if it can be one.
fn quoted(text: &str) -> Option<String> {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_plain.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use crate::domain::learn::{
        cell::Cell,
        recommend::{Advice, Status},
        setting::{Bin, Number, Setting},
    };

    fn field<const N: usize>(parameters: [(&str, Bin); N]) -> Option<String> {
        let advice = Advice {
            status: Status::Confirmed,
            setting: Setting::new(parameters),
            findings: Vec::new(),
            untested_combination: false,
            seen: Cell::default(),
            expected_success: 0.9,
        };
        advice.to_field()
    }

    #[test]
    fn each_value_is_told_as_what_it_is() {
        let range = Bin::Numbers(Number::new(90.0).unwrap(), Number::new(120.5).unwrap());
        for (bin, told) in [
            (Bin::integer(120), "120"),
            (Bin::integer(-3), "-3"),
            (Bin::fraction(0.75), "0.75"),
            (Bin::fraction(0.000_12), "\"0.00012\""),
            (range, "\"90..120.5\""),
            (Bin::text("hip-hop"), "\"hip-hop\""),
            (Bin::text("say \"la\\la\""), "\"say \\\"la\\\\la\\\"\""),
            (Bin::Absent, "absent"),
        ] {
            assert_eq!(field([("x", bin)]), Some(format!("confirmed;x={told}")));
        }
        let both = [("bpm", Bin::integer(120)), ("genre", Bin::text("jazz"))];
        assert_eq!(field(both).as_deref(), Some("confirmed;bpm=120;genre=\"jazz\""));
    }

    #[test]
    fn what_no_header_can_say_is_left_out() {
        for (name, bin) in [
            ("genre", Bin::text("schlager für alle")),
            ("genre", Bin::text("a\r\nset-cookie: x")),
            ("genre", Bin::Other),
            ("Genre", Bin::text("jazz")),
            ("gen re", Bin::text("jazz")),
            ("", Bin::text("jazz")),
            ("genre", Bin::text(&"x".repeat(2_000))),
        ] {
            assert_eq!(field([(name, bin)]), None, "{name}");
        }
        let both = [("genre", Bin::Other), ("bpm", Bin::integer(120))];
        assert_eq!(field(both).as_deref(), Some("confirmed;bpm=120"));
    }
}
