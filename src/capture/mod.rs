//! Capturing on the way: copies of what goes by, within bounds, and what is made of them at the end.
//!
//! What is wanted and what it means is decided in [`crate::domain::capture`]; here are the copies,
//! and what the calls of a route share: which texts it has met, and what went wrong, counted. A
//! body is only copied while it goes by. It is read when the last of it has been handed on, so that
//! no caller waits for it.

mod call;
mod form;
mod head;
mod room;
mod tee;
mod texts;
mod vocabulary;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::domain::capture::{Fault, Plan};

pub use call::Capture;
pub use tee::{Copied, MAX_BODY};
pub use vocabulary::Vocabulary;

use texts::Texts;

/// What is captured of the calls of a route, for all threads.
#[derive(Debug)]
pub struct Extraction {
    plan: Arc<Plan>,
    texts: Box<[Texts]>,
    faults: Arc<Faults>,
}

impl Extraction {
    /// Follows a plan, and counts what goes wrong.
    pub fn new(plan: Arc<Plan>, faults: Arc<Faults>) -> Self {
        let texts = (0..plan.vocabularies()).map(|_| Texts::default()).collect();
        Self { plan, texts, faults }
    }

    /// Whether a text is one of so many of a parameter that are told apart.
    fn admits(&self, parameter: usize, text: &str, most: usize) -> bool {
        self.texts.get(parameter).is_some_and(|texts| texts.admits(text, most))
    }
}

/// What could not be captured, counted by what was in the way.
#[derive(Debug, Default)]
pub struct Faults([AtomicU64; Fault::ALL.len()]);

impl Faults {
    fn note(&self, fault: Fault) {
        self.0[fault as usize].fetch_add(1, Relaxed);
    }

    /// How often each was met since the start.
    pub fn counts(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.iter().map(|&fault| (fault, self.0[fault as usize].load(Relaxed)))
    }
}

#[cfg(test)]
mod tests;
