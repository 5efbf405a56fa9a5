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
    /// For how long; none for no end.
    pub ttl: Option<Duration>,
}

impl Decree {
    /// What its event tells.
    pub(super) fn detail(&self) -> Value {
        json!({
            "mode": self.mode.map_or("auto", Mode::as_str),
            "by": self.by,
            "reason": self.reason,
            "forMs": self.ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
        })
    }
}
