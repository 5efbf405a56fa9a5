//! `/api/v1/circuit-breakers`: what each breaker says, and what it did.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::{Path, State, rejection::PathRejection};
use serde::Serialize;

use super::{
    Admin,
    query::{Asked, Pairs},
    reply::{self, Answer, Fault},
    timeline::Moment,
    view::BreakerView,
    window::show_time,
};
use crate::{
    clock,
    domain::breaker::{Cause, Scope},
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
    failure_rate: Option<f64>,
    window_calls: u32,
    mode: &'static str,
    epoch: u64,
    reporters: u32,
}

impl BreakerJson {
    fn new(view: &BreakerView, now_us: i64) -> Self {
        let snapshot = &view.snapshot;
        let since_us = i64::try_from(snapshot.since.as_micros()).unwrap_or(i64::MAX);
        Self {
            state: snapshot.state.as_upper_str(),
            failure_count: snapshot.failure_count,
            scope: match view.scope {
                Scope::Fleet => "fleet",
                Scope::Instance => "instance",
            },
            since: show_time(now_us.saturating_sub(since_us)),
            retry_after_ms: u64::try_from(snapshot.retry_after.as_millis()).unwrap_or(u64::MAX),
            reason: snapshot.cause.map(Cause::as_str),
            failure_rate: snapshot.failure_rate.map(|rate| rate.as_ratio()),
            window_calls: snapshot.window_calls,
            mode: snapshot.mode.as_str(),
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
}

impl From<&Moment> for MomentJson {
    fn from(Moment { at_us, transition, .. }: &Moment) -> Self {
        Self {
            at: show_time(*at_us),
            from: transition.from.as_upper_str(),
            to: transition.to.as_upper_str(),
            cause: transition.cause.as_str(),
            failure_count: transition.failure_count,
            window_calls: transition.window_calls,
            window_failures: transition.window_failures,
            open_for_ms: u64::try_from(transition.open_for.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A breaker with what this instance remembers of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Detailed {
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

/// A transition as stored.
#[derive(Serialize)]
struct EventJson {
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

/// Every breaker with its recent transitions, by name.
pub(super) fn detailed(admin: &Admin, now_us: i64) -> BTreeMap<String, Detailed> {
    let views = admin.sources.view.breakers();
    views.iter().map(|view| (view.name.to_string(), Detailed::new(admin, view, now_us))).collect()
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
    let view = find(&admin, name)?;
    Ok(reply::data(Detailed::new(&admin, &view, clock::wall_us())))
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

fn find(admin: &Admin, name: Result<Path<String>, PathRejection>) -> Result<BreakerView, Fault> {
    let Ok(Path(name)) = name else {
        return Err(Fault::BadRequest("the name is not UTF-8".to_owned()));
    };
    let view = admin.sources.view.breakers().into_iter().find(|view| *view.name == name);
    view.ok_or_else(|| Fault::NotFound(format!("circuit breaker `{name}`")))
}
