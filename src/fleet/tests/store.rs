//! A store in memory that keeps the protocol's rules, hints, and can be away.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
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
            decree::OrderBook,
            entry::{Entry, Moment, Speaker},
            hearing::{Ballot, Faction, Hearing, Node},
            row::Row,
            word::Vote,
        },
    },
    store::{
        BreakerEvent, Decree, Error, Heard, Hints, Presence, Roll, Said, StateStore, StoredBreaker,
    },
};

/// How the store behaves now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mood {
    Well,
    Away,
    /// Never answers.
    Stuck,
    /// Answers, and does not do what it is told.
    Stubborn,
}

/// A word that made a transition, and from where to where.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) said: Said,
    pub(super) from: State,
    pub(super) to: State,
}

/// The breakers, and when each changed.
type Entries = BTreeMap<String, (Entry, Instant)>;

/// The orders about each breaker.
type Orders = BTreeMap<String, OrderBook>;

pub(super) struct Store {
    mood: Mutex<Mood>,
    gives_hints: AtomicBool,
    began: Instant,
    /// Those for whom it is away.
    lost: Mutex<BTreeSet<String>>,
    entries: Mutex<Entries>,
    orders: Mutex<Orders>,
    made: Mutex<Vec<Made>>,
    /// What those who live say of themselves, and until when.
    members: Mutex<BTreeMap<String, (Presence, Instant)>>,
    listeners: Mutex<Vec<mpsc::Sender<()>>>,
    /// Those to whom nothing comes any more, and who do not know it.
    deaf: Mutex<Vec<mpsc::Sender<()>>>,
    pub(super) reads: AtomicUsize,
    pub(super) beats: AtomicUsize,
    pub(super) asked_for_rules: AtomicUsize,
    pub(super) words: AtomicUsize,
    pub(super) subscriptions: AtomicUsize,
}

/// The store as one instance has it.
pub(super) struct Handle(pub(super) Arc<Store>, pub(super) String);

impl Store {
    pub(super) fn new(gives_hints: bool) -> Arc<Self> {
        Arc::new(Self {
            mood: Mutex::new(Mood::Well),
            gives_hints: AtomicBool::new(gives_hints),
            began: clock::now(),
            lost: Mutex::default(),
            entries: Mutex::default(),
            orders: Mutex::default(),
            made: Mutex::default(),
            members: Mutex::default(),
            listeners: Mutex::default(),
            deaf: Mutex::default(),
            reads: AtomicUsize::new(0),
            beats: AtomicUsize::new(0),
            asked_for_rules: AtomicUsize::new(0),
            words: AtomicUsize::new(0),
            subscriptions: AtomicUsize::new(0),
        })
    }

