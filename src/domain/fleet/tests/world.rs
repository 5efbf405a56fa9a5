//! The store, the upstream, the instances, and the time that passes for all of them.

use std::time::{Duration, Instant};

use super::{
    node::{Call, Node, terms},
    orders::Serial,
};
use crate::domain::{
    breaker::{Refusal, State},
    fleet::{
        alone::{self, Alone},
        decree::OrderBook,
        entry::{Entry, Moment, Speaker, micros},
        memory::Known,
        mind::Step,
        row::Row,
        word::Word,
    },
    outcome::Verdict,
};

/// What has changed is shown for so long after the last look, and to whoever has not looked for long.
const OVERLAP: Duration = Duration::from_secs(10);
const LONG_AGO: Duration = Duration::from_secs(150);

/// See the module's text.
pub(super) struct World {
    pub(super) now: Instant,
    /// The store's clock, which may jump.
    pub(super) clock: Moment,
    /// What the store has of the breaker.
    pub(super) entry: Option<Entry>,
    /// What it has of orders about it.
    pub(super) book: OrderBook,
    /// When it changed, by the store's clock.
    pub(super) changed_at: Moment,
    /// What all that was when it was copied; it may go back to that.
    copies: Vec<(Option<Entry>, OrderBook, Moment)>,
    /// Orders that were given, or lifted, so far.
    pub(super) ordered: Serial,
    /// Probes that began since the circuit last opened anew, or closed.
    pub(super) tried: u32,
    /// Calls that an instance has tried the upstream with, for the fleet or by itself.
    pub(super) probed: u32,
    pub(super) nodes: Vec<Node>,
    /// Those that the store believes to live, and when they said so by its clock.
    heartbeats: Vec<Heartbeat>,
    pub(super) is_up: bool,
    pub(super) dice: Dice,
    /// Words on their way: who said them, for which epoch.
    late: Vec<(String, u64, Word)>,
}

