//! The store, the upstream, the instances, and the time that passes for all of them.

use std::time::{Duration, Instant};

use super::node::{Node, terms};
use crate::domain::{
    breaker::State,
    fleet::{
        entry::{Entry, Moment, Speaker},
        memory::Known,
        mind::Step,
        word::Word,
    },
    outcome::Verdict,
};

/// See the module's text.
pub(super) struct World {
    pub(super) now: Instant,
    /// The store's clock, which may jump.
    pub(super) clock: Moment,
    /// What the store has of the breaker.
    pub(super) entry: Option<Entry>,
    /// What it was when it was copied; it may go back to that.
    copies: Vec<Option<Entry>>,
    pub(super) nodes: Vec<Node>,
    /// Those that the store believes to live, and when they said so by its clock.
    heartbeats: Vec<(u32, Moment)>,
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
            entry: None,
            copies: vec![None],
            nodes,
            heartbeats: Vec::new(),
            is_up: true,
            dice,
            late: Vec::new(),
        };
        world.beat();
        world
    }

    /// Time passes, and calls that have not ended wait for longer.
    pub(super) fn pass(&mut self, span: Duration) {
        self.now += span;
        self.clock += Moment::try_from(span.as_micros()).unwrap();
        self.nodes.iter_mut().for_each(|node| node.wait(self.now));
    }

    /// Everybody who can says that it lives.
    pub(super) fn beat(&mut self) {
        for node in self.nodes.iter().filter(|node| !node.is_cut_off) {
            self.heartbeats.retain(|(ballot, _)| *ballot != node.ballot);
            self.heartbeats.push((node.ballot, self.clock));
        }
    }

    fn members(&self) -> Vec<u32> {
        let lives = |at: Moment| (at..at + 15_000_000).contains(&self.clock);
        let live = self.heartbeats.iter().filter(|(_, at)| lives(*at));
        live.map(|(ballot, _)| *ballot).collect()
    }

    /// An instance reads the row, unless it cannot.
    pub(super) fn look(&mut self, at: usize) {
        let (clock, now) = (self.clock, self.now);
        let node = &mut self.nodes[at];
        if !node.is_cut_off {
            let row = self.entry.as_ref().map(|entry| entry.row(&node.name, clock));
            node.read = Some((row, now));
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
            let (local, company) = (node.local(now), node.company(live, now));
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
        let before = self.entry.clone().unwrap_or_else(|| Entry::new(epoch));
        let mut after = before.clone();
        let by = Speaker { instance, members: &members, now: self.clock };
        let is_done = after.hear(epoch, word, by);
        assert!(is_done || after == before, "a word that is refused does nothing");
        let told = format!("{before:?} to {after:?} by {word:?}");
        if let Word::Restore(known) = word {
            assert!(!is_done || after.epoch >= known.shared.epoch, "{told}");
            assert!(is_fair(&before, &after, known), "{told}");
        } else if after.epoch != before.epoch {
            assert!(after.epoch == before.epoch + 1, "{told}");
            assert!(is_legal(before.state, after.state), "{told}");
        }
        if is_done {
            self.entry = Some(after);
        }
    }

    /// The store is copied, as for a backup or a standby.
    pub(super) fn copy_store(&mut self) {
        self.copies.push(self.entry.clone());
    }

    /// It goes back to a copy, the empty one perhaps.
    pub(super) fn lose_store(&mut self) {
        self.entry = self.copies[self.dice.below(self.copies.len())].clone();
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

    /// The state in the store; closed where it has none.
    pub(super) fn state(&self) -> State {
        self.entry.as_ref().map_or(State::Closed, |entry| entry.state)
    }
}

/// Whether what was put back refuses only calls that were refused before, unless an open circuit
/// whose time is not over is put back.
fn is_fair(before: &Entry, after: &Entry, known: &Known) -> bool {
    let severity = |state| match state {
        State::Closed => 0,
        State::Ramping => 1,
        State::Open | State::HalfOpen => 2,
    };
    let is_in_force = after.state == State::Open && !known.shared.open_for.is_zero();
    severity(after.state) <= severity(before.state) || is_in_force
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
