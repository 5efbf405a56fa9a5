//! What the store can tell of one breaker beyond its row, for people: who said what, who tries it
//! out, what decided, and who follows which rules.
//!
//! Plain values, read on demand and never acted on. What a newer version has written in words of its
//! own stands here as unknown.

use std::{fmt, time::Duration};

use super::word::Vote;
use crate::domain::{
    breaker::{Cause, Ordered},
    task::TaskId,
};

/// An instance, as people know it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Its display name, or the id of its start where it has none.
    pub name: String,
    /// The zone that it runs in, when it says so.
    pub zone: Option<String>,
    /// The host that it runs on, when it says so.
    pub host: Option<String>,
}

impl fmt::Display for Node {
    /// Its name with its zone, and its host where that says more than the name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, zone, host } = self;
        f.write_str(name)?;
        let host = host.as_ref().filter(|host| *host != name);
        match (zone, host) {
            (None, None) => Ok(()),
            (Some(place), None) | (None, Some(place)) => write!(f, " ({place})"),
            (Some(zone), Some(host)) => write!(f, " ({zone}, {host})"),
        }
    }
}

/// What an instance said in the last round of voting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    /// Who.
    pub node: Node,
    /// What; none for a word of a newer version.
    pub vote: Option<Vote>,
    /// How long ago.
    pub ago: Duration,
    /// Calls in its window then.
    pub calls: u32,
    /// Failures among them.
    pub failures: u32,
    /// Of how many breakers, this one included, it says "bad" while most of those who can tell say
    /// "good".
    pub alone: u32,
    /// How many breakers it has.
    pub of: u32,
}

/// The last round of voting, as far as nobody has moved the breaker since.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hearing {
    /// Who said what.
    pub ballots: Vec<Ballot>,
    /// How many could.
    pub electorate: u32,
    /// How long ago they were asked; none when nobody was.
    pub asked: Option<Duration>,
    /// How long they still may answer; zero when that is over.
    pub left: Duration,
    /// Who tries it out, and for how long at most.
    pub prober: Option<(Node, Duration)>,
    /// Who tried it and failed, so that another has to confirm it, and how long ago.
    pub doubter: Option<(Node, Duration)>,
    /// How it was opened for all, if it is not closed.
    pub opening: Option<Opened>,
    /// Who reset it, if that is why it is closed.
    pub reset: Option<Ordered>,
    /// Who of those who live follows which rules.
    pub factions: Vec<Faction>,
}

/// How the fleet opened it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// How long ago.
    pub ago: Duration,
    /// Whose word decided.
    pub by: Node,
    /// The rule that was broken where the vote was called; none where it is not known.
    pub cause: Option<Cause>,
    /// The failures in a row there.
    pub failure_count: u32,
    /// How many said so.
    pub bad: u32,
    /// How many said the contrary.
    pub good: u32,
    /// How many could not tell.
    pub abstained: u32,
    /// How many could say anything.
    pub electorate: u32,
    /// Who said "bad".
    pub reporters: Vec<Node>,
    /// Calls that were the reason, some of them.
    pub task_ids: Vec<TaskId>,
}

/// Those who follow the same rules for a breaker. Who does not say what it follows, as older
/// versions, is in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faction {
    /// The breaker.
    pub key: String,
    /// Their fingerprint, see [`super::rules`].
    pub rules: String,
    /// How many they are.
    pub count: u32,
    /// Some of their names.
    pub names: Vec<String>,
    /// For how long the first of them has followed them.
    pub since: Duration,
}

impl Hearing {
    /// How many said this.
    pub fn count(&self, vote: Vote) -> u32 {
        let votes = self.ballots.iter().filter(|ballot| ballot.vote == Some(vote));
        u32::try_from(votes.count()).unwrap_or(u32::MAX)
    }
}
