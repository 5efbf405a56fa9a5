//! The life of a call: one straight function.

use std::{cell::RefCell, rc::Rc, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::{
    alarm::Alarm,
    answer::Answer,
    body::Outgoing,
    connection::Connection,
    endpoint::{Asks, Failed},
    exchange::{AtHead, Exchange},
    fields::Fields,
    headers, inbound,
    outgoing::{Wish, outgoing},
    patience::Patience,
    reply::Problem,
    routes::Route,
    upgrade::Upgrade,
    upload,
};
use crate::{
    breakers::Admission,
    clock,
    domain::{
        breaker::Observed,
        outcome::{Reason, Verdict},
        route::{Found, normal, prefix_length},
    },
};

/// Carries one call.
pub(super) async fn handle(
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let now = clock::now();
    let fields = Fields::of(request.headers());
    let present = fields.present;
    let upgrade = Upgrade::wanted(&request, &fields);
    let found = route(&connection, &request, &fields);
    let place = found.as_ref().ok().map(|(route, _)| route);
    let mut exchange = Exchange::begin(&connection, request.method(), &fields, place, now);
    let (route, prefix) = match found {
        Ok(found) => found,
        Err(problem) => return refuse(exchange, problem, request),
    };
    let deadline = now + route.upstream.timeouts.total;
    let total_ms = u64::try_from(route.upstream.timeouts.total.as_millis()).ok();
    exchange.note(|record| record.deadline_ms = total_ms);
    let admission = match route.upstream.circuit.admit(request.method().is_idempotent(), now) {
        Ok(admission) => admission,
        Err(refusal) => {
            exchange.note(|record| record.breaker_state = refusal.state);
            let problem = Problem::circuit_open(route.upstream.circuit.name(), &refusal);
            return refuse(exchange, problem, request);
        }
    };
    exchange.note(|record| record.breaker_state = admission.state());
    let at = route.upstream.turn();
    let endpoint = route.upstream.endpoint(at);
    let wish = Wish { present, route: &route, prefix, endpoint, upgrade: upgrade.as_ref() };
    let asks = Asks {
        is_upgrade: upgrade.is_some(),
        is_grpc: present.grpc,
        is_idempotent: request.method().is_idempotent() || present.idempotency_key,
    };
    let request = outgoing(request, wish, &exchange, &connection);
    exchange.sending(&endpoint.authority, now);
    let own;
    let alarm = if let Some(shared) = connection.alarm() {
        shared
    } else {
        own = RefCell::new(Alarm::new(deadline));
        &own
    };
    let patience = Patience { timeouts: &route.upstream.timeouts, began: now, deadline, alarm };
    let sent = endpoint.send(request, asks, exchange.upload(), patience).await;
    attempt_ended(exchange, &route, admission, at, upgrade, sent)
}

/// Answers a call that is not sent on.
fn refuse(
    exchange: Box<Exchange>,
    problem: Problem,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    if !problem.breaks_connection() && !request.headers().contains_key(header::EXPECT) {
        upload::discard(request.into_body());
    }
    exchange.refuse(problem)
}

/// Finds the route of a call, and how much of its path goes.
fn route<B>(
    connection: &Connection,
    request: &Request<B>,
    fields: &Fields<'_>,
) -> Result<(Rc<Route>, usize), Problem> {
    let head = connection.take_head();
    if head.length > connection.terms.limits.head_bytes {
        return Err(Problem::new(
            Reason::HeadTooLarge,
            "the request head is larger than this listener takes",
        ));
    }
    if request.method() == Method::CONNECT {
        let mut problem = Problem::method_not_allowed(vec![Method::GET, Method::POST]);
        problem.explain("CONNECT is not carried: send http:// requests here, and https:// ones past it (no_proxy)");
        return Err(problem);
    }
    if request.method() == Method::TRACE {
        return Err(Problem::method_not_allowed(vec![Method::GET, Method::POST]));
    }
    let by_path = connection.terms.routes.by_path;
    let host = inbound::check(request, fields, head.has_content_length, by_path)
        .map_err(|objection| Problem::new(Reason::BadRequest, objection))?;
    if fields.present.via && headers::is_loop(request.headers()) {
        return Err(Problem::new(Reason::LoopDetected, "the call has come through here too often"));
    }
    // `OPTIONS *` asks about the server as a whole, which is what the root stands for.
    let path = if request.uri().path() == "*" { "/" } else { request.uri().path() };
    match connection.terms.routes.table.find(host.name, &normal(path), request.method()) {
        Found::Route(route, prefix) => {
            Ok((Rc::clone(route), if route.strip_prefix { prefix_length(path, prefix) } else { 0 }))
        }
        Found::MethodNotAllowed(allow) => Err(Problem::method_not_allowed(allow)),
        Found::Nothing => Err(Problem::new(Reason::NoRoute, "no route takes this host and path")),
    }
}

/// Records the verdict of an attempt and answers the caller.
fn attempt_ended(
    mut exchange: Box<Exchange>,
    route: &Route,
    admission: Admission,
    at: usize,
    upgrade: Option<Upgrade>,
    sent: Result<Response<Answer>, Failed>,
) -> Response<Outgoing> {
    let now = clock::now();
    let fields = sent.as_ref().map(|answer| Fields::of(answer.headers())).unwrap_or_default();
    let (present, retry_after) = (fields.present, retry_after(&fields));
    let reason = match &sent {
        Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let is_granted = upgrade.as_ref().is_some_and(|wanted| wanted.is_granted(&fields));
            (!is_granted).then_some(Reason::ProtocolError)
        }
        Ok(answer) => Reason::of_status(answer.status(), &route.upstream.failure_statuses),
        Err(failed) => Some(failed.reason),
    };
    let verdict = reason.map_or(Verdict::Success, Reason::verdict);
    exchange.attempted(verdict, reason, now);
    let observed = Observed {
        verdict,
        latency: exchange.upstream_latency(now),
        retry_after,
        by_connection: reason.is_some_and(Reason::is_connections),
    };
    let recorded = admission.record(observed, now);
    match sent {
        Ok(answer) => {
            let upgrade = upgrade.filter(|_| answer.status() == StatusCode::SWITCHING_PROTOCOLS);
            let head = AtHead { present, endpoint: at, recorded, reason, upgrade };
            exchange.pass(answer, head, now)
        }
        Err(Failed { reason, reached }) => {
            reached.discard(exchange.upload());
            exchange.refuse(Problem::new(reason, explanation(reason)))
        }
    }
}

/// `Retry-After` in seconds; dates are not read.
fn retry_after(fields: &Fields<'_>) -> Option<Duration> {
    let value = std::str::from_utf8(fields.retry_after.first?).ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// What failed, for the caller. Where the upstream is, only rows and log lines say.
const fn explanation(reason: Reason) -> &'static str {
    match reason {
        Reason::DnsFailure => "the upstream's name does not resolve",
        Reason::ConnectRefused => "the upstream refused the connection",
        Reason::ConnectReset => "no connection to the upstream could be made",
        Reason::ConnectTimeout => "the upstream did not accept a connection in time",
        Reason::TimeoutFirstByte | Reason::TimeoutTotal => "the upstream did not answer in time",
        Reason::ResetBeforeHeaders => "the upstream closed the connection before it answered",
        Reason::ProtocolError => "the upstream sent an answer that is not understood",
        Reason::ClientBodyError => "the request body is malformed or ended early",
        Reason::ClientBodyTimeout => "the request body stopped coming",
        Reason::Internal => "Fusebox itself could not make the call",
        other => other.as_str(),
    }
}