    pub(super) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        if matches!(mood, Mood::Away | Mood::Stuck) {
            self.cut_lines();
        }
    }

    pub(super) fn cut_lines(&self) {
        self.listeners.lock().unwrap().clear();
        self.deaf.lock().unwrap().clear();
    }

    /// From now on there are lines to be had.
    pub(super) fn give_hints(&self) {
        self.gives_hints.store(true, Relaxed);
    }

    /// From now on nothing comes over the lines that there are.
    pub(super) fn deafen(&self) {
        self.deaf.lock().unwrap().append(&mut self.listeners.lock().unwrap());
    }

    /// What it has, as for a backup.
    pub(super) fn copy(&self) -> (Entries, Orders) {
        (self.entries.lock().unwrap().clone(), self.orders.lock().unwrap().clone())
    }

    /// Goes back to a copy, as one that was restored or is a standby that lagged.
    pub(super) fn go_back(&self, (entries, orders): (Entries, Orders)) {
        *self.entries.lock().unwrap() = entries;
        *self.orders.lock().unwrap() = orders;
    }

    /// From now on it is away for this one.
    pub(super) fn lose(&self, who: &str) {
        self.lost.lock().unwrap().insert(who.to_owned());
    }

    /// It is there for this one again.
    pub(super) fn find(&self, who: &str) {
        self.lost.lock().unwrap().remove(who);
    }

    async fn answer(&self, who: &str) -> Result<(), Error> {
        let mood = *self.mood.lock().unwrap();
        let is_lost = self.lost.lock().unwrap().contains(who);
        let mood = if is_lost { Mood::Away } else { mood };
        match mood {
            Mood::Well | Mood::Stubborn => Ok(()),
            Mood::Away => Err(Error::Unavailable("connection refused".into())),
            Mood::Stuck => std::future::pending().await,
        }
    }

    fn now(&self) -> Moment {
        1_000_000 + Moment::try_from((clock::now() - self.began).as_micros()).unwrap()
    }

    /// Who lives.
    fn live(&self) -> Vec<(String, Presence)> {
        let now = clock::now();
        let mut members = self.members.lock().unwrap();
        members.retain(|_, (_, until)| now < *until);
        members.iter().map(|(name, (presence, _))| (name.clone(), presence.clone())).collect()
    }

    /// Who of them votes about this breaker.
    fn members(&self, key: &str) -> Vec<u32> {
        let votes = |presence: &Presence| presence.keys.iter().any(|of| of == key);
        self.live().iter().filter(|(_, of)| votes(of)).map(|(_, of)| of.ballot).collect()
    }

    /// The votes about this breaker, of instances that run in no place in particular.
    fn ballots(&self, key: &str) -> Vec<Ballot> {
        let entries = self.entries.lock().unwrap();
        let said = |of: &str| {
            let votes = entries.get(of).map(|(entry, _)| entry.votes.clone());
            votes.unwrap_or_default().into_iter().map(|(name, (vote, _))| (name, vote))
        };
        let is_alone = |of: &str, name: &str| {
            let count = |kind| said(of).filter(|(_, vote)| *vote == kind).count();
            let is_bad = said(of).any(|(who, vote)| who == name && vote == Vote::Bad);
            is_bad && count(Vote::Bad) < count(Vote::Good)
        };
        let ballot = |(name, vote): (String, Vote)| {
            let alone = entries.keys().filter(|of| is_alone(of, &name)).count();
            Ballot {
                node: Node { name, ..Node::default() },
                vote: Some(vote),
                ago: Duration::ZERO,
                calls: 0,
                failures: 0,
                alone: u32::try_from(alone).unwrap(),
                of: u32::try_from(entries.len()).unwrap(),
            }
        };
        said(key).map(ballot).collect()
    }

    /// Who follows which rules for it.
    fn factions(&self, key: &str) -> Vec<Faction> {
        let mut factions: BTreeMap<String, Faction> = BTreeMap::new();
        for (name, presence) in self.live() {
            let rules = presence.keys.iter().position(|of| of == key);
            let Some(rules) = rules.map(|at| presence.rules[at].clone()) else { continue };
            let faction = factions.entry(rules.clone()).or_insert_with(|| Faction {
                key: key.to_owned(),
                rules,
                count: 0,
                names: Vec::new(),
                since: Duration::from_secs(1),
            });
            faction.count += 1;
            faction.names.push(name);
        }
        factions.into_values().collect()
    }

    /// The row as the store's clock has it now.
    pub(super) fn row(&self, key: &str) -> Option<Row> {
        self.entries.lock().unwrap().get(key).map(|(entry, _)| entry.row("nobody", self.now()))
    }

    fn stored(&self, key: &str, row: Row) -> StoredBreaker {
        let book = self.orders.lock().unwrap().get(key).cloned().unwrap_or_default();
        let (order, orders) = book.told(self.now());
        StoredBreaker { key: key.to_owned(), row, order, orders }
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
    async fn breakers(&self, changed_within: Duration) -> Result<Vec<StoredBreaker>, Error> {
        let Self(store, me) = self;
        store.reads.fetch_add(1, Relaxed);
        store.answer(me).await?;
        let entries = store.entries.lock().unwrap();
        let listed = entries.iter().filter(|(key, (entry, changed_at))| {
            let is_recent = clock::now() - *changed_at < changed_within;
            let is_quiet = entry.state == State::Closed && entry.round.is_none();
            is_recent || !is_quiet || store.stored(key, Row::none(0)).order.is_some()
        });
        let now = store.now();
        Ok(listed.map(|(key, (entry, _))| store.stored(key, entry.row(me, now))).collect())
    }

    async fn say(&self, said: &Said) -> Result<Heard, Error> {
        let Self(store, me) = self;
        store.answer(me).await?;
        let (members, now) = (store.members(&said.key), store.now());
        let mut entries = store.entries.lock().unwrap();
        let unknown = || (Entry::new(said.epoch), clock::now());
        let (mut entry, mut changed_at) = entries.get(&said.key).cloned().unwrap_or_else(unknown);
        let (from, epoch) = (entry.state, entry.epoch);
        let by = Speaker { instance: me, members: &members, now };
        store.words.fetch_add(1, Relaxed);
        let hears = *store.mood.lock().unwrap() != Mood::Stubborn;
        let is_done = hears && entry.hear(said.epoch, &said.word, by);
        let row = entry.row(me, now);
        if entry.epoch != epoch {
            changed_at = clock::now();
            let made = Made { said: said.clone(), from, to: entry.state };
            store.made.lock().unwrap().push(made);
        }
        if is_done {
            entries.insert(said.key.clone(), (entry, changed_at));
        }
        drop(entries);
        if is_done {
            store.hint();
        }
        Ok(Heard { is_done, row: Some(store.stored(&said.key, row)) })
    }

    async fn decree(&self, decree: &Decree) -> Result<(), Error> {
        let Self(store, me) = self;
        store.answer(me).await?;
        let mut orders = store.orders.lock().unwrap();
        if !orders.entry(decree.key.clone()).or_default().hear(decree, store.now()) {
            return Ok(());
        }
        drop(orders);
        let mut entries = store.entries.lock().unwrap();
        let entry = entries.get(&decree.key).map(|(entry, _)| entry.clone()).unwrap_or_default();
        entries.insert(decree.key.clone(), (entry, clock::now()));
        drop(entries);
        store.hint();
        Ok(())
    }

    async fn events(&self, _: &str, _: u32) -> Result<Vec<BreakerEvent>, Error> {
        unreachable!("the fleet does not read events")
    }

    async fn last_events(&self, _: u32) -> Result<Vec<(String, BreakerEvent)>, Error> {
        unreachable!("the fleet does not read events")
    }

    async fn hearing(&self, _: &str) -> Result<Hearing, Error> {
        unreachable!("the fleet does not explain itself")
    }

    async fn ballots(&self, key: &str) -> Result<Vec<Ballot>, Error> {
        let Self(store, me) = self;
        store.answer(me).await?;
        Ok(store.ballots(key))
    }

    async fn factions(&self, keys: &[String]) -> Result<Vec<Faction>, Error> {
        let Self(store, me) = self;
        store.answer(me).await?;
        store.asked_for_rules.fetch_add(1, Relaxed);
        Ok(keys.iter().flat_map(|key| store.factions(key)).collect())
    }

    async fn heartbeat(&self, presence: &Presence) -> Result<Roll, Error> {
        let Self(store, me) = self;
        store.answer(me).await?;
        store.beats.fetch_add(1, Relaxed);
        let until = clock::now() + presence.ttl;
        let member = (presence.clone(), until);
        store.members.lock().unwrap().insert(me.clone(), member);
        let live = store.live();
        let is_uniform = live.iter().all(|(_, of)| of.rules == presence.rules);
        Ok(Roll { live: u32::try_from(live.len()).unwrap(), is_uniform })
    }

    async fn subscribe(&self) -> Result<Option<Hints>, Error> {
        let Self(store, me) = self;
        store.answer(me).await?;
        store.subscriptions.fetch_add(1, Relaxed);
        if !store.gives_hints.load(Relaxed) {
            return Ok(None);
        }
        let (line, hints) = mpsc::channel(1);
        store.listeners.lock().unwrap().push(line);
        Ok(Some(hints))
    }
}
