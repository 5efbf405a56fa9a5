//! A single value as it was found, before anybody knows of which type it is to be.

use std::borrow::Cow;

/// See the module docs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// `true` or `false` of JSON.
    Bool(bool),
    /// A number of JSON, as it is written.
    Number(&'a str),
    /// A text of JSON.
    Text(Cow<'a, str>),
    /// A text from where everything is text: a header, a query, a path.
    Word(Cow<'a, str>),
    /// A list or an object, which is no single value.
    Nested,
}

impl Scalar<'_> {
    /// The number that it is. A text of JSON is none, even one that reads like one.
    pub(super) fn number(&self) -> Option<f64> {
        let text = match self {
            Self::Number(text) => text,
            Self::Word(text) => text.trim(),
            Self::Bool(_) | Self::Text(_) | Self::Nested => return None,
        };
        // Words such as `inf` and `nan` are no numbers either.
        let is_numeric = text.ends_with(|last: char| last.is_ascii_digit());
        text.parse::<f64>().ok().filter(|number| is_numeric && number.is_finite())
    }

    /// The whole number that it is, without rounding; one that is written with a fraction of zeros
    /// too, as some writers do.
    pub(super) fn whole(&self) -> Option<i64> {
        let exact = match self {
            Self::Number(text) => text.parse().ok(),
            Self::Word(text) => text.trim().parse().ok(),
            Self::Bool(_) | Self::Text(_) | Self::Nested => None,
        };
        exact.or_else(|| self.number().and_then(whole))
    }

    /// What it says as a text; nothing for a list or an object.
    pub(super) fn text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Number(text) => Cow::Borrowed(text),
            Self::Text(text) | Self::Word(text) => Cow::Borrowed(&**text),
            Self::Nested => return None,
        })
    }

    /// Whether it is true, if it says either.
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Word(text) => match text.trim() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            Self::Number(_) | Self::Text(_) | Self::Nested => None,
        }
    }
}

/// A number as a whole one, if it is one and exact.
#[expect(clippy::cast_possible_truncation, reason = "within what a float tells exactly")]
pub fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::Scalar;

    #[test]
    fn a_number_is_whole_however_it_is_written() {
        for (text, whole) in [
            ("120", Some(120)),
            ("-0", Some(0)),
            ("120.0", Some(120)),
            ("1.2e2", Some(120)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("120.5", None),
            ("1e400", None),
        ] {
            assert_eq!(Scalar::Number(text).whole(), whole, "{text}");
            assert_eq!(Scalar::Word(format!(" {text} ").into()).whole(), whole, "{text}");
        }
        assert_eq!(Scalar::Text("120".into()).whole(), None);
    }
}
