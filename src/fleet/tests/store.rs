//! A store in memory that keeps the protocol's rules, hints, and can be away.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{
    clock,
    domain::{
        breaker::State,
        fleet::{
            entry::{Entry, Moment, Speaker},
            row::Row,
        },
    },
    store::{
        BreakerEvent, Decree, Error, Heard, Hints, Presence, Said, StateStore, StoredBreaker,
        StoredOrder,
    },
};

/// How the store behaves now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mood {
    Well,
    Away,
    /// Never answers.
    Stuck,
}

/// A word that made a transition, and from where to where.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) said: Said,
    pub(super) from: State,
    pub(super) to: State,
}

pub(super) struct Store {
    mood: Mutex<Mood>,
    gives_hints: bool,
    began: Instant,
    entries: Mutex<BTreeMap<String, (Entry, Instant)>>,
    orders: Mutex<BTreeMap<String, StoredOrder>>,
    made: Mutex<Vec<Made>>,
    /// Ballots of those who live, and until when.
    members: Mutex<BTreeMap<u32, Instant>>,
    listeners: Mutex<Vec<mpsc::Sender<()>>>,
    pub(super) reads: AtomicUsize,
    pub(super) beats: AtomicUsize,
}

/// The store as one instance has it.
pub(super) struct Handle(pub(super) Arc<Store>, pub(super) String);

impl Store {
    pub(super) fn new(gives_hints: bool) -> Arc<Self> {
        Arc::new(Self {
            mood: Mutex::new(Mood::Well),
            gives_hints,
            began: clock::now(),
            entries: Mutex::default(),
            orders: Mutex::default(),
            made: Mutex::default(),
            members: Mutex::default(),
            listeners: Mutex::default(),
            reads: AtomicUsize::new(0),
            beats: AtomicUsize::new(0),
        })
    }

    pub(super) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        if mood != Mood::Well {
            self.cut_lines();
        }
    }

    pub(super) fn cut_lines(&self) {
        self.listeners.lock().unwrap().clear();
    }

    async fn answer(&self) -> Result<(), Error> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well => Ok(()),
            Mood::Away => Err(Error::Unavailable("connection refused".into())),
            Mood::Stuck => std::future::pending().await,
        }
    }

    fn now(&self) -> Moment {
        1_000_000 + Moment::try_from((clock::now() - self.began).as_micros()).unwrap()
    }

    fn members(&self) -> Vec<u32> {
        let members = self.members.lock().unwrap();
        members.iter().filter(|(_, until)| clock::now() < **until).map(|(m, _)| *m).collect()
    }

    /// The row as the store's clock has it now.
    pub(super) fn row(&self, key: &str) -> Option<Row> {
        self.entries.lock().unwrap().get(key).map(|(entry, _)| entry.row("nobody", self.now()))
    }

    fn stored(&self, key: &str, row: Row) -> StoredBreaker {
        let order = self.orders.lock().unwrap().get(key).cloned();
        StoredBreaker { key: key.to_owned(), row, order }
    }

    /// Tells everybody to look.
    pub(super) fn hint(&self) {
        let is_there = |line: &mpsc::Sender<()>| line.try_send(()).is_ok() || !line.is_closed();
        self.listeners.lock().unwrap().retain(is_there);
    }

    /// All transitions.
    pub(super) fn made(&self) -> Vec<Made> {
        self.made.lock().unwrap().clone()
    }

    /// From and to of all transitions.
    pub(super) fn moves(&self) -> Vec<(State, State)> {
        self.made().iter().map(|made| (made.from, made.to)).collect()
    }
}

#[async_trait]
impl StateStore for Handle {
    async fn breakers(&self, closed_within: Duration) -> Result<Vec<StoredBreaker>, Error> {
        let Self(store, me) = self;
        store.reads.fetch_add(1, Relaxed);
        store.answer().await?;
        let entries = store.entries.lock().unwrap();
        let listed = entries.iter().filter(|(key, (entry, changed_at))| {
            let is_recent = clock::now() - *changed_at < closed_within;
            let is_quiet = entry.state == State::Closed && entry.round.is_none();
            is_recent || !is_quiet || store.orders.lock().unwrap().contains_key(*key)
        });
        let now = store.now();
        Ok(listed.map(|(key, (entry, _))| store.stored(key, entry.row(me, now))).collect())
    }

    async fn say(&self, said: &Said) -> Result<Heard, Error> {
        let Self(store, me) = self;
        store.answer().await?;
        let (members, now) = (store.members(), store.now());
        let mut entries = store.entries.lock().unwrap();
        let (entry, changed_at) =
            entries.entry(said.key.clone()).or_insert_with(|| (Entry::default(), clock::now()));
        let (from, epoch) = (entry.state, entry.epoch);
        let by = Speaker { instance: me, members: &members, now };
        let is_done = entry.hear(said.epoch, &said.word, by);
        let row = entry.row(me, now);
        if entry.epoch != epoch {
            *changed_at = clock::now();
            let made = Made { said: said.clone(), from, to: entry.state };
            store.made.lock().unwrap().push(made);
        }
        drop(entries);
        if is_done {
            store.hint();
        }
        Ok(Heard { is_done, row: Some(store.stored(&said.key, row)) })
    }

    async fn decree(&self, decree: &Decree) -> Result<(), Error> {
        let Self(store, _) = self;
        store.answer().await?;
        let entry = (Entry::default(), clock::now());
        store.entries.lock().unwrap().entry(decree.key.clone()).or_insert(entry);
        let mut orders = store.orders.lock().unwrap();
        match decree.mode {
            None => drop(orders.remove(&decree.key)),
            Some(mode) => {
                let Decree { by, reason, ttl, .. } = decree.clone();
                let until_us = ttl.map(|ttl| i64::try_from(ttl.as_micros()).unwrap());
                let order = StoredOrder { mode, by, reason, left: ttl, until_us };
                orders.insert(decree.key.clone(), order);
            }
        }
        drop(orders);
        store.hint();
        Ok(())
    }

    async fn events(&self, _: &str, _: u32) -> Result<Vec<BreakerEvent>, Error> {
        unreachable!("the fleet does not read events")
    }

    async fn heartbeat(&self, presence: &Presence) -> Result<u32, Error> {
        let Self(store, _) = self;
        store.answer().await?;
        store.beats.fetch_add(1, Relaxed);
        let until = clock::now() + presence.ttl;
        store.members.lock().unwrap().insert(presence.ballot, until);
        Ok(u32::try_from(store.members().len()).unwrap())
    }

    async fn subscribe(&self) -> Result<Option<Hints>, Error> {
        let Self(store, _) = self;
        store.answer().await?;
        if !store.gives_hints {
            return Ok(None);
        }
        let (line, hints) = mpsc::channel(1);
        store.listeners.lock().unwrap().push(line);
        Ok(Some(hints))
    }
}
