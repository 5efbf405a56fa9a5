//! Health: for orchestrators, load balancers and people.
//!
//! `/live` says that this process answers, `/ready` that calls may be sent here; both depend on
//! Fusebox alone, because a task that is restarted when Postgres or an upstream fails only adds an
//! outage to the outage. `/health` tells what the upstreams answered last. It is a report, not a
//! verdict on this process, so its status is always 200 and what it found is in the body.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{Extension, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use tokio::{sync::oneshot, time::timeout};

use super::{
    Admin, SCRAPES,
    reply::{self, Answer, Fault},
    server::Hangup,
    tasks::ms,
    view::{ServiceView, StoreView},
    window::show_time,
};
use crate::{clock, domain::breaker::State as Circuit, telemetry::exposition::Format};

/// What is wrong with it is not for everybody: the status tells.
const REFUSED: &str = "the configuration was changed and cannot be used: the last good one counts";

/// How long a scrape waits for those before it to be read.
const SCRAPE_WAIT: Duration = Duration::from_secs(2);
/// How long reading one may take, but for the end that buffers hold: who reads a little now and then
/// would keep others from theirs.
const SCRAPE_LIMIT: Duration = Duration::from_secs(15);

/// What `/health` says.
#[derive(Serialize)]
pub(super) struct HealthJson {
    /// `up` when everything is, else `degraded`.
    status: &'static str,
    /// Why it may be this instance that fails, and not what it calls, or which of its own affairs is
    /// not in order; left out while nothing says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    timestamp: Option<String>,
    services: BTreeMap<String, ServiceJson>,
    store: StoreJson,
}

/// What an upstream answered last.
#[derive(Debug, PartialEq, Serialize)]
struct ServiceJson {
    status: &'static str,
    message: String,
    /// In milliseconds.
    latency: f64,
    timestamp: Option<String>,
}

#[derive(Serialize)]
struct StoreJson {
    status: &'static str,
    kind: &'static str,
    message: &'static str,
}

impl From<&ServiceView> for ServiceJson {
    fn from(view: &ServiceView) -> Self {
        let timestamp = view.last.as_ref().and_then(|last| show_time(last.at_us));
        let latency = view
            .last
            .as_ref()
            .map_or(0.0, |last| ms(u64::try_from(last.latency.as_micros()).unwrap_or(u64::MAX)));
        let failed = view.last.as_ref().and_then(|last| last.failed.as_deref());
        let warning = view.warning.as_deref().map(|claim| format!("Early warning: {claim}"));
        let (status, message, latency) = match (view.state, failed) {
            (Circuit::Open, _) => ("down", "Circuit breaker OPEN".to_owned(), 0.0),
            (Circuit::HalfOpen | Circuit::Ramping, _) => {
                let message = format!("Circuit breaker {}", view.state.as_upper_str());
                ("degraded", message, latency)
            }
            (Circuit::Closed, Some(why)) => {
                let warning = warning.map(|it| format!("; {it}")).unwrap_or_default();
                ("degraded", format!("Last result: {why}{warning}"), latency)
            }
            (Circuit::Closed, None) if warning.is_some() => {
                ("degraded", warning.unwrap_or_default(), latency)
            }
            (Circuit::Closed, None) if view.last.is_none() => {
                ("up", "No result yet".to_owned(), latency)
            }
            (Circuit::Closed, None) => ("up", "OK".to_owned(), latency),
        };
        Self { status, message, latency, timestamp }
    }
}

impl From<&StoreView> for StoreJson {
    fn from(store: &StoreView) -> Self {
        // The fault's own words may name hosts, and nobody had to show a token for this.
        let (status, message) = match store.fault {
            None => ("up", "OK"),
            Some(_) => ("down", "Calls go on; rows wait"),
        };
        Self { status, kind: store.kind, message }
    }
}

impl HealthJson {
    /// What the process knows now.
    pub(super) fn of(admin: &Admin, now_us: i64) -> Self {
        let views = admin.sources.view.services();
        let services: BTreeMap<_, _> =
            views.iter().map(|view| (view.name.to_string(), ServiceJson::from(view))).collect();
        let process = admin.sources.view.status();
        let store = StoreJson::from(&process.store);
        let is_refused =
            process.configuration.last.as_ref().is_some_and(|last| last.fault.is_some());
        let reason = process.degraded.or_else(|| is_refused.then(|| REFUSED.to_owned()));
        let all_up = store.status == "up"
            && reason.is_none()
            && services.values().all(|service| service.status == "up");
        let status = if all_up { "up" } else { "degraded" };
        Self { status, reason, timestamp: show_time(now_us), services, store }
    }
}

