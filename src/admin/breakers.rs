//! `/api/v1/circuit-breakers`: what each breaker says, and what it did.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::extract::{Path, State, rejection::PathRejection};
use serde::Serialize;

use super::{
    Admin, configuration,
    hearing::{self, FindingJson, FleetJson},
    query::{Asked, Pairs},
    reply::{self, Answer, Fault},
    timeline::Moment,
    view::BreakerView,
    window::show_time,
};
use crate::{
    clock,
    config::suggest::did_you_mean,
    domain::{
        breaker::{Cause, Ordered, Scope},
        explain::{FleetFacts, explain},
    },
    store::BreakerEvent,
};

/// Past transitions that are shown unless the question says otherwise, and at most.
const EVENTS: u32 = 50;
const MAX_EVENTS: u32 = 500;

/// A breaker as the API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BreakerJson {
    state: &'static str,
    failure_count: u32,
    scope: &'static str,
    since: Option<String>,
    retry_after_ms: u64,
    reason: Option<&'static str>,
    /// What opened it first, however often tries have failed since.
    opened_by: Option<&'static str>,
    failure_rate: Option<f64>,
    window_calls: u32,
    mode: &'static str,
    order: Option<OrderJson>,
    would_refuse: u64,
    epoch: u64,
    reporters: u32,
}

/// Who steers a breaker, why and how long.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderJson {
    by: String,
    reason: String,
    since: Option<String>,
    /// Null when it has no end.
    until: Option<String>,
    left_ms: Option<u64>,
    /// `fleet`, `instance`, or `untold` while the store is away.
    reach: &'static str,
}

impl OrderJson {
    fn new(order: &Ordered, now_us: i64) -> Self {
        let Ordered { signature, age, left, reach } = order;
        Self {
            by: signature.by.to_string(),
            reason: signature.reason.to_string(),
            since: show_time(now_us.saturating_sub(micros(*age))),
            until: left.and_then(|left| show_time(now_us.saturating_add(micros(left)))),
            left_ms: left.map(millis),
            reach: reach.as_str(),
        }
    }
}

impl BreakerJson {
    pub(super) fn new(view: &BreakerView, now_us: i64) -> Self {
        let snapshot = &view.snapshot;
        Self {
            state: snapshot.state.as_upper_str(),
            failure_count: snapshot.failure_count,
            scope: match view.scope {
                Scope::Fleet => "fleet",
                Scope::Instance => "instance",
            },
            since: show_time(now_us.saturating_sub(micros(snapshot.since))),
            retry_after_ms: millis(snapshot.retry_after),
            reason: snapshot.cause.map(Cause::as_str),
            opened_by: snapshot.opened_by.map(Cause::as_str),
            failure_rate: snapshot.failure_rate.map(|rate| rate.as_ratio()),
            window_calls: snapshot.window_calls,
            mode: snapshot.mode.as_str(),
            order: snapshot.order.as_ref().map(|order| OrderJson::new(order, now_us)),
            would_refuse: snapshot.would_refuse,
            epoch: snapshot.epoch,
            reporters: view.reporters,
        }
    }
}

/// A transition that this instance remembers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MomentJson {
    at: Option<String>,
    from: &'static str,
    to: &'static str,
    cause: &'static str,
    failure_count: u32,
    window_calls: u32,
    window_failures: u32,
    open_for_ms: u64,
    mode: &'static str,
    /// Calls that were the reason, some of them.
    task_ids: Vec<String>,
}

