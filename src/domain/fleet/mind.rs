//! What one instance does next about one shared breaker.
//!
//! State-based: the decision looks at what the circuit says now and at what the store says now, so
//! words may be lost, doubled or late, and after an outage of the store one look puts everything
//! right. What is remembered is only what this instance has said already, so as not to repeat it, and
//! what the store must not forget.

use std::time::{Duration, Instant};

pub use super::terms::Terms;
use super::{
    electorate::Electorate,
    memory::Memory,
    row::{Hold, Round, Row},
    turn::{self, Turn},
    word::{LeaseId, Opening, Vote, Word},
};
use crate::domain::{
    breaker::{Evidence, Heard, Shared, State},
    quorum::Quorum,
};

/// An electorate as small as this is no sample.
const ALL_VOTE: u32 = 40;
/// How long a prober's lease holds when it is not renewed.
pub const LEASE: Duration = Duration::from_secs(10);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// For so long a prober waits for a call to try the upstream with, when another may have one.
const NO_CALLS: Duration = Duration::from_secs(30);
/// Who has had calls within this stands for prober,
const CALLS_WITHIN: Duration = Duration::from_secs(600);
/// and who has had none just now does so a little later than others.
const CALLS_NOW: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_secs(2);
/// After so long without a second opinion the first one stands.
pub const NO_SECOND_OPINION: Duration = Duration::from_secs(20);
/// Of a fleet so many times as large as the last vote was, that may be all who have the breaker now.
const MAY_HAVE_GROWN: u32 = 8;
/// The longest time between two doubts of an instance that nobody shares.
const MOST_SUSPECT_EVERY: Duration = Duration::from_secs(60);

/// The circuit of this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// What it would share.
    pub shared: Shared,
    /// What it has seen itself.
    pub evidence: Evidence,
    /// When it last heard how the upstream does.
    pub heard: Heard,
    /// It tries the upstream for the fleet.
    pub is_trying: bool,
    /// How long ago something came to try the upstream with, a call or a check.
    pub wanted: Option<Duration>,
    /// What opened the circuit has been disproved since: a check has connected, or a call was
    /// answered, where calls that hang opened it.
    pub has_connected: bool,
    /// Calls pass here again, and have succeeded since the outage began.
    pub has_recovered: bool,
}

/// The fleet as this instance knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Company {
    /// The number that this instance has drawn.
    pub ballot: u32,
    /// How many live.
    pub live: u32,
    /// Whether all who live had the time to say so: before that nobody asks for a vote, for it would
    /// count too few.
    pub is_settled: bool,
    /// Since when this instance is counted among those who vote.
    pub counted_since: Option<Instant>,
    /// How long a look at the store may be old.
    pub poll_every: Duration,
}

impl Company {
    /// How many of them have this breaker, as far as that is known: a vote in a small fleet counts
    /// them, one in a large fleet takes a sample. A vote may have been long ago.
    fn having(&self, row: &Row) -> u32 {
        let is_all = (1..ALL_VOTE).contains(&row.electorate);
        if is_all { row.electorate.max(self.live / MAY_HAVE_GROWN) } else { self.live }
    }

    /// How long a round of voting goes on: everybody is to hear of it and to answer.
    fn asked_within(&self) -> Duration {
        (2 * self.poll_every + Duration::from_secs(1)).max(Duration::from_secs(5))
    }

    /// How long this instance waits before it does what one of those who have the breaker is to do,
    /// and how far it is from there to its next time.
    fn turn(&self, row: &Row, dice: u128) -> (Duration, Duration) {
        (turn::delay(self.having(row), self, dice), turn::spread(self))
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing for now.
    Rest,
    /// The circuit takes over what the row says.
    Adopt,
    /// The circuit tries the upstream for the fleet.
    TryOut,
    /// The circuit stops trying.
    StopTrying,
    /// Say this, for the row's epoch.
    Say(Word),
}

/// What this instance has said about one breaker. See the module's text.
#[derive(Debug, Clone, Default)]
pub struct Mind {
    /// When it may doubt again, and how long it waited the last time.
    suspect: Option<(Instant, Duration)>,
    /// Its vote: epoch, round and what.
    voted: Option<(u64, u64, Vote)>,
    /// The round that it knows of, by epoch and number, and since when.
    round: Option<(u64, u64, Instant)>,
    /// The round that was open, by epoch and number, when it was not counted yet: it has no vote there.
    not_of: Option<(u64, u64)>,
    /// Votes are to be counted.
    is_count_due: bool,
    probing: Option<Probing>,
    /// When it tries to end what is over: to be the prober, or to close after a ramp.
    turn: Turn,
    /// What the store said.
    memory: Memory,
}

/// What it holds as the prober.
#[derive(Debug, Clone, Copy)]
struct Probing {
    lease: LeaseId,
    /// None until it tries.
    since: Option<Instant>,
    renew_at: Instant,
    /// Its circuit had closed already, by probes of its own.
    has_recovered: bool,
}

impl Mind {
    /// What to do now. `dice` is random.
    pub fn next(
        &mut self,
        (terms, company): (&Terms, &Company),
        local: &Local,
        row: &Row,
        now: Instant,
        dice: u128,
    ) -> Step {
        if let Some(forgotten) = self.memory.hear(row, now) {
            return Step::Say(Word::Restore(forgotten));
        }
        if row.epoch > local.shared.epoch {
            return Step::Adopt;
        }
        if row.epoch < local.shared.epoch {
            return Step::Rest;
        }
        match row.state {
            State::Closed | State::Ramping => {
                self.while_passing((terms, company), local, row, (now, dice))
            }
            State::Open | State::HalfOpen => {
                self.while_open(terms, company, local, row, (now, dice))
            }
        }
    }

