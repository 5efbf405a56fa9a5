//! The life of a call: one straight function.

use std::rc::Rc;

use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
    uri::{Parts, PathAndQuery},
};
use hyper::body::Incoming;

use super::{
    body::{self, Outgoing, RequestBody},
    connection::Connection,
    exchange::Exchange,
    headers::{self, CORRELATION_ID, TRACEPARENT, TRACESTATE},
    inbound,
    reply::Problem,
    routes::Route,
    upstream::{Answer, Endpoint, Patience},
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
    let mut exchange = Exchange::begin(&connection, &request, now);
    let (route, prefix) = match route(&connection, &request) {
        Ok(found) => found,
        Err(problem) => return refuse(exchange, problem, request),
    };
    exchange.enter(&route);
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
    let request = outgoing(request, &exchange, &route, prefix, endpoint, &connection);
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
fn route<B>(connection: &Connection, request: &Request<B>) -> Result<(Rc<Route>, usize), Problem> {
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
    let target = inbound::check(request, head.has_content_length, connection.routes.by_path)
        .map_err(|objection| Problem::new(Reason::BadRequest, objection))?;
    if headers::is_loop(request.headers()) {
        return Err(Problem::new(Reason::LoopDetected, "the call has come through here too often"));
    }
    // `OPTIONS *` asks about the server as a whole, which is what the root stands for.
    let path = if request.uri().path() == "*" { "/" } else { request.uri().path() };
    match connection.routes.table.find(&target.host, &normal(path), request.method()) {
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
    exchange: &Exchange,
    route: &Route,
    prefix: usize,
    endpoint: &Endpoint,
    connection: &Connection,
) -> Request<RequestBody> {
    let idle = route.upstream.timeouts.body_idle;
    let (mut parts, body) = request.into_parts();
    let headers = &mut parts.headers;
    let host = headers.remove(header::HOST).unwrap_or_else(|| endpoint.host.clone());
    headers::strip_hop_by_hop(headers);
    exchange.upload().is_on_hold.set(headers.remove(header::EXPECT).is_some());
    headers::add_via(headers);
    headers::forward(headers, connection.forwarded, connection.peer, connection.local_port, &host);
    headers.insert(header::HOST, if route.preserve_host { host } else { endpoint.host.clone() });
    if let Ok(id) = HeaderValue::from_bytes(exchange.correlation_id()) {
        headers.insert(CORRELATION_ID, id);
    }
    if let Ok(traceparent) = HeaderValue::from_bytes(&exchange.trace().traceparent()) {
        headers.insert(TRACEPARENT, traceparent);
    }
    if exchange.trace().is_new {
        headers.remove(TRACESTATE);
    }
    headers::apply(headers, &route.request_headers);
    parts.uri = target(parts.uri, prefix);
    parts.version = Version::HTTP_11;
    let body = RequestBody::new(body, Rc::clone(exchange.upload()), idle, exchange.started());
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
    sent: Result<Answer, Reason>,
) -> Response<Outgoing> {
    let now = clock::now();
    let sent = sent.and_then(|answer| {
        if is_sound(&answer.response) { Ok(answer) } else { Err(Reason::ProtocolError) }
    });
    let reason = match &sent {
        Ok(answer) => Reason::of_status(answer.response.status(), &route.upstream.failure_statuses),
        Err(reason) => Some(*reason),
    };
    let verdict = reason.map_or(Verdict::Success, Reason::verdict);
    exchange.attempted(verdict, reason, now);
    let observed = Observed {
        verdict,
        latency: exchange.upstream_latency(now),
        retry_after: sent.as_ref().ok().and_then(|answer| retry_after(&answer.response)),
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
        Ok(Answer { response, sender }) => {
            exchange.pass(response, (sender, at), recorded, reason, now)
        }
        Err(reason) => exchange.refuse(Problem::new(reason, explanation(reason))),
    }
}

/// Whether an answer is framed in one way only, and answers what was asked. What another client
/// might read differently is not passed on, nor a switch to a protocol that nobody asked for.
fn is_sound<B>(response: &Response<B>) -> bool {
    let headers = response.headers();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next();
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    let chunked_only =
        coding.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    let digits_only = length.is_none_or(|length| length.as_bytes().iter().all(u8::is_ascii_digit));
    chunked_only
        && digits_only
        && codings.next().is_none()
        && lengths.next().is_none()
        && !(coding.is_some() && length.is_some())
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
}

/// `Retry-After` in seconds; dates are not read.
fn retry_after<B>(response: &Response<B>) -> Option<std::time::Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    value.to_str().ok()?.trim().parse().ok().map(std::time::Duration::from_secs)
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
    use super::{is_sound, target};
    use http::{Response, Uri};

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

    #[test]
    fn an_answer_that_can_be_read_in_two_ways_is_unsound() {
        let sound = |headers: &[(&str, &str)]| {
            let mut response = Response::builder();
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            is_sound(&response.body(()).unwrap())
        };
        assert!(sound(&[("content-length", "5")]));
        assert!(sound(&[("transfer-encoding", "chunked")]));
        assert!(!sound(&[("content-length", "5"), ("content-length", "5")]));
        assert!(!sound(&[("content-length", "5"), ("transfer-encoding", "chunked")]));
        assert!(!sound(&[("transfer-encoding", "gzip, chunked")]));
        assert!(!sound(&[("content-length", "5, 5")]));
    }
}
