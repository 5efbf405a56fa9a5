//! The fleet's orders about one breaker as this instance has heard of them, against a store that has
//! forgotten the last one.
//!
//! Orders are numbered, those that lift one included. So an older number says that the store went back
//! to an earlier copy, and so does a breaker that the store does not show any more although an order
//! about it is in force: what is lifted is shown to everybody once. Whoever sees that says it again,
//! under its number; it holds unless the store knows of a later one.

use std::time::Instant;

use crate::store::{Decree, Forgotten, StoredOrder};

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// The order that was obeyed last, and when it was read; none where it was lifted.
    obeyed: Option<(StoredOrder, Instant)>,
    /// How many there had been by then.
    number: u64,
    memory: Memory,
}

/// Whether the store knows what this instance knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Memory {
    #[default]
    Same,
    /// The store has forgotten it,
    Lost,
    /// and was told.
    Told,
}

/// What an instance is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heed {
    /// Go on as before.
    Nothing,
    /// Obey this.
    Obey(StoredOrder),
    /// Go on as configured.
    Lift,
}

impl Orders {
    /// The store shows the order that is in force, and how many there have been, or no such breaker.
    pub(super) fn hear(&mut self, told: Option<(Option<StoredOrder>, u64)>, now: Instant) -> Heed {
        let has_forgotten = match &told {
            Some((_, number)) => *number < self.number,
            None => self.left(now).is_some() && self.number > 0,
        };
        if has_forgotten && self.memory != Memory::Told {
            self.memory = Memory::Lost;
            return Heed::Nothing;
        }
        self.memory = Memory::Same;
        let (order, number) = told.unwrap_or((None, self.number));
        let known = std::mem::replace(&mut self.number, number);
        let before = self.obeyed.take().map(|(order, _)| order);
        self.obeyed = order.clone().map(|order| (order, now));
        match (before, order) {
            // One that was given here and lifted elsewhere was never shown.
            (None, None) if number > known => Heed::Lift,
            (None, None) => Heed::Nothing,
            (Some(before), Some(order)) if is_same(&before, &order) => Heed::Nothing,
            (_, Some(order)) => Heed::Obey(order),
            (Some(_), None) => Heed::Lift,
        }
    }

    /// How many orders there have been, as far as is known.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// What the store is to be told again.
    pub(super) fn forgotten(&self, now: Instant) -> Option<Decree> {
        if self.memory != Memory::Lost {
            return None;
        }
        let lost = Forgotten { number: self.number, until_us: None };
        // Which breaker it is about, its seat knows.
        let (key, upstream) = (String::new(), String::new());
        let in_force = self.obeyed.as_ref().filter(|_| self.left(now).is_some());
        Some(match in_force {
            Some((StoredOrder { mode, by, reason, until_us, .. }, _)) => Decree {
                key,
                upstream,
                mode: Some(*mode),
                by: by.clone(),
                reason: reason.clone(),
                ttl: None,
                length: None,
                known: self.number,
                is_reset: false,
                forgotten: Some(Forgotten { until_us: *until_us, ..lost }),
            },
            None => Decree {
                key,
                upstream,
                mode: None,
                by: String::new(),
                reason: "the store had forgotten that the order was lifted".to_owned(),
                ttl: None,
                length: None,
                known: self.number,
                is_reset: false,
                forgotten: Some(lost),
            },
        })
    }

    /// The store was told again.
    pub(super) const fn told(&mut self) {
        self.memory = Memory::Told;
    }

    /// The order, while it is in force.
    fn left(&self, now: Instant) -> Option<&StoredOrder> {
        let (order, at) = self.obeyed.as_ref()?;
        let elapsed = now.saturating_duration_since(*at);
        order.left.is_none_or(|left| left > elapsed).then_some(order)
    }
}

/// Whether it is the one that is obeyed already.
fn is_same(a: &StoredOrder, b: &StoredOrder) -> bool {
    (a.mode, &a.by, &a.reason, a.until_us) == (b.mode, &b.by, &b.reason, b.until_us)
}
