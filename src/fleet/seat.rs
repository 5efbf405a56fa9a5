//! One shared circuit in the fleet: what the store says of it, and what this instance has said.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::warn;

use super::dissent::Outvoted;
use crate::{
    breakers::Circuit,
    domain::{
        breaker::{Evidence, Mode, State},
        fleet::{
            decree::{Decree, StoredOrder},
            mind::{Company, Mind, Step, Terms},
            orders::{Desk, Heed},
            row::Row,
            rules::Fingerprint,
            word::Word,
        },
        order::{Act, Signature},
    },
    store::{Said, StoredBreaker},
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
    /// What the fleet ordered, and what was ordered here.
    orders: Desk,
    /// When the round of voting ends that it knows of.
    voted_until: Option<Instant>,
    /// Who was against it then.
    pub(super) outvoted: Option<Outvoted>,
    /// The fingerprint of its rules.
    rules: Fingerprint,
    /// Whether it follows its rules, and until when others that do so again need not have said so.
    votes: bool,
    unsettled_until: Option<Instant>,
    /// Who reset it here, while it is not closed in the store.
    to_close: Option<Signature>,
}

impl Seat {
    pub(super) fn new(circuit: Arc<Circuit>) -> Self {
        let (terms, rules) = (circuit.terms(), Fingerprint::of(&circuit.policy()));
        Self {
            circuit,
            terms,
            mind: Mind::default(),
            row: None,
            refused_at: None,
            orders: Desk::default(),
            to_close: None,
            voted_until: None,
            outvoted: None,
            rules,
            votes: true,
            unsettled_until: None,
        }
    }

    /// One that comes to a fleet that goes on: nobody has counted its vote yet.
    pub(super) fn counted_anew(circuit: Arc<Circuit>) -> Self {
        Self { votes: false, ..Self::new(circuit) }
    }

    /// The same by the rules that its circuit has now.
    pub(super) fn renewed(self) -> Self {
        let (terms, rules) = (self.circuit.terms(), Fingerprint::of(&self.circuit.policy()));
        Self { terms, rules, ..self }
    }

    /// The fingerprint of its rules.
    pub(super) const fn rules(&self) -> Fingerprint {
        self.rules
    }

    /// The store says so; `is_all` tells that it was asked for all that it has. Returns whether it is
    /// news of a kind that the store hints at.
    pub(super) fn read(
        &mut self,
        stored: Option<StoredBreaker>,
        is_all: bool,
        asked_at: Instant,
    ) -> bool {
        let (row, told) = stored.map(|stored| (stored.row, (stored.order, stored.orders))).unzip();
        let told = told.or_else(|| is_all.then_some((None, 0)));
        let round = row.as_ref().and_then(|row| row.round);
        // Kept where there is none any more: how it went has not been looked at yet.
        self.voted_until = round.map(|round| asked_at + round.left).or(self.voted_until);
        let said = |row: &Row| (row.epoch, row.round.map(|round| round.number));
        // What is quiet is not shown, and is nothing new when it is shown again.
        let unseen = || (self.circuit.local(asked_at).shared.epoch, None);
        let before = self.row.as_ref().map_or_else(unseen, |(row, _)| said(row));
        let is_news = row.as_ref().is_some_and(|row| said(row) > before);
        self.to_close.take_if(|_| row.as_ref().is_none_or(|row| row.state == State::Closed));
        self.row = row.map(|row| (row, asked_at));
        self.obey(told, asked_at);
        is_news
    }

    /// Whether a round has ended, since this was last asked, that did not open it although it fails
    /// here.
    pub(super) fn take_lost(&mut self, now: Instant) -> bool {
        if self.voted_until.take_if(|until| *until <= now).is_none() {
            return false;
        }
        let is_passing = matches!(self.row(now).state, State::Closed | State::Ramping);
        is_passing && self.circuit.local(now).evidence == Evidence::Bad
    }

    /// Obeys the fleet's order where it is another than before.
    fn obey(&mut self, told: Option<(Option<StoredOrder>, u64)>, now: Instant) {
        let wish = match self.orders.hear(told, now) {
            Heed::Nothing => return,
            Heed::Obey(order) => order.act(now),
            Heed::Lift => Signature::new(None, "the order in the store is gone").map(Act::Lift),
        };
        match wish {
            Ok(act) => self.circuit.steer(&act, now),
            Err(error) => {
                let name = &**self.circuit.name();
                warn!(upstream = name, %error, "an order in the store cannot be obeyed");
            }
        }
    }

