//! Orders in the simulated fleet: who gives them, how the store takes them, and who obeys.

use std::time::Duration;

use super::world::World;
use crate::domain::{
    breaker::Mode,
    fleet::{decree::Decree, entry::Entry},
    order::{Act, Order, Signature, Wish},
};

/// Every order and lift has its number as its reason, by which the newer one is known.
pub(super) type Serial = u64;

impl World {
    /// Somebody gives an order to all at an instance, or lifts the one that is in force.
    pub(super) fn order(&mut self, at: usize) {
        let reason = (self.ordered + 1).to_string();
        let wish = |mode, ttl| Wish { mode, reason: &reason, by: Some("ann"), ttl };
        let ttl = Duration::from_secs(1 + u64::from(self.dice.count(120)));
        let order = |wish| Act::Order(Order::new(wish, self.now).unwrap());
        let act = match self.dice.below(6) {
            0 => order(wish(Mode::ForcedOpen, None)),
            1 => order(wish(Mode::ForcedOpen, Some(ttl))),
            2 => order(wish(Mode::ForcedClosed, Some(ttl))),
            3 => order(wish(Mode::Disabled, Some(ttl))),
            4 => order(wish(Mode::Shadow, Some(ttl))),
            _ => Act::Lift(Signature::new(Some("ann"), &reason).unwrap()),
        };
        self.steer(at, act);
    }

    /// Somebody lifts the order that is in force, at an instance.
    pub(super) fn lift(&mut self, at: usize) {
        let reason = (self.ordered + 1).to_string();
        self.steer(at, Act::Lift(Signature::new(Some("ann"), &reason).unwrap()));
    }

    fn steer(&mut self, at: usize, act: Act) {
        self.ordered += 1;
        let node = &mut self.nodes[at];
        node.steer(&act, self.now);
        node.desk.given(act);
    }

    /// An instance tells the store what was ordered there. Whether it got through.
    pub(super) fn tell_order(&mut self, at: usize, loses: bool) -> bool {
        let Some(decree) = self.nodes[at].desk.decree(self.now) else { return true };
        self.decree(at, &decree, loses)
    }

    /// An instance tells the store what that has forgotten of orders.
    pub(super) fn remind(&mut self, at: usize, loses: bool) {
        let desk = &self.nodes[at].desk;
        if desk.decree(self.now).is_none()
            && let Some(forgotten) = desk.forgotten(self.now)
        {
            self.decree(at, &forgotten, loses);
        }
    }

    fn decree(&mut self, at: usize, decree: &Decree, loses: bool) -> bool {
        if loses && self.dice.one_in(6) {
            return false;
        }
        if self.book.hear(decree, self.clock) {
            self.entry.get_or_insert_with(|| Entry::new(0));
            self.changed_at = self.clock;
        }
        if loses && self.dice.one_in(6) {
            // The answer is lost: it is told again.
            return false;
        }
        self.nodes[at].desk.told();
        true
    }

    /// What the order that is in force in the store was the reason of, and its mode.
    pub(super) fn in_force(&self) -> Option<(Mode, Serial)> {
        let (order, _) = self.book.told(self.clock);
        order.map(|order| (order.mode, order.reason.parse().unwrap()))
    }
}
