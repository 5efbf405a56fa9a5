//! Query strings, read strictly: what is not understood is an error, never ignored.
//!
//! A misspelt filter that is dropped in silence answers another question than the one asked, so an
//! unknown name, a repeated name and an unreadable value are all 400, and so is a value that only a
//! repair would make text.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path, RawQuery};
use http::request::Parts;

use super::reply::Fault;
use crate::config::suggest::did_you_mean;

/// The longest value of a filter, in bytes.
const MAX_VALUE: usize = 256;

/// The query string as it came.
pub(super) type Pairs = RawQuery;

/// What stands in the path where a name belongs. What is no text is no name of anything.
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(text.map(|Path(text)| text).unwrap_or_default()))
    }
}

/// Pairs whose names are known and unique.
#[derive(Debug)]
pub(super) struct Asked(Vec<(String, String)>);

impl Asked {
    /// Accepts these names and no others.
    pub(super) fn read(RawQuery(query): Pairs, known: &[&str]) -> Result<Self, Fault> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let query = query.unwrap_or_default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name =
                decode(name).filter(|name| known.contains(&name.as_str())).ok_or_else(|| {
                    let shown = decode(name).unwrap_or_else(|| name.to_owned());
                    Fault::BadRequest(unknown(&shown, known))
                })?;
            if pairs.iter().any(|(earlier, _)| *earlier == name) {
                return Err(Fault::BadRequest(format!("`{name}` is given twice")));
            }
            let fits =
                |value: &String| (1..=MAX_VALUE).contains(&value.len()) && !value.contains('\0');
            let value = decode(value).filter(fits).ok_or_else(|| {
                let expected = format_args!("1 to {MAX_VALUE} bytes of UTF-8, none of them NUL");
                Fault::unreadable(&name, expected)
            })?;
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The value of a name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a name, owned.
    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
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

    /// All pairs but those with these names, by name: what the question is about.
    pub(super) fn without(&self, names: &[&str]) -> Vec<(&str, &str)> {
        let pairs = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut pairs: Vec<_> = pairs.filter(|(name, _)| !names.contains(name)).collect();
        pairs.sort_unstable();
        pairs
    }
}

/// Undoes the encoding of forms: `+` is a space, `%41` an A. None for half an escape and for what
/// is no UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || u8::try_from(char::from(rest.next()?).to_digit(16)?).ok();
                digit()? << 4 | digit()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

fn unknown(name: &str, known: &[&str]) -> String {
    // Long enough to be recognised, short enough for a line.
    let name: String = name.chars().take(64).collect();
    match (did_you_mean(&name, known.iter().copied()), known.is_empty()) {
        (near, false) if !near.is_empty() => format!("unknown parameter `{name}`{near}"),
        (_, false) => format!("unknown parameter `{name}`; known are {}", known.join(", ")),
        (_, true) => format!("unknown parameter `{name}`; this path takes none"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use axum::extract::RawQuery;

    use super::Asked;

    pub(in crate::admin) fn ask(query: &str, names: &[&str]) -> Result<Asked, String> {
        Asked::read(RawQuery(Some(query.to_owned())), names).map_err(|fault| fault.to_string())
    }

    #[test]
    fn values_are_decoded_as_forms_are() {
        for (query, value) in
            [("upstream=a%20b+c", "a b c"), ("&upstream=%C3%A9&", "é"), ("up%73tream=a=b", "a=b")]
        {
            assert_eq!(ask(query, &["upstream"]).unwrap().text("upstream"), Some(value), "{query}");
        }
        let asked = ask("b=2&a=1&limit=3", &["a", "b", "limit"]).unwrap();
        assert_eq!(asked.without(&["limit"]), [("a", "1"), ("b", "2")]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let long = format!("upstream={}", "x".repeat(257));
        for (query, says) in [
            ("upstream=a&upstream=b", "`upstream` is given twice"),
            ("upstream=", "`upstream`: expected 1 to 256 bytes"),
            ("upstream", "`upstream`: expected 1 to 256 bytes"),
            ("upstream=a%00b", "`upstream`: expected 1 to 256 bytes"),
            ("upstream=%ff", "`upstream`: expected 1 to 256 bytes of UTF-8"),
            ("upstream=%C3", "`upstream`: expected 1 to 256 bytes of UTF-8"),
            ("upstream=%4", "`upstream`: expected 1 to 256 bytes of UTF-8"),
            ("upstream=%zz", "`upstream`: expected 1 to 256 bytes of UTF-8"),
            (&long, "`upstream`: expected 1 to 256 bytes"),
            ("corelationId=x", "unknown parameter `corelationId`; did you mean `correlationId`?"),
            ("Upstream=x", "did you mean `upstream`?"),
            ("nonsense=x", "known are upstream, correlationId"),
            ("%ff=x", "unknown parameter `%ff`"),
            ("=x", "unknown parameter ``"),
        ] {
            let error = ask(query, &["upstream", "correlationId"]).unwrap_err();
            assert!(error.contains(says), "{query}: {error}");
        }
        assert!(ask("a=1", &[]).unwrap_err().contains("takes none"));
    }
}