    /// Whether its lease is over, by its own clock, which nobody could renew for it: another may be
    /// the prober by now.
    pub fn loses_lease(&mut self, row: &Row) -> bool {
        let is_held = |probing: &mut Probing| {
            row.hold.is_some_and(|hold| hold.is_mine && hold.lease == probing.lease)
        };
        self.probing.take_if(|probing| !is_held(probing)).is_some()
    }

    /// What it means that the store shows no row to one that knows of this epoch.
    pub fn unseen(&self, epoch: u64) -> Row {
        self.memory.unseen(epoch)
    }

    /// Calls pass: shall they?
    fn while_passing(
        &mut self,
        (terms, company): (&Terms, &Company),
        local: &Local,
        row: &Row,
        (now, dice): (Instant, u128),
    ) -> Step {
        self.probing = None;
        if local.evidence != Evidence::Bad {
            self.suspect = None;
        }
        if let Some(round) = row.round {
            return self.in_round((terms, company), local, (row.epoch, round), now);
        }
        // A store that went back counts its rounds from there.
        (self.voted, self.round) = (None, None);
        if local.evidence == Evidence::Bad {
            if !company.is_settled {
                return Step::Rest;
            }
            return self.doubt(company, row.epoch, terms.opening(&local.shared), now);
        }
        let is_over = row.state == State::Ramping && row.ramp_age >= terms.ramp;
        if is_over && self.turn.has_come(row.epoch, company.turn(row, dice), now) {
            return Step::Say(Word::Close { ramp: terms.ramp });
        }
        Step::Rest
    }

    /// Opens a round; more and more rarely while nobody shares the doubt. In a large fleet those
    /// who will vote go first, and others look whether they do: an outage that all notice makes as
    /// many doubt as vote, not all.
    fn doubt(&mut self, company: &Company, epoch: u64, opening: Opening, now: Instant) -> Step {
        let goes_first = Electorate::would_admit(company.live, company.ballot, epoch);
        if self.suspect.is_none() && !goes_first {
            self.suspect = Some((now + company.poll_every * 3 / 2, Duration::ZERO));
        }
        let within = company.asked_within();
        let wait = match self.suspect {
            Some((at, _)) if now < at => return Step::Rest,
            Some((_, wait)) => (2 * wait).min(MOST_SUSPECT_EVERY).max(within),
            None => within,
        };
        self.suspect = Some((now + wait, wait));
        Step::Say(Word::Suspect { within, opening })
    }

    /// Votes as its own circuit says; one that hears of nothing but failures since others doubt does
    /// not wait for all that it takes to open its own.
    fn in_round(
        &mut self,
        (terms, company): (&Terms, &Company),
        local: &Local,
        (epoch, round): (u64, Round),
        now: Instant,
    ) -> Step {
        // It was not among those who were counted when the round began, or may not have been: both were
        // at the same time.
        let age = company.asked_within().saturating_sub(round.left);
        let is_counted =
            company.counted_since.is_some_and(|since| now.saturating_duration_since(since) > age);
        if !is_counted {
            self.not_of = Some((epoch, round.number));
        }
        if self.not_of == Some((epoch, round.number)) {
            return Step::Rest;
        }
        let since = match self.round {
            Some((of, number, since)) if (of, number) == (epoch, round.number) => since,
            _ => now,
        };
        self.round = Some((epoch, round.number, since));
        let vote = match local.evidence {
            _ if local.heard.only_failures_since(since) => Vote::Bad,
            Evidence::Bad => Vote::Bad,
            Evidence::Good => Vote::Good,
            Evidence::Abstains => Vote::Abstain,
        };
        let is_voter = round.electorate.admits(company.ballot, epoch)
            || (is_absolute(terms.quorum) && vote == Vote::Bad);
        let said = Some((epoch, round.number, vote));
        if is_voter && self.voted != said {
            self.voted = said;
            // Who says "good" makes nobody open.
            self.is_count_due = vote != Vote::Good;
            return Step::Say(Word::Vote(vote));
        }
        if std::mem::take(&mut self.is_count_due) {
            return Step::Say(Word::Trip { quorum: terms.quorum });
        }
        Step::Rest
    }

