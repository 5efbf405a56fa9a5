//! The life of a call: one straight function.

use std::{cell::RefCell, rc::Rc, time::Instant};

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::{
    alarm::Alarm,
    attempts::{Call, Ended, attempts},
    body::Outgoing,
    connection::Connection,
    endpoint::Asks,
    exchange::{Exchange, Passing},
    fields::{Field, Fields},
    headers, inbound,
    outgoing::{Wish, outgoing},
    reply::Problem,
    routes::Route,
    spare::Left,
    upgrade::Upgrade,
    upload::{self, RequestBody},
    upstream::Upstream,
};
use crate::{
    clock,
    domain::{
        deadline::{Deadline, Told},
        outcome::Reason,
        retry,
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
    let deadline = deadline(&route, &fields, now);
    exchange.note(|record| record.deadline_ms = Some(deadline.total_ms()));
    if let Some(reason) = deadline.expired(now) {
        return refuse(exchange, Problem::of(reason), request);
    }
    let asks = Asks {
        is_upgrade: upgrade.is_some(),
        is_grpc: present.grpc,
        is_idempotent: retry::is_repeatable(request.method(), present.idempotency_key),
    };
    let own;
    let alarm = if let Some(shared) = connection.alarm() {
        shared
    } else {
        own = RefCell::new(Alarm::new(deadline.at()));
        &own
    };
    let call = Call {
        deadline,
        instead: None,
        asks,
        preserves_host: route.preserve_host,
        upgrade: upgrade.as_ref(),
        is_safe_probe: request.method().is_idempotent(),
        alarm,
    };
    let is_spared = route.may_need_it_again(asks);
    let kept = if is_spared { route.upstream.live.retry_policy().body_bytes } else { 0 };
    let wish = Wish { present, route: &route, prefix, kept, upgrade: call.upgrade };
    let request = outgoing(request, wish, &exchange, &connection);
    let ended = carry(&route, request, is_spared, &call, &mut exchange).await;
    if let Some((answer, reason)) = route.fixed_answer(ended.reason, asks) {
        ended.left.discard(exchange.upload());
        return exchange.answer_instead(answer, reason);
    }
    match ended.end {
        Ok((answer, answered)) => {
            let is_switch = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
            let upgrade = upgrade.filter(|_| is_switch);
            let until = deadline.of_caller();
            exchange.pass(answer, answered, Passing { upgrade, until })
        }
        Err(problem) => {
            ended.left.discard(exchange.upload());
            exchange.refuse(problem)
        }
    }
}

/// Sends a call to its upstream, and where that does not help to the one that stands in for it.
async fn carry(
    route: &Route,
    request: Request<RequestBody>,
    is_spared: bool,
    call: &Call<'_>,
    exchange: &mut Exchange,
) -> Ended {
    let mut ended = sent_to(&route.upstream, request, is_spared, call, exchange).await;
    if let Some(other) = route.stand_in(ended.reason)
        && let Some((request, _)) = std::mem::take(&mut ended.left).take()
    {
        let deadline = call.deadline.instead(other.timeouts.total, clock::now());
        let call = Call { deadline, instead: Some(other.live.name()), ..*call };
        // Boxed: rare, and every call would carry its room about.
        ended = Box::pin(sent_to(other, request, is_spared, &call, exchange)).await;
    }
    ended
}

/// Sends a call to an upstream when that has room for it.
async fn sent_to(
    upstream: &Upstream,
    request: Request<RequestBody>,
    is_spared: bool,
    call: &Call<'_>,
    exchange: &mut Exchange,
) -> Ended {
    let room = match upstream.live.try_admit() {
        Some(room) => room,
        None => match upstream.live.admit(call.deadline.at()).await {
            Ok(room) => room,
            Err(reason) => {
                let reason = call.deadline.waited(reason, clock::now());
                return Ended::without(Problem::of(reason), Left::all(request));
            }
        },
    };
    exchange.enter(room);
    attempts(upstream, request, is_spared, call, exchange).await
}

/// When the call must be answered, and who says so.
fn deadline(route: &Route, fields: &Fields<'_>, now: Instant) -> Deadline {
    let told = |field: Field<'_>, read: fn(Option<&[u8]>, bool) -> Told| {
        read(field.first, field.is_repeated)
    };
    let grpc =
        if fields.present.grpc { told(fields.grpc_timeout, Told::grpc) } else { Told::Nothing };
    let expected = told(fields.expected_ms, Told::expected_ms);
    Deadline::new(route.upstream.timeouts.total, now, grpc, expected)
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
    let terms = &connection.terms;
    let place = inbound::Place { scheme: terms.scheme(), by_path: terms.routes.by_path };
    let host = inbound::check(request, fields, head.has_content_length, place)
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
