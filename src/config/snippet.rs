//! The line behind a problem, fit to be shown: secrets hidden, harmless on a terminal, short.

use std::ops::Range;

use super::{file::Span, secrets::Hidden};

/// The most characters of a line that are shown.
const MAX_WIDTH: usize = 100;

/// How far around the place a line is looked at, in bytes, so that a file of one endless line
/// costs no more than any other.
pub(super) const MAX_REACH: usize = 2_048;

/// A line of the source and what to point at in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snippet {
    /// The line.
    pub(super) text: String,
    /// How many characters stand before the caret.
    pub(super) caret: usize,
    /// How many carets there are. At least one.
    pub(super) width: usize,
}

impl Snippet {
    /// Cuts out the line that `span` begins on, without the parts of the text that are `hidden`.
    /// Those are in order, and none reaches into another.
    pub(super) fn cut(text: &str, span: Span, hidden: &[Hidden]) -> Self {
        let start = text.floor_char_boundary(span.start);
        let line = line_around(text, start);
        let credentials = credentials(&text[line.clone()], line.start);
        let mut shown = Shown::default();
        let mut caret = None;
        let mut end = None;
        for (offset, char) in text[line.clone()].char_indices() {
            let at = line.start + offset;
            let hidden = covering(hidden, at).or_else(|| covering(&credentials, at));
            if at >= start && caret.is_none() {
                caret = Some(shown.before(hidden));
            }
            if at >= span.end && end.is_none() {
                end = Some(shown.before(hidden));
            }
            shown.push(char, hidden);
        }
        let caret = caret.unwrap_or(shown.chars.len());
        let width = end.unwrap_or(shown.chars.len()).saturating_sub(caret).max(1);
        shown.around(caret, width)
    }
}

/// The one of these stretches, which are in order, that the byte is in.
fn covering(hidden: &[Hidden], at: usize) -> Option<&Hidden> {
    let next = hidden.partition_point(|hidden| hidden.range.end <= at);
    hidden.get(next).filter(|hidden| hidden.range.contains(&at))
}

/// The line that the byte at `start` is on, at most [`MAX_REACH`] to either side.
pub(super) fn line_around(text: &str, start: usize) -> Range<usize> {
    let is_break = |char: char| matches!(char, '\n' | '\r');
    let from = text.ceil_char_boundary(start.saturating_sub(MAX_REACH));
    let to = text.floor_char_boundary(start.saturating_add(MAX_REACH).min(text.len()));
    let before = text[from..start].rfind(is_break).map_or(from, |at| from + at + 1);
    let after = text[start..to].find(is_break).map_or(to, |at| start + at);
    before..after
}

/// User and password of URLs in `line`, wherever they are: between `://` and `@`.
fn credentials(line: &str, offset: usize) -> Vec<Hidden> {
    let mut found = Vec::new();
    for (at, scheme) in line.match_indices("://") {
        let from = at + scheme.len();
        let rest = &line[from..];
        let rest = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
        if let Some(end) = rest.rfind('@') {
            found.push(Hidden::secret(offset + from..offset + from + end));
        }
    }
    found
}

/// A line as it is built up for showing.
#[derive(Default)]
struct Shown {
    chars: Vec<char>,
    /// The end of the hidden range that was written last, and where its stand-in begins.
    hidden: Option<(usize, usize)>,
}

impl Shown {
    fn push(&mut self, char: char, hidden: Option<&Hidden>) {
        match hidden {
            None => self.chars.push(if is_harmless(char) { char } else { ' ' }),
            Some(hidden) if self.hidden.is_some_and(|(end, _)| end == hidden.range.end) => {}
            Some(hidden) => {
                self.hidden = Some((hidden.range.end, self.chars.len()));
                self.chars.extend(hidden.stand_in.chars());
            }
        }
    }

    /// Where the next character would be shown: in the middle of something hidden, its beginning.
    fn before(&self, hidden: Option<&Hidden>) -> usize {
        let is_inside = |end: usize| hidden.is_some_and(|hidden| hidden.range.end == end);
        let inside = self.hidden.filter(|(end, _)| is_inside(*end));
        inside.map_or(self.chars.len(), |(_, start)| start)
    }

    /// At most [`MAX_WIDTH`] characters, the caret among them.
    fn around(self, caret: usize, width: usize) -> Snippet {
        let skip =
            if caret + width.min(MAX_WIDTH / 2) > MAX_WIDTH { caret - MAX_WIDTH / 4 } else { 0 };
        let mut chars = self.chars[skip..].to_vec();
        let is_long = chars.len() > MAX_WIDTH;
        chars.truncate(MAX_WIDTH);
        if let (true, Some(first)) = (skip > 0, chars.first_mut()) {
            *first = '…';
        }
        if let (true, Some(last)) = (is_long, chars.last_mut()) {
            *last = '…';
        }
        let caret = caret - skip;
        let width = width.min(chars.len().saturating_sub(caret)).max(1);
        Snippet { text: chars.into_iter().collect(), caret, width }
    }
}

/// Whether a character may be sent to a terminal: neither a control nor one that reorders text.
pub(super) fn is_harmless(char: char) -> bool {
    !char.is_control()
        && !matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::{Hidden, MAX_WIDTH, Range, Snippet};
    use crate::config::file::Span;

    fn cut(text: &str, start: usize, end: usize, hidden: Option<Range<usize>>) -> String {
        let hidden: Vec<_> = hidden.into_iter().map(Hidden::secret).collect();
        let span = Span { start, end, line: 1, column: 1 };
        let Snippet { text, caret, width } = Snippet::cut(text, span, &hidden);
        format!("{text}\n{}{}", " ".repeat(caret), "^".repeat(width))
    }

    #[test]
    fn the_line_is_shown_with_carets_under_the_place() {
        assert_eq!(cut("a: 1\nbcd: ef\n", 5, 8, None), "bcd: ef\n^^^");
        assert_eq!(cut("a: 1", 4, 4, None), "a: 1\n    ^");
    }

    #[test]
    fn a_secret_is_hidden_and_the_carets_stay_in_line() {
        assert_eq!(cut("t: secret, x: 1", 14, 15, Some(3..9)), "t: ***, x: 1\n           ^");
        assert_eq!(cut("t: secret", 3, 9, Some(3..9)), "t: ***\n   ^^^");
        assert_eq!(cut("t: secret", 5, 7, Some(3..9)), "t: ***\n   ^");
    }

    #[test]
    fn credentials_in_urls_are_hidden_wherever_they_are() {
        let line = "x: http://u:p@ss@host/ # postgres://a:b@c";
        assert_eq!(cut(line, 0, 1, None), "x: http://***@host/ # postgres://***@c\n^");
    }

    #[test]
    fn nothing_that_a_terminal_would_act_on_is_shown() {
        assert_eq!(cut("a:\t\u{1b}[31m\u{202e}x", 0, 1, None), "a:  [31m x\n^");
    }

    #[test]
    fn an_endless_line_is_cut_around_the_place() {
        let line = "x".repeat(100_000);
        let shown =
            Snippet::cut(&line, Span { start: 5_000, end: 90_000, line: 1, column: 1 }, &[]);
        assert_eq!(shown.text.chars().count(), MAX_WIDTH);
        assert!(shown.caret < MAX_WIDTH && shown.caret + shown.width <= MAX_WIDTH);
    }
}
