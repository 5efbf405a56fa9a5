//! What was found at the places that a plan names.

use super::scalar::Scalar;

/// What is known of one place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Found<'a> {
    /// It could not be looked at.
    #[default]
    Unseen,
    /// Nothing is there.
    Missing,
    /// This is there.
    Value(Scalar<'a>),
}

/// What was found, by the number of the source.
#[derive(Debug, Clone, Default)]
pub struct Evidence<'a>(Vec<Found<'a>>);

impl<'a> Evidence<'a> {
    /// Nothing has been looked at of so many sources.
    pub fn new(sources: usize) -> Self {
        Self(vec![Found::Unseen; sources])
    }

    /// Something was found.
    pub fn put(&mut self, number: usize, found: Found<'a>) {
        if let Some(place) = self.0.get_mut(number) {
            *place = found;
        }
    }

    /// Nothing is at these places.
    pub fn miss(&mut self, numbers: impl Iterator<Item = usize>) {
        numbers.for_each(|number| self.put(number, Found::Missing));
    }

    /// What was found.
    pub(super) fn of(&self, number: usize) -> &Found<'a> {
        self.0.get(number).unwrap_or(&Found::Unseen)
    }

    /// The value that was found.
    pub(super) fn value(&self, number: usize) -> Option<&Scalar<'a>> {
        match self.of(number) {
            Found::Value(scalar) => Some(scalar),
            Found::Unseen | Found::Missing => None,
        }
    }
}
