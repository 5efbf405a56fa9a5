//! The life of a call: one straight function.

use std::{future::ready, rc::Rc, time::Instant};

use futures_util::future::Either;
use http::{Method, Request, StatusCode, header};

use super::{
    attempts::{Call, Ended, attempts},
    body::Outgoing,
    connection::Connection,
    endpoint::Asks,
    exchange::{Exchange, Passing},
    fields::{Field, Fields, Present},
    headers, inbound,
    message::{Ask, Reply},
    outgoing::{Wish, outgoing},
    own,
    received::Received,
    reply::Problem,
    routes::Route,
    served::Facts,
    spare::Sendable,
    upgrade::Upgrade,
    upload,
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

/// Carries one call. What needs no waiting is done at once, so that the future holds only what is
/// needed later.
pub(super) fn handle(
    connection: &Rc<Connection>,
    request: Ask<Received>,
    facts: Facts,
) -> impl Future<Output = Reply<Outgoing>> + use<> {
    match prepare(connection, request, facts) {
        Ok(prepared) => Either::Left(prepared.carry()),
        Err(answer) => Either::Right(ready(answer)),
    }
}

/// A call that is to be sent on.
struct Prepared {
    exchange: Box<Exchange>,
    route: Rc<Route>,
    call: Call,
    request: Sendable,
}

/// Finds out where a call goes and makes it ready to be sent there.
///
/// # Errors
/// The answer to one that is not sent on.
fn prepare(
    connection: &Rc<Connection>,
    request: Ask<Received>,
    facts: Facts,
) -> Result<Prepared, Reply<Outgoing>> {
    let now = clock::now();
    let fields = Fields::of(request.headers());
    let present = fields.present;
    let upgrade = Upgrade::wanted(&request, &fields);
    let found = route(connection, &request, &fields, facts);
    let place = found.as_ref().ok().map(|(route, _)| route);
    let mut exchange = Exchange::begin(connection, request.method(), &fields, place, now);
    if upgrade.is_some() {
        exchange.is_last();
    }
    let (route, prefix) = match found {
        Ok(found) => found,
        Err(problem) => return Err(refuse(exchange, problem, request)),
    };
    let longest = connection.terms.rules().limits.body_bytes;
    if fields.declared_length().zip(longest).is_some_and(|(length, longest)| length > longest) {
        return Err(refuse(exchange, Problem::of(Reason::BodyTooLarge), request));
    }
    if let Some(tasks) = &route.tasks {
        exchange.captures(tasks, &request);
    }
    let deadline = deadline(&route, &fields, now);
    exchange.note(|record| record.deadline_ms = Some(deadline.total_ms()));
    if let Some(reason) = deadline.expired(now) {
        return Err(refuse(exchange, Problem::of(reason), request));
    }
    let asks = Asks {
        is_upgrade: upgrade.is_some(),
        is_grpc: present.grpc,
        is_idempotent: retry::is_repeatable(request.method(), present.idempotency_key),
    };
    let has_ids = own::is_ruled(&route.request_headers);
    let call = Call {
        deadline,
        instead: None,
        asks,
        preserves_host: route.preserve_host,
        has_ids,
        is_patient: is_patient(asks, present, &deadline),
        is_safe_probe: request.method().is_idempotent(),
        upgrade,
        alarm: connection.alarm(deadline.at()),
    };
    if present.tracestate {
        exchange.keep_state(request.headers());
    }
    let is_spared = route.may_need_it_again(asks);
    let kept = if is_spared { route.upstream.live.retry_policy().body_bytes } else { 0 };
    let upgrade = call.upgrade.as_ref();
    let wish = Wish { present, route: &route, prefix, kept, upgrade, has_ids };
    let request = outgoing(request, wish, &exchange, connection);
    let request = Sendable::new(request, is_spared);
    Ok(Prepared { exchange, route, call, request })
}

impl Prepared {
    /// Sends it to its upstream, and where that does not help to those that stand in for it.
    #[expect(clippy::manual_async_fn, reason = "an async fn would have room for `self` twice")]
    fn carry(mut self) -> impl Future<Output = Reply<Outgoing>> {
        async move {
            let upstream = &self.route.upstream;
            let began = self.exchange.started();
            let ended =
                attempts(upstream, &mut self.request, &self.call, &mut self.exchange, began).await;
            let fallback = self.route.fallback.as_ref();
            let ended = match fallback.filter(|it| it.asks_others(ended.reason)) {
                None => ended,
                Some(fallback) => {
                    let (request, exchange) = (&mut self.request, &mut self.exchange);
                    // In a box because it is rare: every call would carry its room about.
                    Box::pin(fallback.ask(request, &mut self.call, exchange, ended)).await
                }
            };
            self.answer(ended)
        }
    }

    /// Answers the caller.
    fn answer(self, ended: Ended) -> Reply<Outgoing> {
        let Self { exchange, route, call, request } = self;
        let asked = (call.asks, call.instead.is_some());
        let fixed = route.fallback.as_ref().and_then(|it| it.answer(ended.reason, asked));
        if let Some((answer, reason)) = fixed {
            request.discard(exchange.upload());
            return exchange.answer_instead(answer, reason);
        }
        match ended.end {
            Ok((answer, answered)) => {
                let is_switch = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
                let upgrade = call.upgrade.filter(|_| is_switch);
                let until = call.deadline.of_caller();
                exchange.pass(answer, answered, Passing { upgrade, until })
            }
            Err(problem) => {
                request.discard(exchange.upload());
                exchange.refuse(problem)
            }
        }
    }
}

/// Whether a call may wait for as long as it likes: a stream of events, and a call of gRPC whose
/// caller says no deadline, may begin with the first event, whenever that is.
fn is_patient(asks: Asks, present: Present, deadline: &Deadline) -> bool {
    let is_stream = asks.is_grpc && deadline.of_caller().is_none();
    asks.is_upgrade || present.accepts_events || is_stream
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
fn refuse(exchange: Box<Exchange>, problem: Problem, request: Ask<Received>) -> Reply<Outgoing> {
    if !problem.breaks_connection() && !request.headers().contains_key(header::EXPECT) {
        upload::discard(request.body);
    }
    exchange.refuse(problem)
}

/// Finds the route of a call, and how much of its path goes.
fn route<B>(
    connection: &Connection,
    request: &Request<B>,
    fields: &Fields<'_>,
    facts: Facts,
) -> Result<(Rc<Route>, usize), Problem> {
    let (terms, rules) = (&connection.terms, connection.terms.rules());
    if facts.length > rules.limits.head_bytes {
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
    let place = inbound::Place { scheme: terms.scheme(), by_path: rules.routes.by_path };
    let host = inbound::check(request, fields, facts, place)
        .map_err(|objection| Problem::new(objection.reason, objection.words))?;
    if matches!(request.method().as_str(), "TRACE" | "TRACK") {
        return Err(Problem::method_not_allowed(vec![Method::GET, Method::POST]));
    }
    if fields.present.via && headers::is_loop(request.headers()) {
        return Err(Problem::new(Reason::LoopDetected, "the call has come through here too often"));
    }
    // `OPTIONS *` asks about the server as a whole, which is what the root stands for.
    let path = if request.uri().path() == "*" { "/" } else { request.uri().path() };
    match rules.routes.table.find(host.name, &normal(path), request.method()) {
        Found::Route(route, prefix) => {
            Ok((Rc::clone(route), if route.strip_prefix { prefix_length(path, prefix) } else { 0 }))
        }
        Found::MethodNotAllowed(allow) => Err(Problem::method_not_allowed(allow)),
        Found::Nothing => Err(Problem::new(Reason::NoRoute, "no route takes this host and path")),
    }
}
