//! One shared circuit in the fleet: what the store says of it, and what this instance has said.

use std::{sync::Arc, time::Instant};

use tracing::warn;

use crate::{
    breakers::Circuit,
    domain::{
        breaker::{Evidence, State},
        fleet::{
            mind::{Company, Mind, Step, Terms},
            row::Row,
            word::Word,
        },
        order::{Act, Order, OrderError, Signature, Wish},
    },
    store::{Decree, Said, StoredBreaker, StoredOrder},
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
    /// The fleet's order that was obeyed last.
    obeyed: Option<StoredOrder>,
    /// What was ordered here and the store does not know yet.
    untold: Option<Act>,
}

impl Seat {
    pub(super) fn new(circuit: Arc<Circuit>) -> Self {
        let terms = circuit.terms();
        Self {
            circuit,
            terms,
            mind: Mind::default(),
            row: None,
            refused_at: None,
            obeyed: None,
            untold: None,
        }
    }

    /// The store says so.
    pub(super) fn read(&mut self, stored: Option<StoredBreaker>, asked_at: Instant) {
        let (row, order) = stored.map(|stored| (stored.row, stored.order)).unzip();
        self.row = row.map(|row| (row, asked_at));
        if self.untold.is_none() {
            self.obey(order.flatten(), asked_at);
        }
    }

    /// Obeys the fleet's order where it is another than before.
    fn obey(&mut self, order: Option<StoredOrder>, now: Instant) {
        let is_same = |(a, b): (&StoredOrder, &StoredOrder)| {
            (a.mode, &a.by, &a.reason, a.until_us) == (b.mode, &b.by, &b.reason, b.until_us)
        };
        match (&order, &self.obeyed) {
            (None, None) => return,
            (Some(order), Some(obeyed)) if is_same((order, obeyed)) => return,
            (Some(order), _) => match act_of(order, now) {
                Ok(act) => self.circuit.steer(&act, now),
                Err(error) => {
                    let name = &**self.circuit.name();
                    warn!(upstream = name, %error, "an order in the store cannot be obeyed");
                }
            },
            (None, Some(_)) => {
                if let Ok(signature) = Signature::new(None, "the order in the store is gone") {
                    self.circuit.steer(&Act::Lift(signature), now);
                }
            }
        }
        self.obeyed = order;
    }

    /// Somebody steered the circuit here, for all.
    pub(super) fn steered(&mut self, act: Act) {
        self.untold = Some(act);
    }

    /// What the store is to be told of that.
    pub(super) fn decree(&self, now: Instant) -> Option<Decree> {
        let act = self.untold.as_ref()?;
        let Signature { by, reason } = act.signature();
        let (mode, ttl) = match act {
            Act::Order(order) => (Some(order.mode()), order.left(now)),
            Act::Lift(_) | Act::Reset(_) => (None, None),
        };
        Some(Decree {
            key: self.circuit.key().to_owned(),
            upstream: self.circuit.name().to_string(),
            mode,
            by: by.to_string(),
            reason: reason.to_string(),
            ttl,
        })
    }

    /// The store knows. Returns whether the circuit was reset besides.
    pub(super) fn told(&mut self) -> bool {
        matches!(self.untold.take(), Some(Act::Reset(_)))
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

/// What an order in the store asks for. Plain SQL may have put it there, so it is checked.
fn act_of(order: &StoredOrder, now: Instant) -> Result<Act, OrderError> {
    let StoredOrder { mode, by, reason, left, .. } = order;
    let by = Some(by.as_str()).filter(|by| !by.is_empty());
    Order::new(Wish { mode: *mode, reason, by, ttl: *left }, now).map(Act::Order)
}
