//! From a call to its spans, by OpenTelemetry's conventions for HTTP: one of the server for the call,
//! below it one of the client for each attempt.
//!
//! There is no convention for circuits, so what concerns them has names of its own. Neither the path
//! nor the query of a call is told, as in its row: `http.route` is the template.

use super::{
    Hop, Moved, Sampled,
    attributes::{Value, put},
    protobuf::Message,
};
use crate::domain::{
    outcome::{Outcome, Verdict},
    task::Attempt,
};

/// The conventions by which attributes are named.
const SCHEMA: &[u8] = b"https://opentelemetry.io/schemas/1.44.0";

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const ERROR: u64 = 2;

/// The field of a span's attributes, of its events and of an event's attributes.
const ATTRIBUTES: u32 = 9;
const EVENTS: u32 = 11;
const EVENT_ATTRIBUTES: u32 = 3;

/// A request with the spans of these calls.
pub(super) fn request(
    resource: &[(String, String)],
    calls: &[Sampled],
    moves: &[Moved],
) -> Vec<u8> {
    let mut request = Message::default();
    request.nested(1, |spans_of_resource| {
        spans_of_resource.nested(1, |message| {
            for (name, value) in resource {
                put(message, 1, name, Value::Text(value));
            }
        });
        spans_of_resource.nested(2, |spans_of_scope| {
            spans_of_scope.nested(1, |scope| {
                scope.bytes(1, b"fusebox");
                scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
            });
            for sampled in calls {
                spans_of_scope.nested(2, |span| server(span, sampled, moves));
                for (at, (attempt, hop)) in
                    sampled.call.attempts.iter().zip(&sampled.hops.attempts).enumerate()
                {
                    spans_of_scope.nested(2, |span| client(span, sampled, (at, attempt, hop)));
                }
            }
            spans_of_scope.bytes(3, SCHEMA);
        });
        spans_of_resource.bytes(3, SCHEMA);
    });
    request.finish()
}

/// The span of the call itself.
fn server(span: &mut Message, sampled: &Sampled, moves: &[Moved]) {
    let Sampled { call, hops } = sampled;
    let method = method(sampled);
    let name = format!("{} {}", if method == OTHER { "HTTP" } else { method }, call.site.path);
    let parent = hops.parent.map(u64::to_be_bytes);
    let began_us = micros(call.started_at_us);
    let times = (began_us, began_us + call.duration_us);
    frame(span, sampled, (hops.server, parent.as_ref().map_or(&[], |id| id)), &name, SERVER, times);
    let mut text = |name, value: &str| put(span, ATTRIBUTES, name, Value::Text(value));
    text("http.request.method", method);
    text("url.scheme", hops.scheme);
    text("http.route", &call.site.path);
    text("fusebox.task.id", &call.id.to_string());
    text("fusebox.correlation.id", call.correlation_id.as_str());
    text("fusebox.listener", &call.site.listener);
    text("fusebox.route", &call.site.route);
    text("fusebox.upstream", &call.site.upstream);
    text("fusebox.outcome", call.outcome.as_str());
    text("fusebox.breaker.state", call.breaker_state.as_str());
    if let Some(reason) = call.reason {
        text("error.type", reason.as_str());
    }
    let numbers = [
        ("http.response.status_code", call.status.map(u64::from)),
        ("rpc.grpc.status_code", call.grpc_status.map(u64::from)),
        ("http.request.body.size", Some(call.request_bytes)),
        ("http.response.body.size", Some(call.response_bytes)),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            put(span, ATTRIBUTES, name, Value::Number(value));
        }
    }
    if call.outcome == Outcome::Refused {
        let reason = call.reason.map_or("", |reason| reason.as_str());
        let pairs = [("fusebox.reason", reason), ("fusebox.upstream", &*call.site.upstream)];
        event(span, "fusebox.refused", times.1, &pairs);
    }
    for moved in moves.iter().filter(|moved| concerns(moved, sampled)) {
        let transition = &moved.transition;
        let pairs = [
            ("fusebox.breaker.name", &*moved.name),
            ("fusebox.breaker.from", transition.from.as_str()),
            ("fusebox.breaker.to", transition.to.as_str()),
            ("fusebox.breaker.cause", transition.cause.as_str()),
        ];
        let at_us = micros(moved.at_us).min(times.1);
        event(span, "fusebox.breaker.transition", at_us, &pairs);
    }
    // What the caller did wrong, or did not wait for, is no error of the server.
    let failed = matches!(call.outcome, Outcome::Failure | Outcome::Timeout);
    status(span, call.status.map_or(failed, |status| status >= 500));
}

