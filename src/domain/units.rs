//! Numbers with their units, as people write them: `250ms`, `64KiB`, `50%`.
//!
//! A number never goes without its unit. Ratios are integers in basis points, so that they can be
//! compared; nothing here rounds in silence.

use std::{fmt, time::Duration};

/// A share in basis points: 100 % is 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u16);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(10_000);

    /// The share with this many basis points; none above 100 %.
    pub const fn from_basis_points(basis_points: u16) -> Option<Self> {
        if basis_points <= 10_000 { Some(Self(basis_points)) } else { None }
    }

    /// So many hundredths of all; all of it when that would be more.
    pub const fn of(percent: u8) -> Self {
        if percent < 100 { Self(percent as u16 * 100) } else { Self::ALL }
    }

    /// A hundredth of a percent, 0 to 10,000.
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// The share as a number from 0 to 1.
    pub fn as_ratio(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(f, "{whole}%"),
            _ if rest % 10 == 0 => write!(f, "{whole}.{}%", rest / 10),
            _ => write!(f, "{whole}.{rest:02}%"),
        }
    }
}

/// What a text was expected to be, for the reader of the error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a number followed by a unit.
    #[error("expected a duration with its unit, such as `250ms`, `60s`, `10m`, `1h` or `14d`")]
    Duration,
    /// Not a number followed by a unit.
    #[error("expected a size with its unit, such as `512B`, `64KiB`, `10MiB` or `1GiB`")]
    Size,
    /// Not a number from 0 to 100 followed by a percent sign.
    #[error("expected a share from `0%` to `100%`, with at most two decimals")]
    Percent,
    /// More than the type can hold.
    #[error("the number is too large")]
    TooLarge,
}

/// Reads a duration: a number, decimals allowed, and one of `us ms s m h d`.
///
/// # Errors
/// The text is no number with a unit, or too large.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split_unit(text).ok_or(UnitError::Duration)?;
    let unit_us: u64 = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(UnitError::Duration),
    };
    scaled(number, unit_us).ok_or(UnitError::Duration)?.map(Duration::from_micros)
}

/// Reads a size: a number, decimals allowed, and one of `B KiB MiB GiB KB MB GB`.
///
/// # Errors
/// The text is no number with a unit, or too large.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split_unit(text).ok_or(UnitError::Size)?;
    let unit_bytes: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(UnitError::Size),
    };
    scaled(number, unit_bytes).ok_or(UnitError::Size)?
}

/// Reads a share: `0%` to `100%`, at most two decimals.
///
/// # Errors
/// The text is no share in that range.
pub fn parse_percent(text: &str) -> Result<Percent, UnitError> {
    let number = text.trim().strip_suffix('%').ok_or(UnitError::Percent)?.trim();
    let basis_points =
        scaled(number, 100).ok_or(UnitError::Percent)?.map_err(|_| UnitError::Percent)?;
    let within = u16::try_from(basis_points).ok().and_then(Percent::from_basis_points);
    within.ok_or(UnitError::Percent)
}

/// Reads a share in millionths: `10%` or `0.1`.
///
/// # Errors
/// The text is no share from 0 to 1, or finer than a millionth.
pub fn parse_share(text: &str) -> Result<u32, UnitError> {
    let (number, whole) = match text.trim().strip_suffix('%') {
        Some(number) => (number.trim(), 10_000),
        None => (text.trim(), 1_000_000),
    };
    let millionths = scaled(number, whole).ok_or(UnitError::Percent)?;
    let within = millionths.ok().and_then(|share| u32::try_from(share).ok());
    within.filter(|share| *share <= 1_000_000).ok_or(UnitError::Percent)
}

