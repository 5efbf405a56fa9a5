//! What the other instances have to do with a circuit: who said what, who tries it out, who follows
//! other rules, and whether anything that they do arrives here.

use std::time::Duration;

use super::{capital, count};
use crate::domain::{
    breaker::{Cause, Mode, Policy, Scope, Snapshot, State},
    fleet::{
        attribution::{Finding, attribute},
        drift::{Drift, drift},
        hearing::{Ballot, Hearing, Opened},
        word::Vote,
    },
    units::show_span,
};

/// What other instances have to do with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetFacts {
    /// Whether the state is one that the fleet agreed on, and not this instance's alone.
    pub is_agreed: bool,
    /// The number of the fleet's state.
    pub epoch: u64,
    /// Live instances that use the store, this one included.
    pub live: u32,
    /// How this instance keeps in step with the others.
    pub sync: Sync,
    /// How old what it knows of them is; none before the store was first read.
    pub lag: Option<Duration>,
    /// Who has other rules, as far as this instance has heard.
    pub drift: Option<Drift>,
    /// Why it may be this instance that fails, and not what it calls. A sentence without its stop.
    pub sick: Option<String>,
    /// What the store says beyond the state, or why it does not; none where it was not asked.
    pub hearing: Option<Result<Hearing, String>>,
}

/// How an instance keeps in step with the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Sync {
    /// The store says at once what changed.
    Listening,
    /// By asking, so often.
    Polling {
        /// How long changes may take to arrive.
        every: Duration,
        /// Why it is not told at once.
        because: Option<String>,
    },
    /// Not at all, while the store is away.
    Away {
        /// For so long.
        since: Duration,
        /// What the last attempt said.
        because: Option<String>,
    },
    /// There is nobody to keep in step with.
    #[default]
    Alone,
}

impl Sync {
    /// The name in the API, and why it is so.
    pub fn told(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Listening => ("listen", None),
            Self::Polling { because, .. } => ("poll", because.as_deref()),
            Self::Away { because, .. } => ("away", because.as_deref()),
            Self::Alone => ("alone", None),
        }
    }
}

impl FleetFacts {
    /// Whether there are others, and the store to ask them through.
    pub const fn can_ask(&self) -> bool {
        !matches!(self.sync, Sync::Alone | Sync::Away { .. })
    }

    /// Whether the store is away, so that only what was heard before is known.
    pub const fn is_away(&self) -> bool {
        matches!(self.sync, Sync::Away { .. })
    }

    /// How it was opened for all, as far as the store tells.
    pub fn opening(&self) -> Option<&Opened> {
        self.heard().and_then(|hearing| hearing.opening.as_ref())
    }

    /// What the store says beyond the state.
    pub fn heard(&self) -> Option<&Hearing> {
        self.hearing.as_ref()?.as_ref().ok()
    }

    /// Where it fails, if it fails for a few.
    pub fn findings(&self) -> Vec<Finding> {
        self.heard().map(|hearing| attribute(&hearing.ballots)).unwrap_or_default()
    }

    /// Who has other rules than most: as the store has it now, or else as it was heard last.
    pub fn drift(&self) -> Option<Drift> {
        self.heard().map_or_else(|| self.drift.clone(), |hearing| drift(&hearing.factions))
    }
}

/// The most names in one sentence.
const NAMES: usize = 5;

/// Whose votes, who probes, and whether anything that others do arrives here.
pub(super) fn others(snapshot: &Snapshot, policy: &Policy, facts: &FleetFacts) -> Vec<String> {
    if policy.scope == Scope::Instance || facts.sync == Sync::Alone {
        return vec!["No other instance shares it.".to_owned()];
    }
    let mut told = Vec::new();
    if snapshot.mode == Mode::Auto {
        told.extend(whose(snapshot, facts));
    }
    match &facts.hearing {
        Some(Ok(hearing)) => told.extend(heard(snapshot, policy, facts, hearing)),
        Some(Err(why)) => {
            told.push(format!("Who said what is not known: the store does not answer ({why})."));
        }
        None => {}
    }
    told.extend(facts.findings().iter().map(|finding| capital(format!("{finding}."))));
    told.extend(facts.sick.as_ref().map(|why| format!("As to this instance: {why}.")));
    told.extend(facts.drift().map(|drift| format!("{drift}.")));
    told.extend(sync(&facts.sync));
    told
}

/// Whose state it is; nothing while it is closed for all.
fn whose(snapshot: &Snapshot, facts: &FleetFacts) -> Option<String> {
    let told = match (snapshot.state, facts.is_agreed, facts.is_away()) {
        (State::Closed, true, _) => return None,
        (State::Closed, false, false) => {
            "Only this instance lets calls pass: for the others the fleet keeps it open."
        }
        (State::Closed, false, true) => {
            "Only this instance lets calls pass: it was open for all when the store was last heard."
        }
        (_, true, false) => {
            return Some(format!(
                "This is the state of the whole fleet, its epoch {}.",
                facts.epoch
            ));
        }
        (_, true, true) => {
            return Some(format!(
                "This was the state of the whole fleet, its epoch {}, when the store was last heard.",
                facts.epoch
            ));
        }
        (_, false, false) => "Only this instance has cut it off: the others go on calling it.",
        (_, false, true) => "This instance has cut it off by itself.",
    };
    Some(told.to_owned())
}

