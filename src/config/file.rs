//! The YAML as written: a tree in which every key and value knows its place.
//!
//! This is the only importer of the YAML parser. Configurations need little of YAML, so aliases,
//! anchors, merge keys, tags and several documents are problems here rather than surprises later:
//! what is written once counts once, and no text grows when it is read. What a value means is
//! not known here: a number is the text that was written.

use std::collections::BTreeMap;

use serde_yaml::granit_parser::{self, Event, Parser, ScalarStyle, ScanError, StrInput};

use super::{
    path::Path,
    reading::Reading,
    source::{MAX_SOURCE_BYTES, Source, TOO_LARGE},
};

/// The most levels that may be nested. Ours need seven.
const MAX_DEPTH: usize = 32;

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) value: Value,
    /// None when it is from no file.
    pub(super) span: Option<Span>,
}

impl Node {
    /// A value that is from no file.
    pub(super) fn unplaced(value: Value) -> Self {
        Self { value, span: None }
    }
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Empty,
    /// A text or number, of whatever style.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in its order, every key once.
    Map(Vec<Entry>),
    /// Something about which there already is a problem.
    Broken,
}

/// A text or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    /// What it says, variables expanded.
    pub(super) text: String,
    /// Whether a variable is in it, so that it is not to be quoted.
    pub(super) expanded: bool,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Option<Span>,
    pub(super) value: Node,
}

/// A stretch of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Its first byte.
    pub(super) start: usize,
    /// The byte after its last.
    pub(super) end: usize,
    /// The line that it begins on, counted from 1.
    pub(super) line: usize,
    /// The character that it begins at, counted from 1.
    pub(super) column: usize,
}

impl Span {
    /// The stretch at the very beginning.
    pub(super) const START: Self = Self { start: 0, end: 0, line: 1, column: 1 };

