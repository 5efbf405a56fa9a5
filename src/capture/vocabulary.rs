//! The texts that were met first, up to a number.
//!
//! For what must never be more in the life of a process, such as the places where calls are counted.
//! What may change over time is for [`Texts`](super::texts::Texts).

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// See the module's text. Later ones are all the same to whoever counts.
#[derive(Debug, Default)]
pub struct Vocabulary(Mutex<HashSet<Box<str>>>);

impl Vocabulary {
    /// Whether a text is among the first so many. Held for the length of one look.
    pub fn admits(&self, text: &str, most: usize) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(text) || (known.len() < most && known.insert(text.into()))
    }
}
