//! What an instance remembers of a shared breaker, against a store that has forgotten it: one that
//! was restored from a backup, or failed over to a copy that lagged.
//!
//! Epochs never fall and a state has one epoch. So a row of an older epoch, or of the same one with
//! another state, or none where there was an open circuit, says that the store went back. Whoever
//! sees that says [`Word::Restore`](super::word::Word::Restore), and all share again.

use std::time::{Duration, Instant};

use super::row::Row;
use crate::domain::breaker::{Shared, State};

/// What an instance knows of a breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What the store said under the highest epoch, as it would say now.
    pub shared: Shared,
    /// For how long it has been known.
    pub age: Duration,
}

/// See the module's text.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// What the store said first under the highest epoch, and when.
    first: Option<(Shared, Instant)>,
}

impl Memory {
    /// The store says so. Returns what it has forgotten.
    pub(super) fn hear(&mut self, row: &Row, now: Instant) -> Option<Known> {
        match &self.first {
            Some((shared, since)) if row.epoch <= shared.epoch => {
                let is_same = (row.epoch, row.state) == (shared.epoch, shared.state);
                (!is_same).then(|| known(shared, now.saturating_duration_since(*since)))
            }
            _ => {
                self.first = Some((row.shared(), now));
                None
            }
        }
    }

    /// What it means that the store shows no row. Only closed ones are not shown; others are gone.
    pub(super) fn unseen(&self, epoch: u64) -> Row {
        let is_gone = self.first.as_ref().is_some_and(|(shared, _)| shared.state != State::Closed);
        Row::none(if is_gone { 0 } else { epoch })
    }
}

fn known(shared: &Shared, age: Duration) -> Known {
    let is_ramping = shared.state == State::Ramping;
    let shared = Shared {
        open_for: shared.open_for.saturating_sub(age),
        ramp_age: if is_ramping { shared.ramp_age + age } else { shared.ramp_age },
        ..shared.clone()
    };
    Known { shared, age }
}
