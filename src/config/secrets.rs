//! Which parts of a source are not to be shown.
//!
//! What is not known to be harmless is hidden: values of secret keys, of keys that are not known
//! (they may be secret ones with a slip of the pen), of headers, values in place of a mapping,
//! comments; and in a file that is no YAML, every value that does not clearly belong to a harmless
//! key.

use std::ops::Range;

use super::{
    file::{Node, Span, Tree, Value},
    keys,
    snippet::{MAX_REACH, line_around},
};

/// The parts to hide.
pub(super) enum Secrets {
    /// These stretches, in their order.
    Known(Vec<Hidden>),
    /// The file has no structure to go by.
    Unparsed,
}

/// A stretch that is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hidden {
    /// Its bytes.
    pub(super) range: Range<usize>,
    /// What is shown instead.
    pub(super) stand_in: &'static str,
}

impl Hidden {
    /// A stretch with a secret in it, perhaps.
    pub(super) fn secret(range: Range<usize>) -> Self {
        Self { range, stand_in: "***" }
    }

    fn comment(range: Range<usize>) -> Self {
        Self { range, stand_in: "#…" }
    }
}

impl Secrets {
    /// The secrets of a file.
    pub(super) fn of(tree: &Tree) -> Self {
        let mut ranges = Vec::new();
        collect(&tree.root, "", false, &mut ranges);
        for stray in &tree.strays {
            collect(stray, "?", false, &mut ranges);
        }
        let secrets = ranges.into_iter().map(Hidden::secret);
        let comments = tree.comments.iter().map(|span| Hidden::comment(span.start..span.end));
        let mut all: Vec<_> = secrets.chain(comments).collect();
        all.sort_unstable_by_key(|hidden| hidden.range.start);
        Self::Known(all)
    }

    /// What to hide around the byte at `start`, as far as a snippet reaches.
    pub(super) fn around(&self, text: &str, start: usize) -> Vec<Hidden> {
        match self {
            Self::Known(all) => {
                // They are in order and apart, so their ends are in order too.
                let first = all.partition_point(|hidden| hidden.range.end + MAX_REACH < start);
                let is_near = |hidden: &&Hidden| hidden.range.start < start + MAX_REACH;
                all[first..].iter().take_while(is_near).cloned().collect()
            }
            Self::Unparsed => {
                let hidden = unparsed(text, text.floor_char_boundary(start));
                hidden.map(Hidden::secret).into_iter().collect()
            }
        }
    }
}

/// Collects what is hidden below a node. `pattern` is that of the keys that lead to it;
/// `is_shown` says whether a single value at this place may be shown.
fn collect(node: &Node, pattern: &str, is_shown: bool, ranges: &mut Vec<Range<usize>>) {
    let range = |span: Option<Span>| span.map(|span| span.start..span.end);
    match &node.value {
        Value::Scalar(_) | Value::Broken if !is_shown => ranges.extend(range(node.span)),
        Value::Scalar(_) | Value::Broken | Value::Empty => {}
        Value::List(items) => {
            let pattern = format!("{pattern}[]");
            for item in items {
                collect(item, &pattern, is_shown, ranges);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                // A missing space makes a key of a key and its value.
                let is_slip = entry.key.contains([':', '=']);
                ranges.extend(range(entry.key_span).filter(|_| is_slip));
                let (pattern, is_shown) = match keys::find(pattern, &entry.key) {
                    Some(about) => (about.path, !about.secret && !about.is_section),
                    None => ("?", false),
                };
                collect(&entry.value, pattern, is_shown, ranges);
            }
        }
    }
}

/// What to hide on a line that could not be read: all after its key, unless the key is that of a
/// harmless value and the only one on the line.
fn unparsed(text: &str, start: usize) -> Option<Range<usize>> {
    let Range { start: from, end: to } = line_around(text, start);
    // Of a line that is too long to be looked at whole, the key is not known.
    let is_whole = from == 0 || text[..from].ends_with(['\n', '\r']);
    let line = &text[from..to];
    let indent = line.len() - line.trim_start_matches([' ', '\t', '-', '?']).len();
    let (key, value) = match line[indent..].split_once(':') {
        Some((key, value)) if is_whole => (key.trim(), value),
        _ => ("", &line[indent..]),
    };
    let is_harmless = keys::is_harmless_value(key) && !value.contains(": ") && !value.contains('#');
    let has_text = value.contains(char::is_alphanumeric);
    let hidden = to - value.trim_start().len()..to;
    (has_text && !is_harmless).then_some(hidden)
}

#[cfg(test)]
mod tests {
    use super::unparsed;

    #[test]
    fn a_line_that_cannot_be_read_shows_only_what_is_clearly_harmless() {
        for (line, shown) in [
            ("  open_for: 'x", "  open_for: 'x"),
            ("  token: 'x", "  token: "),
            ("  tokne: 'x", "  tokne: "),
            ("admin: { token: x", "admin: "),
            ("  - path: 'x, token: y", "  - path: "),
            ("  rest of a secret", "  "),
            ("  path: x # token y", "  path: "),
            ("  }", "  }"),
            ("listeners:", "listeners:"),
        ] {
            let end = unparsed(line, 3).map_or(line.len(), |hidden| hidden.start);
            assert_eq!(&line[..end], shown, "{line}");
        }
    }
}
