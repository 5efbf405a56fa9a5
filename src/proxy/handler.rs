//! The life of a call: one straight function.

use std::{rc::Rc, time::Duration};

use http::{
    HeaderValue, Method, Request, Response, Uri, Version, header,
    uri::{Parts, PathAndQuery},
};
use hyper::body::Incoming;

use super::{
    body::{self, Outgoing, RequestBody},
    connection::Connection,
    exchange::Exchange,
    fields::{Fields, Present},
    h1::Arriving,
    headers::{self, CORRELATION_ID, TASK_ID, TRACEPARENT, TRACESTATE},
    inbound,
    reply::Problem,
    routes::Route,
    upstream::{Endpoint, Patience},
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
    let request = outgoing(request, present, &exchange, &route, prefix, endpoint, &connection);
    exchange.sending(&endpoint.authority, now);
    let patience = Patience {
        timeouts: &route.upstream.timeouts,
        began: now,
        deadline,
        alarm: &connection.alarm,
    };
    let sent = endpoint.send(request, exchange.upload(), patience).await;
    attempt_ended(exchange, &route, admission, at, sent)
}

/// Answers a call that is not sent on.
fn refuse(
    exchange: Box<Exchange>,
    problem: Problem,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    if !problem.breaks_connection() && !request.headers().contains_key(header::EXPECT) {
        body::discard(request.into_body());
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
    if head.length > connection.head_bytes {
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
    let by_path = connection.routes.by_path;
    let host = inbound::check(request, fields, head.has_content_length, by_path)
        .map_err(|objection| Problem::new(Reason::BadRequest, objection))?;
    if fields.present.via && headers::is_loop(request.headers()) {
        return Err(Problem::new(Reason::LoopDetected, "the call has come through here too often"));
    }
    // `OPTIONS *` asks about the server as a whole, which is what the root stands for.
    let path = if request.uri().path() == "*" { "/" } else { request.uri().path() };
    match connection.routes.table.find(host.name, &normal(path), request.method()) {
        Found::Route(route, prefix) => {
            Ok((Rc::clone(route), if route.strip_prefix { prefix_length(path, prefix) } else { 0 }))
        }
        Found::MethodNotAllowed(allow) => Err(Problem::method_not_allowed(allow)),
        Found::Nothing => Err(Problem::new(Reason::NoRoute, "no route takes this host and path")),
    }
}

/// The request as the upstream sees it.
fn outgoing(
    request: Request<Incoming>,
    present: Present,
    exchange: &Exchange,
    route: &Route,
    prefix: usize,
    endpoint: &Endpoint,
    connection: &Connection,
) -> Request<RequestBody> {
    let idle = route.upstream.timeouts.body_idle;
    let (mut parts, body) = request.into_parts();
    let headers = &mut parts.headers;
    headers::strip_hop_by_hop(headers, present);
    let held = present.expect && headers.remove(header::EXPECT).is_some();
    exchange.upload().is_on_hold.set(held);
    let host = match headers.get(header::HOST) {
        Some(host) if route.preserve_host => Some(host.clone()),
        _ => headers.insert(header::HOST, endpoint.host.clone()),
    };
    headers::add_via(headers);
    let host = host.as_ref().unwrap_or(&endpoint.host);
    headers::forward(headers, connection.forwarded, connection.peer, connection.local_port, host);
    if let Ok(id) = HeaderValue::from_bytes(exchange.correlation_id()) {
        headers.insert(CORRELATION_ID, id);
    }
    if let Some(id) = exchange.task_id().and_then(|id| HeaderValue::from_bytes(&id.encode()).ok()) {
        headers.insert(TASK_ID, id);
    }
    if let Ok(traceparent) = HeaderValue::from_bytes(&exchange.trace().traceparent()) {
        headers.insert(TRACEPARENT, traceparent);
    }
    if present.tracestate && exchange.trace().is_new {
        headers.remove(TRACESTATE);
    }
    headers::apply(headers, &route.request_headers);
    parts.uri = target(parts.uri, prefix);
    parts.version = Version::HTTP_11;
    let body = RequestBody::new(body, exchange.upload(), idle, exchange.started());
    Request::from_parts(parts, body)
}

/// The target in origin form: path and query as received, less the prefix. Nothing of the
/// authority that the caller named is left in it.
fn target(uri: Uri, prefix: usize) -> Uri {
    let origin_form = uri.scheme().is_none();
    if prefix == 0 && origin_form {
        return uri;
    }
    let received = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let rest = received.get(prefix..).unwrap_or("/");
    let rest = match rest.as_bytes().first() {
        Some(b'/' | b'*') => PathAndQuery::try_from(rest),
        _ => PathAndQuery::try_from(format!("/{rest}")),
    };
    let mut parts = Parts::default();
    parts.path_and_query = rest.ok();
    Uri::from_parts(parts).unwrap_or_default()
}

/// Records the verdict of an attempt and answers the caller.
fn attempt_ended(
    mut exchange: Box<Exchange>,
    route: &Route,
    admission: Admission,
    at: usize,
    sent: Result<Response<Arriving>, Reason>,
) -> Response<Outgoing> {
    let now = clock::now();
    let (present, retry_after) = sent.as_ref().map(said).unwrap_or_default();
    let reason = match &sent {
        Ok(answer) => Reason::of_status(answer.status(), &route.upstream.failure_statuses),
        Err(reason) => Some(*reason),
    };
    let verdict = reason.map_or(Verdict::Success, Reason::verdict);
    exchange.attempted(verdict, reason, now);
    let observed = Observed {
        verdict,
        latency: exchange.upstream_latency(now),
        retry_after,
        by_connection: matches!(
            reason,
            Some(
                Reason::DnsFailure
                    | Reason::ConnectRefused
                    | Reason::ConnectTimeout
                    | Reason::ConnectReset
            )
        ),
    };
    let recorded = admission.record(observed, now);
    match sent {
        Ok(answer) => exchange.pass(answer, present, at, recorded, reason, now),
        Err(reason) => exchange.refuse(Problem::new(reason, explanation(reason))),
    }
}

/// What the fields of an answer say.
fn said(answer: &Response<Arriving>) -> (Present, Option<Duration>) {
    let fields = Fields::of(answer.headers());
    (fields.present, retry_after(&fields))
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

#[cfg(test)]
mod tests {
    use super::target;
    use http::Uri;

    #[test]
    fn the_target_keeps_its_bytes_and_loses_prefix_and_authority() {
        for (received, prefix, expected) in [
            ("/music/a%2Fb?x=1", 6, "/a%2Fb?x=1"),
            ("/music", 6, "/"),
            ("/music?x=1", 6, "/?x=1"),
            ("/a", 0, "/a"),
            ("http://evil:1/a?b", 0, "/a?b"),
            ("http://evil:1", 0, "/"),
            ("*", 0, "*"),
        ] {
            let sent = target(received.parse::<Uri>().unwrap(), prefix);
            assert_eq!(sent.to_string(), expected, "{received}");
            assert_eq!(sent.authority(), None);
        }
    }
}
