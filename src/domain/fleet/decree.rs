//! Orders about a shared breaker as the store keeps them, beside the automatic state, and what each
//! new one does there.
//!
//! As [`entry`](super::entry) for words, this is the rule book: the SQL of a store says the same.
//! Orders are numbered, those that lift one included, so that a store that went back to an earlier
//! copy can be told from one in which an order was lifted.

use std::time::{Duration, Instant};

use super::entry::{Moment, micros, span};
use crate::domain::{
    breaker::Mode,
    order::{Act, Order, OrderError, Signature, Wish},
};

/// An order that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOrder {
    /// How the breaker is steered.
    pub mode: Mode,
    /// Who ordered it; empty where nobody said.
    pub by: String,
    /// Why; empty where nobody said.
    pub reason: String,
    /// How long it still holds; none when it has no end.
    pub left: Option<Duration>,
    /// When it ends, in microseconds by the store's clock: with this an order is told from the
    /// same one that was given later.
    pub until_us: Option<Moment>,
}

/// An order that is given, or lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decree {
    /// The breaker's key.
    pub key: String,
    /// The upstream's name, for people.
    pub upstream: String,
    /// How it is to be steered; none lifts the order that is in force.
    pub mode: Option<Mode>,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// How long it still holds; none for no end.
    pub ttl: Option<Duration>,
    /// How long it was given for.
    pub length: Option<Duration>,
    /// How many orders there had been as far as is known here: a store that has forgotten some numbers
    /// this one after them all the same, or those who remember would take it for an older one.
    pub known: u64,
    /// Whether the circuit is closed as well. One that is open then closes by a word of its own.
    pub is_reset: bool,
    /// None for a new one. Else it is one that the store has forgotten, and holds only where the store
    /// knows of nothing later.
    pub forgotten: Option<Forgotten>,
}

/// What the store knew of an order before it went back to an earlier copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// How many orders there had been, this one included.
    pub number: u64,
    /// See [`StoredOrder::until_us`].
    pub until_us: Option<Moment>,
}

impl StoredOrder {
    /// What it asks for. Plain SQL may have put it there, so it is checked.
    ///
    /// # Errors
    /// It is none that can be obeyed.
    pub fn act(&self, now: Instant) -> Result<Act, OrderError> {
        let Self { mode, by, reason, left, .. } = self;
        let by = Some(by.as_str()).filter(|by| !by.is_empty());
        Order::new(Wish { mode: *mode, reason, by, ttl: *left }, now).map(Act::Order)
    }

    /// How long it still holds now, if it was read then; none when it has no end.
    pub fn left_at(&self, read_at: Instant, now: Instant) -> Option<Duration> {
        self.left.map(|left| left.saturating_sub(now.saturating_duration_since(read_at)))
    }

    /// Whether it is the same one, and not one that was given later.
    pub fn is_same(&self, other: &Self) -> bool {
        let told = |order: &Self| {
            let Self { mode, by, reason, until_us, left: _ } = order.clone();
            (mode, by, reason, until_us)
        };
        told(self) == told(other)
    }
}

impl Decree {
    /// What somebody did. Which breaker it is about, its seat knows.
    pub fn of(act: &Act, known: u64, now: Instant) -> Self {
        let Signature { by, reason } = act.signature();
        let (mode, ttl, length) = match act {
            Act::Order(order) => (Some(order.mode()), order.left(now), order.length()),
            Act::Lift(_) | Act::Reset(_) => (None, None, None),
        };
        Self {
            key: String::new(),
            upstream: String::new(),
            mode,
            by: by.to_string(),
            reason: reason.to_string(),
            ttl,
            length,
            known,
            is_reset: matches!(act, Act::Reset(_)),
            forgotten: None,
        }
    }

    /// Whether an order that the store has is what this one was to bring about.
    pub fn is_done_by(&self, order: Option<&StoredOrder>) -> bool {
        match order {
            None => self.mode.is_none(),
            Some(order) => {
                let is_signed = order.by == self.by && order.reason == self.reason;
                self.mode == Some(order.mode) && is_signed
            }
        }
    }
}

/// The orders about one breaker as the store has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderBook {
    /// The last one, unless it was lifted. Its time may be over.
    last: Option<StoredOrder>,
    /// How many there have been.
    number: u64,
}

impl OrderBook {
    /// Does what a decree says, unless it was forgotten and something newer is known. Returns whether it
    /// did.
    pub fn hear(&mut self, decree: &Decree, now: Moment) -> bool {
        if decree.forgotten.is_some_and(|lost| lost.number <= self.number) {
            return false;
        }
        let until = decree.ttl.map(|ttl| now + micros(ttl));
        let until_us = decree.forgotten.map_or(until, |lost| lost.until_us);
        let Decree { by, reason, .. } = decree.clone();
        let last = decree.mode.map(|mode| StoredOrder { mode, by, reason, left: None, until_us });
        let next = self.number.max(decree.known) + 1;
        self.number = decree.forgotten.map_or(next, |lost| lost.number);
        self.last = last;
        true
    }

    /// The order that is in force, and how many there have been.
    pub fn told(&self, now: Moment) -> (Option<StoredOrder>, u64) {
        let is_in_force = |order: &&StoredOrder| order.until_us.is_none_or(|until| until > now);
        let in_force = self.last.as_ref().filter(is_in_force).map(|order| {
            let left = order.until_us.map(|until| span(until - now));
            StoredOrder { left, ..order.clone() }
        });
        (in_force, self.number)
    }
}
