//! The collecting reader: takes settings out of a mapping, and notes what is wrong on the way.
//!
//! Reading never stops: where a value is wrong it goes on with the default, for with a problem
//! noted the result is thrown away in any case. An unknown key is noted when its mapping is
//! opened.

mod several;

use super::{
    environment::{Environment, Variable},
    file::{Entry, Node, Scalar, Span, Value},
    key::Key,
    keys,
    path::Path,
    problem::Severity,
    reading::Reading,
    setting::{Section, Setting},
    unknown::unknown,
};

/// A mapping of the file, or an empty one where there is none.
pub(super) struct Mapping<'a> {
    reading: &'a Reading<'a>,
    entries: &'a [Entry],
    /// Where to point for what is missing.
    at: Option<Span>,
    path: Path,
    /// The same with `*` for names and `[]` for items.
    pattern: String,
    /// Whether it is there but is no mapping, so that nothing is missing in it.
    is_broken: bool,
}

/// An item of a list.
pub(super) struct Item<T> {
    pub(super) value: T,
    pub(super) at: Option<Span>,
    pub(super) path: Path,
}

/// What of an entry a problem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Name,
    Value,
}

/// What became of one value.
enum Taken<T> {
    Absent,
    Value(T),
    /// It is noted.
    Bad,
}

impl<'a> Mapping<'a> {
    /// The whole file.
    pub(super) fn root(node: &'a Node, reading: &'a Reading<'a>) -> Self {
        let at = node.span.map(|_| Span::START);
        Self::open(Some(node), reading, at, Path::root(), String::new())
    }

    fn open(
        node: Option<&'a Node>,
        reading: &'a Reading<'a>,
        at: Option<Span>,
        path: Path,
        pattern: String,
    ) -> Self {
        let (entries, is_broken) = match node.map(|node| &node.value) {
            None | Some(Value::Empty) => ([].as_slice(), false),
            Some(Value::Map(entries)) => (entries.as_slice(), false),
            Some(Value::Broken) => ([].as_slice(), true),
            Some(other) => {
                let message =
                    format!("expected a mapping of keys to values, found {}", kind(other));
                reading.error(node.and_then(|node| node.span), &path, &message);
                ([].as_slice(), true)
            }
        };
        let mapping = Self { reading, entries, at, path, pattern, is_broken };
        mapping.note_unknown_keys();
        mapping
    }

    fn note_unknown_keys(&self) {
        for entry in self.entries {
            if keys::find(&self.pattern, &entry.key).is_none() {
                // What is only counted needs no words, which cost a search.
                let is_shown = !self.reading.is_full();
                let message =
                    if is_shown { unknown(&self.pattern, &entry.key) } else { String::new() };
                self.reading.error(entry.key_span, &self.path.key(&entry.key), &message);
            }
        }
    }

