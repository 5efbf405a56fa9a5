//! What a route says of its tasks: where values stand, of which type they are, what they cost.

use std::ops::RangeInclusive;

use http::StatusCode;

use super::{Config, setting::Setting, shape::Shape, suggest::did_you_mean};
use crate::domain::{
    capture::{MAX_TEXT, Pointer, Preset, Price, Template},
    learn::contrast::Goal,
};

/// Where a value of a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// In its body.
    Json,
    /// In its body, a form.
    Form,
    /// In a header.
    Header,
    /// In its query.
    Query,
    /// In its path.
    Path,
}

/// Where a value of an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// In its body.
    Json,
    /// In a header.
    Header,
}

impl Config {
    /// What is recommended for these tasks is to improve this: by the first route with such tasks,
    /// one with just this action before those whose action differs between calls.
    pub fn goal(&self, domain: &str, action: &str) -> Goal {
        let of_domain = || {
            let routes = self.listeners.iter().flat_map(|listener| &listener.routes);
            routes.filter(|route| route.domain == domain)
        };
        let mut exact = of_domain().filter(|route| route.action == action);
        let mut differing = of_domain().filter(|route| route.actions.is_some());
        exact.next().or_else(|| differing.next()).map_or(Goal::Success, |route| route.goal)
    }
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParamType {
    Int,
    Float,
    Bool,
    Enum,
}

/// Settings that the pure core reads.
macro_rules! of_the_core {
    ($($kind:ty, $what:literal, $read:path;)*) => {$(
        impl Setting for $kind {
            const WHAT: &'static str = $what;

            fn read(text: &str) -> Result<Self, String> {
                $read(text).map_err(|error| error.to_string())
            }
        }
    )*};
}

of_the_core! {
    Pointer, "a JSON pointer", Self::parse;
    Template, "a path with names", Self::parse;
}

/// A number, with decimals or without.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Number(pub(super) f64);

impl Setting for Number {
    const WHAT: &'static str = "a number";
    const SHAPE: Shape = Shape::Number;

    fn read(text: &str) -> Result<Self, String> {
        let is_plain = text.ends_with(|last: char| last.is_ascii_digit());
        let number = text.parse::<f64>().ok().filter(|number| is_plain && number.is_finite());
        number.map(Self).ok_or_else(|| "expected a number, such as `0.5`".to_owned())
    }
}

/// US dollars for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PerUnit(pub(super) Price);

/// US dollars for a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PerMillion(pub(super) Price);

impl Setting for PerUnit {
    const WHAT: &'static str = "US dollars";
    const SHAPE: Shape = Shape::Number;

    fn read(text: &str) -> Result<Self, String> {
        Price::per_unit(text).map(Self).map_err(|error| error.to_string())
    }
}

impl Setting for PerMillion {
    const WHAT: &'static str = "US dollars";
    const SHAPE: Shape = Shape::Number;

    fn read(text: &str) -> Result<Self, String> {
        Price::per_million(text).map(Self).map_err(|error| error.to_string())
    }
}

/// Statuses: one of them, or all of a hundred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statuses(pub(super) RangeInclusive<u16>);

impl Setting for Statuses {
    const WHAT: &'static str = "a status such as `404`, or a class such as `2xx`";
    const SHAPE: Shape = Shape::Pattern("^([1-5]xx|[1-5][0-9]{2})$");

    fn read(text: &str) -> Result<Self, String> {
        let class = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok());
        let class = class.filter(|class| (1..=5).contains(class));
        let of_class = class.map(|class| class * 100..=class * 100 + 99);
        let one = || {
            let status = text.parse::<StatusCode>().ok()?.as_u16();
            (status < 600).then_some(status..=status)
        };
        of_class.or_else(one).map(Self).ok_or_else(|| format!("expected {}", Self::WHAT))
    }
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word(pub(super) String);

impl Setting for Word {
    const WHAT: &'static str = "a text";

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.chars().nth(MAX_TEXT).is_some() {
            return Err(format!("expected a text of 1 to {MAX_TEXT} characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Setting for Preset {
    const WHAT: &'static str = "`openai`, `anthropic` or `gemini`";
    const SHAPE: Shape = Shape::Words(&["openai", "anthropic", "gemini"]);

    fn read(text: &str) -> Result<Self, String> {
        let preset = Self::ALL.into_iter().find(|preset| preset.as_str() == text);
        let names = Self::ALL.map(Self::as_str);
        preset.ok_or_else(|| format!("expected {}{}", Self::WHAT, did_you_mean(text, names)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Number, Statuses, Word};
    use crate::config::setting::Setting;

    #[test]
    fn statuses_are_one_or_a_class() {
        assert_eq!(Statuses::read("2xx"), Ok(Statuses(200..=299)));
        assert_eq!(Statuses::read("404"), Ok(Statuses(404..=404)));
        for text in ["", "xx", "6xx", "0xx", "2XX", "20x", "99", "600", "ok"] {
            assert!(Statuses::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_finite_and_words_are_short() {
        assert_eq!(Number::read("-0.5"), Ok(Number(-0.5)));
        for text in ["", "nan", "inf", "1e999", "1s", "0x1"] {
            assert!(Number::read(text).is_err(), "{text}");
        }
        assert!(Word::read("failed").is_ok() && Word::read("").is_err());
        assert!(Word::read(&"x".repeat(65)).is_err());
    }
}
