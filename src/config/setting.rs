//! What a value can be: numbers with their units, switches, choices.
//!
//! A [`Setting`] is read from the text of a scalar, quoted or not, and says in the words of a
//! user what was expected.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use http::{Method, StatusCode};

use super::{
    CallLines, Forwarded, LearnedMode, Protocol, TlsVersion, Workers,
    shape::{Shape, Shaped},
    suggest::did_you_mean,
    task::{Asked, ParamType, Told},
};
use crate::domain::{
    breaker::{Mode, Scope},
    fallback::Occasion,
    grpc::Code,
    learn::contrast::Goal,
    quorum::{Quorum, QuorumError},
    retry::Condition,
    units::{Percent, parse_duration, parse_percent, parse_size},
};

/// A mapping with keys of its own.
pub(super) enum Section {}

/// A mapping from names that the user chooses.
pub(super) enum Named {}

/// A list of values.
pub(super) struct List<T>(std::marker::PhantomData<fn() -> T>);

/// A value that is read from one scalar.
pub(super) trait Setting: Sized {
    /// What is expected, with its article.
    const WHAT: &'static str;

    /// What it looks like.
    const SHAPE: Shape = Shape::Text;

    /// Reads it.
    fn read(text: &str) -> Result<Self, String>;

    /// Whether it is less than the least or more than the most.
    fn is_outside(&self, _least: &Self, _most: &Self) -> bool {
        false
    }
}

impl<T: Setting> Shaped for T {
    const SHAPE: Shape = <T as Setting>::SHAPE;
}

impl Shaped for Section {
    const SHAPE: Shape = Shape::Section;
}

impl Shaped for Named {
    const SHAPE: Shape = Shape::Named;
}

impl<T: Shaped> Shaped for List<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bytes(pub(super) usize);

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ceiling(pub(super) Option<NonZeroU32>);

/// Settings that have an order, and so bounds.
macro_rules! ordered {
    ($($kind:ty, $what:literal, $shape:ident, $read:expr;)*) => {$(
        impl Setting for $kind {
            const WHAT: &'static str = $what;
            const SHAPE: Shape = Shape::$shape;

            fn read(text: &str) -> Result<Self, String> {
                $read(text)
            }

            fn is_outside(&self, least: &Self, most: &Self) -> bool {
                self < least || self > most
            }
        }
    )*};
}

ordered! {
    Duration, "a duration", Duration, |text| parse_duration(text).map_err(|error| error.to_string());
    Percent, "a share", Share, |text| parse_percent(text).map_err(|error| error.to_string());
    Bytes, "a size", Size, size;
    u32, "a whole number", Whole, whole;
    usize, "a whole number", Whole, whole;
    NonZeroU32, "a whole number", Whole, |text| Self::new(whole(text)?).ok_or_else(|| NOT_ZERO.to_owned());
    NonZeroUsize, "a whole number", Whole, |text| Self::new(whole(text)?).ok_or_else(|| NOT_ZERO.to_owned());
}

const NOT_ZERO: &str = "must be at least 1";

fn size(text: &str) -> Result<Bytes, String> {
    let bytes = parse_size(text).map_err(|error| error.to_string())?;
    usize::try_from(bytes).map(Bytes).map_err(|_| "the number is too large".to_owned())
}

pub(super) fn whole<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err("expected a whole number without a unit, such as `5`".to_owned());
    }
    let number = text.parse::<u64>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| "the number is too large".to_owned())
}

impl Setting for Workers {
    const WHAT: &'static str = "`auto` or a whole number";
    const SHAPE: Shape = Shape::WholeOr("auto");

    fn read(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let count = whole::<usize>(text)
            .map_err(|_| "expected `auto` or a whole number, such as `2`".to_owned())?;
        NonZeroUsize::new(count).map(Self::Count).ok_or_else(|| NOT_ZERO.to_owned())
    }

    fn is_outside(&self, least: &Self, most: &Self) -> bool {
        match (self, least, most) {
            (Self::Count(count), Self::Count(least), Self::Count(most)) => {
                count < least || count > most
            }
            _ => false,
        }
    }
}

impl Setting for Ceiling {
    const WHAT: &'static str = "`off` or a whole number";
    const SHAPE: Shape = Shape::WholeOr("off");

    fn read(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let limit = whole::<u32>(text)
            .map_err(|_| "expected `off` or a whole number, such as `100`".to_owned())?;
        NonZeroU32::new(limit).map(|limit| Self(Some(limit))).ok_or_else(|| NOT_ZERO.to_owned())
    }

    fn is_outside(&self, least: &Self, most: &Self) -> bool {
        self.0.is_some() && (self.0 < least.0 || self.0 > most.0)
    }
}

/// Settings that are one of a few words.
macro_rules! choices {
    ($($kind:ty, $what:literal, [$($word:literal => $value:expr),*];)*) => {$(
        impl $crate::config::setting::Setting for $kind {
            const WHAT: &'static str = $what;
            const SHAPE: $crate::config::shape::Shape =
                $crate::config::shape::Shape::Words(&[$($word),*]);

            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($value),)*
                    _ => Err(format!(
                        "expected {}{}",
                        $what,
                        $crate::config::suggest::did_you_mean(text, [$($word),*])
                    )),
                }
            }
        }
    )*};
}

pub(super) use choices;

