//! The time that a question is about: `from`, and before `to`.
//!
//! Both take an instant or an age. What is not given is filled in, and a question about more than
//! its reach is refused rather than answered in part.

use std::time::Duration;

use jiff::Timestamp;

use super::{query::Asked, reply::Fault};
use crate::domain::units::{parse_duration, show_duration};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What both parameters take.
const EXPECTED: &str = "a time such as 2026-11-22T10:00:00Z (with `+` written as %2B), an age such \
                        as -15m or 2h, or milliseconds since the Unix epoch";

/// How far a question may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    /// How far back it goes unless it says so.
    default: Duration,
    /// How long its window may be.
    max: Option<Duration>,
}

impl Reach {
    /// A day unless asked, a month at most: for questions that read every row of their window.
    pub(super) const SCAN: Self = Self { default: DAY, max: Some(DAY.saturating_mul(31)) };

    /// A week unless asked, as much as there is: for questions about few rows.
    pub(super) const WEEK: Self = Self { default: DAY.saturating_mul(7), max: None };

    /// Everything that is kept: for questions about one id, which an index answers.
    pub(super) const fn whole(retention: Duration) -> Self {
        Self { default: retention, max: None }
    }
}

/// A stretch of time: from, and before; in microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from_us: i64,
    pub(super) to_us: i64,
}

impl Window {
    /// Reads `from` and `to`; up to and with now unless they say otherwise.
    pub(super) fn read(asked: &Asked, reach: Reach, now_us: i64) -> Result<Self, Fault> {
        let time = |name| asked.parsed(name, EXPECTED, |text| time_us(text, now_us));
        let to_us = time("to")?.unwrap_or_else(|| now_us.saturating_add(1));
        let from_us = time("from")?;
        let from_us = from_us.unwrap_or_else(|| to_us.saturating_sub(micros(reach.default)).max(0));
        if from_us >= to_us {
            return Err(Fault::BadRequest("`from` must be before `to`".to_owned()));
        }
        match reach.max {
            Some(max) if to_us.saturating_sub(from_us) > micros(max) => {
                let max = show_duration(max);
                Err(Fault::BadRequest(format!("`from` and `to` may be {max} apart at most")))
            }
            _ => Ok(Self { from_us, to_us }),
        }
    }
}

/// Reads a time: RFC 3339, an age, or milliseconds since the Unix epoch. What is before the epoch
/// stands for it, since nothing is older; a time that no calendar has is none.
pub fn time_us(text: &str, now_us: i64) -> Option<i64> {
    let at_us = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse::<i64>().ok()?.checked_mul(1_000)?
    } else if let Ok(age) = parse_duration(text.strip_prefix('-').unwrap_or(text)) {
        now_us.checked_sub(i64::try_from(age.as_micros()).ok()?)?
    } else {
        text.parse::<Timestamp>().ok()?.as_microsecond()
    };
    if at_us < 0 { Some(0) } else { show_time(at_us).map(|_| at_us) }
}

/// Writes a time as RFC 3339; null for one that no calendar has.
pub(super) fn show_time(at_us: i64) -> Option<String> {
    Timestamp::from_microsecond(at_us).ok().map(|at| at.to_string())
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Reach, Window};
    use crate::admin::query::tests::ask;

    const NOW_US: i64 = 1_800_000_000_000_000;
    const MINUTE_US: i64 = 60_000_000;
    const DAY_US: i64 = 1_440 * MINUTE_US;

    fn window(query: &str, reach: Reach) -> Result<(i64, i64), String> {
        let asked = ask(query, &["from", "to"])?;
        let window = Window::read(&asked, reach, NOW_US).map_err(|fault| fault.to_string())?;
        Ok((window.from_us, window.to_us))
    }

    #[test]
    fn a_window_is_a_day_up_to_now_unless_it_is_given() {
        for (query, expected) in [
            ("", (NOW_US + 1 - DAY_US, NOW_US + 1)),
            ("from=1000&to=2500", (1_000_000, 2_500_000)),
            ("from=1970-01-01T00:00:01Z&to=1970-01-01T01:00:02.5%2B01:00", (1_000_000, 2_500_000)),
            ("from=-15m", (NOW_US - 15 * MINUTE_US, NOW_US + 1)),
            ("from=2h&to=-90m", (NOW_US - 120 * MINUTE_US, NOW_US - 90 * MINUTE_US)),
            ("from=-31d&to=-0s", (NOW_US - 31 * DAY_US, NOW_US)),
        ] {
            assert_eq!(window(query, Reach::SCAN), Ok(expected), "{query}");
        }
        let whole = Reach::whole(Duration::from_secs(90 * 86_400));
        assert_eq!(window("", whole), Ok((NOW_US + 1 - 90 * DAY_US, NOW_US + 1)));
        assert_eq!(window("from=0&to=1800000000000", whole), Ok((0, NOW_US)));
        for old in ["-008000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "30000d", "9000000d"] {
            assert_eq!(window(&format!("from={old}"), whole), Ok((0, NOW_US + 1)), "{old}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (query, says) in [
            ("from=yesterday", "`from`: expected a time"),
            ("from=15", "may be 31d apart at most"),
            ("from=15x", "`from`: expected a time"),
            ("from=--15m", "`from`: expected a time"),
            ("to=-5", "`to`: expected a time"),
            ("to=99999999999999999999", "`to`: expected a time"),
            ("from=99999999999999d", "`from`: expected a time"),
            ("to=9007199254740992", "`to`: expected a time"),
            ("from=2000&to=1000", "`from` must be before `to`"),
            ("from=-1m&to=-1m", "`from` must be before `to`"),
            ("from=0&to=1800000000000", "`from` and `to` may be 31d apart at most"),
        ] {
            let error = window(query, Reach::SCAN).unwrap_err();
            assert!(error.contains(says), "{query}: {error}");
        }
    }
}
