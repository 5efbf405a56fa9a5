//! What the other instances have to do with a circuit: who sees what, who tries it out, and whether
//! anything that they do arrives here.

use std::time::Duration;

use super::count;
use crate::domain::{
    breaker::{Mode, Policy, Scope, Snapshot, State},
    units::show_span,
};

/// What other instances have to do with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetFacts {
    /// Whether the state is one that the fleet agreed on, and not this instance's alone.
    pub is_agreed: bool,
    /// The number of the fleet's state.
    pub epoch: u64,
    /// Instances that see it fail.
    pub votes_bad: u32,
    /// Instances that see it work.
    pub votes_good: u32,
    /// Instances that cannot tell: they did not call it lately.
    pub abstained: u32,
    /// Live instances that share it, this one included.
    pub live: u32,
    /// The names of those that see it fail, with where they are when that is known.
    pub reporters: Vec<String>,
    /// The name of the instance that tries it out for all.
    pub prober: Option<String>,
    /// How long it still may.
    pub lease_left: Option<Duration>,
    /// How this instance keeps in step with the others.
    pub sync: Sync,
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

/// The most names in one sentence.
const NAMES: usize = 5;

/// Whose votes, who probes, and whether anything that others do arrives here.
pub(super) fn others(snapshot: &Snapshot, policy: &Policy, facts: &FleetFacts) -> Vec<String> {
    let mut told = Vec::new();
    if policy.scope == Scope::Instance || facts.sync == Sync::Alone {
        return vec!["No other instance shares it.".to_owned()];
    }
    let FleetFacts { votes_bad, votes_good, abstained, live, .. } = *facts;
    if votes_bad + votes_good > 0 {
        let silent = live.saturating_sub(votes_bad + votes_good + abstained);
        let needed = policy.quorum.needed(live, abstained);
        told.push(format!(
            "Of {} that share it, {votes_bad} see it fail, {votes_good} see it work, {abstained} \
             did not call it lately and {silent} said nothing; `quorum: {}` asks for {needed} to \
             open it for all.",
            count(live, "live instance", "live instances"),
            policy.quorum
        ));
    }
    if !facts.reporters.is_empty() {
        told.push(format!("It fails for {}.", names(&facts.reporters)));
    }
    if snapshot.state != State::Closed && snapshot.mode == Mode::Auto {
        told.push(if facts.is_agreed {
            format!("This is the state of the whole fleet, its epoch {}.", facts.epoch)
        } else {
            "Only this instance has cut it off: the others go on calling it.".to_owned()
        });
    }
    if let Some(prober) = &facts.prober {
        let left = facts.lease_left.map(|left| format!(", for {} at most", show_span(left)));
        told.push(format!("{prober} tries it out for all{}.", left.unwrap_or_default()));
    }
    told.extend(sync(&facts.sync));
    told
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
