//! One call from its head to the end of its body, and the moments in between.
//!
//! An exchange finishes exactly once: when it is dropped. Until something better is known it reads
//! "the caller went away", so that however a call ends, by an answer, an error, a vanished caller
//! or a stop of Fusebox, its row, its log line and its counters are right.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Method, Response, header};

use super::{
    answer::Answer,
    body::{Outgoing, ResponseBody},
    connection::Connection,
    fields::{Fields, Present},
    h1::Connection as Outbound,
    headers::{self, CORRELATION_ID, TASK_ID},
    reply::Problem,
    routes::{Place, Route},
    tunnel::Tunnel,
    upgrade::Upgrade,
    upload::Upload,
};
use crate::{
    breakers::Recorded,
    clock,
    domain::{
        breaker::State,
        correlation::{CorrelationId, TraceContext},
        outcome::{Outcome, Reason, Verdict},
        secret,
        task::{Attempt, CallRecord, TaskId},
    },
    history::Ticket,
};

/// The longest method that is told, in bytes; the longest that is registered has 16.
const MAX_METHOD: usize = 32;

/// No secret is shorter; the methods that everybody uses are.
const SHORTEST_SECRET: usize = 8;

/// What is known when the head of an answer has come.
#[derive(Debug)]
pub(super) struct AtHead {
    pub(super) present: Present,
    /// The place of the endpoint that answered.
    pub(super) endpoint: usize,
    /// The verdict, which the body may still turn.
    pub(super) recorded: Recorded,
    /// What the status said, for when the body ends well.
    pub(super) reason: Option<Reason>,
    /// What the connections become, if it says so.
    pub(super) upgrade: Option<Upgrade>,
}

#[derive(Debug)]
pub(super) struct Exchange {
    connection: Rc<Connection>,
    place: Rc<Place>,
    /// A call that has a route counts as in flight.
    route: Option<Rc<Route>>,
    /// Taken when it is finished.
    record: Option<CallRecord>,
    trace: TraceContext,
    started: Instant,
    /// When the body ended; until then the exchange goes on.
    ended: Option<Instant>,
    /// When the last attempt began.
    sent: Option<Instant>,
    /// Where the attempt goes that is under way.
    under_way: Option<Arc<str>>,
    /// What the journal gave for it when it was sent on.
    begun: Option<Ticket>,
    /// The verdict at the response head, which the body may still turn.
    recorded: Option<Recorded>,
    /// What the status said, for when the body ends well.
    at_head: Option<Reason>,
    upload: Rc<Upload>,
    /// The place of the endpoint that answered.
    endpoint: usize,
}

impl Exchange {
    /// Begins an exchange with the head of its request. With a route it is in flight there.
    pub(super) fn begin(
        connection: &Rc<Connection>,
        method: &Method,
        fields: &Fields<'_>,
        route: Option<&Rc<Route>>,
        now: Instant,
    ) -> Box<Self> {
        connection.begin();
        let started_at_us = clock::wall_us();
        let kept = [fields.correlation_id, fields.request_id]
            .into_iter()
            .find_map(|field| CorrelationId::keep(field.only()?));
        let trace = TraceContext::next_hop(
            fields.traceparent.only(),
            fields.xray.only(),
            (fastrand::u128(..), fastrand::u64(..)),
        );
        let parent =
            fields.task_id.only().and_then(|id| TaskId::parse(std::str::from_utf8(id).ok()?));
        let place = route.map_or(&connection.terms.routes.nowhere, |route| &route.place);
        if route.is_some() {
            place.traffic.begin();
        }
        let record = CallRecord {
            id: TaskId::mint(started_at_us, fastrand::u128(..)),
            started_at_us,
            correlation_id: kept.unwrap_or_else(|| CorrelationId::mint(fastrand::u64(..))),
            trace_id: trace.trace_id,
            parent_id: parent,
            site: Arc::clone(&place.site),
            endpoint: None,
            method: told(method),
            status: None,
            grpc_status: None,
            outcome: Outcome::Cancelled,
            reason: Some(Reason::ClientGoneBeforeHeaders),
            attempts: Default::default(),
            breaker_state: State::Closed,
            duration_us: 0,
            upstream_us: None,
            first_byte_us: None,
            deadline_ms: None,
            request_bytes: 0,
            response_bytes: 0,
            weight: 1,
        };
        Box::new(Self {
            connection: Rc::clone(connection),
            place: Rc::clone(place),
            route: route.map(Rc::clone),
            record: Some(record),
            trace,
            started: now,
            ended: None,
            sent: None,
            under_way: None,
            begun: None,
            recorded: None,
            at_head: None,
            upload: Rc::default(),
            endpoint: 0,
        })
    }

