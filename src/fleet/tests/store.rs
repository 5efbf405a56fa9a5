//! A store in memory that really compares and sets, hints, and can be away.

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
        breaker::{Shared, State},
        fleet::aged,
    },
    store::{BreakerEvent, Error, Hints, Move, Moved, StateStore, StoredBreaker},
};

/// How the store behaves now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mood {
    Well,
    Away,
    /// Never answers.
    Stuck,
}

struct Row {
    shared: Shared,
    changed_at: Instant,
}

pub(super) struct Store {
    mood: Mutex<Mood>,
    gives_hints: bool,
    rows: Mutex<BTreeMap<String, Row>>,
    moves: Mutex<Vec<Move>>,
    listeners: Mutex<Vec<mpsc::Sender<()>>>,
    pub(super) reads: AtomicUsize,
    pub(super) beats: AtomicUsize,
}

impl Store {
    pub(super) fn new(gives_hints: bool) -> Arc<Self> {
        Arc::new(Self {
            mood: Mutex::new(Mood::Well),
            gives_hints,
            rows: Mutex::default(),
            moves: Mutex::default(),
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

    /// The row as the store's clock has it now.
    pub(super) fn row(&self, key: &str) -> Option<Shared> {
        let rows = self.rows.lock().unwrap();
        let row = rows.get(key)?;
        Some(aged(&row.shared, clock::now() - row.changed_at))
    }

    /// Tells everybody to look.
    pub(super) fn hint(&self) {
        let is_there = |line: &mpsc::Sender<()>| line.try_send(()).is_ok() || !line.is_closed();
        self.listeners.lock().unwrap().retain(is_there);
    }

    /// All moves that were made.
    pub(super) fn all_moves(&self) -> Vec<Move> {
        self.moves.lock().unwrap().clone()
    }

    /// From and to of all moves that were made.
    pub(super) fn moves(&self) -> Vec<(State, State)> {
        self.moves.lock().unwrap().iter().map(|made| (made.from, made.to)).collect()
    }
}

#[async_trait]
impl StateStore for Store {
    async fn breakers(&self, closed_within: Duration) -> Result<Vec<StoredBreaker>, Error> {
        self.reads.fetch_add(1, Relaxed);
        self.answer().await?;
        let is_listed = |row: &Row| {
            row.shared.state != State::Closed || clock::now() - row.changed_at < closed_within
        };
        let rows = self.rows.lock().unwrap();
        let keys: Vec<_> =
            rows.iter().filter(|(_, row)| is_listed(row)).map(|(key, _)| key.clone()).collect();
        drop(rows);
        let stored = |key: String| Some(StoredBreaker { shared: self.row(&key)?, key });
        Ok(keys.into_iter().filter_map(stored).collect())
    }

    async fn transition(&self, wanted: &Move) -> Result<Moved, Error> {
        self.answer().await?;
        let current = self.row(&wanted.key);
        if current.as_ref().map_or(0, |row| row.epoch) != wanted.from_epoch {
            let key = wanted.key.clone();
            return Ok(Moved::Lost(current.map(|shared| StoredBreaker { key, shared })));
        }
        let epoch = wanted.from_epoch + 1;
        let shared = Shared {
            epoch,
            state: wanted.to,
            open_for: wanted.open_for,
            ramp_age: Duration::ZERO,
            step: wanted.step,
            failure_count: wanted.failure_count,
            cause: wanted.cause,
            by_connection: wanted.by_connection,
        };
        let row = Row { shared, changed_at: clock::now() };
        self.rows.lock().unwrap().insert(wanted.key.clone(), row);
        self.moves.lock().unwrap().push(wanted.clone());
        self.listeners
            .lock()
            .unwrap()
            .retain(|line| line.try_send(()).is_ok() || !line.is_closed());
        Ok(Moved::Made(epoch))
    }

    async fn events(&self, _: &str, _: u32) -> Result<Vec<BreakerEvent>, Error> {
        unreachable!("the fleet does not read events")
    }

    async fn heartbeat(&self, _: Duration) -> Result<u32, Error> {
        self.answer().await?;
        self.beats.fetch_add(1, Relaxed);
        Ok(7)
    }

    async fn subscribe(&self) -> Result<Option<Hints>, Error> {
        self.answer().await?;
        if !self.gives_hints {
            return Ok(None);
        }
        let (line, hints) = mpsc::channel(1);
        self.listeners.lock().unwrap().push(line);
        Ok(Some(hints))
    }
}
