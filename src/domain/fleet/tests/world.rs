//! The store, the upstream, the instances, and the time that passes for all of them.

use std::time::{Duration, Instant};

use super::node::{Node, terms};
use crate::domain::{
    breaker::State,
    fleet::{
        entry::{Entry, Moment, Speaker},
        mind::Step,
        row::Row,
        word::Word,
    },
    outcome::Verdict,
};

/// See the module's text.
pub(super) struct World {
    pub(super) now: Instant,
    /// The store's clock, which may jump.
    pub(super) clock: Moment,
    pub(super) entry: Entry,
    /// Transitions that were made, each with its event.
    pub(super) transitions: u64,
    pub(super) nodes: Vec<Node>,
    /// Those that the store believes to live, and until when by its clock.
    pub(super) heartbeats: Vec<(u32, Moment)>,
    pub(super) is_up: bool,
    pub(super) dice: Dice,
    /// Words on their way: who said them, for which epoch.
    late: Vec<(String, u64, Word)>,
}

/// A small generator of random numbers (the splitmix64 sequence).
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound.max(1) as u64).unwrap_or(0)
    }

    /// A small number.
    pub(super) fn count(&mut self, bound: u32) -> u32 {
        u32::try_from(self.roll() % u64::from(bound)).unwrap_or(0)
    }

    pub(super) fn ballot(&mut self) -> u32 {
        u32::try_from(self.roll() >> 32).unwrap_or(0)
    }

    pub(super) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let now = crate::clock::now();
        let count = 1 + dice.below(7);
        let nodes: Vec<Node> =
            (0..count).map(|n| Node::new(format!("node-{n}"), dice.ballot(), now)).collect();
        let mut world = Self {
            now,
            clock: 1_000_000_000_000,
            entry: Entry::default(),
            transitions: 0,
            nodes,
            heartbeats: Vec::new(),
            is_up: true,
            dice,
            late: Vec::new(),
        };
        world.beat();
        world
    }

    /// Time passes.
    pub(super) fn pass(&mut self, span: Duration) {
        self.now += span;
        self.clock += Moment::try_from(span.as_micros()).unwrap();
    }

    /// Everybody who can says that it lives.
    pub(super) fn beat(&mut self) {
        let until = self.clock + 15_000_000;
        for node in self.nodes.iter().filter(|node| !node.is_cut_off) {
            self.heartbeats.retain(|(ballot, _)| *ballot != node.ballot);
            self.heartbeats.push((node.ballot, until));
        }
    }

    fn members(&self) -> Vec<u32> {
        let live = self.heartbeats.iter().filter(|(_, until)| self.clock < *until);
        live.map(|(ballot, _)| *ballot).collect()
    }

    /// An instance reads the row, unless it cannot.
    pub(super) fn look(&mut self, at: usize) {
        let (clock, now) = (self.clock, self.now);
        let node = &mut self.nodes[at];
        if !node.is_cut_off {
            node.read = Some((self.entry.row(&node.name, clock), now));
        }
    }

    /// An instance does what it should, as far as it gets. `loses` says whether words get lost.
    pub(super) fn act(&mut self, at: usize, loses: bool) {
        for _ in 0..8 {
            let live = u32::try_from(self.members().len()).unwrap();
            let now = self.now;
            let dice = u128::from(self.dice.roll()) << 64 | u128::from(self.dice.roll());
            let node = &mut self.nodes[at];
            if node.is_cut_off {
                return;
            }
            let Some(row) = node.row(now) else { return };
            let (local, company) = (node.local(now), node.company(live));
            match node.mind.next((&terms(), &company), &local, &row, now, dice) {
                Step::Rest => return,
                Step::Adopt => drop(node.breaker.adopt(&row.shared(), now)),
                Step::TryOut => drop(node.breaker.try_out(now)),
                Step::StopTrying => drop(node.breaker.stop_trying(now)),
                Step::Say(word) => {
                    if loses && self.dice.one_in(6) {
                        // Lost, or only late.
                        let name = self.nodes[at].name.clone();
                        self.late.push((name, row.epoch, word));
                        return;
                    }
                    let name = self.nodes[at].name.clone();
                    self.say(&name, row.epoch, &word);
                    if loses && self.dice.one_in(6) {
                        // The answer is lost; a later look makes up for it.
                        return;
                    }
                    self.look(at);
                }
            }
        }
    }

    /// A word arrives that was thought to be lost.
    pub(super) fn say_late(&mut self) {
        if !self.late.is_empty() {
            let (name, epoch, word) = self.late.swap_remove(self.dice.below(self.late.len()));
            self.say(&name, epoch, &word);
        }
    }

    fn say(&mut self, instance: &str, epoch: u64, word: &Word) {
        let members = self.members();
        let before = self.entry.clone();
        let by = Speaker { instance, members: &members, now: self.clock };
        let is_done = self.entry.hear(epoch, word, by);
        let after = &self.entry;
        assert!(after.epoch == before.epoch || after.epoch == before.epoch + 1, "epochs by one");
        assert!(is_done || *after == before, "a word that is refused does nothing");
        if after.epoch != before.epoch {
            self.transitions += 1;
            assert!(is_legal(before.state, after.state), "{before:?} to {after:?} by {word:?}");
        }
        assert_eq!(self.transitions, after.epoch, "one event for each epoch");
    }

    /// A call of an instance ends as the upstream lets it.
    pub(super) fn end_call(&mut self, at: usize, is_cancelled: bool) {
        let (now, is_up) = (self.now, self.is_up);
        let count = self.nodes[at].calls.len();
        if count == 0 {
            return;
        }
        let call = self.dice.below(count);
        let node = &mut self.nodes[at];
        let verdict = match (is_cancelled, is_up && !node.is_sick) {
            (true, _) => Verdict::Neutral,
            (false, true) => Verdict::Success,
            (false, false) => Verdict::Failure,
        };
        node.end(call, verdict, now);
    }

    /// Probes that are at the upstream for the fleet.
    pub(super) fn probes(&self) -> usize {
        let probes = |node: &Node| node.calls.iter().filter(|call| call.is_probe).count();
        self.nodes.iter().map(probes).sum()
    }

    pub(super) fn row(&self) -> Row {
        self.entry.row("nobody", self.clock)
    }
}

fn is_legal(from: State, to: State) -> bool {
    use State::{Closed, HalfOpen, Open, Ramping};
    matches!(
        (from, to),
        (Closed | Ramping, Open)
            | (Open, HalfOpen | Open)
            | (HalfOpen, HalfOpen | Open | Ramping | Closed)
            | (Ramping, Closed)
    )
}
