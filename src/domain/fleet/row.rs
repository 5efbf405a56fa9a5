//! A shared breaker as an instance reads it: durations, never times.

use std::time::Duration;

use super::{electorate::Electorate, word::LeaseId};
use crate::domain::breaker::{Cause, Shared, State};

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The state's number.
    pub epoch: u64,
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
    /// How long it stays open; zero when that is over.
    pub open_for: Duration,
    /// How long it has been ramping.
    pub ramp_age: Duration,
    /// How many could vote when it was last voted on; zero when that is not known.
    pub electorate: u32,
    /// The round of voting that is open.
    pub round: Option<Round>,
    /// Who probes.
    pub hold: Option<Hold>,
    /// A probe failed, and another instance is to confirm it.
    pub doubt: Option<Doubt>,
}

/// A round of voting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// Its number in this breaker's history.
    pub number: u64,
    /// How long it goes on.
    pub left: Duration,
    /// Who may vote.
    pub electorate: Electorate,
}

/// A prober's lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Its number.
    pub lease: LeaseId,
    /// The reader is the prober.
    pub is_mine: bool,
    /// How long it holds.
    pub left: Duration,
}

/// A failed probe that awaits a second opinion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// The reader said so.
    pub is_mine: bool,
    /// How long ago.
    pub age: Duration,
}

impl Row {
    /// Where the store has none: closed, under the epoch that the reader knows.
    pub const fn none(epoch: u64) -> Self {
        Self {
            epoch,
            state: State::Closed,
            cause: Cause::RampOver,
            step: 0,
            failure_count: 0,
            by_connection: false,
            open_for: Duration::ZERO,
            ramp_age: Duration::ZERO,
            electorate: 0,
            round: None,
            hold: None,
            doubt: None,
        }
    }

    /// Whether nothing is wrong.
    pub fn is_quiet(&self) -> bool {
        self.state == State::Closed && self.round.is_none()
    }

    /// What a circuit takes over.
    pub fn shared(&self) -> Shared {
        Shared {
            epoch: self.epoch,
            state: self.state,
            open_for: self.open_for,
            ramp_age: self.ramp_age,
            step: self.step,
            failure_count: self.failure_count,
            cause: self.cause,
            by_connection: self.by_connection,
        }
    }

    /// What it says after some time, while nobody changes it.
    pub fn aged(&self, by: Duration) -> Self {
        let left = |span: Duration| span.saturating_sub(by);
        Self {
            open_for: left(self.open_for),
            ramp_age: if self.state == State::Ramping { self.ramp_age + by } else { self.ramp_age },
            round: self
                .round
                .map(|round| Round { left: left(round.left), ..round })
                .filter(|round| !round.left.is_zero()),
            hold: self
                .hold
                .map(|hold| Hold { left: left(hold.left), ..hold })
                .filter(|hold| !hold.left.is_zero()),
            doubt: self.doubt.map(|doubt| Doubt { age: doubt.age + by, ..doubt }),
            ..self.clone()
        }
    }
}
