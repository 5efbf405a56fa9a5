//! Schedules about probes: how many there are while the store is there, and how often without it.

use std::time::Duration;

use super::{
    node::{Node, policy},
    schedule::Schedule,
    world::{Dice, World},
};
use crate::domain::{
    breaker::State,
    fleet::{alone::TRY, mind::LEASE},
};

const SECOND: Duration = Duration::from_secs(1);

/// For so long all leave it to the few, beyond the open time.
const LEFT_TO_FEW: Duration = Duration::from_secs(120);

impl Schedule {
    /// A fleet in which few try at a time must mean few of many.
    pub(super) fn of_dozens(seed: u64) -> Self {
        let mut dice = Dice(!seed);
        Self::of(World::of(20 + dice.below(40), Dice(seed)), dice)
    }

    /// The upstream comes and goes, answers take their time, and what instances know of the store may be
    /// some looks old: it is the store that lets one at a time try.
    pub(super) fn flickers(&mut self, seconds: u32) {
        // The first try comes soon: nothing is to be seen of an open time before.
        self.world.pass(policy().open_for - 5 * SECOND);
        for _ in 0..2 * seconds {
            let world = &mut self.world;
            world.is_up ^= self.dice.one_in(6);
            world.pass(SECOND / 2);
            world.beat();
            for at in 0..world.nodes.len() {
                for _ in 0..3 {
                    if self.dice.one_in(2) {
                        world.end_call(at, false);
                    } else {
                        let _passed = world.call(at);
                    }
                }
                if self.dice.one_in(2) {
                    world.look(at);
                }
                world.act(at, false);
            }
            self.check();
        }
    }

    /// Time passes with calls, while nobody can reach the store. Returns the probes that began in
    /// each second.
    pub(super) fn tries_alone(&mut self, span: Duration) -> Vec<u32> {
        let mut begun = Vec::new();
        for _ in 0..span.as_secs() {
            let before = self.world.probed;
            self.second();
            begun.push(self.world.probed - before);
        }
        begun
    }

    /// The store is away, the fleet is open, and the upstream stays away.
    pub(super) fn few_try_alone(&mut self) {
        self.is_orderly = false;
        self.store_goes_away();
        let now = self.world.now;
        let left = |node: &Node| node.breaker.local(now).shared.open_for;
        let longest = self.world.nodes.iter().map(left).max().unwrap_or_default();
        assert_eq!(self.tries_alone(longest).iter().sum::<u32>(), 0, "it is open for so long");

        // Those who have tried are open by themselves then, and wait for longer and longer.
        let count = u32::try_from(self.world.nodes.len()).unwrap();
        let begun = self.tries_alone(LEFT_TO_FEW - 2 * SECOND);
        let expected = TRY * u32::try_from(LEFT_TO_FEW.as_secs() / LEASE.as_secs()).unwrap();
        let total = begun.iter().sum::<u32>();
        assert!((1..=2 * expected).contains(&total), "{total} of {count} have tried: {begun:?}");

        let begun = self.tries_alone(2 * LEFT_TO_FEW);
        let most = begun.iter().max().copied().unwrap_or(0);
        assert!(most <= count / 4, "{most} of {count} try at once: {begun:?}");
    }

    /// All who cannot reach the store find out that the upstream is back.
    pub(super) fn all_find_out(&mut self) {
        self.world.is_up = true;
        for _ in 0..1_200 {
            self.second();
            let now = self.world.now;
            if self.world.nodes.iter().all(|node| node.breaker.snapshot(now).state == State::Closed)
            {
                return;
            }
        }
        panic!("after 20 minutes without the store: {:#?}", self.world.nodes);
    }
}