choices! {
    TlsVersion, "`1.2` or `1.3`", ["1.2" => Self::V1_2, "1.3" => Self::V1_3];
    bool, "`true` or `false`", ["true" => true, "false" => false];
    CallLines, "`all`, `failures` or `none`",
        ["all" => Self::All, "failures" => Self::Failures, "none" => Self::None];
    Forwarded, "`off`, `replace` or `append`",
        ["off" => Self::Off, "replace" => Self::Replace, "append" => Self::Append];
    Protocol, "`auto`, `http1` or `http2`",
        ["auto" => Self::Auto, "http1" => Self::Http1, "http2" => Self::Http2];
    Occasion, "`refused` or `failed`", ["refused" => Self::Refused, "failed" => Self::Failed];
    Asked, "`request.json`, `request.form`, `request.header`, `request.query` or `path`", [
        "request.json" => Self::Json, "request.form" => Self::Form,
        "request.header" => Self::Header, "request.query" => Self::Query, "path" => Self::Path
    ];
    Told, "`response.json` or `response.header`",
        ["response.json" => Self::Json, "response.header" => Self::Header];
    ParamType, "`int`, `float`, `bool` or `enum`",
        ["int" => Self::Int, "float" => Self::Float, "bool" => Self::Bool, "enum" => Self::Enum];
    Mode, "`auto`, `shadow` or `disabled`",
        ["auto" => Self::Auto, "shadow" => Self::Shadow, "disabled" => Self::Disabled];
    Goal, "`success_rate`, `impact`, `duration` or `cost_per_success`", [
        "success_rate" => Self::Success, "impact" => Self::Impact,
        "duration" => Self::Duration, "cost_per_success" => Self::Cost
    ];
    LearnedMode, "`off`, `observe` or `widen`",
        ["off" => Self::Off, "observe" => Self::Observe, "widen" => Self::Widen];
    Scope, "`fleet` or `instance`", ["fleet" => Self::Fleet, "instance" => Self::Instance];
    Condition, "`unsent`, `reset` or `timeout`",
        ["unsent" => Self::Unsent, "reset" => Self::Reset, "timeout" => Self::Timeout];
    Method, "a method: `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS` or `TRACE`", [
        "GET" => Self::GET, "HEAD" => Self::HEAD, "POST" => Self::POST, "PUT" => Self::PUT,
        "PATCH" => Self::PATCH, "DELETE" => Self::DELETE, "OPTIONS" => Self::OPTIONS,
        "TRACE" => Self::TRACE
    ];
}

impl Setting for Quorum {
    const WHAT: &'static str = "`majority`, `any`, a number or a share";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: QuorumError| {
            let near = if error == QuorumError::Malformed { text } else { "" };
            format!("{error}{}", did_you_mean(near, ["majority", "any"]))
        })
    }
}

impl Setting for StatusCode {
    const WHAT: &'static str = "a status from 400 to 599";
    const SHAPE: Shape = Shape::Within(400, 599);

    fn read(text: &str) -> Result<Self, String> {
        let status = whole::<u16>(text).ok().filter(|status| (400..=599).contains(status));
        let status = status.and_then(|status| Self::from_u16(status).ok());
        status.ok_or_else(|| format!("expected {}", Self::WHAT))
    }
}

impl Setting for Code {
    const WHAT: &'static str = "a gRPC code other than OK, such as `UNAVAILABLE` or `14`";

    fn read(text: &str) -> Result<Self, String> {
        let code = Self::parse(text).filter(|&code| code != Self::Ok);
        code.ok_or_else(|| {
            let names = Self::ALL[1..].iter().map(|code| code.as_str());
            format!("expected {}{}", Self::WHAT, did_you_mean(text, names))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Ceiling, Code, Setting, Workers};
    use crate::config::Forwarded;

    #[test]
    fn a_choice_is_told_with_its_alternatives() {
        let fault = Forwarded::read("apend").unwrap_err();
        assert_eq!(fault, "expected `off`, `replace` or `append`; did you mean `append`?");
        assert_eq!(bool::read("yes").unwrap_err(), "expected `true` or `false`");
    }

    #[test]
    fn a_grpc_code_is_a_name_or_a_number_and_no_success() {
        assert_eq!(Code::read("UNAVAILABLE"), Ok(Code::Unavailable));
        assert_eq!(Code::read("14"), Ok(Code::Unavailable));
        for text in ["OK", "0", "17", "unavailable", ""] {
            assert!(Code::read(text).is_err(), "{text}");
        }
        let fault = Code::read("UNAVAILBLE").unwrap_err();
        assert!(fault.ends_with("did you mean `UNAVAILABLE`?"), "{fault}");
    }

    #[test]
    fn numbers_are_whole_and_fit() {
        assert_eq!(u32::read("7"), Ok(7));
        for text in ["", "-1", "+1", "1.0", "0x10", "1_000", " 1", "99999999999"] {
            assert!(u32::read(text).is_err(), "{text}");
        }
        assert_eq!(Bytes::read("64KiB"), Ok(Bytes(65_536)));
        assert_eq!(Workers::read("auto"), Ok(Workers::Auto));
        assert!(Workers::read("0").is_err());
        assert_eq!(Ceiling::read("off"), Ok(Ceiling(None)));
        assert!(Ceiling::read("0").is_err() && Ceiling::read("none").is_err());
    }
}
