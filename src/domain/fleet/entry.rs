//! A shared breaker as the store keeps it, and what every word to the store does to it.
//!
//! This is the protocol's rule book: each word is a compare-and-set on the epoch with guards, timed
//! by the store's clock alone. The SQL of a store says the same in its own language; a store without
//! a server applies this directly, and the simulator knows nothing else.

mod restore;

use std::{collections::BTreeMap, time::Duration};

use super::{
    electorate::{Electorate, Member},
    row::{Doubt, Hold, Round, Row},
    word::{LeaseId, Opening, Vote, Word},
};
use crate::domain::{
    breaker::{Cause, State},
    quorum::Quorum,
};

/// A moment by the store's clock, in microseconds.
pub type Moment = i64;

/// A round of voting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voting {
    /// Its number among those of this epoch.
    pub number: u64,
    /// How long it lasts.
    pub span: Span,
    /// Who may vote.
    pub electorate: Electorate,
    /// How the circuit opens if they agree.
    pub opening: Opening,
}

/// A time that has a beginning and an end. Before its beginning it is over as well: then the clock
/// was set back, and nothing may wait until it is there again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub from: Moment,
    /// When it ends.
    pub until: Moment,
}

impl Span {
    fn new(from: Moment, length: Duration) -> Self {
        Self { from, until: from + micros(length) }
    }

    /// What is left of it.
    fn left(self, now: Moment) -> Duration {
        if now < self.from { Duration::ZERO } else { span(self.until - now) }
    }

    fn is_over(self, now: Moment) -> bool {
        self.left(now).is_zero()
    }
}

/// A shared breaker. No entry is the same as a new one of the epoch that its reader knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The state's number. Grows with every transition, and falls only where the store goes back to
    /// an earlier copy.
    pub epoch: u64,
    /// When it entered the state; none where it never left the first.
    pub entered_at: Option<Moment>,
    /// The state.
    pub state: State,
    /// Why it is in this state.
    pub cause: Cause,
    /// How many times in a row it has opened.
    pub step: u32,
    /// The failures in a row that opened it.
    pub failure_count: u32,
    /// Whether a check may end it early.
    pub by_connection: bool,
    /// How long it is open.
    pub opened: Option<Span>,
    /// When its ramp began.
    pub ramp_started_at: Option<Moment>,
    /// The latest round of voting.
    pub round: Option<Voting>,
    /// How many could vote in the last one that was opened.
    pub electorate: u32,
    /// The prober: its lease, its name and for how long.
    pub lease: Option<(LeaseId, String, Span)>,
    /// Who said that the probe failed, and when; another has to confirm it.
    pub doubt: Option<(String, Moment)>,
    /// The latest vote of each instance in this epoch, and when.
    pub votes: BTreeMap<String, (Vote, Moment)>,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            epoch: 0,
            entered_at: None,
            state: State::Closed,
            cause: Cause::RampOver,
            step: 0,
            failure_count: 0,
            by_connection: false,
            opened: None,
            ramp_started_at: None,
            round: None,
            electorate: 0,
            lease: None,
            doubt: None,
            votes: BTreeMap::new(),
        }
    }
}

/// Who speaks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Speaker<'a> {
    /// The instance.
    pub instance: &'a str,
    /// All that live and have this breaker, the speaker among them.
    pub members: &'a [Member],
    /// The store's clock.
    pub now: Moment,
}

impl Entry {
    /// A new one.
    pub fn new(epoch: u64) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// Does what a word says, if its epoch is this one and its guards hold. Returns whether it did.
    pub fn hear(&mut self, epoch: u64, word: &Word, by: Speaker<'_>) -> bool {
        if epoch != self.epoch {
            return false;
        }
        match word {
            Word::Suspect { within, opening } => self.suspect(*within, *opening, by),
            Word::Vote(vote) => self.vote(*vote, by),
            Word::Trip { quorum } => self.trip(*quorum, by),
            Word::Acquire { lease, ttl, is_early } => self.acquire(*lease, *ttl, *is_early, by),
            Word::Renew { lease, ttl } => self.renew(*lease, *ttl, by),
            Word::Pass { lease, ramp } => self.pass(*lease, *ramp, by),
            Word::Fail { lease, opening } => self.fail(*lease, opening, by),
            Word::Confirm { opening, after } => self.confirm(opening, *after, by),
            Word::Release { lease } => self.release(*lease, by),
            Word::Close { ramp } => self.close(*ramp, by),
            Word::Reset => self.reset(by.now),
            Word::Restore(known) => self.restore(known, by.now),
        }
    }

