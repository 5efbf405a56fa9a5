//! What is to happen, by time; what was put in first comes first among what happens at once.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    entries: BinaryHeap<Reverse<Entry<T>>>,
    put: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at_us: i64,
    number: u64,
    event: T,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BinaryHeap::new(), put: 0 }
    }
}

impl<T> Agenda<T> {
    pub(super) fn put(&mut self, at_us: i64, event: T) {
        self.put += 1;
        self.entries.push(Reverse(Entry { at_us, number: self.put, event }));
    }

    /// The next event, if it happens until then.
    pub(super) fn next_until(&mut self, until_us: i64) -> Option<(i64, T)> {
        if self.entries.peek()?.0.at_us > until_us {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| (entry.at_us, entry.event))
    }
}

#[cfg(test)]
impl<T> Agenda<T> {
    /// How much is to happen.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl<T> Entry<T> {
    const fn key(&self) -> (i64, u64) {
        (self.at_us, self.number)
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::Agenda;

    #[test]
    fn events_come_by_time_and_at_one_time_in_the_order_in_which_they_were_put() {
        let mut agenda = Agenda::default();
        for (at, event) in [(5, 'c'), (3, 'a'), (5, 'd'), (4, 'b'), (9, 'e')] {
            agenda.put(at, event);
        }
        let until: String = std::iter::from_fn(|| agenda.next_until(5)).map(|(_, e)| e).collect();
        assert_eq!(until, "abcd");
        assert_eq!(agenda.next_until(9), Some((9, 'e')));
    }
}
