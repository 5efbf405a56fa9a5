//! JSON Pointers (RFC 6901): where in a document a value is. No wildcards.

use std::fmt;

/// The deepest place that is looked at, in tokens.
pub const MAX_DEPTH: usize = 8;

/// A place in a document: the keys, and the numbers of items, that lead to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pointer(Vec<Box<str>>);

/// What is wrong with a text that should be a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It does not begin with a slash, or is empty, which means the whole document.
    #[error("a JSON pointer begins with `/`, as in `/usage/total_tokens`")]
    NoSlash,
    /// A tilde that stands for nothing.
    #[error("in a JSON pointer `~` is written `~0`, and `/` within a key `~1`")]
    Tilde,
    /// An asterisk alone, which would be a key of that name and is meant for any.
    #[error(
        "a JSON pointer has no wildcard: `*` would be the key `*`; an item is named by its number, \
         as in `/choices/0/text`"
    )]
    Wildcard,
    /// Deeper than anything that is looked at.
    #[error("a JSON pointer has at most {MAX_DEPTH} parts")]
    TooDeep,
}

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    /// It is none, or deeper than [`MAX_DEPTH`].
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let rest = text.strip_prefix('/').ok_or(PointerError::NoSlash)?;
        let tokens = rest.split('/').map(unescape).collect::<Result<Vec<_>, _>>()?;
        if tokens.iter().any(|token| &**token == "*") {
            return Err(PointerError::Wildcard);
        }
        if tokens.len() > MAX_DEPTH {
            return Err(PointerError::TooDeep);
        }
        Ok(Self(tokens))
    }

    /// The keys and numbers that lead there.
    pub(super) fn tokens(&self) -> &[Box<str>] {
        &self.0
    }
}

fn unescape(token: &str) -> Result<Box<str>, PointerError> {
    let mut parts = token.split('~');
    let mut key = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (stands_for, rest) = match part.as_bytes().first() {
            Some(b'0') => ('~', &part[1..]),
            Some(b'1') => ('/', &part[1..]),
            _ => return Err(PointerError::Tilde),
        };
        key.push(stands_for);
        key.push_str(rest);
    }
    Ok(key.into())
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

/// The number of an item that a token stands for; none when it only is a key.
pub(super) fn item(token: &str) -> Option<usize> {
    let is_plain = token.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = is_plain && (token == "0" || !token.starts_with('0'));
    token.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::{Pointer, PointerError, item};

    #[test]
    fn pointers_read_as_in_the_rfc_and_show_as_they_were_written() {
        // RFC 6901 §5.
        for (text, tokens) in [
            ("/foo/0", vec!["foo", "0"]),
            ("/", vec![""]),
            ("/a~1b", vec!["a/b"]),
            ("/c%d", vec!["c%d"]),
            ("/m~0n", vec!["m~n"]),
            ("/~01", vec!["~1"]),
            ("/ ", vec![" "]),
            ("/a*/**", vec!["a*", "**"]),
        ] {
            let pointer = Pointer::parse(text).unwrap();
            assert_eq!(pointer.tokens().iter().map(|token| &**token).collect::<Vec<_>>(), tokens);
            assert_eq!(pointer.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for (text, error) in [
            ("", PointerError::NoSlash),
            ("usage", PointerError::NoSlash),
            ("$.usage", PointerError::NoSlash),
            ("/a~", PointerError::Tilde),
            ("/a~2b", PointerError::Tilde),
            ("/a/*/b", PointerError::Wildcard),
            ("/*", PointerError::Wildcard),
            ("/1/2/3/4/5/6/7/8/9", PointerError::TooDeep),
        ] {
            assert_eq!(Pointer::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_item_has_a_number_without_leading_zeros() {
        assert_eq!(
            [item("0"), item("10"), item("01"), item("-"), item("")],
            [Some(0), Some(10), None, None, None]
        );
    }
}