    /// As it reads now.
    pub fn row(&self, instance: &str, now: Moment) -> Row {
        let opened = self.opened.filter(|_| self.is_open());
        let round = self.round.filter(|round| !round.span.is_over(now));
        let lease = self.lease.as_ref().filter(|(_, _, span)| !span.is_over(now));
        Row {
            epoch: self.epoch,
            state: self.state,
            cause: self.cause,
            step: self.step,
            failure_count: self.failure_count,
            by_connection: self.by_connection,
            open_for: opened.map_or(Duration::ZERO, |span| span.left(now)),
            ramp_age: self.ramp_started_at.map_or(Duration::ZERO, |from| age(from, now)),
            electorate: self.electorate,
            round: round.map(|round| Round {
                number: round.number,
                left: round.span.left(now),
                electorate: round.electorate,
            }),
            hold: lease.map(|(lease, holder, span)| Hold {
                lease: *lease,
                is_mine: holder == instance,
                left: span.left(now),
            }),
            doubt: self
                .doubt
                .as_ref()
                .map(|(who, at)| Doubt { is_mine: who == instance, age: age(*at, now) }),
        }
    }

    const fn is_open(&self) -> bool {
        matches!(self.state, State::Open | State::HalfOpen)
    }

    /// Opens a round of voting, unless one is open.
    fn suspect(&mut self, within: Duration, opening: Opening, by: Speaker<'_>) -> bool {
        if self.is_open() || self.is_voting(by.now) {
            return false;
        }
        let number = self.round.map_or(0, |round| round.number) + 1;
        let electorate = Electorate::of(by.members, self.epoch);
        self.electorate = electorate.size;
        self.round = Some(Voting { number, span: Span::new(by.now, within), electorate, opening });
        true
    }

    fn vote(&mut self, vote: Vote, by: Speaker<'_>) -> bool {
        let is_voting = self.is_voting(by.now);
        if is_voting {
            self.votes.insert(by.instance.to_owned(), (vote, by.now));
        }
        is_voting
    }

    /// Opens, if the votes of the round that is open suffice.
    fn trip(&mut self, quorum: Quorum, by: Speaker<'_>) -> bool {
        let Some(Voting { span, electorate, opening, .. }) = self.round else { return false };
        if self.is_open() || span.is_over(by.now) {
            return false;
        }
        let count = |kind: Vote| {
            let is_of_round = |at: Moment| (span.from..span.until).contains(&at);
            let of_round = self.votes.values().filter(|(v, at)| *v == kind && is_of_round(*at));
            u32::try_from(of_round.count()).unwrap_or(u32::MAX)
        };
        if count(Vote::Bad) < quorum.needed(electorate.size, count(Vote::Abstain)) {
            return false;
        }
        self.open(&opening, opening.cause, by.now);
        true
    }

    fn acquire(&mut self, lease: LeaseId, ttl: Duration, is_early: bool, by: Speaker<'_>) -> bool {
        let is_over =
            self.opened.is_none_or(|span| span.is_over(by.now)) || (is_early && self.by_connection);
        let is_held = self.has_prober(by.now);
        let is_doubter = self.doubt.as_ref().is_some_and(|(who, _)| who == by.instance);
        if !self.is_open() || !is_over || is_held || is_doubter {
            return false;
        }
        self.lease = Some((lease, by.instance.to_owned(), Span::new(by.now, ttl)));
        self.enter(State::HalfOpen, Cause::OpenTimeOver, by.now);
        true
    }

    fn renew(&mut self, lease: LeaseId, ttl: Duration, by: Speaker<'_>) -> bool {
        if !self.is_held(lease, by) {
            return false;
        }
        self.lease = Some((lease, by.instance.to_owned(), Span::new(by.now, ttl)));
        true
    }

