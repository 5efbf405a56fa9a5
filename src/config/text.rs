//! What a value can be: names, labels, paths, tokens.
//!
//! Each type has its own alphabet and length, so that what ends up in a log line, a metric or a
//! table needs no escaping later.

use std::path::PathBuf;

use http::uri::PathAndQuery;

use super::{Secret, setting::Setting, shape::Shape, snippet::is_harmless, suggest::did_you_mean};

/// A name that others refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(pub(super) String);

impl Setting for Name {
    const WHAT: &'static str = "a name";
    const SHAPE: Shape = Shape::Pattern("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$");

    fn read(text: &str) -> Result<Self, String> {
        let begins_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        let is_harmless = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if begins_well && is_harmless && text.len() <= 64 {
            return Ok(Self(text.to_owned()));
        }
        let form = "1 to 64 of `A-Z a-z 0-9 . _ -`, the first a letter or digit";
        Err(format!("a name has {form}"))
    }
}

/// A text for people: the label of rows and metrics. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Title(pub(super) String);

impl Setting for Title {
    const WHAT: &'static str = "a text";

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        Label::read(text).map(|label| Self(label.0))
    }
}

/// The same, but it may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label(pub(super) String);

impl Setting for Label {
    const WHAT: &'static str = "a text";

    fn read(text: &str) -> Result<Self, String> {
        if text.len() > 128 || text.trim() != text || !text.chars().all(is_harmless) {
            let form = "at most 128 bytes, without control characters and white space around it";
            return Err(format!("expected a text of {form}"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The namespace of metrics in CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MetricsNamespace(pub(super) String);

impl Setting for MetricsNamespace {
    const WHAT: &'static str = "a text";

    fn read(text: &str) -> Result<Self, String> {
        let is_taken = |b: u8| b.is_ascii_alphanumeric() || b".-_/#:".contains(&b);
        if text.starts_with("AWS/") {
            return Err("`AWS/` is reserved for Amazon's own".to_owned());
        }
        if (1..=255).contains(&text.len()) && text.bytes().all(is_taken) && !text.starts_with(':') {
            return Ok(Self(text.to_owned()));
        }
        Err("a namespace has 1 to 255 of `A-Z a-z 0-9 . - _ / # :`, not `:` first".to_owned())
    }
}

/// What the path of a call begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathPrefix(pub(super) String);

impl Setting for PathPrefix {
    const WHAT: &'static str = "a path";
    const SHAPE: Shape = Shape::Pattern("^/");

    fn read(text: &str) -> Result<Self, String> {
        if text.contains('?') {
            return Err("a path prefix has no query".to_owned());
        }
        RequestPath::read(text).map(|path| Self(path.0))
    }
}

/// What is asked for with GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestPath(pub(super) String);

impl Setting for RequestPath {
    const WHAT: &'static str = "a path";
    const SHAPE: Shape = Shape::Pattern("^/");

    fn read(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err("a path begins with `/`".to_owned());
        }
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !is_visible || text.len() > 1024 || text.parse::<PathAndQuery>().is_err() {
            let form = "up to 1024 visible ASCII characters, others percent-encoded";
            return Err(format!("expected a path of {form}, without a fragment"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Setting for PathBuf {
    const WHAT: &'static str = "a path";

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 4096 || text.contains('\0') {
            return Err("expected a path of 1 to 4096 bytes".to_owned());
        }
        Ok(Self::from(text))
    }
}

/// The name of a schema in Postgres, which needs no quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schema(pub(super) String);

impl Setting for Schema {
    const WHAT: &'static str = "the name of a schema";
    const SHAPE: Shape = Shape::Pattern("^[a-z_][a-z0-9_]{0,62}$");

    fn read(text: &str) -> Result<Self, String> {
        let begins_well =
            text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
        let is_plain =
            text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if begins_well && is_plain && text.len() <= 63 && !text.starts_with("pg_") {
            return Ok(Self(text.to_owned()));
        }
        let form = "1 to 63 of `a-z 0-9 _`, no digit first, not `pg_…`";
        Err(format!("the name of a schema has {form}"))
    }
}

/// Which log lines are written, by module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogFilter(pub(super) String);

impl Setting for LogFilter {
    const WHAT: &'static str = "a log level";

    fn read(text: &str) -> Result<Self, String> {
        const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];
        for part in text.split(',') {
            let (target, level) = part.split_once('=').unwrap_or(("fusebox", part));
            let is_level = LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level));
            let is_target = !target.is_empty()
                && target.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
            if !is_level || !is_target {
                let hint = did_you_mean(level, LEVELS);
                let form = "`trace`, `debug`, `info`, `warn`, `error` or `off`";
                let more = "also by module: `info,fusebox::fleet=debug`";
                return Err(format!("expected {form}, {more}{hint}"));
            }
        }
        Ok(Self(text.to_owned()))
    }
}

/// The bearer token of the admin port; none when empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token(pub(super) Option<Secret>);

impl Setting for Token {
    const WHAT: &'static str = "a token";

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        if text.len() > 512 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token has up to 512 visible ASCII characters, no spaces".to_owned());
        }
        Ok(Self(Some(Secret::new(text))))
    }
}

/// What a breaker is shared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BreakerKey(pub(super) String);

impl Setting for BreakerKey {
    const WHAT: &'static str = "a key";
    const SHAPE: Shape = Shape::Pattern("^[A-Za-z0-9._:@/-]{1,128}$");

    fn read(text: &str) -> Result<Self, String> {
        let is_harmless = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:@/-".contains(&b));
        if (1..=128).contains(&text.len()) && is_harmless {
            return Ok(Self(text.to_owned()));
        }
        Err("a key has 1 to 128 of `A-Z a-z 0-9 . _ : @ / -`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{LogFilter, Name, PathPrefix, RequestPath, Schema, Title, Token};
    use crate::config::setting::Setting;

    /// Whether each text is read as a `T`.
    fn check<T: Setting>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(T::read(text).is_ok(), "{text:?}");
        }
        for text in bad {
            assert!(T::read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn each_text_has_its_alphabet_and_length() {
        let long = "x".repeat(129);
        check::<Name>(&["a", "0", "payments-v2.internal_1"], &["", "-a", ".a", "a b", "é", &long]);
        check::<Title>(&["my service", "é", "/music"], &["", " a", "a\n", "a\u{202e}b", &long]);
        check::<Schema>(&["public", "_x1"], &["", "1x", "Public", "pg_x", "a-b", &long]);
        check::<Token>(&["", "s3cret"], &["a b", "é", "a\n"]);
        check::<PathPrefix>(&["/", "/a/b/", "/%20"], &["", "a", "/a?b", "/a#b", "/a b", "/é"]);
        check::<RequestPath>(&["/health?deep=1"], &["health", "/a#b", "http://x/"]);
    }

    #[test]
    fn a_log_filter_is_a_level_or_levels_by_module() {
        let good = ["info", "INFO", "off", "warn,fusebox::fleet=debug", "fusebox=trace"];
        check::<LogFilter>(&good, &["", "verbose", "info,", "=info", "fusebox=", "a b=info"]);
        assert!(LogFilter::read("inof").unwrap_err().ends_with("did you mean `info`?"));
    }
}