    /// Somebody steered the circuit here, for all.
    pub(super) fn steered(&mut self, act: Act) {
        self.to_close = match &act {
            Act::Reset(signature) => Some(signature.clone()),
            Act::Order(_) | Act::Lift(_) => None,
        };
        self.orders.given(act);
    }

    /// Somebody steered it for this instance alone.
    pub(super) const fn overruled(&mut self) {
        self.orders.overruled();
    }

    /// What was ordered here and the store is to be told.
    pub(super) fn decree(&self, now: Instant) -> Option<Decree> {
        self.orders.decree(now).map(|decree| self.addressed(decree))
    }

    /// What the store has forgotten of the fleet's orders.
    pub(super) fn forgotten(&self, now: Instant) -> Option<Decree> {
        self.orders.forgotten(now).map(|lost| self.addressed(lost))
    }

    fn addressed(&self, decree: Decree) -> Decree {
        let (key, upstream) = (self.circuit.key().to_owned(), self.circuit.name().to_string());
        Decree { key, upstream, ..decree }
    }

    /// Whether the circuit was reset here, and is not closed in the store.
    pub(super) fn is_to_be_reset(&self) -> bool {
        let is_open = self.row.as_ref().is_some_and(|(row, _)| row.state != State::Closed);
        is_open && self.to_close.is_some()
    }

    /// The store knows.
    pub(super) fn told(&mut self) {
        if self.orders.told() {
            self.circuit.is_told();
        }
    }

    /// The lease of a prober that cannot ask is over when it is by its own clock.
    pub(super) fn keeps_lease(&mut self, now: Instant) {
        if self.mind.loses_lease(&self.row(now)) {
            self.circuit.stop_trying(now);
        }
    }

    /// The row by now.
    fn row(&self, now: Instant) -> Row {
        let known = self.row.as_ref().map(|(row, at)| row.aged(now.saturating_duration_since(*at)));
        known.unwrap_or_else(|| self.mind.unseen(self.circuit.local(now).shared.epoch))
    }

    /// The epoch that is known of.
    pub(super) fn epoch(&self, now: Instant) -> u64 {
        let row = self.row.as_ref().map(|(row, _)| row.epoch);
        row.unwrap_or_else(|| self.circuit.local(now).shared.epoch)
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
        let task_ids = match word {
            Word::Suspect { .. } | Word::Trip { .. } | Word::Fail { .. } => {
                self.circuit.examples(snapshot.failure_count)
            }
            _ => Vec::new(),
        };
        let signature = self.to_close.clone().filter(|_| word == Word::Reset);
        Said {
            signature,
            key: self.circuit.key().to_owned(),
            upstream: self.circuit.name().to_string(),
            epoch: self.row(now).epoch,
            word,
            window_calls: snapshot.window_calls,
            window_failures: snapshot.window_failures,
            task_ids,
        }
    }

    /// Whether it follows its rules, and so has a vote.
    pub(super) fn votes(&self, now: Instant) -> bool {
        self.circuit.mode(now) == Mode::Auto
    }

    /// Takes note of that. Where an order has ended, it has ended for the others too, who have not
    /// said yet that they vote again: for so long a doubt would count too few.
    pub(super) fn notes_vote(&mut self, now: Instant, within: Duration) -> bool {
        let votes = self.votes(now);
        if votes && !self.votes {
            self.unsettled_until = Some(now + within);
        }
        self.votes = votes;
        votes
    }

    /// The fleet, as far as its vote goes: for a while after an order has ended not all have said that
    /// they vote again, and this instance has not for long.
    pub(super) fn company(&self, company: &Company, now: Instant) -> Company {
        if self.unsettled_until.is_none_or(|until| now >= until) {
            return *company;
        }
        Company { is_settled: false, counted_since: None, ..*company }
    }

    /// Whether nothing is wrong with it, here or in the store.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        let local = self.circuit.local(now);
        self.row.as_ref().is_none_or(|(row, _)| row.is_quiet())
            && local.evidence != Evidence::Bad
            && !local.is_trying
    }

    /// Whether a round of voting was open when the row was read last.
    pub(super) fn is_voted_on(&self) -> bool {
        self.row.as_ref().is_some_and(|(row, _)| row.round.is_some())
    }

    /// Whether it refuses calls for the fleet's sake although its open time is over.
    pub(super) fn waits_for_fleet(&self, now: Instant) -> bool {
        let local = self.circuit.local(now);
        let is_over = local.shared.state == State::Open && local.shared.open_for.is_zero();
        is_over && !local.is_trying && local.evidence != Evidence::Bad
    }
}
