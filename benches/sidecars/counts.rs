//! The store as a sidecar has it, with a count of what all of them ask of it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use fusebox::{
    domain::fleet::{
        hearing::{Ballot, Faction, Hearing},
        word::Word,
    },
    store::{
        BreakerEvent, Decree, Error, Heard, Hints, Presence, Roll, Said, StateStore, StoredBreaker,
    },
};

/// The words, as far as they are told apart here.
pub(crate) const WORDS: [&str; 6] = ["suspect", "vote", "trip", "acquire", "close", "other"];

/// What all sidecars have asked of the store.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    polls: AtomicU64,
    beats: AtomicU64,
    /// Words that were said, and those of them that did something.
    said: [AtomicU64; WORDS.len()],
    done: [AtomicU64; WORDS.len()],
    failed: AtomicU64,
    /// What a sidecar said of itself last.
    presence: Mutex<Option<Presence>>,
}

/// [`Counts`] at one moment, or between two.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    pub(crate) polls: u64,
    pub(crate) beats: u64,
    pub(crate) said: [u64; WORDS.len()],
    pub(crate) done: [u64; WORDS.len()],
    pub(crate) failed: u64,
}

impl Counts {
    /// What a sidecar said of itself last.
    pub(crate) fn presence(&self) -> Option<Presence> {
        self.presence.lock().expect("nobody panics").clone()
    }

    pub(crate) fn asked(&self) -> Asked {
        let read = |count: &AtomicU64| count.load(Relaxed);
        Asked {
            polls: read(&self.polls),
            beats: read(&self.beats),
            said: self.said.each_ref().map(read),
            done: self.done.each_ref().map(read),
            failed: read(&self.failed),
        }
    }
}

impl Asked {
    /// What was asked after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let rest = |now: [u64; WORDS.len()], then: [u64; WORDS.len()]| {
            std::array::from_fn(|at| now[at] - then[at])
        };
        Self {
            polls: self.polls - before.polls,
            beats: self.beats - before.beats,
            said: rest(self.said, before.said),
            done: rest(self.done, before.done),
            failed: self.failed - before.failed,
        }
    }

    /// Words in all.
    pub(crate) fn words(&self) -> u64 {
        self.said.iter().sum()
    }

    /// Words that did something.
    pub(crate) fn written(&self) -> u64 {
        self.done.iter().sum()
    }
}

/// See the module's text.
pub(crate) struct Counted {
    pub(crate) store: Arc<dyn StateStore>,
    pub(crate) counts: Arc<Counts>,
}

impl Counted {
    fn note<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        self.counts.failed.fetch_add(u64::from(result.is_err()), Relaxed);
        result
    }
}

const fn place(word: &Word) -> usize {
    match word {
        Word::Suspect { .. } => 0,
        Word::Vote(_) => 1,
        Word::Trip { .. } => 2,
        Word::Acquire { .. } => 3,
        Word::Close { .. } => 4,
        _ => 5,
    }
}

#[async_trait]
impl StateStore for Counted {
    async fn breakers(&self, changed_within: Duration) -> Result<Vec<StoredBreaker>, Error> {
        self.counts.polls.fetch_add(1, Relaxed);
        self.note(self.store.breakers(changed_within).await)
    }

    async fn say(&self, said: &Said) -> Result<Heard, Error> {
        let at = place(&said.word);
        self.counts.said[at].fetch_add(1, Relaxed);
        let heard = self.note(self.store.say(said).await)?;
        self.counts.done[at].fetch_add(u64::from(heard.is_done), Relaxed);
        Ok(heard)
    }

    async fn decree(&self, decree: &Decree) -> Result<(), Error> {
        self.store.decree(decree).await
    }

    async fn events(&self, key: &str, limit: u32) -> Result<Vec<BreakerEvent>, Error> {
        self.store.events(key, limit).await
    }

    async fn last_events(&self, limit: u32) -> Result<Vec<(String, BreakerEvent)>, Error> {
        self.store.last_events(limit).await
    }

    async fn hearing(&self, key: &str) -> Result<Hearing, Error> {
        self.store.hearing(key).await
    }

    async fn ballots(&self, key: &str) -> Result<Vec<Ballot>, Error> {
        self.note(self.store.ballots(key).await)
    }

    async fn factions(&self, keys: &[String]) -> Result<Vec<Faction>, Error> {
        self.note(self.store.factions(keys).await)
    }

    async fn heartbeat(&self, presence: &Presence) -> Result<Roll, Error> {
        self.counts.beats.fetch_add(1, Relaxed);
        *self.counts.presence.lock().expect("nobody panics") = Some(presence.clone());
        self.note(self.store.heartbeat(presence).await)
    }

    async fn subscribe(&self) -> Result<Option<Hints>, Error> {
        self.note(self.store.subscribe().await)
    }
}
