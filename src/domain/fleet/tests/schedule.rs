//! A schedule: what happens, in which order, and what must be true all the while.

use std::time::Duration;

use super::{
    node::Node,
    world::{Dice, World},
};
use crate::domain::breaker::State;

const SECOND: Duration = Duration::from_secs(1);

/// As many probes at most in one open time: of the first who tries, and of who gives a second opinion.
const PROBES: u32 = 4;

/// See the module's text.
pub(super) struct Schedule {
    pub(super) world: World,
    pub(super) dice: Dice,
    /// Instances that were started after the first.
    births: usize,
    /// Nothing has happened yet that may leave a second probe at the upstream.
    pub(super) is_orderly: bool,
    /// Those that make calls.
    callers: usize,
}

impl Schedule {
    pub(super) fn new(seed: u64) -> Self {
        Self::of(World::new(seed), Dice(!seed))
    }

    /// One with more instances than vote.
    pub(super) fn of_many(seed: u64) -> Self {
        let mut dice = Dice(!seed);
        Self::of(World::of(65 + dice.below(120), Dice(seed)), dice)
    }

    pub(super) fn of(world: World, dice: Dice) -> Self {
        let callers = world.nodes.len();
        Self { world, dice, births: 0, is_orderly: true, callers }
    }

    /// A while of everyday life.
    pub(super) fn warm_up(&mut self) {
        for _ in 0..10 {
            self.second();
        }
    }

    /// One second in which every instance makes calls and everything works as it does.
    pub(super) fn second(&mut self) {
        for _ in 0..2 {
            let world = &mut self.world;
            world.pass(SECOND / 2);
            world.beat();
            for at in 0..world.nodes.len() {
                for _ in 0..if at < self.callers { 3 } else { 0 } {
                    let _passed = world.call(at);
                    world.end_call(at, false);
                }
                world.look(at);
                world.act(at, false);
            }
            self.check();
        }
    }

    /// Anything may happen.
    pub(super) fn trouble(&mut self, steps: usize) {
        self.is_orderly = false;
        for _ in 0..steps {
            self.step();
            self.check();
        }
    }

    fn step(&mut self) {
        let at = self.dice.below(self.world.nodes.len());
        let world = &mut self.world;
        match self.dice.below(42) {
            0 => world.is_up = !world.is_up,
            1 => world.nodes[at].is_sick = !world.nodes[at].is_sick,
            2 => world.nodes[at].is_cut_off = !world.nodes[at].is_cut_off,
            3 => {
                // Killed, with its calls, and started anew.
                self.births += 1;
                let name = format!("born-{}", self.births);
                world.nodes[at] = Node::new(name, self.dice.ballot(), world.now);
            }
            4 if self.dice.one_in(4) => {
                let hour = 3_600_000_000;
                world.clock += if self.dice.one_in(2) { hour } else { -hour };
            }
            4 if self.dice.one_in(2) => world.copy_store(),
            4 => world.lose_store(),
            5 | 6 => world.pass(SECOND * self.dice.count(90)),
            7..=12 => world.pass(SECOND / 10 * self.dice.count(30)),
            13..=21 => {
                let _passed = world.call(at);
            }
            22..=27 => world.end_call(at, false),
            28 => world.end_call(at, true),
            29 => world.beat(),
            30 => world.say_late(),
            31..=34 => world.look(at),
            35 => world.order(at),
            _ => world.act(at, true),
        }
    }

    /// What always holds; epochs, events and legal transitions are looked at word by word.
    pub(super) fn check(&self) {
        let (probes, tried) = (self.world.probes(), self.world.tried);
        if self.is_orderly {
            assert!(probes <= 1, "{probes} probes at once");
            assert!(tried <= PROBES, "{tried} probes in one open time");
        }
    }

    /// Only one instance makes calls.
    pub(super) fn only_one_calls(&mut self) {
        self.callers = 1;
    }