/// `GET /health`
pub(super) async fn health(State(admin): State<Arc<Admin>>) -> Response {
    reply::json(StatusCode::OK, &HealthJson::of(&admin, clock::wall_us()))
}

/// `GET /live`
pub(super) async fn live() -> Response {
    #[derive(Serialize)]
    struct Live {
        live: bool,
    }
    reply::data(Live { live: true })
}

/// `GET /ready`
pub(super) async fn ready(State(admin): State<Arc<Admin>>) -> Answer {
    #[derive(Serialize)]
    struct Ready {
        ready: bool,
    }
    admin.sources.view.ready().map_err(Fault::NotReady)?;
    Ok(reply::data(Ready { ready: true }))
}

/// `GET /metrics`
pub(super) async fn metrics(
    State(admin): State<Arc<Admin>>,
    Extension(hangup): Extension<Hangup>,
    headers: HeaderMap,
) -> Answer {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let place = timeout(SCRAPE_WAIT, Arc::clone(&admin.scrapes).acquire_owned()).await;
    let Ok(Ok(place)) = place else { return Err(Fault::TooManyScrapes(SCRAPES)) };
    let text = Bytes::from(admin.sources.view.metrics(format));
    let length = text.len();
    let (held, gone) = oneshot::channel::<Infallible>();
    tokio::spawn(async move {
        if timeout(SCRAPE_LIMIT, gone).await.is_err() {
            hangup.hang_up();
        }
    });
    let body = reply::placed(text, (place, held));
    let mut response = reply::typed(StatusCode::OK, format.content_type(), body);
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Duration, ServiceJson, ServiceView};
    use crate::{admin::view::LastResult, domain::breaker::State};

    fn shown(state: State, failed: Option<Option<&str>>) -> (&'static str, String, f64) {
        shown_with(state, failed, None)
    }

    fn shown_with(
        state: State,
        failed: Option<Option<&str>>,
        warning: Option<&str>,
    ) -> (&'static str, String, f64) {
        let last = failed.map(|failed| LastResult {
            at_us: 1_000_000,
            latency: Duration::from_micros(2_500),
            failed: failed.map(str::to_owned),
        });
        let (name, warning) = (Arc::from("payments"), warning.map(str::to_owned));
        let shown = ServiceJson::from(&ServiceView { name, state, last, warning });
        (shown.status, shown.message, shown.latency)
    }

    #[test]
    fn an_open_breaker_reads_down_whatever_came_last() {
        let open = ("down", "Circuit breaker OPEN".to_owned(), 0.0);
        assert_eq!(shown(State::Open, Some(None)), open);
        assert_eq!(shown(State::Open, Some(Some("http_503"))), open);
    }

    #[test]
    fn a_closed_breaker_reads_as_the_last_result() {
        assert_eq!(shown(State::Closed, Some(None)), ("up", "OK".to_owned(), 2.5));
        assert_eq!(shown(State::Closed, None), ("up", "No result yet".to_owned(), 0.0));
        let failed = shown(State::Closed, Some(Some("connect_refused")));
        assert_eq!(failed, ("degraded", "Last result: connect_refused".to_owned(), 2.5));
    }

    #[test]
    fn a_warning_degrades_what_is_up_and_nothing_else() {
        let warning = Some("failures rose from 0.4 % to 6.0 %, since 14:02 UTC");
        let warned = shown_with(State::Closed, Some(None), warning);
        assert_eq!((warned.0, warned.2), ("degraded", 2.5));
        assert_eq!(warned.1, "Early warning: failures rose from 0.4 % to 6.0 %, since 14:02 UTC");
        assert_eq!(shown_with(State::Open, Some(None), warning).0, "down");
        let failed = shown_with(State::Closed, Some(Some("http_503")), warning);
        assert_eq!(failed.1, format!("Last result: http_503; {}", warned.1));
    }

    #[test]
    fn a_breaker_on_its_way_back_reads_degraded() {
        let half_open = shown(State::HalfOpen, Some(None));
        assert_eq!(half_open, ("degraded", "Circuit breaker HALF_OPEN".to_owned(), 2.5));
        assert_eq!(shown(State::Ramping, None).0, "degraded");
    }
}
