//! `/api/v1/circuit-breakers/{name}/…`: people steer a circuit.
//!
//! | request | what |
//! | --- | --- |
//! | `POST …/override` | an order: `{"mode", "reason", "ttl", "by", "scope"}` |
//! | `POST …/open`, `…/close`, `…/disable`, `…/shadow` | the same, the mode being in the path |
//! | `DELETE …/override` | lifts the order; the body may tell `reason` and `by` |
//! | `POST …/reset` | lifts it, closes the circuit and forgets what was counted |
//!
//! A body must say that it is JSON: a web page can make a browser send anything else to this
//! machine without asking first. What is wished is checked by [`crate::domain::order`]; what
//! becomes of it beyond this instance is not this port's business.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::to_bytes,
    extract::{Path, Request, State, rejection::PathRejection},
    routing::post,
};
use http::header;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{
    Admin,
    breakers::{self, BreakerJson},
    query::{Asked, Pairs},
    reply::{self, Answer, Fault},
};
use crate::{
    clock,
    config::suggest::did_you_mean,
    domain::{
        breaker::{Mode, Scope},
        explain::FleetFacts,
        order::{Act, Order, OrderError, Reach, Signature, Wish},
        units::{parse_duration, show_duration},
    },
};

/// The largest body; the longest reason fits many times.
const MAX_BODY: usize = 16 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer waits for the store to be told.
const TELLING: Duration = Duration::from_millis(500);

/// Why an order was lifted, when nobody said.
const LIFTED: &str = "lifted";

type Name = Result<Path<String>, PathRejection>;

/// What a body may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    mode: Option<String>,
    reason: Option<String>,
    ttl: Option<String>,
    by: Option<String>,
    scope: Option<String>,
}

/// The paths that change something.
pub(super) fn router() -> Router<Arc<Admin>> {
    const PATH: &str = "/api/v1/circuit-breakers/{name}";
    let mut router = Router::new()
        .route(&format!("{PATH}/override"), post(order_in_body).delete(lift))
        .route(&format!("{PATH}/reset"), post(reset));
    for (verb, mode) in [
        ("open", Mode::ForcedOpen),
        ("close", Mode::ForcedClosed),
        ("disable", Mode::Disabled),
        ("shadow", Mode::Shadow),
    ] {
        let handler = move |admin, name, pairs, request| order(admin, name, pairs, request, mode);
        router = router.route(&format!("{PATH}/{verb}"), post(handler));
    }
    router
}

async fn order_in_body(
    State(admin): State<Arc<Admin>>,
    name: Name,
    pairs: Pairs,
    request: Request,
) -> Answer {
    let body = Body::read(request, pairs).await?;
    steer(&admin, name, |body| body.order(None), body).await
}

async fn order(
    State(admin): State<Arc<Admin>>,
    name: Name,
    pairs: Pairs,
    request: Request,
    mode: Mode,
) -> Answer {
    let body = Body::read(request, pairs).await?;
    steer(&admin, name, |body| body.order(Some(mode)), body).await
}

async fn lift(
    State(admin): State<Arc<Admin>>,
    name: Name,
    pairs: Pairs,
    request: Request,
) -> Answer {
    let body = Body::read(request, pairs).await?;
    steer(&admin, name, |body| Ok(Act::Lift(body.signed(Some(LIFTED))?)), body).await
}

async fn reset(
    State(admin): State<Arc<Admin>>,
    name: Name,
    pairs: Pairs,
    request: Request,
) -> Answer {
    let body = Body::read(request, pairs).await?;
    steer(&admin, name, |body| Ok(Act::Reset(body.signed(None)?)), body).await
}

/// The circuit as it is then, and for whom that holds.
#[derive(Serialize)]
struct Steered {
    #[serde(flatten)]
    breaker: BreakerJson,
    /// `fleet`, `instance`, or `untold` while the store cannot be reached.
    reach: &'static str,
    /// What that means, where it is not for all.
    note: Option<&'static str>,
}

