//! What an instance says to the store about one breaker.

use std::time::Duration;

use super::memory::Known;
use crate::domain::{breaker::Cause, quorum::Quorum};

/// The number of a lease: no two are the same.
pub type LeaseId = u128;

/// What an instance says of an upstream when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vote {
    /// It fails here.
    Bad,
    /// It answers here.
    Good,
    /// It has not been called here lately.
    Abstain,
}

impl Vote {
    /// The name in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Good => "good",
            Self::Abstain => "abstain",
        }
    }

    /// The vote with this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Bad, Self::Good, Self::Abstain].into_iter().find(|vote| vote.as_str() == name)
    }
}

/// How a circuit opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// For how long.
    pub open_for: Duration,
    /// How many times in a row it has opened then.
    pub step: u32,
    /// The failures in a row behind it.
    pub failure_count: u32,
    /// The rule that was broken.
    pub cause: Cause,
    /// Whether a check may end it early.
    pub by_connection: bool,
}

/// A word. Each is meant for the epoch that its speaker knows, and does nothing in another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// The upstream fails here: let all vote, for so long.
    Suspect {
        /// How long.
        within: Duration,
        /// How the circuit opens if they agree.
        opening: Opening,
    },
    /// What this instance has seen.
    Vote(Vote),
    /// Count the votes, and open if they suffice.
    Trip {
        /// When they do.
        quorum: Quorum,
    },
    /// Let this instance be the prober.
    Acquire {
        /// Under this lease.
        lease: LeaseId,
        /// For so long.
        ttl: Duration,
        /// A check has connected here: no need to wait, if connecting was what failed.
        is_early: bool,
    },
    /// The prober is still at it.
    Renew {
        /// Its lease.
        lease: LeaseId,
        /// For so long from now.
        ttl: Duration,
    },
    /// The probes succeeded.
    Pass {
        /// The prober's lease.
        lease: LeaseId,
        /// How long the share of calls grows.
        ramp: Duration,
    },
    /// A probe failed.
    Fail {
        /// The prober's lease.
        lease: LeaseId,
        /// How the circuit opens again, if no second opinion is to be had.
        opening: Opening,
    },
    /// Nobody gave a second opinion for so long.
    Confirm {
        /// How the circuit opens again.
        opening: Opening,
        /// How long.
        after: Duration,
    },
    /// The prober could not try.
    Release {
        /// Its lease.
        lease: LeaseId,
    },
    /// Somebody closes it, whatever it is.
    Reset,
    /// The store has forgotten this.
    Restore(Known),
    /// The ramp is over.
    Close {
        /// How long it was to be.
        ramp: Duration,
    },
}
