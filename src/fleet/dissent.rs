//! Where this instance and the others do not agree: it was outvoted, or follows other rules.
//!
//! Nothing here changes what is done. It is found out so that people are told: an instance that fails
//! with several upstreams that work for others is itself what is broken, and two sets of rules for one
//! breaker are a mistake in somebody's configuration. Each is told once per change.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::{
    exchange::bounded,
    seat::Seat,
    status::{Sick, Status},
};
use crate::{
    clock,
    domain::{
        breaker::Evidence,
        fleet::{
            attribution::{Finding, attribute, is_instance},
            drift::{Drift, drift},
            hearing::{Ballot, Faction},
            word::Vote,
        },
    },
    store::{Presence, Roll, StateStore, causes},
};

/// How often factions are asked for while not all are alike, in a small fleet.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// In a fleet of so many more, this much more rarely.
const PER_LIVE: u32 = 250;

/// A round of voting that did not open the circuit although it fails here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outvoted {
    bad: u32,
    good: u32,
    findings: Vec<Finding>,
}

impl Outvoted {
    fn of(ballots: &[Ballot]) -> Self {
        let count = |vote| {
            let votes = ballots.iter().filter(|ballot| ballot.vote == Some(vote));
            u32::try_from(votes.count()).unwrap_or(u32::MAX)
        };
        let (bad, good) = (count(Vote::Bad), count(Vote::Good));
        Self { bad, good, findings: attribute(ballots) }
    }
}

/// Asks who said what, where a round was lost. Before anything else is said: the next round makes
/// the votes of this one worthless.
pub(super) async fn hear_verdicts(
    seats: &mut [Seat],
    store: &Arc<dyn StateStore>,
    status: &watch::Sender<Status>,
) {
    for seat in seats {
        if !seat.take_lost(clock::now()) {
            continue;
        }
        let ballots = match bounded(store.ballots(seat.circuit.key())).await {
            Ok(ballots) => ballots,
            Err(error) => {
                debug!(error = causes(&error), "nobody can say how the vote went");
                continue;
            }
        };
        // Some of them may have come since the last heartbeat, which counted who lives.
        let voices = u32::try_from(ballots.len()).unwrap_or(u32::MAX);
        status.send_if_modified(|status| {
            let is_news = status.live < voices;
            status.live = status.live.max(voices);
            is_news
        });
        let outvoted = Outvoted::of(&ballots);
        if seat.outvoted.as_ref() != Some(&outvoted) {
            let Outvoted { bad, good, findings } = &outvoted;
            let told: Vec<_> = findings.iter().map(ToString::to_string).collect();
            let attribution = (!told.is_empty()).then(|| told.join("; "));
            warn!(
                upstream = &**seat.circuit.name(),
                bad,
                good,
                attribution,
                "the fleet did not agree that it fails: it is cut off here alone"
            );
        }
        seat.outvoted = Some(outvoted);
    }
}

/// Finds out whether it is this instance that fails, and says so when that changes.
pub(super) fn examine(seats: &mut [Seat], status: &watch::Sender<Status>) {
    let now = clock::now();
    let (mut failing, mut telling) = (Vec::new(), 0);
    for seat in seats {
        let evidence = seat.circuit.local(now).evidence;
        if evidence != Evidence::Bad {
            seat.outvoted = None;
        }
        telling += u32::from(evidence != Evidence::Abstains);
        if seat.outvoted.as_ref().is_some_and(|outvoted| outvoted.bad < outvoted.good) {
            failing.push(seat.circuit.name().to_string());
        }
    }
    let bad = u32::try_from(failing.len()).unwrap_or(u32::MAX);
    let sick = is_instance(bad, telling).then_some(Sick { failing, of: telling });
    let was_sick = status.borrow().sick.is_some();
    match &sick {
        Some(sick) if !was_sick => warn!(failing = sick.failing.join(", "), "{sick}"),
        None if was_sick => info!("this instance is well again"),
        _ => {}
    }
    status.send_if_modified(|status| {
        let is_news = status.sick != sick;
        status.sick = sick;
        is_news
    });
}

/// Who follows other rules, as far as it was told.
#[derive(Debug, Default)]
pub(super) struct Drifts {
    /// The rules that were told of each breaker, by its key.
    told: BTreeMap<String, Vec<String>>,
    ask_at: Option<Instant>,
}

impl Drifts {
    /// The others have answered a heartbeat. Asks on where not all are alike, and now and then while
    /// it stays so; a store that does not answer is noticed elsewhere.
    pub(super) async fn hear(
        &mut self,
        (roll, presence): (Roll, &Presence),
        seats: &[Seat],
        store: &Arc<dyn StateStore>,
        status: &watch::Sender<Status>,
    ) {
        let now = clock::now();
        if roll.is_uniform {
            self.ask_at = None;
            return self.tell(&[], seats, status);
        }
        if self.ask_at.is_some_and(|at| now < at) {
            return;
        }
        self.ask_at = Some(now + ASK_EVERY + ASK_EVERY * roll.live / PER_LIVE);
        match bounded(store.factions(&presence.keys)).await {
            Ok(factions) => self.tell(&factions, seats, status),
            Err(error) => debug!(error = causes(&error), "nobody can say who follows which rules"),
        }
    }

    fn tell(&mut self, factions: &[Faction], seats: &[Seat], status: &watch::Sender<Status>) {
        let now = clock::now();
        let mut drifts = BTreeMap::new();
        for seat in seats {
            let (key, name) = (seat.circuit.key(), seat.circuit.name());
            let of_it: Vec<_> =
                factions.iter().filter(|faction| faction.key == key).cloned().collect();
            match drift(&of_it) {
                Some(found) => {
                    if self.told.get(key) != Some(&found.rules) {
                        warn!(upstream = &**name, usual = found.usual, "{found}");
                        self.told.insert(key.to_owned(), found.rules.clone());
                    }
                    drifts.insert(name.to_string(), (found, now));
                }
                None => {
                    if self.told.remove(key).is_some() {
                        info!(upstream = &**name, "all instances have the same rules again");
                    }
                }
            }
        }
        status.send_if_modified(|status| {
            let is_news = status.drifts != drifts;
            status.drifts = drifts;
            is_news
        });
    }
}

impl Status {
    /// Who has other rules for a breaker, by its name.
    pub fn drift(&self, name: &str, now: Instant) -> Option<Drift> {
        let (drift, at) = self.drifts.get(name)?;
        Some(drift.aged(now.saturating_duration_since(*at)))
    }
}