/// Does it and shows what the circuit is like then.
async fn steer(
    admin: &Admin,
    name: Name,
    act: impl FnOnce(&Body) -> Result<Act, Fault>,
    body: Body,
) -> Answer {
    let view = breakers::find(admin, name)?;
    let act = act(&body)?;
    body.has_only_what_counts(&act)?;
    let reach = body.reach()?;
    let circuits = &admin.sources.breakers;
    let gone = || Fault::NotFound(format!("circuit breaker `{}`", view.name));
    let circuit = circuits.of(&view.name).ok_or_else(gone)?;
    let now = clock::now();
    circuits.steer(&circuit, act.clone(), reach, now).map_err(Fault::KillSwitch)?;
    let Signature { by, reason } = act.signature();
    let ttl = match &act {
        Act::Order(order) => order.left(now).map(show_duration),
        Act::Lift(_) | Act::Reset(_) => None,
    };
    tracing::info!(
        upstream = &*view.name,
        act = act.as_str(),
        by = &**by,
        reason = &**reason,
        ttl,
        scope = scope(reach),
        "the circuit was steered"
    );
    let mut told = circuit.reach();
    let is_away = view.fleet.as_ref().is_some_and(FleetFacts::is_away);
    if !is_away {
        // What is not told by then is said to be so.
        drop(timeout(TELLING, told.wait_for(|reach| *reach != Reach::Untold)).await);
    }
    let reach = *told.borrow();
    admin.pulse.soon();
    let view = breakers::named(admin, &view.name)?;
    let breaker = BreakerJson::new(&view, clock::wall_us());
    Ok(reply::data(Steered { breaker, reach: reach.as_str(), note: reach.told() }))
}

const fn scope(reach: Scope) -> &'static str {
    match reach {
        Scope::Fleet => "fleet",
        Scope::Instance => "instance",
    }
}

impl Body {
    /// Reads the body of a request; none is one that says nothing.
    async fn read(request: Request, pairs: Pairs) -> Result<Self, Fault> {
        Asked::read(pairs, &[])?;
        let (head, body) = request.into_parts();
        let bytes = match timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(_)) => return Err(Fault::BodyTooLarge(MAX_BODY as u64)),
            Err(_) => return Err(Fault::BadRequest("the body does not arrive".to_owned())),
        };
        let content_type = head.headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
        let is_json = content_type.is_some_and(is_json);
        if !is_json && (head.method == http::Method::POST || !bytes.is_empty()) {
            return Err(Fault::UnsupportedMediaType);
        }
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| Fault::BadRequest(format!("the body cannot be read: {error}")))
    }

    fn order(&self, mode: Option<Mode>) -> Result<Act, Fault> {
        let mode = match (mode, &self.mode) {
            (Some(mode), None) => mode,
            (Some(_), Some(_)) => {
                return Err(Fault::BadRequest("`mode` is said by the path already".to_owned()));
            }
            (None, Some(mode)) => read_mode(mode)?,
            (None, None) => return Err(Fault::unreadable("mode", MODES)),
        };
        let ttl = self.ttl.as_deref().map(parse_duration).transpose();
        let ttl = ttl.map_err(|error| Fault::BadRequest(format!("`ttl`: {error}")))?;
        let reason = self.reason.as_deref().unwrap_or_default();
        let wish = Wish { mode, reason, by: self.by.as_deref(), ttl };
        Ok(Act::Order(Order::new(wish, clock::now())?))
    }

    fn signed(&self, usual: Option<&str>) -> Result<Signature, Fault> {
        let reason = self.reason.as_deref().or(usual).unwrap_or_default();
        Ok(Signature::new(self.by.as_deref(), reason)?)
    }

    /// What is said and does not count is an error: it would not do what is meant.
    fn has_only_what_counts(&self, act: &Act) -> Result<(), Fault> {
        let is_order = matches!(act, Act::Order(_));
        let stray = [("mode", &self.mode), ("ttl", &self.ttl)];
        match stray.iter().find(|(_, said)| said.is_some()) {
            Some((name, _)) if !is_order => {
                Err(Fault::BadRequest(format!("`{name}` says nothing here: only an order has one")))
            }
            _ => Ok(()),
        }
    }

    fn reach(&self) -> Result<Scope, Fault> {
        match self.scope.as_deref() {
            None | Some("fleet") => Ok(Scope::Fleet),
            Some("instance") => Ok(Scope::Instance),
            Some(_) => Err(Fault::unreadable("scope", "`fleet` or `instance`")),
        }
    }
}

const MODES: &str = "`forced_open`, `forced_closed`, `disabled` or `shadow`";

fn read_mode(text: &str) -> Result<Mode, Fault> {
    Mode::parse(text).ok_or_else(|| {
        let near = did_you_mean(text, Mode::ALL.into_iter().map(Mode::as_str));
        Fault::unreadable("mode", format_args!("{MODES}{near}"))
    })
}

/// Whether this content type is JSON, whatever its parameters.
fn is_json(content_type: &[u8]) -> bool {
    let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

impl From<OrderError> for Fault {
    fn from(error: OrderError) -> Self {
        Self::BadRequest(error.to_string())
    }
}