    /// All works again, and is used.
    pub(super) fn heal(&mut self) {
        self.callers = self.world.nodes.len();
        self.world.is_up = true;
        for node in &mut self.world.nodes {
            (node.is_sick, node.is_cut_off) = (false, false);
        }
    }

    /// Whatever was ordered is told, and lifted.
    pub(super) fn lifts(&mut self) {
        self.shares();
        let at = self.dice.below(self.world.nodes.len());
        self.world.lift(at);
        self.shares();
    }

    pub(super) fn recovers(&mut self) {
        for _ in 0..1_200 {
            self.second();
            let world = &self.world;
            let is_closed = |node: &Node| node.breaker.snapshot(world.now).state == State::Closed;
            if world.state() == State::Closed && world.nodes.iter().all(is_closed) {
                return;
            }
        }
        let World { entry, nodes, .. } = &self.world;
        panic!("after 20 minutes: {entry:?} with {nodes:#?}");
    }

    /// All know what the store knows, once each has looked twice.
    pub(super) fn is_shared(&mut self) {
        self.shares();
        let World { entry, nodes, now, .. } = &self.world;
        for node in nodes {
            let row = node.row(*now);
            let epoch = node.breaker.snapshot(*now).epoch;
            assert_eq!(row.map(|row| row.epoch), Some(epoch), "{entry:?} with {node:#?}");
        }
    }

    pub(super) fn shares(&mut self) {
        // The first to look may know less than the last one puts back.
        let count = self.world.nodes.len();
        for at in (0..count).chain(0..count) {
            self.world.look(at);
            self.world.act(at, false);
        }
    }

    /// Every call is refused, and the store says so.
    pub(super) fn is_open_for_all(&mut self) {
        self.is_shared();
        let World { entry, nodes, now, .. } = &mut self.world;
        assert_eq!(entry.as_ref().map(|entry| entry.state), Some(State::Open));
        for node in nodes {
            assert!(node.call(*now).is_err(), "{entry:?} with {node:#?}");
        }
    }

    /// The store is copied; what happens later may be lost.
    pub(super) fn copies_store(&mut self) {
        self.world.copy_store();
    }

    /// The store goes back to a copy.
    pub(super) fn loses_store(&mut self) {
        self.world.lose_store();
        self.is_orderly = false;
    }

    pub(super) fn outage(&mut self) {
        self.world.is_up = false;
    }

    pub(super) fn opens(&mut self) {
        for _ in 0..10 {
            self.second();
            if self.world.state() == State::Open {
                return;
            }
        }
        panic!("after 10 seconds: {:?}", self.world.entry);
    }

    pub(super) fn minority_falls_sick(&mut self) {
        self.fall_sick((self.world.nodes.len() - 1) / 2);
    }

    /// So few of many that no sample of those who vote has more of them than of the others.
    pub(super) fn quarter_falls_sick(&mut self) {
        self.fall_sick(self.world.nodes.len() / 4);
    }

    fn fall_sick(&mut self, sick: usize) {
        for node in &mut self.world.nodes[..sick] {
            node.is_sick = true;
        }
    }

    pub(super) fn stays_closed(&mut self, seconds: usize) {
        for _ in 0..seconds {
            self.second();
            assert_eq!(self.world.state(), State::Closed, "{:?}", self.world.entry);
        }
    }

    pub(super) fn store_goes_away(&mut self) {
        self.world.nodes.iter_mut().for_each(|node| node.is_cut_off = true);
    }

    /// Calls while the store is away: none is refused for the fleet's sake.
    pub(super) fn trouble_alone(&mut self, calls: usize) {
        for _ in 0..calls {
            let world = &mut self.world;
            world.pass(SECOND / 5);
            let at = self.dice.below(world.nodes.len());
            let passed = world.call(at);
            assert!(passed.is_ok(), "{passed:?}");
            world.end_call(at, false);
            world.act(at, true);
        }
        assert_eq!(self.world.state(), State::Closed);
    }
}
