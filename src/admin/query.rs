//! Query strings, read strictly: what is not understood is an error, never ignored.
//!
//! A misspelt filter that is dropped in silence answers another question than the one asked, so an
//! unknown name, a repeated name and an unreadable value are all 400.

use axum::extract::{Query, rejection::QueryRejection};
use jiff::Timestamp;

use super::reply::Fault;

/// A day in microseconds.
const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// How far back a question reaches that does not say.
const DEFAULT_WINDOW_US: i64 = DAY_US;

/// The widest window of one question.
const MAX_WINDOW_US: i64 = 31 * DAY_US;

/// The longest value of a filter, in bytes.
const MAX_VALUE: usize = 256;

/// The pairs as they come out of the query string.
pub(super) type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Pairs whose names are known and unique.
#[derive(Debug)]
pub(super) struct Asked(Vec<(String, String)>);

/// A stretch of time: from, and before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from_us: i64,
    pub(super) to_us: i64,
}

impl Asked {
    /// Accepts these names and no others.
    pub(super) fn read(pairs: Pairs, known: &[&str]) -> Result<Self, Fault> {
        let Ok(Query(pairs)) = pairs else {
            return Err(Fault::BadRequest("the query string cannot be read".to_owned()));
        };
        for (at, (name, value)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Fault::BadRequest(unknown(name, known)));
            }
            if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Fault::BadRequest(format!("`{name}` is given twice")));
            }
            if value.is_empty() || value.len() > MAX_VALUE || value.contains('\0') {
                let expected = format_args!("1 to {MAX_VALUE} bytes, none of them NUL");
                return Err(Fault::unreadable(name, expected));
            }
        }
        Ok(Self(pairs))
    }

    /// The value of a name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a name, read.
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        self.text(name)
            .map(|text| read(text).ok_or_else(|| Fault::unreadable(name, expected)))
            .transpose()
    }

    /// The value of `limit`.
    pub(super) fn limit(&self, default: u32, max: u32) -> Result<u32, Fault> {
        let within = |text: &str| text.parse().ok().filter(|limit| (1..=max).contains(limit));
        let expected = format!("a number from 1 to {max}");
        Ok(self.parsed("limit", &expected, within)?.unwrap_or(default))
    }

    /// The values of `from` and `to`; a day up to now unless they say otherwise.
    pub(super) fn window(&self, now_us: i64) -> Result<Window, Fault> {
        const EXPECTED: &str = "a time such as 2026-11-22T10:00:00Z (with `+` written as %2B), or \
                                milliseconds since the Unix epoch";
        let to_us =
            self.parsed("to", EXPECTED, time_us)?.unwrap_or_else(|| now_us.saturating_add(1));
        let from_us = self.parsed("from", EXPECTED, time_us)?;
        let from_us = from_us.unwrap_or_else(|| to_us.saturating_sub(DEFAULT_WINDOW_US));
        if from_us >= to_us {
            return Err(Fault::BadRequest("`from` must be before `to`".to_owned()));
        }
        if to_us.saturating_sub(from_us) > MAX_WINDOW_US {
            return Err(Fault::BadRequest("ask for at most 31 days at a time".to_owned()));
        }
        Ok(Window { from_us, to_us })
    }
}

fn unknown(name: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|&(distance, _)| distance <= 3)
        .min_by_key(|&(distance, _)| distance);
    match (near, known.is_empty()) {
        (Some((_, candidate)), _) => {
            format!("unknown parameter `{name}`; did you mean `{candidate}`?")
        }
        (None, false) => format!("unknown parameter `{name}`; known are {}", known.join(", ")),
        (None, true) => format!("unknown parameter `{name}`; this path takes none"),
    }
}

/// Reads a time: RFC 3339, or milliseconds since the Unix epoch.
fn time_us(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<i64>().ok()?.checked_mul(1_000);
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

/// Writes a time as RFC 3339; null for one that no calendar has.
pub(super) fn show_time(at_us: i64) -> Option<String> {
    Timestamp::from_microsecond(at_us).ok().map(|at| at.to_string())
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;

    use super::{Asked, DAY_US, Window};

    const NAMES: [&str; 4] = ["from", "to", "upstream", "correlationId"];
    const NOW_US: i64 = 1_800_000_000_000_000;

    fn ask(query: &str) -> Result<Asked, String> {
        let uri = format!("http://x/?{query}").parse().unwrap();
        Asked::read(Query::try_from_uri(&uri), &NAMES).map_err(|fault| fault.to_string())
    }

    fn window(query: &str) -> Result<Window, String> {
        ask(query)?.window(NOW_US).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_window_is_a_day_up_to_now_unless_it_is_given() {
        let day = Window { from_us: NOW_US + 1 - DAY_US, to_us: NOW_US + 1 };
        assert_eq!(window(""), Ok(day));
        let given = Window { from_us: 1_000_000, to_us: 2_500_000 };
        assert_eq!(window("from=1000&to=2500"), Ok(given));
        assert_eq!(window("from=1970-01-01T00:00:01Z&to=1970-01-01T01:00:02.5%2B01:00"), Ok(given));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (query, says) in [
            ("from=yesterday", "`from`: expected a time"),
            ("to=-5", "`to`: expected a time"),
            ("to=99999999999999999999", "`to`: expected a time"),
            ("from=2000&to=1000", "`from` must be before `to`"),
            ("from=0&to=1800000000000", "at most 31 days"),
            ("upstream=a&upstream=b", "`upstream` is given twice"),
            ("upstream=", "`upstream`: expected 1 to 256 bytes"),
            ("upstream=a%00b", "`upstream`: expected 1 to 256 bytes"),
            ("corelationId=x", "did you mean `correlationId`?"),
            ("nonsense=x", "known are from, to, upstream, correlationId"),
        ] {
            let error = window(query).unwrap_err();
            assert!(error.contains(says), "{query}: {error}");
        }
    }
}
