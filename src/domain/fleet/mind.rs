//! What one instance does next about one shared breaker.
//!
//! State-based: the decision looks at what the circuit says now and at what the store says now, so
//! words may be lost, doubled or late, and after an outage of the store one look puts everything
//! right. What is remembered is only what this instance has said already, so as not to repeat it.

use std::time::{Duration, Instant};

use super::{
    row::{Hold, Round, Row},
    word::{LeaseId, Opening, Vote, Word},
};
use crate::domain::{
    breaker::{Cause, Evidence, Heard, Policy, Shared, State},
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
/// How far those who want to probe stand apart.
const SPREAD: Duration = Duration::from_millis(500);
/// As many try to be the prober at once, about.
const CANDIDATES: u64 = 8;
/// The longest time between two doubts of an instance that nobody shares.
const MOST_SUSPECT_EVERY: Duration = Duration::from_secs(60);

/// What is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The first open time, and the longest.
    pub open_for: Duration,
    /// See above.
    pub open_for_max: Duration,
    /// How long the share of calls grows after an outage.
    pub ramp: Duration,
    /// How many have to say "bad".
    pub quorum: Quorum,
}

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
    /// A check has connected since the circuit opened.
    pub has_connected: bool,
}

/// The fleet as this instance knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Company {
    /// The number that this instance has drawn.
    pub ballot: u32,
    /// How many live.
    pub live: u32,
    /// How long a look at the store may be old.
    pub poll_every: Duration,
}

impl Company {
    /// How many of them have this breaker, as far as that is known: a vote in a small fleet counts
    /// them, one in a large fleet takes a sample.
    fn having(&self, row: &Row) -> u32 {
        let is_all = (1..ALL_VOTE).contains(&row.electorate);
        if is_all { row.electorate } else { self.live }
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
    /// Votes are to be counted.
    is_count_due: bool,
    probing: Option<Probing>,
    /// The open time that is over, by its epoch, and when it will try to be the prober.
    candidacy: Option<(u64, Instant)>,
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
        if row.epoch > local.shared.epoch {
            return Step::Adopt;
        }
        if row.epoch < local.shared.epoch {
            return Step::Rest;
        }
        match row.state {
            State::Closed | State::Ramping => self.while_passing(terms, company, local, row, now),
            State::Open | State::HalfOpen => {
                self.while_open(terms, company, local, row, (now, dice))
            }
        }
    }

    /// Calls pass: shall they?
    fn while_passing(
        &mut self,
        terms: &Terms,
        company: &Company,
        local: &Local,
        row: &Row,
        now: Instant,
    ) -> Step {
        (self.probing, self.candidacy) = (None, None);
        if local.evidence != Evidence::Bad {
            self.suspect = None;
        }
        if let Some(round) = row.round {
            return self.in_round((terms, company), local, (row.epoch, round), now);
        }
        if local.evidence == Evidence::Bad {
            return self.doubt(company, terms.opening(&local.shared), now);
        }
        if row.state == State::Ramping && row.ramp_age >= terms.ramp {
            return Step::Say(Word::Close { ramp: terms.ramp });
        }
        Step::Rest
    }

    /// Opens a round; more and more rarely while nobody shares the doubt.
    fn doubt(&mut self, company: &Company, opening: Opening, now: Instant) -> Step {
        let within = (2 * company.poll_every + Duration::from_secs(1)).max(Duration::from_secs(5));
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
        let has_recovered = matches!(local.shared.state, State::Closed | State::Ramping);
        if row.doubt.is_some_and(|doubt| doubt.age >= NO_SECOND_OPINION) {
            let opening = terms.reopening(row, dice);
            return Step::Say(Word::Confirm { opening, after: NO_SECOND_OPINION });
        }
        let is_own_doubt = row.doubt.is_some_and(|doubt| doubt.is_mine);
        let is_wanted = local.wanted.is_some_and(|ago| ago <= CALLS_WITHIN);
        if (is_wanted || has_recovered) && !is_own_doubt {
            let live = company.having(row);
            let delay = match local.wanted {
                _ if live <= 1 => Duration::ZERO,
                Some(ago) if ago <= CALLS_NOW => turn(live, dice),
                _ => LATER + turn(live, dice),
            };
            let step = self.stand_for_prober(delay, row.epoch, is_early, (now, dice));
            if let Some(probing) = &mut self.probing {
                probing.has_recovered = has_recovered;
            }
            return step;
        }
        Step::Rest
    }

    /// Tries to be the prober, at a moment of its own: few try at once however many there are.
    fn stand_for_prober(
        &mut self,
        delay: Duration,
        epoch: u64,
        is_early: bool,
        (now, dice): (Instant, u128),
    ) -> Step {
        let at = match self.candidacy {
            Some((of, at)) if of == epoch => at,
            _ => now + delay,
        };
        self.candidacy = Some((epoch, at));
        if now < at {
            return Step::Rest;
        }
        self.candidacy = Some((epoch, now + SPREAD + delay));
        let renew_at = now + RENEW_EVERY;
        self.probing = Some(Probing { lease: dice, since: None, renew_at, has_recovered: false });
        Step::Say(Word::Acquire { lease: dice, ttl: LEASE, is_early })
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

impl Terms {
    /// Of a breaker with these rules.
    pub const fn of(policy: &Policy) -> Self {
        Self {
            open_for: policy.open_for,
            open_for_max: policy.open_for_max,
            ramp: policy.ramp,
            quorum: policy.quorum,
        }
    }

    /// How the circuit opens as the instance has opened its own.
    fn opening(&self, local: &Shared) -> Opening {
        let open_for = local.open_for.clamp(Duration::from_millis(1), self.open_for_max);
        Opening {
            open_for: if local.open_for.is_zero() { self.open_for } else { open_for },
            step: local.step.max(1),
            failure_count: local.failure_count,
            cause: local.cause,
            by_connection: local.by_connection,
        }
    }

    /// How it opens once more without anything new being known: for longer, and up to a fifth more
    /// at random.
    fn reopening(&self, row: &Row, dice: u128) -> Opening {
        let doublings = row.step.min(31);
        let plain = self.open_for.saturating_mul(1 << doublings).min(self.open_for_max);
        let [part, ..] = dice.to_le_bytes();
        let jitter = plain / 5 * u32::from(part) / 256;
        Opening {
            open_for: plain.saturating_add(jitter),
            step: row.step.saturating_add(1),
            failure_count: row.failure_count,
            cause: Cause::ProbeFailed,
            by_connection: row.by_connection,
        }
    }
}

/// Whether everyone who says bad counts, in the sample or not: numbers are not to be sampled.
const fn is_absolute(quorum: Quorum) -> bool {
    matches!(quorum, Quorum::Any | Quorum::Count(_))
}

/// How long one of so many waits before it tries: in the first half second about eight do, in each
/// that follows four times as many.
fn turn(live: u32, dice: u128) -> Duration {
    let [a, b, c, d, e, f, g, h, ..] = dice.to_le_bytes();
    let (draw, part) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let share = |round: u32| {
        (CANDIDATES.saturating_mul(4_u64.saturating_pow(round)) << 32) / u64::from(live.max(1))
    };
    let round = (0..12).find(|&round| u64::from(draw) < share(round)).unwrap_or(12);
    SPREAD * round + SPREAD.mul_f64(f64::from(part) / f64::from(u32::MAX))
}