    /// Calls are refused: is it time to try?
    fn while_open(
        &mut self,
        terms: &Terms,
        company: &Company,
        local: &Local,
        row: &Row,
        (now, dice): (Instant, u128),
    ) -> Step {
        (self.voted, self.is_count_due, self.suspect) = (None, false, None);
        if let Some(probing) = self.probing {
            // Whoever was alone when it opened need not be any more.
            let has_others = company.live > 1;
            return match row.hold {
                Some(hold) if hold.is_mine && hold.lease == probing.lease => {
                    self.probe((terms, has_others), local, (hold, probing), now)
                }
                _ => {
                    self.probing = None;
                    if local.is_trying { Step::StopTrying } else { Step::Rest }
                }
            };
        }
        if local.is_trying {
            return Step::StopTrying;
        }
        let is_early = row.by_connection && local.has_connected;
        if row.hold.is_some() || !(row.open_for.is_zero() || is_early) {
            return Step::Rest;
        }
        // One that has recovered while it could not ask knows that the upstream answers.
        let has_recovered = local.has_recovered;
        if row.doubt.is_some_and(|doubt| doubt.age >= NO_SECOND_OPINION) {
            if !self.turn.has_come(row.epoch, company.turn(row, dice), now) {
                return Step::Rest;
            }
            let opening = terms.reopening(row, dice);
            return Step::Say(Word::Confirm { opening, after: NO_SECOND_OPINION });
        }
        let is_own_doubt = row.doubt.is_some_and(|doubt| doubt.is_mine);
        let is_wanted = local.wanted.is_some_and(|ago| ago <= CALLS_WITHIN);
        if (is_wanted || has_recovered) && !is_own_doubt {
            // Those who have had calls just now go before the others. Whoever is alone with its breaker
            // is ready for the first call: one that comes through it to be tried may be the try of
            // another circuit, further up, which would fail with it.
            let has_calls = local.wanted.is_some_and(|ago| ago <= CALLS_NOW);
            let is_alone = company.having(row) <= 1;
            let (delay, again) = company.turn(row, dice);
            let later = if has_calls || is_alone { Duration::ZERO } else { LATER };
            if self.turn.has_come(row.epoch, (later + delay, again), now) {
                let renew_at = now + RENEW_EVERY;
                self.probing = Some(Probing { lease: dice, since: None, renew_at, has_recovered });
                return Step::Say(Word::Acquire { lease: dice, ttl: LEASE, is_early });
            }
        }
        Step::Rest
    }

    /// This instance is the prober.
    fn probe(
        &mut self,
        (terms, has_others): (&Terms, bool),
        local: &Local,
        (hold, probing): (Hold, Probing),
        now: Instant,
    ) -> Step {
        let lease = hold.lease;
        if probing.has_recovered {
            return Step::Say(Word::Pass { lease, ramp: terms.ramp });
        }
        let Some(since) = probing.since else {
            self.probing = Some(Probing { since: Some(now), ..probing });
            return Step::TryOut;
        };
        if local.is_trying {
            let had_calls = local.wanted.is_some_and(|ago| ago <= NO_CALLS);
            let has_waited = now.saturating_duration_since(since) >= NO_CALLS;
            if has_others && !had_calls && has_waited {
                return Step::Say(Word::Release { lease });
            }
            if now >= probing.renew_at {
                self.probing = Some(Probing { renew_at: now + RENEW_EVERY, ..probing });
                return Step::Say(Word::Renew { lease, ttl: LEASE });
            }
            return Step::Rest;
        }
        Step::Say(match local.shared.state {
            State::Ramping | State::Closed => Word::Pass { lease, ramp: terms.ramp },
            State::Open | State::HalfOpen => {
                Word::Fail { lease, opening: terms.opening(&local.shared) }
            }
        })
    }
}

/// Whether everyone who says bad counts, in the sample or not: numbers are not to be sampled.
const fn is_absolute(quorum: Quorum) -> bool {
    matches!(quorum, Quorum::Any | Quorum::Count(_))
}
