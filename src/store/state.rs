//! What instances share: the states of breakers, votes, orders, and who lives.

use std::time::Duration;

use async_trait::async_trait;

use super::{Decree, Error, Presence, Roll, StoredOrder};
use crate::domain::{
    breaker::{Cause, State},
    fleet::{
        hearing::{Ballot, Faction, Hearing},
        row::Row,
        word::Word,
    },
    order::Signature,
    task::TaskId,
};

/// One shared breaker as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBreaker {
    /// The breaker's key, see [`crate::config::Upstream::breaker_key`].
    pub key: String,
    /// What it says.
    pub row: Row,
    /// The order that is in force, beside the automatic state.
    pub order: Option<StoredOrder>,
    /// How many orders there have been, lifted ones included. Falls only where the store goes back to
    /// an earlier copy.
    pub orders: u64,
}

/// A word about a shared breaker.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The breaker's key.
    pub key: String,
    /// The upstream's name, for people.
    pub upstream: String,
    /// The epoch that the word is meant for. Where there is no row it is taken for that of the row.
    pub epoch: u64,
    /// The word.
    pub word: Word,
    /// Calls in the speaker's window.
    pub window_calls: u32,
    /// Failures among them.
    pub window_failures: u32,
    /// Ids of calls behind it.
    pub task_ids: Vec<TaskId>,
    /// Who resets it, and why.
    pub signature: Option<Signature>,
}

/// What became of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Whether it did what it says.
    pub is_done: bool,
    /// What the breaker says now; none where there is no row.
    pub row: Option<StoredBreaker>,
}

/// A past transition of a shared breaker.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerEvent {
    /// When, in microseconds since the Unix epoch, by the store's clock.
    pub at_us: i64,
    /// The epoch that it made.
    pub epoch: u64,
    /// The state that it left.
    pub from: State,
    /// The state that it entered.
    pub to: State,
    /// Why.
    pub cause: Cause,
    /// Which instance made it.
    pub instance: String,
    /// The numbers behind it, as JSON.
    pub detail: serde_json::Value,
}

/// What instances share.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// All breakers of the namespace that are not closed, are voted on or steered, and those whose
    /// last change was less than `changed_within` ago. Complete: a key that is absent is closed, or
    /// was lost.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn breakers(&self, changed_within: Duration) -> Result<Vec<StoredBreaker>, Error>;

    /// Does what a word says, if the breaker is in the epoch that it is meant for and its guards
    /// hold (see [`crate::domain::fleet::entry`]); a transition has its event row.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn say(&self, said: &Said) -> Result<Heard, Error>;

    /// Gives an order to all instances, or lifts the one that is in force. The last one wins, and one
    /// that was forgotten yields to all that are known.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn decree(&self, decree: &Decree) -> Result<(), Error>;

    /// The last transitions of a breaker, newest first.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn events(&self, key: &str, limit: u32) -> Result<Vec<BreakerEvent>, Error>;

    /// The last transitions of all breakers, each with its breaker's key, newest first.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn last_events(&self, limit: u32) -> Result<Vec<(String, BreakerEvent)>, Error>;

    /// What is known of a breaker beyond its row, for people: votes, prober, how it was opened, who
    /// follows which rules.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn hearing(&self, key: &str) -> Result<Hearing, Error>;

    /// The votes of the last round about a breaker, for the one who has asked for it.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn ballots(&self, key: &str) -> Result<Vec<Ballot>, Error>;

    /// Who of those who live follows which rules for these breakers.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn factions(&self, keys: &[String]) -> Result<Vec<Faction>, Error>;

    /// Says that this instance lives, and under which rules; returns who else does.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn heartbeat(&self, presence: &Presence) -> Result<Roll, Error>;

    /// Begins to listen for hints that shared state changed. None where there are none to be had:
    /// the store has one user, or a pooler stands in between and swallows them (found by a
    /// self-test); then the caller polls.
    ///
    /// # Errors
    /// The store is away or refuses.
    async fn subscribe(&self) -> Result<Option<Hints>, Error>;
}

/// Hints that shared state changed: each says "look", none says what. Several may arrive as one;
/// the channel closes when the connection is lost, and what happened meanwhile must be read.
pub type Hints = tokio::sync::mpsc::Receiver<()>;
