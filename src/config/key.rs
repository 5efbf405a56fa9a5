//! One key of the file: where it stands, its default, its bounds, its variables.

use std::marker::PhantomData;

use super::{
    environment::Variable,
    setting::{List, Setting},
    shape::Shape,
};

/// A key whose value is a `T`.
pub(super) struct Key<T> {
    pub(super) about: About,
    kind: PhantomData<fn() -> T>,
}

/// What there is to know about a key, whatever its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct About {
    /// The keys that lead to it: `*` stands for a name, `[]` for the items of a list.
    pub(super) path: &'static str,
    /// What it is when it is left out, as it would be written. None when it is then nothing, or
    /// when it must be there.
    pub(super) default: Option<&'static str>,
    /// The least and the most that it may be; of a list, how long it may be.
    pub(super) bounds: Option<(&'static str, &'static str)>,
    /// Where it comes from when the file leaves it out; the first that says something counts.
    pub(super) variables: &'static [Variable],
    /// Whether it is never shown.
    pub(super) secret: bool,
    /// Whether it holds other keys.
    pub(super) is_section: bool,
    /// Whether it must be there where its mapping is.
    pub(super) required: bool,
    /// What its value looks like; known in the list of all keys only.
    pub(super) shape: Shape,
}

impl About {
    /// The key alone, without those that lead to it.
    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, name)| name)
    }

    /// The keys that lead to it.
    pub(super) fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }
}

/// A key of this path, which must be there or is nothing.
pub(super) const fn key<T>(path: &'static str) -> Key<T> {
    let about = About {
        path,
        default: None,
        bounds: None,
        variables: &[],
        secret: false,
        is_section: false,
        required: false,
        shape: Shape::Text,
    };
    Key { about, kind: PhantomData }
}

/// A key of this path that holds others.
pub(super) const fn section<T>(path: &'static str) -> Key<T> {
    let key: Key<T> = key(path);
    Key { about: About { is_section: true, ..key.about }, kind: PhantomData }
}

impl<T> Key<T> {
    pub(super) const fn default(self, default: &'static str) -> Self {
        Self { about: About { default: Some(default), ..self.about }, kind: PhantomData }
    }

    pub(super) const fn bounds(self, least: &'static str, most: &'static str) -> Self {
        Self { about: About { bounds: Some((least, most)), ..self.about }, kind: PhantomData }
    }

    pub(super) const fn variables(self, variables: &'static [Variable]) -> Self {
        Self { about: About { variables, ..self.about }, kind: PhantomData }
    }

    pub(super) const fn required(self) -> Self {
        Self { about: About { required: true, ..self.about }, kind: PhantomData }
    }

    pub(super) const fn secret(self) -> Self {
        Self { about: About { secret: true, ..self.about }, kind: PhantomData }
    }
}

impl<T: Setting> Key<T> {
    /// Reads a value and holds it against the bounds.
    pub(super) fn read(&self, text: &str) -> Result<T, String> {
        let value = T::read(text)?;
        if let Some((least, most)) = self.about.bounds
            && let (Ok(lower), Ok(upper)) = (T::read(least), T::read(most))
            && value.is_outside(&lower, &upper)
        {
            return Err(format!("must be from {least} to {most}"));
        }
        Ok(value)
    }

    /// The value when there is none in the file. None when the key has no default.
    ///
    /// # Panics
    /// The table above is wrong, which a test excludes.
    pub(super) fn default_value(&self) -> Option<T> {
        let text = self.about.default?;
        let read = self.read(text);
        Some(read.unwrap_or_else(|fault| panic!("the default of {}: {fault}", self.about.path)))
    }
}

impl<T: Setting> Key<List<T>> {
    /// The items when there is no list in the file.
    ///
    /// # Panics
    /// The table above is wrong, which a test excludes.
    pub(super) fn default_items(&self) -> Vec<T> {
        let items = self.about.default.unwrap_or_default().trim_matches(['[', ']']);
        let items = items.split(", ").filter(|item| !item.is_empty());
        let read =
            |item| T::read(item).unwrap_or_else(|fault| panic!("{}: {fault}", self.about.path));
        items.map(read).collect()
    }
}