    /// Writes down what is known so far.
    pub(super) fn note(&mut self, change: impl FnOnce(&mut CallRecord)) {
        self.record.as_mut().map(change);
    }

    /// Where the call stands in its trace.
    pub(super) const fn trace(&self) -> &TraceContext {
        &self.trace
    }

    /// The correlation id, as sent on and echoed.
    pub(super) fn correlation_id(&self) -> &[u8] {
        self.record.as_ref().map_or(b"", |record| record.correlation_id.as_bytes())
    }

    /// The task's id: what the upstream does for this call has it as its parent.
    pub(super) fn task_id(&self) -> Option<TaskId> {
        self.record.as_ref().map(|record| record.id)
    }

    /// How far the caller's body has got.
    pub(super) const fn upload(&self) -> &Rc<Upload> {
        &self.upload
    }

    /// When the head was read.
    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    /// An attempt begins. From now on the call has a row, whatever happens to this process.
    pub(super) fn sending(&mut self, endpoint: &Arc<str>, now: Instant) {
        if let (None, Some(record)) = (&self.begun, &self.record) {
            self.begun = Some(self.connection.terms.worker.begin(record, endpoint));
        }
        self.sent = Some(now);
        self.under_way = Some(Arc::clone(endpoint));
    }

    /// How long the upstream has had the whole request; no time while it is still being sent.
    pub(super) fn upstream_latency(&self, now: Instant) -> Duration {
        let complete =
            self.upload.done_at.get().map(|done| self.sent.map_or(done, |at| at.max(done)));
        complete.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// The attempt is over, at the response head or before it.
    pub(super) fn attempted(&mut self, verdict: Verdict, reason: Option<Reason>, now: Instant) {
        let Some(endpoint) = self.under_way.take() else { return };
        let duration_us = self.sent.map_or(0, |sent| micros(now, sent));
        self.note(|record| {
            record.endpoint = Some(Arc::clone(&endpoint));
            record.attempts.push(Attempt { endpoint, verdict, reason, duration_us });
        });
    }

    /// Answers with a problem of ours.
    pub(super) fn refuse(mut self: Box<Self>, problem: Problem) -> Response<Outgoing> {
        let reason = problem.reason();
        let Some(record) = &mut self.record else {
            return Response::new(Outgoing::Reply(Default::default()));
        };
        let (mut response, length) = problem.into_response(record);
        record.status = Some(response.status().as_u16());
        record.outcome = reason.outcome();
        record.reason = Some(reason);
        record.response_bytes = if record.method == Method::HEAD { 0 } else { length };
        self.add_ids(&mut response);
        response
    }

    /// Passes the upstream's answer on. The exchange goes with its body.
    pub(super) fn pass(
        mut self: Box<Self>,
        mut response: Response<Answer>,
        head: AtHead,
        now: Instant,
    ) -> Response<Outgoing> {
        let AtHead { present, endpoint, recorded, reason: at_head, upgrade } = head;
        self.endpoint = endpoint;
        self.recorded = Some(recorded);
        self.at_head = at_head;
        let first_byte_us = micros(now, self.started);
        self.note(|record| {
            record.status = Some(response.status().as_u16());
            record.first_byte_us = Some(first_byte_us);
            let reason = at_head.unwrap_or(Reason::ClientGoneMidBody);
            record.outcome = reason.outcome();
            record.reason = Some(reason);
        });
        headers::strip_hop_by_hop(response.headers_mut(), present);
        let idle = self.route.as_ref().map(|route| {
            headers::apply(response.headers_mut(), &route.response_headers);
            let timeouts = &route.upstream.timeouts;
            if upgrade.is_some() { timeouts.tunnel_idle } else { timeouts.body_idle }
        });
        let idle = idle.unwrap_or_default();
        *response.version_mut() = http::Version::HTTP_11;
        self.add_ids(&mut response);
        if let Some(upgrade) = upgrade {
            return self.switch(response, &upgrade, idle);
        }
        response.map(|body| Outgoing::Stream(Box::new(ResponseBody::new(body, idle, self))))
    }

    /// The upstream has switched to another protocol, and so does the caller's connection when the
    /// answer has been written.
    fn switch(
        self: Box<Self>,
        response: Response<Answer>,
        upgrade: &Upgrade,
        idle: Duration,
    ) -> Response<Outgoing> {
        let (mut head, body) = response.into_parts();
        upgrade.put(&mut head.headers);
        let connection = Rc::clone(&self.connection);
        if let Some((upstream, ahead)) = body.into_stream() {
            connection.becomes(Tunnel::new(self, upstream, ahead, idle));
        }
        Response::from_parts(head, Outgoing::Reply(Default::default()))
    }

    /// Bytes of the body went by.
    pub(super) fn add_response_bytes(&mut self, bytes: u64) {
        self.note(|record| record.response_bytes += bytes);
    }

    /// The body is complete, and its connection free if it can carry another call.
    pub(super) fn body_ended(&mut self, connection: Option<Outbound>) {
        let at_head = self.at_head;
        self.note(|record| {
            record.outcome = at_head.map_or(Outcome::Success, Reason::outcome);
            record.reason = at_head;
        });
        let now = clock::now();
        self.ended = Some(now);
        if let (Some(connection), Some(route)) = (connection, &self.route) {
            route.upstream.endpoint(self.endpoint).keep(connection, now);
        }
        if let Some(recorded) = self.recorded.take() {
            recorded.settle();
        }
    }

    /// The body broke off in the middle.
    pub(super) fn body_failed(&mut self, reason: Reason) {
        self.note(|record| {
            record.outcome = reason.outcome();
            record.reason = Some(reason);
        });
        if let Some(recorded) = self.recorded.take()
            && reason.verdict() == Verdict::Failure
        {
            recorded.reclassify(clock::now());
        }
    }

    fn add_ids<B>(&self, response: &mut Response<B>) {
        let Some(record) = &self.record else { return };
        let headers = response.headers_mut();
        if let Ok(value) = http::HeaderValue::from_bytes(record.correlation_id.as_bytes()) {
            headers.insert(CORRELATION_ID, value);
        }
        if let Ok(value) = http::HeaderValue::from_bytes(&record.id.encode()) {
            headers.insert(TASK_ID, value);
        }
        if self.connection.asks_to_close() {
            headers.insert(header::CONNECTION, http::HeaderValue::from_static("close"));
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let now = self.ended.unwrap_or_else(clock::now);
        let aborting = self.connection.terms.worker.is_aborting();
        let cut_off = if aborting { Reason::Shutdown } else { Reason::ClientGoneBeforeHeaders };
        // It ended while it was under way, which says nothing about the upstream.
        self.attempted(cut_off.verdict(), Some(cut_off), now);
        let Some(mut record) = self.record.take() else { return };
        record.duration_us = micros(now, self.started);
        record.upstream_us = self.sent.map(|sent| micros(now, sent));
        record.request_bytes = self.upload.bytes.get();
        if record.outcome == Outcome::Cancelled && aborting {
            record.outcome = Reason::Shutdown.outcome();
            record.reason = Some(Reason::Shutdown);
        }
        if self.route.is_some() {
            self.place.traffic.end();
        }
        self.place.traffic.count(&record, now);
        self.connection.terms.worker.finish(&record, self.begun.take(), &self.place.line);
        self.connection.end(now);
    }
}

/// A method as rows and lines tell it: one that only fills them, or is a secret, is not told.
fn told(method: &Method) -> Method {
    let name = method.as_str();
    if name.len() < SHORTEST_SECRET || (name.len() <= MAX_METHOD && !secret::is_in(name.as_bytes()))
    {
        return method.clone();
    }
    Method::from_bytes(b"-").unwrap_or_default()
}

fn micros(now: Instant, since: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(since).as_micros()).unwrap_or(u64::MAX)
}