    fn pass(&mut self, lease: LeaseId, ramp: Duration, by: Speaker<'_>) -> bool {
        if !self.is_held(lease, by) {
            return false;
        }
        self.end_outage();
        if ramp.is_zero() {
            self.enter(State::Closed, Cause::ProbesSucceeded, by.now);
        } else {
            self.ramp_started_at = Some(by.now);
            self.enter(State::Ramping, Cause::ProbesSucceeded, by.now);
        }
        true
    }

    /// The first failure frees the lease for another instance's opinion; the second, or the only
    /// one that there can be, opens again.
    fn fail(&mut self, lease: LeaseId, opening: &Opening, by: Speaker<'_>) -> bool {
        if !self.is_held(lease, by) {
            return false;
        }
        self.lease = None;
        if self.doubt.is_some() || by.members.len() <= 1 {
            self.open(opening, Cause::ProbeFailed, by.now);
        } else {
            self.doubt = Some((by.instance.to_owned(), by.now));
            self.enter(State::Open, Cause::ProbeFailed, by.now);
        }
        true
    }

    /// Nobody gave a second opinion in time: the first one stands.
    fn confirm(&mut self, opening: &Opening, after: Duration, by: Speaker<'_>) -> bool {
        let is_late =
            self.doubt.as_ref().is_some_and(|(_, at)| Span::new(*at, after).is_over(by.now));
        if !self.is_open() || !is_late || self.has_prober(by.now) {
            return false;
        }
        self.open(opening, Cause::ProbeFailed, by.now);
        true
    }

    /// The prober could not try.
    fn release(&mut self, lease: LeaseId, by: Speaker<'_>) -> bool {
        if !self.is_held(lease, by) {
            return false;
        }
        self.lease = None;
        self.enter(State::Open, Cause::OpenTimeOver, by.now);
        true
    }

    fn close(&mut self, ramp: Duration, by: Speaker<'_>) -> bool {
        let is_over = self.ramp_started_at.is_some_and(|at| Span::new(at, ramp).is_over(by.now));
        if self.state != State::Ramping || !is_over {
            return false;
        }
        self.ramp_started_at = None;
        self.enter(State::Closed, Cause::RampOver, by.now);
        true
    }

    fn open(&mut self, opening: &Opening, cause: Cause, now: Moment) {
        self.opened = Some(Span::new(now, opening.open_for));
        (self.step, self.failure_count) = (opening.step, opening.failure_count);
        self.by_connection = opening.by_connection;
        (self.lease, self.doubt, self.ramp_started_at) = (None, None, None);
        self.enter(State::Open, cause, now);
    }

    fn reset(&mut self, now: Moment) -> bool {
        if self.state == State::Closed {
            return false;
        }
        self.end_outage();
        (self.step, self.ramp_started_at) = (0, None);
        self.enter(State::Closed, Cause::Override, now);
        true
    }

    fn end_outage(&mut self) {
        (self.opened, self.lease, self.doubt) = (None, None, None);
    }

    /// The only change of state, but for what was forgotten.
    fn enter(&mut self, state: State, cause: Cause, now: Moment) {
        self.epoch += 1;
        self.entered_at = Some(now);
        (self.state, self.cause, self.round) = (state, cause, None);
        self.votes.clear();
    }

    fn is_held(&self, lease: LeaseId, by: Speaker<'_>) -> bool {
        let is_this = |(held, holder, span): &(LeaseId, String, Span)| {
            *held == lease && holder == by.instance && !span.is_over(by.now)
        };
        self.state == State::HalfOpen && self.lease.as_ref().is_some_and(is_this)
    }

    fn has_prober(&self, now: Moment) -> bool {
        self.lease.as_ref().is_some_and(|(_, _, span)| !span.is_over(now))
    }

    fn is_voting(&self, now: Moment) -> bool {
        self.round.is_some_and(|round| !round.span.is_over(now))
    }
}

pub(super) fn micros(span: Duration) -> Moment {
    Moment::try_from(span.as_micros()).unwrap_or(Moment::MAX / 4)
}

/// The time up to a moment; none when it is past.
pub(super) fn span(micros: Moment) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// How long something has been; for ever if it began later than now, for the clock was set back.
fn age(from: Moment, now: Moment) -> Duration {
    if now < from { Duration::MAX / 4 } else { span(now - from) }
}