/// Writes a stretch of time for people: rounded up to seconds, in its two largest units.
pub fn show_span(span: Duration) -> String {
    let seconds = span.as_millis().div_ceil(1_000);
    let (large, small) = match seconds {
        0..60 => return format!("{seconds}s"),
        60..3_600 => ((seconds / 60, "m"), (seconds % 60, "s")),
        3_600..86_400 => ((seconds / 3_600, "h"), (seconds / 60 % 60, "m")),
        _ => ((seconds / 86_400, "d"), (seconds / 3_600 % 24, "h")),
    };
    match small {
        (0, _) => format!("{}{}", large.0, large.1),
        (number, unit) => format!("{}{} {number}{unit}", large.0, large.1),
    }
}

/// Writes a duration the way it is read, with the largest unit that loses nothing.
pub fn show_duration(duration: Duration) -> String {
    const UNITS: [(u128, &str); 6] = [
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "m"),
        (1_000_000, "s"),
        (1_000, "ms"),
        (1, "us"),
    ];
    let us = duration.as_micros();
    let unit = UNITS.iter().find(|(size, _)| us != 0 && us.is_multiple_of(*size));
    unit.map_or_else(|| "0s".to_owned(), |(size, name)| format!("{}{name}", us / size))
}

/// The number and what follows it, without the white space around.
fn split_unit(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    Some((&text[..at], text[at..].trim_start()))
}

/// `number × unit`, exactly. None when it is no number or would have to be rounded.
fn scaled(number: &str, unit: u64) -> Option<Result<u64, UnitError>> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 9 {
        return None;
    }
    if number.ends_with('.') {
        return None;
    }
    let Ok(whole) = whole.parse::<u64>() else { return Some(Err(UnitError::TooLarge)) };
    let scale = 10_u64.pow(u32::try_from(decimals.len()).ok()?);
    let fraction = if decimals.is_empty() { 0 } else { decimals.parse::<u64>().ok()? };
    let fraction = u128::from(fraction) * u128::from(unit);
    if !fraction.is_multiple_of(u128::from(scale)) {
        return None;
    }
    let total = u128::from(whole) * u128::from(unit) + fraction / u128::from(scale);
    Some(u64::try_from(total).map_err(|_| UnitError::TooLarge))
}

#[cfg(test)]
mod tests {
    use super::{
        Percent, UnitError, parse_duration, parse_percent, parse_size, show_duration, show_span,
    };
    use std::time::Duration;

    #[test]
    fn durations_read_and_show_with_their_unit() {
        for (text, us) in
            [("250ms", 250_000), ("60s", 60_000_000), ("1.5s", 1_500_000), ("10m", 600_000_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_micros(us)), "{text}");
        }
        for text in ["14d", "1h", "10m", "90s", "250ms", "7us", "0s"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", "5 parsecs", "-5s", "1.s", "1e3s", "0.0000001s", "5S"] {
            assert_eq!(parse_duration(text), Err(UnitError::Duration), "{text}");
        }
        assert_eq!(parse_duration("99999999999999999999d"), Err(UnitError::TooLarge));
        assert_eq!(parse_duration("999999999999999d"), Err(UnitError::TooLarge));
    }

    #[test]
    fn a_span_has_its_two_largest_units() {
        for (ms, shown) in [
            (0, "0s"),
            (1, "1s"),
            (59_000, "59s"),
            (60_000, "1m"),
            (61_000, "1m 1s"),
            (3_600_000, "1h"),
            (90_000_000, "1d 1h"),
        ] {
            assert_eq!(show_span(Duration::from_millis(ms)), shown);
        }
    }

    #[test]
    fn sizes_and_shares_are_exact() {
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("0.5MiB"), Ok(524_288));
        assert_eq!(parse_size("64k"), Err(UnitError::Size));
        assert_eq!(parse_percent("12.5%").unwrap().to_string(), "12.5%");
        assert_eq!(parse_percent("100%"), Ok(Percent::ALL));
        for text in ["101%", "50", "1.001%", "-1%"] {
            assert_eq!(parse_percent(text), Err(UnitError::Percent), "{text}");
        }
    }
}
