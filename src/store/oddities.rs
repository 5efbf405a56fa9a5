//! Words in rows that this version does not know: a newer one has written them, or somebody by hand.
//!
//! They are read as unknown, and told once each: a fleet that is being upgraded must neither wedge
//! nor fill its log.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use tracing::warn;

/// So many different ones are remembered; any more are not told.
const KEPT: usize = 100;

/// The longest word that is remembered and told, in characters; of a longer one its beginning is.
const MAX_WORD: usize = 64;

/// Which were told. See the module's text.
#[derive(Debug, Default)]
pub(super) struct Oddities(Mutex<BTreeSet<(&'static str, String)>>);

impl Oddities {
    /// Reads a word about a breaker; none where it is not known.
    pub(super) fn read<T>(
        &self,
        what: &'static str,
        key: &str,
        word: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let known = parse(word);
        let word = word.char_indices().nth(MAX_WORD).map_or(word, |(end, _)| &word[..end]);
        if known.is_none() && self.is_news(what, word) {
            warn!(
                breaker = key,
                what, word, "a row says what this version does not know: it is left out of account"
            );
        }
        known
    }

    fn is_news(&self, what: &'static str, word: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < KEPT && told.insert((what, word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, MAX_WORD, Oddities};
    use crate::domain::fleet::word::Vote;

    #[test]
    fn a_word_that_is_not_known_is_news_once() {
        let oddities = Oddities::default();
        assert_eq!(oddities.read("vote", "payments", "bad", Vote::parse), Some(Vote::Bad));
        assert_eq!(oddities.read("vote", "payments", "doubtful", Vote::parse), None);
        assert!(!oddities.is_news("vote", "doubtful"), "it was told");
        assert!(oddities.is_news("state", "doubtful"));
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let oddities = Oddities::default();
        let news = (0..2 * KEPT).filter(|n| oddities.is_news("vote", &n.to_string())).count();
        assert_eq!(news, KEPT);
    }

    #[test]
    fn of_a_long_word_the_beginning_is_remembered() {
        let oddities = Oddities::default();
        let word = "ö".repeat(1 << 20);
        assert_eq!(oddities.read("vote", "payments", &word, Vote::parse), None);
        let told = oddities.0.lock().unwrap();
        let lengths: Vec<usize> = told.iter().map(|(_, word)| word.chars().count()).collect();
        assert_eq!(lengths, [MAX_WORD]);
    }
}