/// An instance has said that it lives.
#[derive(Debug, Clone, Copy)]
struct Heartbeat {
    ballot: u32,
    /// Whether it follows its rules.
    votes: bool,
    at: Moment,
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
        let count = 1 + dice.below(7);
        Self::of(count, dice)
    }

    /// A fleet of so many.
    pub(super) fn of(count: usize, mut dice: Dice) -> Self {
        let now = crate::clock::now();
        let nodes: Vec<Node> =
            (0..count).map(|n| Node::new(format!("node-{n}"), dice.ballot(), now)).collect();
        let mut world = Self {
            now,
            clock: 1_000_000_000_000,
            entry: None,
            book: OrderBook::default(),
            changed_at: 0,
            copies: vec![(None, OrderBook::default(), 0)],
            ordered: 0,
            tried: 0,
            probed: 0,
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
        for node in &mut self.nodes {
            node.wait(self.now);
            node.ends_order(self.now);
        }
    }

    /// Everybody who can says that it lives.
    pub(super) fn beat(&mut self) {
        for at in 0..self.nodes.len() {
            self.beat_of(at);
        }
    }

    fn beat_of(&mut self, at: usize) {
        let node = &self.nodes[at];
        if !node.is_cut_off {
            let (ballot, votes, at) = (node.ballot, node.votes(self.now), self.clock);
            self.heartbeats.retain(|beat| beat.ballot != ballot);
            self.heartbeats.push(Heartbeat { ballot, votes, at });
        }
    }

    fn live(&self) -> impl Iterator<Item = &Heartbeat> {
        let lives = |at: Moment| (at..at + 15_000_000).contains(&self.clock);
        self.heartbeats.iter().filter(move |beat| lives(beat.at))
    }

    fn members(&self) -> Vec<u32> {
        self.live().filter(|beat| beat.votes).map(|beat| beat.ballot).collect()
    }

    /// An instance reads the row, unless it cannot. What has been quiet for long is not shown.
    pub(super) fn look(&mut self, at: usize) {
        let node = &self.nodes[at];
        let ago = node.read.as_ref().map(|(_, read_at)| self.now - *read_at);
        let within = ago.filter(|ago| *ago < LONG_AGO).map(|ago| micros(ago + OVERLAP));
        let has_order = self.book.told(self.clock).0.is_some();
        let is_recent = within.is_none_or(|within| self.changed_at > self.clock - within);
        self.read(at, within.is_none(), |entry, row| {
            let is_voted_on = row.round.is_some();
            is_recent || has_order || entry.state != State::Closed || is_voted_on
        });
    }

    /// It reads the row if that is shown; `is_all` tells that it asked for all that there are.
    fn read(&mut self, at: usize, is_all: bool, is_shown: impl FnOnce(&Entry, &Row) -> bool) {
        let (clock, now) = (self.clock, self.now);
        let node = &mut self.nodes[at];
        if node.is_cut_off {
            return;
        }
        node.alone = Alone::default();
        let row = self.entry.as_ref().map(|entry| (entry, entry.row(&node.name, clock)));
        let row = row.filter(|(entry, row)| is_shown(entry, row)).map(|(_, row)| row);
        let told = row.as_ref().map(|_| self.book.told(clock));
        let told = told.or_else(|| is_all.then_some((None, 0)));
        node.read = Some((row, now));
        let heed = node.desk.hear(told, now);
        node.obey(heed, now);
    }

    /// An instance does what it should, as far as it gets. `loses` says whether words get lost.
    pub(super) fn act(&mut self, at: usize, loses: bool) {
        if self.nodes[at].is_cut_off {
            self.act_alone(at);
        } else if self.tell_order(at, loses) {
            self.advance(at, loses);
            self.remind(at, loses);
            if self.nodes[at].notes_vote(self.now) {
                self.beat_of(at);
            }
        }
    }

    /// What one does that cannot ask.
    fn act_alone(&mut self, at: usize) {
        let (now, dice) = (self.now, self.dice.ballot());
        let live = u32::try_from(self.nodes.len()).unwrap();
        let node = &mut self.nodes[at];
        let Some(row) = node.row(now) else { return };
        if node.mind.loses_lease(&row) {
            node.breaker.stop_trying(now);
        }
        if node.alone.draws(now) && node.waits_for_fleet(now) && alone::tries(live, dice) {
            node.breaker.try_out(now);
        }
    }

    fn advance(&mut self, at: usize, loses: bool) {
        for _ in 0..8 {
            let live = u32::try_from(self.live().count()).unwrap();
            let now = self.now;
            let dice = u128::from(self.dice.roll()) << 64 | u128::from(self.dice.roll());
            let node = &mut self.nodes[at];
            let Some(row) = node.row(now) else { return };
            if node.notes_vote(now) {
                self.beat_of(at);
            }
            let node = &mut self.nodes[at];
            let is_automatic = node.votes(now);
            let (local, company) = (node.local(now), node.company(live, now));
            match node.mind.next((&terms(), &company), &local, &row, now, dice) {
                Step::Rest => return,
                Step::Adopt => drop(node.breaker.adopt(&row.shared(), now)),
                Step::TryOut => drop(node.breaker.try_out(now)),
                Step::StopTrying => drop(node.breaker.stop_trying(now)),
                // What a circuit would do is not what it does: only in automatic mode is it news.
                Step::Say(word) if !is_automatic && !matches!(word, Word::Restore(_)) => return,
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
                    self.read(at, false, |_, _| true);
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
            self.notes_move(&before, &after);
            self.entry = Some(after);
        }
    }

    /// A new open time, or the end of one: probes are counted anew.
    fn notes_move(&mut self, before: &Entry, after: &Entry) {
        if after.epoch != before.epoch {
            self.changed_at = self.clock;
        }
        let has_ended = matches!(after.state, State::Closed | State::Ramping);
        if has_ended || after.opened != before.opened {
            self.tried = 0;
        }
    }

    /// A call comes to an instance; whether it passes.
    pub(super) fn call(&mut self, at: usize) -> Result<(), Refusal> {
        let passed = self.nodes[at].call(self.now);
        let admitted = self.nodes[at].calls.last().filter(|_| passed.is_ok());
        let is_try = |call: &Call| call.permit.state() == State::HalfOpen;
        self.tried += u32::from(admitted.is_some_and(|call| call.is_probe));
        self.probed += u32::from(admitted.is_some_and(is_try));
        passed
    }

    /// The store is copied, as for a backup or a standby.
    pub(super) fn copy_store(&mut self) {
        self.copies.push((self.entry.clone(), self.book.clone(), self.changed_at));
    }

    /// It goes back to a copy, the empty one perhaps.
    pub(super) fn lose_store(&mut self) {
        let copy = self.copies[self.dice.below(self.copies.len())].clone();
        (self.entry, self.book, self.changed_at) = copy;
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
