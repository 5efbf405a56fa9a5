//! The guest book of an upstream: how many were there, and how many of them at once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use crate::harness::{Answer, Step, status};

/// How long a guest is kept, so that one who comes too early meets the one before.
const STAY: Duration = Duration::from_millis(150);

/// See the module docs.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Guests {
    /// Who is there.
    pub(super) now: usize,
    /// The most who ever were there at once.
    pub(super) most: usize,
    /// All who came.
    pub(super) ever: usize,
}

/// Where they are counted.
#[derive(Default, Clone)]
pub(super) struct GuestBook(Arc<Mutex<Guests>>);

impl GuestBook {
    /// So far.
    pub(super) fn guests(&self) -> Guests {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer with this status whose receivers are kept for a while, and counted.
    pub(super) fn answer(&self, code: u16) -> Answer {
        let book = self.clone();
        let stay = move || {
            book.note(|guests| {
                guests.now += 1;
                guests.ever += 1;
                guests.most = guests.most.max(guests.now);
            });
            // May end early, which the test of how many come at once can bear.
            thread::park_timeout(STAY);
            book.note(|guests| guests.now -= 1);
        };
        [vec![Step::Do(Arc::new(stay))], status(code)].concat()
    }

    fn note(&self, change: impl FnOnce(&mut Guests)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