/// What the store says.
fn heard(
    snapshot: &Snapshot,
    policy: &Policy,
    facts: &FleetFacts,
    hearing: &Hearing,
) -> Vec<String> {
    let mut told = Vec::new();
    match &hearing.opening {
        Some(opening) if facts.is_agreed && snapshot.state != State::Closed => {
            told.push(opened(snapshot, policy, opening));
        }
        _ => told.extend(asked(policy, hearing)),
    }
    if let Some((node, ago)) = &hearing.doubter {
        told.push(format!(
            "A try failed {} ago, that of {node}; it counts when another instance has failed too, \
             or none has tried for 20s.",
            show_span(*ago)
        ));
    }
    if let Some((node, left)) = &hearing.prober {
        told.push(format!(
            "One instance tries it out for all: {node}, for {} more unless it renews that.",
            show_span(*left)
        ));
    }
    told
}

/// How the fleet opened it, or agreed to what was seen here.
fn opened(snapshot: &Snapshot, policy: &Policy, opening: &Opened) -> String {
    let Opened { ago, by, cause, failure_count, bad, good, abstained, electorate, .. } = opening;
    let rule = match cause {
        Some(Cause::ConsecutiveFailures) => {
            format!(", after {} in a row", count(*failure_count, "failure", "failures"))
        }
        Some(Cause::FailureRate) => ", by the share of calls that failed".to_owned(),
        Some(Cause::SlowCalls) => ", by the share of calls that were slow".to_owned(),
        _ => String::new(),
    };
    let votes = votes(policy, *electorate, [*bad, *good, *abstained], ("said", "asked for"));
    let ago = show_span(*ago);
    if snapshot.is_opened_here {
        return format!("The fleet agreed {ago} ago: {votes}. The last word was that of {by}.");
    }
    format!("It was opened for all {ago} ago{rule}: {votes}. The last word was that of {by}.")
}

/// The round that did not open it, or has not yet.
fn asked(policy: &Policy, hearing: &Hearing) -> Vec<String> {
    let Some(ago) = hearing.asked.filter(|_| !hearing.ballots.is_empty()) else {
        return Vec::new();
    };
    let numbers = [Vote::Bad, Vote::Good, Vote::Abstain].map(|vote| hearing.count(vote));
    let votes = votes(policy, hearing.electorate, numbers, ("say", "asks for"));
    let left = if hearing.left.is_zero() {
        String::new()
    } else {
        format!(", which goes on for {} more", show_span(hearing.left))
    };
    let mut told = vec![format!("A vote was called {} ago{left}: {votes}.", show_span(ago))];
    let bad = hearing.ballots.iter().filter(|ballot| ballot.vote == Some(Vote::Bad));
    let reporters: Vec<_> = bad.map(reporter).collect();
    if !reporters.is_empty() {
        told.push(format!("It fails for {}.", names(&reporters)));
    }
    told
}

/// How many said what, and how many would have had to.
fn votes(
    policy: &Policy,
    electorate: u32,
    [bad, good, abstained]: [u32; 3],
    (say, asks_for): (&str, &str),
) -> String {
    let silent = electorate.saturating_sub(bad + good + abstained);
    let needed = policy.quorum.needed(electorate, abstained);
    let silent = if silent == 0 { String::new() } else { format!(", {silent} nothing") };
    let cannot_tell = match abstained {
        0 => String::new(),
        number => format!(", {number} that they cannot tell"),
    };
    format!(
        "{bad} of {electorate} {say} bad, {good} good{cannot_tell}{silent}; `quorum: {}` {asks_for} \
         {needed}",
        policy.quorum
    )
}

/// Who, where, and with which numbers.
fn reporter(ballot: &Ballot) -> String {
    let Ballot { node, calls, failures, .. } = ballot;
    match calls {
        0 => node.to_string(),
        _ => format!("{node} with {failures} of {} failed", count(*calls, "call", "calls")),
    }
}

/// Some names, and how many more there are.
fn names(all: &[String]) -> String {
    let shown = all.iter().take(NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn sync(sync: &Sync) -> Option<String> {
    let why = |because: &Option<String>| {
        because.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()
    };
    match sync {
        Sync::Listening | Sync::Alone => None,
        Sync::Polling { every, because } => Some(format!(
            "What others do arrives within {}: the store is asked, it does not tell{}.",
            show_span(*every),
            why(because)
        )),
        Sync::Away { since, because } => Some(format!(
            "The store has been away for {}{}: what others do is not known here.",
            show_span(*since),
            why(because)
        )),
    }
}

#[cfg(test)]
mod tests;
