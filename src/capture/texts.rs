//! The texts of a parameter that are told apart, so many at a time.
//!
//! Places go to those that come first; then to those that come often. What has no place is only
//! counted, in a small table by its hash, so that a flood of texts that come once each takes no
//! memory, and seldom looks like one that comes often. One that has come [`OFTEN`] times within a
//! round takes the place of one that came less than a quarter as often. So a flood that came first
//! is gone once real texts come, and one that comes later takes the place of none that is in use.
//! Rounds are counted in texts, not in time: whoever has few calls a day has long rounds.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
};

/// How often a text without a place comes in a round that is to have one.
const OFTEN: u8 = 8;

/// The texts of a round, for each place: so one with a place comes this often on average, when there
/// are no others.
const ROUND: usize = 32;

/// The slots of the table for each place: so many that few texts share one.
const SLOTS: usize = 4 * ROUND;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Texts(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    /// How often each has come; all are halved at the end of a round.
    placed: HashMap<Box<str>, u32>,
    /// How often those without a place have come in this round, by their hash. Empty until the
    /// places are taken.
    others: Box<[u8]>,
    /// What is left of the round.
    left: usize,
}

impl Texts {
    /// Whether a text is one of those that are told apart, so many at most. Held for the length of
    /// one look.
    pub(super) fn admits(&self, text: &str, most: usize) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).admits(text, most)
    }
}

impl Places {
    fn admits(&mut self, text: &str, most: usize) -> bool {
        if self.placed.len() < most && !self.placed.contains_key(text) {
            self.placed.insert(text.into(), 0);
        }
        if self.placed.len() >= most {
            self.pass(most);
        }
        if let Some(times) = self.placed.get_mut(text) {
            *times = times.saturating_add(1);
            return true;
        }
        let other = slot(text, self.others.len()).and_then(|at| self.others.get_mut(at));
        let Some(times) = other else { return false };
        *times = times.saturating_add(1);
        *times >= OFTEN && self.give_place(text)
    }

    /// One more of the round.
    fn pass(&mut self, most: usize) {
        if self.left == 0 {
            self.left = ROUND * most;
            self.others = vec![0; SLOTS * most].into();
            self.placed.values_mut().for_each(|times| *times /= 2);
        }
        self.left -= 1;
    }

    /// Gives a text that comes often the place of the one that comes least, if that is less than a
    /// quarter as often.
    fn give_place(&mut self, text: &str) -> bool {
        let least = self.placed.iter().min_by_key(|(text, times)| (**times, *text));
        let least = least.filter(|(_, times)| **times < u32::from(OFTEN) / 4);
        let Some(least) = least.map(|(text, _)| text.clone()) else { return false };
        self.placed.remove(&least);
        self.placed.insert(text.into(), OFTEN.into());
        true
    }
}

/// Where a text is counted.
fn slot(text: &str, slots: usize) -> Option<usize> {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let at = hasher.finish().checked_rem(u64::try_from(slots).ok()?)?;
    usize::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::{OFTEN, ROUND, Texts};

    const MOST: usize = 32;

    /// How many of so many calls are told apart, of genres that are equally frequent, with so much
    /// junk, each another text, for every one of them.
    fn told(texts: &Texts, calls: usize, genres: usize, junk: usize) -> usize {
        let came = |call: &usize| {
            for one in 0..junk {
                texts.admits(&format!("junk {genres} {call} {one}"), MOST);
            }
            texts.admits(&format!("genre {}", call % genres), MOST)
        };
        (0..calls).filter(came).count()
    }

    #[test]
    fn the_first_have_a_place_as_long_as_there_is_any() {
        let texts = Texts::default();
        assert_eq!(told(&texts, 1_000, MOST, 0), 1_000);
        assert!(!texts.admits("polka", MOST));
    }

    #[test]
    fn a_flood_that_came_first_gives_way_to_what_is_real() {
        let texts = Texts::default();
        let taken = (0..100_000).filter(|one| texts.admits(&format!("junk {one}"), MOST)).count();
        assert_eq!(taken, MOST);
        let often = usize::from(OFTEN);
        assert_eq!(told(&texts, 10 * often, 10, 0), 10, "the eighth of each has a place");
        assert_eq!(told(&texts, 1_000, 10, 0), 1_000);
    }

    #[test]
    fn a_flood_that_lasts_hides_no_text_that_is_in_use() {
        let texts = Texts::default();
        // Nine of ten are junk, from the first on.
        told(&texts, 2_000, 10, 9);
        assert_eq!(told(&texts, 1_000, 10, 9), 1_000);
    }

    #[test]
    fn a_flood_that_comes_later_takes_no_place_of_what_is_in_use() {
        let texts = Texts::default();
        assert_eq!(told(&texts, 1_000, MOST, 0), 1_000);
        assert_eq!(told(&texts, 5_000, MOST, 1), 5_000);
    }

    #[test]
    fn more_texts_than_places_that_come_alike_do_not_change_places_all_the_time() {
        let texts = Texts::default();
        let rounds = 20;
        let calls = rounds * ROUND * MOST;
        told(&texts, calls, MOST + 8, 0);
        let known =
            |texts: &Texts| texts.0.lock().unwrap().placed.keys().cloned().collect::<Vec<_>>();
        let mut before = known(&texts);
        told(&texts, calls, MOST + 8, 0);
        let mut after = known(&texts);
        before.sort();
        after.sort();
        assert_eq!(before, after);
    }

    #[test]
    fn a_text_that_is_no_longer_used_leaves_its_place() {
        let texts = Texts::default();
        told(&texts, 10 * ROUND * MOST, MOST, 0);
        // All but one go on, and a new one comes as often as they.
        let waits = |call: &usize| {
            texts.admits(&format!("genre {}", call % (MOST - 1)), MOST);
            !call.is_multiple_of(MOST) || !texts.admits("drill", MOST)
        };
        let waited = (0..20 * ROUND * MOST).take_while(waits).count();
        assert!((ROUND * MOST..10 * ROUND * MOST).contains(&waited), "{waited}");
        assert!(!texts.admits(&format!("genre {}", MOST - 1), MOST));
    }
}
