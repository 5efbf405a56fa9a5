//! Schedules about orders: who obeys what, and when.

use std::time::Duration;

use super::schedule::Schedule;
use crate::domain::breaker::Mode;

const SECOND: Duration = Duration::from_secs(1);

impl Schedule {
    /// People give orders at instances that may not reach the store.
    pub(super) fn orders_far_off(&mut self, count: usize) {
        self.is_orderly = false;
        for _ in 0..count {
            let at = self.dice.below(self.world.nodes.len());
            self.world.pass(SECOND / 10 * (1 + self.dice.count(30)));
            match self.dice.below(8) {
                0 | 1 => self.world.nodes[at].is_cut_off ^= true,
                2 | 3 => self.world.order(at),
                4 => self.second(),
                _ => {
                    self.world.look(at);
                    self.world.act(at, true);
                }
            }
        }
    }

    /// People give orders, of which the store hears at once.
    pub(super) fn orders(&mut self, count: usize) {
        self.is_orderly = false;
        for _ in 0..count {
            let at = self.dice.below(self.world.nodes.len());
            self.world.pass(SECOND / 10 * (1 + self.dice.count(30)));
            match self.dice.below(4) {
                0 => {
                    self.world.order(at);
                    self.world.act(at, false);
                }
                1 => self.second(),
                _ => self.world.look(at),
            }
        }
    }

    /// All obey the order that the store has.
    pub(super) fn is_obeyed(&mut self) {
        // What was forgotten is put back, found to be, and obeyed.
        self.shares();
        self.shares();
        let mode = self.world.in_force().map_or(Mode::Auto, |(mode, _)| mode);
        let now = self.world.now;
        for node in &self.world.nodes {
            let (book, desk) = (&self.world.book, &node.desk);
            assert_eq!(node.breaker.mode_at(now), mode, "{} with {desk:?}: {book:?}", node.name);
        }
    }
}
