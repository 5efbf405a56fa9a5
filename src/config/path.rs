//! Where a value stands among the keys: `upstreams.payments.endpoints[0]`.

use std::fmt;

/// The longest key that is shown in full.
const MAX_SHOWN: usize = 64;

/// The keys that lead to a value, as shown to people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Path(String);

impl Path {
    /// The file as a whole.
    pub(super) fn root() -> Self {
        Self::default()
    }

    /// A flag of the command line, which stands for itself.
    pub(super) fn flag(flag: &str) -> Self {
        Self(flag.to_owned())
    }

    /// The value of a key of this mapping.
    pub(super) fn key(&self, key: &str) -> Self {
        let dot = if self.0.is_empty() { "" } else { "." };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if !key.is_empty() && key.len() <= MAX_SHOWN && key.bytes().all(is_plain) {
            return Self(format!("{}{dot}{key}", self.0));
        }
        Self(format!("{}{dot}\"{}\"", self.0, shown(key)))
    }

    /// An item of this list.
    pub(super) fn item(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// As text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name from outside, fit for a message: short, and only up to the first character that no name
/// has, for what follows may be a value that slipped in, `token:secret`.
pub(super) fn shown(name: &str) -> String {
    let is_usual = |c: &char| c.is_alphanumeric() || " ._-/<".contains(*c);
    let mut shown: String = name.chars().take_while(is_usual).take(MAX_SHOWN).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::Path;

    #[test]
    fn a_path_shows_names_and_nothing_that_follows_them() {
        for (key, expected) in [
            ("payments", "a.payments[0]"),
            ("x team", "a.\"x team\"[0]"),
            ("a.b", "a.\"a.b\"[0]"),
            ("url:postgres://u:p@h", "a.\"url…\"[0]"),
            ("\u{1b}[2J", "a.\"…\"[0]"),
        ] {
            assert_eq!(Path::root().key("a").key(key).item(0).as_str(), expected);
        }
    }
}