    /// The stretch of the source between two bytes of it.
    pub(super) fn between(text: &str, start: usize, end: usize) -> Self {
        let before = &text[..text.floor_char_boundary(start)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = 1 + before.matches('\n').count();
        Self { start, end, line, column: 1 + before[line_start..].chars().count() }
    }

    /// The stretch from `start` to `end`, counted in bytes from the beginning of this one, whose
    /// source is `raw`.
    pub(super) fn within(self, raw: &str, start: usize, end: usize) -> Self {
        let inner = Self::between(raw, start, end);
        let column = if inner.line == 1 { self.column + inner.column - 1 } else { inner.column };
        Self {
            start: self.start + start,
            end: self.start + end,
            line: self.line + inner.line - 1,
            column,
        }
    }

    /// Its first character only, for a mapping that lacks something.
    pub(super) fn first(self) -> Self {
        Self { end: self.start + 1, ..self }
    }
}

impl From<granit_parser::Span> for Span {
    fn from(span: granit_parser::Span) -> Self {
        let start = span.start.byte_offset().unwrap_or_default();
        let end = span.end.byte_offset().unwrap_or(start);
        Self { start, end, line: span.start.line(), column: span.start.col() + 1 }
    }
}

/// A file that is YAML.
pub(super) struct Tree {
    pub(super) root: Node,
    /// Values that are written but are no part of the tree, such as the second of a key.
    pub(super) strays: Vec<Node>,
    /// Where its comments are.
    pub(super) comments: Vec<Span>,
}

/// Reads the text. None when there is no tree to go on with; then there is a problem.
pub(super) fn parse(source: &Source, reading: &Reading<'_>) -> Option<Tree> {
    let whole_file = |message: &str| reading.error(None, &Path::root(), message);
    if source.text.len() > MAX_SOURCE_BYTES {
        whole_file(TOO_LARGE);
        return None;
    }
    if let Some(at) = source.text.find('\0') {
        let span = Span::between(&source.text, at, at + 1);
        reading.error(Some(span), &Path::root(), "a NUL byte is no text; is this the right file?");
        return None;
    }
    let options = granit_parser::options! {
        emit_comments: true,
        max_buffered_comment_events: MAX_SOURCE_BYTES,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        disallow_directives: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let skipped = source.text.len() - text.len();
    let events = Parser::new_from_str_with_options(text, options);
    let mut builder =
        Builder { events, reading, skipped, strays: Vec::new(), comments: Vec::new() };
    match builder.document() {
        Ok(root) => {
            root.map(|root| Tree { root, strays: builder.strays, comments: builder.comments })
        }
        Err(error) => {
            let at = error.marker();
            let start = at.byte_offset().unwrap_or_default() + skipped;
            let span = Span { start, end: start, line: at.line(), column: at.col() + 1 };
            reading.error(Some(span), &Path::root(), &format!("not valid YAML: {}", error.info()));
            None
        }
    }
}

/// Builds the tree from the parser's events. Problems that leave the structure intact are
/// reported on the way; one that does not ends it.
struct Builder<'text, 'reading> {
    events: Parser<'text, StrInput<'text>>,
    reading: &'reading Reading<'reading>,
    /// Bytes before the text that the parser sees: a byte order mark.
    skipped: usize,
    strays: Vec<Node>,
    comments: Vec<Span>,
}

impl<'text> Builder<'text, '_> {
    /// The only document of the file; none when there is nothing in it.
    fn document(&mut self) -> Result<Option<Node>, ScanError> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_none() => {}
                Event::DocumentStart(..) => {
                    let path = Path::root();
                    self.reading.error(Some(span), &path, "a second document; a file has one");
                    return Ok(None);
                }
                event => root = Some(self.node(event, span, &Path::root())?),
            }
        }
        let root = root.filter(|node| node.value != Value::Empty);
        if root.is_none() {
            let message = "is empty; a configuration has at least `listeners` and `upstreams`";
            self.reading.error(None, &Path::root(), message);
        }
        Ok(root)
    }

    /// The next event that is part of the structure.
    fn next(&mut self) -> Result<Option<(Event<'text>, Span)>, ScanError> {
        while let Some(next) = self.events.next_event() {
            let (event, source_span) = next?;
            let tag = source_span.tag_span().map(|span| self.moved(span.into()));
            let span = self.moved(source_span.into());
            if let Some(tag) = tag {
                self.reading.error(Some(tag), &Path::root(), "tags are not supported");
            }
            match event {
                Event::Comment(..) => self.comments.push(span),
                Event::Anchor(..) => {
                    let message = "anchors are not supported; write the value where it is needed";
                    self.reading.error(Some(span), &Path::root(), message);
                }
                event => return Ok(Some((event, span))),
            }
        }
        Ok(None)
    }

    fn moved(&self, span: Span) -> Span {
        Span { start: span.start + self.skipped, end: span.end + self.skipped, ..span }
    }

    /// The node that begins with this event. The parser bounds the depth of this recursion.
    fn node(&mut self, event: Event<'text>, span: Span, path: &Path) -> Result<Node, ScanError> {
        let value = match event {
            Event::Scalar(text, style, ..) => scalar(&text, style),
            Event::SequenceStart(..) => self.list(path)?,
            Event::MappingStart(..) => self.map(path)?,
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let message = "aliases are not supported; write the value itself";
                self.reading.error(Some(span), path, message);
                Value::Broken
            }
            _ => Value::Broken,
        };
        Ok(Node { value, span: Some(span) })
    }

    fn list(&mut self, path: &Path) -> Result<Value, ScanError> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::SequenceEnd {
                break;
            }
            let path = path.item(items.len());
            items.push(self.node(event, span, &path)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, path: &Path) -> Result<Value, ScanError> {
        let mut entries = Vec::new();
        let mut first_line = BTreeMap::new();
        while let Some((event, key_span)) = self.next()? {
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, key_span, path)?;
            let Some((event, span)) = self.next()? else { break };
            let Value::Scalar(Scalar { text: key, .. }) = key.value else {
                self.reading.error(Some(key_span.first()), path, "a key must be a text");
                let value = self.node(event, span, path)?;
                self.strays.extend([key, value]);
                continue;
            };
            let path = path.key(&key);
            let value = self.node(event, span, &path)?;
            if let Some(line) = first_line.get(&key) {
                let message = format!("is set twice; the first time on line {line}");
                self.reading.error(Some(key_span), &path, &message);
                self.strays.push(value);
                continue;
            }
            first_line.insert(key.clone(), key_span.line);
            entries.push(Entry { key, key_span: Some(key_span), value });
        }
        Ok(Value::Map(entries))
    }
}

/// A scalar by YAML's core schema as far as it matters here: whether there is a value at all.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    let is_empty = matches!(text, "" | "~" | "null" | "Null" | "NULL");
    if style == ScalarStyle::Plain && is_empty {
        return Value::Empty;
    }
    Value::Scalar(Scalar { text: text.to_owned(), expanded: false })
}