impl From<&Moment> for MomentJson {
    fn from(Moment { at_us, transition, task_ids, .. }: &Moment) -> Self {
        Self {
            at: show_time(*at_us),
            from: transition.from.as_upper_str(),
            to: transition.to.as_upper_str(),
            cause: transition.cause.as_str(),
            failure_count: transition.failure_count,
            window_calls: transition.window_calls,
            window_failures: transition.window_failures,
            open_for_ms: millis(transition.open_for),
            mode: transition.mode.as_str(),
            task_ids: task_ids.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A breaker with what this instance remembers of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detailed {
    #[serde(flatten)]
    breaker: BreakerJson,
    recent_transitions: Vec<MomentJson>,
}

impl Detailed {
    fn new(admin: &Admin, view: &BreakerView, now_us: i64) -> Self {
        let remembered = admin.sources.timeline.of(&view.name);
        Self {
            breaker: BreakerJson::new(view, now_us),
            recent_transitions: remembered.iter().map(MomentJson::from).collect(),
        }
    }
}

/// A breaker with all that is known of it, and what that means in plain words.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    #[serde(flatten)]
    detailed: Detailed,
    window_failures: u32,
    /// How many times in a row it has opened.
    step: u32,
    /// When a call is tried next; null unless it is open by its rules.
    next_probe_at: Option<String>,
    rules: serde_json::Value,
    /// Calls that opened it, some of them.
    task_ids: Vec<String>,
    fleet: Option<FleetJson>,
    /// Where it fails, when it fails for a few.
    attribution: Vec<FindingJson>,
    explanation: Vec<String>,
}

impl Explained {
    fn new(admin: &Admin, view: &BreakerView, now_us: i64) -> Self {
        let (snapshot, fleet) = (&view.snapshot, view.fleet.as_ref());
        let findings = fleet.map(FleetFacts::findings).unwrap_or_default();
        let wait = snapshot.retry_after;
        let next_probe = (!wait.is_zero()).then(|| now_us.saturating_add(micros(wait)));
        Self {
            detailed: Detailed::new(admin, view, now_us),
            window_failures: snapshot.window_failures,
            step: snapshot.step,
            next_probe_at: next_probe.and_then(show_time),
            rules: configuration::breaker(&view.policy, &view.key),
            task_ids: view.task_ids.iter().map(ToString::to_string).collect(),
            fleet: fleet.map(|facts| FleetJson::new(view, facts, now_us)),
            attribution: findings.iter().map(FindingJson::from).collect(),
            explanation: explain(snapshot, &view.policy, fleet, &view.task_ids),
        }
    }
}

/// A transition as stored.
#[derive(Serialize)]
pub(super) struct EventJson {
    at: Option<String>,
    epoch: u64,
    from: &'static str,
    to: &'static str,
    cause: &'static str,
    instance: String,
    detail: serde_json::Value,
}

impl From<BreakerEvent> for EventJson {
    fn from(event: BreakerEvent) -> Self {
        Self {
            at: show_time(event.at_us),
            epoch: event.epoch,
            from: event.from.as_upper_str(),
            to: event.to.as_upper_str(),
            cause: event.cause.as_str(),
            instance: event.instance,
            detail: event.detail,
        }
    }
}

/// `GET /api/v1/circuit-breakers`
pub(super) async fn all(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    Asked::read(pairs, &[])?;
    let now_us = clock::wall_us();
    let views = admin.sources.view.breakers();
    let by_name: BTreeMap<_, _> =
        views.iter().map(|view| (&*view.name, BreakerJson::new(view, now_us))).collect();
    Ok(reply::data(by_name))
}

/// `GET /api/v1/circuit-breakers/{name}`
pub(super) async fn one(
    State(admin): State<Arc<Admin>>,
    name: Result<Path<String>, PathRejection>,
    pairs: Pairs,
) -> Answer {
    Asked::read(pairs, &[])?;
    let mut view = find(&admin, name)?;
    hearing::ask(&admin, &mut view).await;
    Ok(reply::data(Explained::new(&admin, &view, clock::wall_us())))
}

/// `GET /api/v1/circuit-breakers/{name}/events?limit=`
pub(super) async fn events(
    State(admin): State<Arc<Admin>>,
    name: Result<Path<String>, PathRejection>,
    pairs: Pairs,
) -> Answer {
    #[derive(Serialize)]
    struct Events {
        events: Vec<EventJson>,
    }
    let asked = Asked::read(pairs, &["limit"])?;
    let limit = asked.limit(EVENTS, MAX_EVENTS)?;
    let view = find(&admin, name)?;
    let events = admin.turns.read(admin.sources.state.events(&view.key, limit)).await?;
    Ok(reply::data(Events { events: events.into_iter().map(EventJson::from).collect() }))
}

/// The breaker that a path names.
pub(super) fn find(
    admin: &Admin,
    name: Result<Path<String>, PathRejection>,
) -> Result<BreakerView, Fault> {
    match name {
        Ok(Path(name)) => named(admin, &name),
        Err(_) => Err(Fault::BadRequest("the name is not UTF-8".to_owned())),
    }
}

/// The breaker of this name.
pub(super) fn named(admin: &Admin, name: &str) -> Result<BreakerView, Fault> {
    let mut views = admin.sources.view.breakers();
    let Some(at) = views.iter().position(|view| *view.name == *name) else {
        let near = did_you_mean(name, views.iter().map(|view| &*view.name));
        return Err(Fault::NotFound(format!("circuit breaker `{name}`{near}")));
    };
    Ok(views.swap_remove(at))
}

pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