    fn find<T>(&self, key: &Key<T>) -> Option<&'a Entry> {
        debug_assert_eq!(key.about.parent(), self.pattern, "{}", key.about.path);
        self.entries.iter().find(|entry| entry.key == key.about.name())
    }

    /// Whether the key is written, with or without a value.
    pub(super) fn has<T>(&self, key: &Key<T>) -> bool {
        self.find(key).is_some()
    }

    /// Notes an error about the value of a key, or about the mapping when the key is left out.
    pub(super) fn error<T>(&self, key: &Key<T>, message: &str) {
        self.reading.error(self.place(key), &self.path.key(key.about.name()), message);
    }

    /// Notes a warning about it.
    pub(super) fn warning<T>(&self, key: &Key<T>, message: &str) {
        self.reading.warning(self.place(key), &self.path.key(key.about.name()), message);
    }

    /// Notes an error about the mapping as a whole.
    pub(super) fn error_here(&self, message: &str) {
        self.reading.error(self.at, &self.path, message);
    }

    /// Notes a warning about the mapping as a whole.
    pub(super) fn warning_here(&self, message: &str) {
        self.reading.warning(self.at, &self.path, message);
    }

    /// Notes an error about an item of a list.
    pub(super) fn error_at<T>(&self, item: &Item<T>, message: &str) {
        self.reading.error(item.at, &item.path, message);
    }

    /// Notes an error about a name that the user chose below a key, or about its value.
    pub(super) fn error_below<T>(&self, key: &Key<T>, entry: &Entry, part: Part, message: &str) {
        let at = match part {
            Part::Name => entry.key_span,
            Part::Value => entry.value.span,
        };
        self.reading.error(at, &self.path.key(key.about.name()).key(&entry.key), message);
    }

    /// Where the value of a key is written.
    fn place<T>(&self, key: &Key<T>) -> Option<Span> {
        self.find(key).map_or(self.at, |entry| entry.value.span.or(entry.key_span))
    }

    /// The variables of the process.
    pub(super) const fn environment(&self) -> &Environment {
        self.reading.environment
    }

    /// How many problems there are so far.
    pub(super) fn problems(&self) -> usize {
        self.reading.count()
    }

    /// The line that it is written on.
    pub(super) fn line(&self) -> Option<usize> {
        self.at.map(|at| at.line)
    }

    /// A value that has a default.
    ///
    /// # Panics
    /// The key has no default, which a test excludes.
    pub(super) fn get<T: Setting>(&self, key: &Key<T>) -> T {
        self.good(key).unwrap_or_else(|| default_of(key))
    }

    /// The same, or none when what is written is wrong, so that nothing is to follow from it.
    pub(super) fn good<T: Setting>(&self, key: &Key<T>) -> Option<T> {
        match self.take(key) {
            Taken::Value(value) => Some(value),
            Taken::Absent => Some(default_of(key)),
            Taken::Bad => None,
        }
    }

    /// A value that may be missing.
    pub(super) fn optional<T: Setting>(&self, key: &Key<T>) -> Option<T> {
        match self.take(key) {
            Taken::Value(value) => Some(value),
            Taken::Absent | Taken::Bad => None,
        }
    }

    /// A value that must be there.
    pub(super) fn required<T: Setting>(&self, key: &Key<T>) -> Option<T> {
        match self.take(key) {
            Taken::Value(value) => Some(value),
            Taken::Bad => None,
            Taken::Absent => {
                self.note_missing(key);
                None
            }
        }
    }

    /// Notes that a value must be there.
    pub(super) fn note_missing<T>(&self, key: &Key<T>) {
        if !self.is_broken {
            let message = format!("`{}` is missing", key.about.name());
            self.error(key, &message);
        }
    }

    fn take<T: Setting>(&self, key: &Key<T>) -> Taken<T> {
        let Some(entry) = self.find(key) else { return self.take_variable(key) };
        match &entry.value.value {
            Value::Scalar(Scalar { text, expanded }) => match key.read(text) {
                Ok(value) => Taken::Value(value),
                Err(fault) => {
                    self.error(key, &after_expansion(fault, *expanded));
                    Taken::Bad
                }
            },
            Value::Broken => Taken::Bad,
            Value::Empty => match key.about.default {
                None => Taken::Absent,
                Some(default) => {
                    let default = if default.is_empty() { "\"\"" } else { default };
                    let hint = format!("leave the key out for its default, `{default}`");
                    self.error(key, &format!("has no value; {hint}"));
                    Taken::Bad
                }
            },
            other => {
                self.error(key, &format!("expected {}, found {}", T::WHAT, kind(other)));
                Taken::Bad
            }
        }
    }

    /// The value from the first variable that says something.
    fn take_variable<T: Setting>(&self, key: &Key<T>) -> Taken<T> {
        for &variable in key.about.variables {
            if self.reading.environment.is_unreadable(variable.name()) {
                self.reading.variable(Severity::Error, variable, "is no UTF-8 text");
                return Taken::Bad;
            }
            let Some(text) = variable.text(self.reading.environment) else { continue };
            return match key.read(&text) {
                Ok(value) => Taken::Value(value),
                Err(fault) => {
                    self.reading.variable(Severity::Error, variable, &about(variable, fault));
                    Taken::Bad
                }
            };
        }
        Taken::Absent
    }

    /// The mapping of a key; an empty one when the key is left out.
    pub(super) fn mapping(&self, key: &Key<Section>) -> Self {
        let entry = self.find(key);
        let at = entry.map_or(self.at, |entry| entry.key_span);
        let path = self.path.key(key.about.name());
        let node = entry.map(|entry| &entry.value);
        Self::open(node, self.reading, at, path, keys::declared_at(key.about.path).to_owned())
    }

    /// The mapping of a key that switches something on by being there.
    pub(super) fn optional_mapping(&self, key: &Key<Section>) -> Option<Self> {
        let entry = self.find(key)?;
        (entry.value.value != Value::Empty).then(|| self.mapping(key))
    }
}

/// The default of a key that has one.
fn default_of<T: Setting>(key: &Key<T>) -> T {
    key.default_value().unwrap_or_else(|| panic!("{} has no default", key.about.path))
}

/// What a value is, when it is not what was expected.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Empty => "nothing",
        Value::Scalar(_) => "a single value",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
        Value::Broken => "something else",
    }
}

/// A fault of a value that is not what is written.
fn after_expansion(fault: String, expanded: bool) -> String {
    if expanded { format!("{fault} (after its variables were expanded)") } else { fault }
}

/// A fault of a variable, in its terms.
fn about(variable: Variable, fault: String) -> String {
    match variable {
        Variable::Plain(_) | Variable::Base(_) => fault,
        Variable::Millis(_) => format!("{fault}; it is a number of milliseconds, such as `60000`"),
        Variable::Attribute(name) => format!("`{name}`: {fault}"),
    }
}
