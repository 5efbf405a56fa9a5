//! One shared circuit in the fleet: what the store says of it, and what this instance has said.

use std::{sync::Arc, time::Instant};

use crate::{
    breakers::Circuit,
    domain::{
        breaker::{Evidence, State},
        fleet::{
            mind::{Company, Mind, Step, Terms},
            row::Row,
            word::Word,
        },
    },
    store::Said,
};

/// See the module docs.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) circuit: Arc<Circuit>,
    terms: Terms,
    mind: Mind,
    /// The row as it was last read, and when that was asked for.
    row: Option<(Row, Instant)>,
    /// When calls were refused last.
    refused_at: Option<Instant>,
}

impl Seat {
    pub(super) fn new(circuit: Arc<Circuit>) -> Self {
        let terms = circuit.terms();
        Self { circuit, terms, mind: Mind::default(), row: None, refused_at: None }
    }

    /// The store says so.
    pub(super) fn read(&mut self, row: Option<Row>, asked_at: Instant) {
        self.row = row.map(|row| (row, asked_at));
    }

    /// The row by now. None says that it is closed.
    fn row(&self, now: Instant) -> Row {
        let known = self.row.as_ref().map(|(row, at)| row.aged(now.saturating_duration_since(*at)));
        known.unwrap_or_else(|| Row::none(self.circuit.local(now).shared.epoch))
    }

    /// What to do next.
    pub(super) fn next(&mut self, company: &Company, now: Instant) -> Step {
        let (row, mut local) = (self.row(now), self.circuit.local(now));
        if self.circuit.has_refused() {
            self.refused_at = Some(now);
        }
        let refused = self.refused_at.map(|at| now.saturating_duration_since(at));
        local.wanted = local.wanted.into_iter().chain(refused).min();
        self.mind.next((&self.terms, company), &local, &row, now, fastrand::u128(..))
    }

    /// The circuit takes over what the row says.
    pub(super) fn adopt(&self, now: Instant) {
        self.circuit.adopt(&self.row(now).shared(), now);
    }

    /// A word, as the store is to be told.
    pub(super) fn said(&self, word: Word, now: Instant) -> Said {
        let snapshot = self.circuit.snapshot(now);
        Said {
            key: self.circuit.key().to_owned(),
            upstream: self.circuit.name().to_string(),
            epoch: self.row(now).epoch,
            word,
            window_calls: snapshot.window_calls,
            window_failures: snapshot.window_failures,
            task_ids: Vec::new(),
        }
    }

    /// Whether nothing is wrong with it, here or in the store.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        let local = self.circuit.local(now);
        self.row.as_ref().is_none_or(|(row, _)| row.is_quiet())
            && local.evidence != Evidence::Bad
            && !local.is_trying
    }

    /// Whether it refuses calls for the fleet's sake although its open time is over.
    pub(super) fn waits_for_fleet(&self, now: Instant) -> bool {
        let local = self.circuit.local(now);
        let is_over = local.shared.state == State::Open && local.shared.open_for.is_zero();
        is_over && !local.is_trying && local.evidence != Evidence::Bad
    }

    /// Whether the store knows less than this instance.
    pub(super) fn is_ahead(&self, now: Instant) -> bool {
        let epoch = self.circuit.local(now).shared.epoch;
        self.row.as_ref().is_some_and(|(row, _)| row.epoch < epoch)
    }
}
