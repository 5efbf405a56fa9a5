//! Orders as the store keeps them, for all instances.

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::breaker::Mode;

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
    pub until_us: Option<i64>,
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
    pub until_us: Option<i64>,
}

/// What somebody did, who and why.
pub(super) fn signed(act: &str, by: &str, reason: &str) -> Value {
    json!({ "act": act, "by": by, "reason": reason })
}

impl Decree {
    /// What its event tells.
    pub(super) fn detail(&self) -> Value {
        let mut detail = signed(self.act(), &self.by, &self.reason);
        if let Some(mode) = self.mode {
            let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            detail["mode"] = mode.as_str().into();
            detail["forMs"] = self.length.map(millis).into();
        }
        if self.forgotten.is_some() {
            detail["isRestored"] = true.into();
        }
        detail
    }

    const fn act(&self) -> &'static str {
        match self.mode {
            Some(_) => "order",
            None if self.is_reset => "reset",
            None => "lift",
        }
    }
}