/// The span of an attempt.
fn client(span: &mut Message, sampled: &Sampled, (at, attempt, hop): (usize, &Attempt, &Hop)) {
    let Sampled { call, hops } = sampled;
    let is_answer = at + 1 == call.attempts.len() && call.first_byte_us.is_some();
    let took_us = match call.upstream_us {
        Some(until_end) if is_answer => until_end,
        _ => attempt.duration_us,
    };
    let began_us = micros(call.started_at_us) + hop.after_us;
    let method = method(sampled);
    let name = if method == OTHER { "HTTP" } else { method };
    let parent = hops.server.to_be_bytes();
    frame(span, sampled, (hop.span, &parent), name, CLIENT, (began_us, began_us + took_us));
    let (address, port) = match attempt.endpoint.rsplit_once(':') {
        Some((address, port)) if !attempt.endpoint.starts_with("unix:") => (address, port),
        _ => (&*attempt.endpoint, ""),
    };
    let mut text = |name, value: &str| put(span, ATTRIBUTES, name, Value::Text(value));
    text("http.request.method", method);
    text("server.address", address);
    text("fusebox.upstream", attempt.instead.as_deref().unwrap_or(&call.site.upstream));
    text("fusebox.verdict", attempt.verdict.as_str());
    if let Some(reason) = attempt.reason {
        text("error.type", reason.as_str());
    }
    let said = attempt.reason.and_then(|reason| reason.said_status());
    let status_code = call.status.filter(|_| is_answer).or(said).map(u64::from);
    let numbers = [
        ("server.port", port.parse().ok()),
        ("http.response.status_code", status_code),
        ("http.request.resend_count", Some(at as u64).filter(|count| *count > 0)),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            put(span, ATTRIBUTES, name, Value::Number(value));
        }
    }
    let is_bad = matches!(attempt.verdict, Verdict::Failure | Verdict::Overload);
    status(span, is_bad || status_code.is_some_and(|status| status >= 400));
}

/// What every span has.
fn frame(
    span: &mut Message,
    sampled: &Sampled,
    (id, parent): (u64, &[u8]),
    name: &str,
    kind: u64,
    (began_us, ended_us): (u64, u64),
) {
    span.bytes(1, &sampled.call.trace_id.as_u128().to_be_bytes());
    span.bytes(2, &id.to_be_bytes());
    span.bytes(3, sampled.hops.state.as_deref().unwrap_or_default().as_bytes());
    span.bytes(4, parent);
    span.bytes(5, name.as_bytes());
    span.number(6, kind);
    span.fixed(7, began_us * 1_000);
    span.fixed(8, ended_us * 1_000);
}

fn event(span: &mut Message, name: &str, at_us: u64, pairs: &[(&str, &str)]) {
    span.nested(EVENTS, |event| {
        event.fixed(1, at_us * 1_000);
        event.bytes(2, name.as_bytes());
        for (name, value) in pairs {
            put(event, EVENT_ATTRIBUTES, name, Value::Text(value));
        }
    });
}

fn status(span: &mut Message, is_error: bool) {
    if is_error {
        span.nested(15, |status| status.number(3, ERROR));
    }
}

/// Whether a circuit moved because of the call, or while it was under way to there.
fn concerns(moved: &Moved, sampled: &Sampled) -> bool {
    let call = &sampled.call;
    let until_us = call.started_at_us.saturating_add_unsigned(call.duration_us);
    let is_meanwhile = (call.started_at_us..=until_us).contains(&moved.at_us);
    let is_its = match moved.name.split_once('/') {
        None => *moved.name == *call.site.upstream,
        Some((upstream, route)) => *upstream == *call.site.upstream && *route == *call.site.route,
    };
    moved.task_ids.contains(&call.id) || (is_its && is_meanwhile)
}

const OTHER: &str = "_OTHER";

fn method(sampled: &Sampled) -> &'static str {
    crate::telemetry::durations::known(&sampled.call.method)
}

fn micros(us: i64) -> u64 {
    u64::try_from(us).unwrap_or(0)
}
