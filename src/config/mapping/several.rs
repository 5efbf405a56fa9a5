//! Reading what holds several values: lists, and mappings with names of the user's choice.
//!
//! Either is read whole or, when it has too few or too many entries, not at all.

use super::{Item, Mapping, after_expansion, kind};
use crate::config::{
    file::{Entry, Node, Scalar, Span, Value},
    key::Key,
    setting::{List, Named, Section, Setting},
    text::Name,
};

impl<'a> Mapping<'a> {
    /// The mappings of a key below which the user chooses the names.
    pub(in crate::config) fn named(&self, key: &Key<Named>) -> Vec<(&'a str, Self)> {
        let path = self.path.key(key.about.name());
        let pattern = format!("{}.*", key.about.path);
        let open = |entry: &'a Entry| {
            let path = path.key(&entry.key);
            if let Err(fault) = Name::read(&entry.key) {
                self.reading.error(entry.key_span, &path, &fault);
            }
            let node = Some(&entry.value);
            let mapping = Self::open(node, self.reading, entry.key_span, path, pattern.clone());
            (entry.key.as_str(), mapping)
        };
        let entries = self.entries_of(key);
        let entries = entries.filter(|entries| self.is_count_good(key, entries.len()));
        entries.unwrap_or_default().iter().map(open).collect()
    }

    /// The keys and values below a key, as written. None when it holds something else.
    pub(in crate::config) fn entries_of(&self, key: &Key<Named>) -> Option<&'a [Entry]> {
        match self.find(key).map(|entry| &entry.value.value) {
            Some(Value::Map(entries)) => Some(entries),
            None | Some(Value::Empty) => Some(&[]),
            Some(Value::Broken) => None,
            Some(other) => {
                let message =
                    format!("expected a mapping of names to values, found {}", kind(other));
                self.error(key, &message);
                None
            }
        }
    }

    /// The mappings in a list.
    pub(in crate::config) fn mappings(&self, key: &Key<List<Section>>) -> Vec<Self> {
        let path = self.path.key(key.about.name());
        let pattern = format!("{}[]", key.about.path);
        let open = |(index, node): (usize, &'a Node)| {
            let at = node.span.map(Span::first);
            Self::open(Some(node), self.reading, at, path.item(index), pattern.clone())
        };
        self.nodes(key).unwrap_or_default().iter().enumerate().map(open).collect()
    }

    /// The values of a list. Its default when the key is left out.
    pub(in crate::config) fn list<T: Setting>(&self, key: &Key<List<T>>) -> Vec<Item<T>> {
        let path = self.path.key(key.about.name());
        if !self.has(key) {
            let item = |value| Item { value, at: self.at, path: path.clone() };
            return key.default_items().into_iter().map(item).collect();
        }
        let nodes = self.nodes(key).unwrap_or_default();
        let read = |(index, node): (usize, &Node)| {
            let (at, path) = (node.span, path.item(index));
            let fault = match &node.value {
                Value::Scalar(Scalar { text, expanded }) => match T::read(text) {
                    Ok(value) => return Some(Item { value, at, path }),
                    Err(fault) => after_expansion(fault, *expanded),
                },
                Value::Broken => return None,
                other => format!("expected {}, found {}", T::WHAT, kind(other)),
            };
            self.reading.error(at, &path, &fault);
            None
        };
        nodes.iter().enumerate().filter_map(read).collect()
    }

    /// The values of a list, each of which may be in it once.
    pub(in crate::config) fn distinct<T: Setting + PartialEq>(&self, key: &Key<List<T>>) -> Vec<T> {
        let mut values: Vec<T> = Vec::new();
        for item in self.list(key) {
            if values.contains(&item.value) {
                self.error_at(&item, "is in the list twice");
            } else {
                values.push(item.value);
            }
        }
        values
    }

    /// The items of a list as written, when there are not too few or too many.
    fn nodes<T>(&self, key: &Key<List<T>>) -> Option<&'a [Node]> {
        match &self.find(key)?.value.value {
            Value::List(items) => self.is_count_good(key, items.len()).then_some(items),
            Value::Broken => None,
            other => {
                self.error(key, &format!("expected a list, `[…]`, found {}", kind(other)));
                None
            }
        }
    }

    fn is_count_good<T>(&self, key: &Key<T>, count: usize) -> bool {
        let Some((least, most)) = key.about.bounds else { return true };
        let bound = |text: &str| text.parse::<usize>().unwrap_or_default();
        let is_good = (bound(least)..=bound(most)).contains(&count);
        if !is_good && !self.is_broken {
            let name = key.about.name();
            let message = match (self.has(key), count) {
                (false, _) => format!("`{name}` is missing"),
                (true, 0) => "must not be empty".to_owned(),
                (true, _) => format!("must have from {least} to {most} entries, not {count}"),
            };
            self.error(key, &message);
        }
        is_good
    }
}
