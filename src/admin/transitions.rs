//! `/api/v1/transitions`: what happened to the breakers of the fleet, one after the other.
//!
//! The store's events tell what was agreed, with the votes. What instances do on their own (a
//! breaker of scope `instance`, and all of them while the store is away) only this process knows, of
//! itself; it is told beside them, marked so, and once.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use serde::Serialize;

use super::{
    Admin,
    breakers::{EventJson, MomentJson},
    query::{Asked, Pairs},
    reply::{self, Answer, Fault},
    timeline::Moment,
};
use crate::{domain::breaker::Cause, store::BreakerEvent};

/// Transitions that are told unless the question says otherwise, and at most.
const TOLD: u32 = 100;
const MOST: u32 = 500;

/// How far the clocks of the store and of this host, and the way between them, may set the two
/// accounts of one transition apart.
const SAME_US: u64 = 5_000_000;

/// What `data` holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransitionsJson {
    /// Newest first.
    transitions: Vec<TransitionJson>,
    /// Why those of others are missing; null when they are not.
    store_fault: Option<String>,
}

#[derive(Serialize)]
struct TransitionJson {
    /// The breaker's names here; its key where it is none of this instance's.
    name: String,
    #[serde(flatten)]
    account: Account,
}

/// Who tells of it.
#[derive(Serialize)]
#[serde(tag = "origin", rename_all = "camelCase")]
enum Account {
    /// The store, for all.
    Fleet(EventJson),
    /// This instance, of itself.
    Here(MomentJson),
}

/// `GET /api/v1/transitions?limit=`
pub(super) async fn transitions(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    let asked = Asked::read(pairs, &["limit"])?;
    let limit = asked.limit(TOLD, MOST)?;
    let views = admin.sources.view.breakers();
    let names: BTreeMap<&str, &Arc<str>> =
        views.iter().map(|view| (&*view.key, &view.name)).collect();
    let (events, store_fault) = match admin.turns.read(admin.sources.state.last_events(limit)).await
    {
        Ok(events) => (events, None),
        Err(fault @ Fault::StoreUnavailable) => (Vec::new(), Some(fault.to_string())),
        Err(fault) => return Err(fault),
    };
    let events = events.into_iter().map(|(key, event)| {
        let name = names.get(&*key).map_or_else(|| key.clone(), |name| name.to_string());
        (name, event)
    });
    let moments = views.iter().flat_map(|view| admin.sources.timeline.of(&view.name)).collect();
    let mut told = merged(events.collect(), moments);
    told.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let transitions = told.into_iter().map(TransitionJson::from).collect();
    Ok(reply::data(TransitionsJson { transitions, store_fault }))
}

#[derive(Debug, Clone, PartialEq)]
enum Told {
    Fleet(String, BreakerEvent),
    Here(Moment),
}

impl Told {
    const fn at_us(&self) -> i64 {
        match self {
            Self::Fleet(_, event) => event.at_us,
            Self::Here(moment) => moment.at_us,
        }
    }
}

/// Both accounts in one, newest first. What both tell is told by the store, and so is what this
/// instance only took over from it.
fn merged(events: Vec<(String, BreakerEvent)>, moments: Vec<Moment>) -> Vec<Told> {
    let is_told = |moment: &Moment| {
        let is_copy = moment.transition.cause == Cause::Fleet && !events.is_empty();
        is_copy
            || events.iter().any(|(name, event)| {
                **name == *moment.name
                    && event.to == moment.transition.to
                    && event.at_us.abs_diff(moment.at_us) < SAME_US
            })
    };
    let own: Vec<_> = moments.into_iter().filter(|moment| !is_told(moment)).collect();
    let events = events.into_iter().map(|(name, event)| Told::Fleet(name, event));
    let mut told: Vec<_> = events.chain(own.into_iter().map(Told::Here)).collect();
    told.sort_by_key(|told| std::cmp::Reverse(told.at_us()));
    told
}

impl From<Told> for TransitionJson {
    fn from(told: Told) -> Self {
        match told {
            Told::Fleet(name, event) => Self { name, account: Account::Fleet(event.into()) },
            Told::Here(moment) => {
                Self { name: moment.name.to_string(), account: Account::Here((&moment).into()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Told, merged};
    use crate::{
        admin::timeline::Moment,
        domain::breaker::{Cause, State},
        store::BreakerEvent,
    };

    const SECOND: i64 = 1_000_000;

    fn event(name: &str, at_us: i64, to: State) -> (String, BreakerEvent) {
        let (cause, instance) = (Cause::Fleet, "ip-10-0-3-7".to_owned());
        let detail = serde_json::Value::Null;
        let from = State::Closed;
        (name.to_owned(), BreakerEvent { at_us, epoch: 3, from, to, cause, instance, detail })
    }

    /// Each as `name@second`, a star after those that only this instance tells of.
    fn shown(told: &[Told]) -> String {
        let show = |told: &Told| match told {
            Told::Fleet(name, event) => format!("{name}@{}", event.at_us / SECOND),
            Told::Here(moment) => format!("{}@{}*", moment.name, moment.at_us / SECOND),
        };
        told.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_both_tell_is_told_once_and_the_newest_first() {
        let events = vec![event("payments", 20 * SECOND, State::Open)];
        let moments = vec![
            Moment::sample("payments", 21 * SECOND, State::Open),
            Moment::sample("payments", 22 * SECOND, State::HalfOpen),
            Moment::sample("payments", 40 * SECOND, State::Open),
            Moment::sample("music", 20 * SECOND, State::Open),
        ];
        let told = merged(events, moments);
        assert_eq!(shown(&told), "payments@40* payments@22* payments@20 music@20*");
    }

    #[test]
    fn nothing_happened_is_an_answer() {
        assert_eq!(merged(Vec::new(), Vec::new()), []);
    }
}
