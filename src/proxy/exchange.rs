//! One call from its head to the end of its body, and the moments in between.
//!
//! An exchange finishes exactly once: when it is dropped. Until something better is known it reads
//! "the caller went away", so that however a call ends, by an answer, an error, a vanished caller
//! or a stop of Fusebox, its row, its log line and its counters are right.

use std::{
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::Frame;

use super::{
    answered::Answered,
    connection::Connection,
    fields::Fields,
    h1::Outbound,
    headers::TRACESTATE,
    own::Ids,
    routes::{Place, Route},
    tasks::Tasks,
    upgrade,
    upload::Upload,
    worker::Ending,
};
use crate::{
    capture::Capture,
    clock,
    domain::{
        breaker::State,
        correlation::{CorrelationId, TraceContext},
        grpc::{Code, GRPC_STATUS},
        outcome::{Outcome, Reason, Verdict},
        route::normal,
        task::{Attempt, CallRecord, TaskId},
    },
    history::Ticket,
    telemetry::traces::Hops,
    upstreams::Call as Room,
};

/// A call whose caller went away within this was hardly meant.
const GIVEN_UP_WITHIN_US: u64 = 1_000_000;

/// Where an attempt goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Towards<'a> {
    /// The upstream, if it stands in for the call's own.
    pub(super) instead: Option<&'a Arc<str>>,
    pub(super) endpoint: &'a Arc<str>,
}

/// The same, kept.
#[derive(Debug)]
struct Target {
    instead: Option<Arc<str>>,
    endpoint: Arc<str>,
}

mod answering;
mod late;
mod method;

pub(super) use answering::Passing;
use late::Late;
use method::told;

#[derive(Debug)]
pub(super) struct Exchange {
    connection: Rc<Connection>,
    place: Rc<Place>,
    /// A call that has a route counts as in flight.
    route: Option<Rc<Route>>,
    record: CallRecord,
    trace: TraceContext,
    /// Of a sampled call.
    hops: Option<Box<Hops>>,
    started: Instant,
    /// When the body ended; until then the exchange goes on.
    ended: Option<Instant>,
    /// When the last attempt began.
    sent: Option<Instant>,
    /// Where the attempt goes that is under way.
    under_way: Option<Target>,
    /// What the journal gave for it when it was sent on.
    begun: Option<Ticket>,
    /// Who answers, and what that says.
    answered: Option<Answered>,
    upload: Rc<Upload>,
    /// A call that has one counts towards the limit of its upstream.
    room: Option<Room>,
    /// What it means, where its route captures that.
    capture: Option<Box<Capture>>,
    /// The caller speaks gRPC.
    is_grpc: bool,
    /// What follows on the caller's connection cannot be trusted to be a request.
    is_last: bool,
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
        let mut trace = TraceContext::next_hop(
            fields.traceparent.only(),
            fields.xray.only(),
            (fastrand::u128(..), fastrand::u64(..)),
        );
        let hops = connection.terms.worker.sample(&mut trace, connection.terms.scheme());
        let parent =
            fields.task_id.only().and_then(|id| TaskId::parse(std::str::from_utf8(id).ok()?));
        let nowhere = || Rc::clone(&connection.terms.rules().routes.nowhere);
        let place = route.map_or_else(nowhere, |route| Rc::clone(&route.place));
        if route.is_some() {
            place.traffic.begin();
        }
        Box::new(Self {
            connection: Rc::clone(connection),
            route: route.map(Rc::clone),
            record: CallRecord {
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
                captured: None,
                weight: 1,
            },
            place,
            trace,
            hops,
            started: now,
            ended: None,
            sent: None,
            under_way: None,
            begun: None,
            answered: None,
            upload: Rc::default(),
            room: None,
            capture: None,
            is_grpc: fields.present.grpc,
            is_last: *method == Method::CONNECT || upgrade::is_websocket(fields),
        })
    }

    /// Writes down what is known so far.
    pub(super) fn note(&mut self, change: impl FnOnce(&mut CallRecord)) {
        change(&mut self.record);
    }

    /// It asks for another protocol. What comes behind it may be in that protocol already, so if it
    /// is not granted the connection ends with the answer.
    pub(super) const fn is_last(&mut self) {
        self.is_last = true;
    }

    /// Where the call stands in its trace.
    pub(super) const fn trace(&self) -> &TraceContext {
        &self.trace
    }

    /// What the call is known by: it is sent on and echoed.
    pub(super) const fn ids(&self) -> Ids<'_> {
        let correlation_id = &self.record.correlation_id;
        Ids { correlation_id, task_id: self.record.id, trace: &self.trace }
    }

    /// How far the caller's body has got.
    pub(super) const fn upload(&self) -> &Rc<Upload> {
        &self.upload
    }

    /// When the head was read.
    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    /// What the caller says of its trace, where anybody wants to know of the call.
    pub(super) fn keep_state(&mut self, headers: &HeaderMap) {
        if let Some(hops) = self.hops.as_mut().filter(|_| !self.trace.is_new) {
            hops.keep_state(headers.get_all(TRACESTATE).iter().map(HeaderValue::as_bytes));
        }
    }

    /// An attempt begins. From now on the call has a row, whatever happens to this process.
    pub(super) fn sending(&mut self, towards: Towards<'_>, now: Instant) {
        let Towards { instead, endpoint } = towards;
        if self.begun.is_none() {
            self.begun = Some(self.connection.terms.worker.begin(&self.record, endpoint));
        }
        if let Some(hops) = &mut self.hops {
            hops.attempt(&mut self.trace, micros(now, self.started), fastrand::u64(..));
        }
        self.sent = Some(now);
        let (instead, endpoint) = (instead.map(Arc::clone), Arc::clone(endpoint));
        self.under_way = Some(Target { instead, endpoint });
    }

    /// How long the upstream has had the whole request; no time while it is still being sent.
    pub(super) fn upstream_latency(&self, now: Instant) -> Duration {
        let complete =
            self.upload.done_at.get().map(|done| self.sent.map_or(done, |at| at.max(done)));
        complete.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// The attempt is over, at the response head or before it.
    pub(super) fn attempted(&mut self, verdict: Verdict, reason: Option<Reason>, now: Instant) {
        let Some(Target { instead, endpoint }) = self.under_way.take() else { return };
        let duration_us = self.sent.map_or(0, |sent| micros(now, sent));
        self.note(|record| {
            record.endpoint = Some(Arc::clone(&endpoint));
            record.attempts.push(Attempt { instead, endpoint, verdict, reason, duration_us });
        });
    }

    /// Its upstream has room for it; none when it leaves.
    pub(super) fn enter(&mut self, room: Option<Room>) {
        self.room = room;
    }

    /// Its route tells something of its task.
    pub(super) fn captures(&mut self, tasks: &Tasks, request: &Request<()>) {
        let path = normal(request.uri().path());
        if let Some(place) = tasks.place(&path) {
            self.record.site = Arc::clone(&place.site);
            self.place = place;
        }
        let Some(extraction) = &tasks.extraction else { return };
        let capture = Capture::begin(extraction, &path, request.uri().query(), request.headers());
        if capture.wants_request() {
            self.upload.copied.replace(Some(Box::default()));
        }
        self.capture = Some(Box::new(capture));
    }

    /// Bytes of the answer went by that are nobody's business.
    pub(super) fn add_response_bytes(&mut self, bytes: u64) {
        self.note(|record| record.response_bytes += bytes);
    }

    /// Some of the body goes by.
    pub(super) fn passes(&mut self, bytes: Option<&Bytes>) {
        let Some(bytes) = bytes else { return };
        self.add_response_bytes(bytes.len() as u64);
        if let Some(capture) = &mut self.capture {
            capture.passes(bytes);
        }
    }

    /// Whether it is known only at the end how the upstream did.
    pub(super) fn is_awaited(&self) -> bool {
        self.answered.as_ref().is_some_and(Answered::is_awaited)
    }

    /// The answer goes on for longer than its end is waited for.
    pub(super) fn lasts(&mut self) {
        if let Some(answered) = &mut self.answered {
            answered.lasts(clock::now());
        }
    }

    /// Tells the one who bounds the caller's reading what a look for the next frame came to.
    pub(super) fn tell_pace<E>(&self, polled: &Poll<Option<Result<Frame<Bytes>, E>>>) {
        let Some(pace) = self.connection.pace() else { return };
        match polled {
            Poll::Ready(Some(Ok(frame))) => pace.gave(frame.data_ref().map_or(0, Bytes::len)),
            Poll::Ready(_) | Poll::Pending => pace.waits(),
        }
    }

    /// The trailers of the answer have come.
    pub(super) fn trailed(&mut self, trailers: &HeaderMap) {
        let Some(answered) = &mut self.answered else { return };
        let said = trailers.get(GRPC_STATUS).filter(|_| self.is_grpc);
        let Some(code) = said.map(|said| Code::of_field(said.as_bytes())) else { return };
        answered.says(code, clock::now());
        self.note(|record| record.grpc_status = Some(code.number()));
    }

    /// The body is complete, and its connection free if it can carry another call.
    pub(super) fn body_ended(&mut self, connection: Option<Box<Outbound>>) {
        let now = clock::now();
        self.ended = Some(now);
        let reason = self.answered.as_ref().and_then(Answered::reason);
        self.note(|record| match reason {
            Some(reason) => record.end_with(reason),
            None => (record.outcome, record.reason) = (Outcome::Success, None),
        });
        self.turned(reason);
        if let Some(answered) = &mut self.answered {
            match connection {
                Some(connection) => answered.endpoint().keep(connection, now),
                None => self.upload.answered(),
            }
            answered.ended(now);
        }
    }

    /// The body broke off in the middle.
    pub(super) fn body_failed(&mut self, reason: Reason) {
        self.note(|record| record.end_with(reason));
        self.turned(Some(reason));
        if let Some(answered) = &mut self.answered {
            answered.failed(reason, clock::now());
        }
    }

    /// What the last attempt came to is other than what its head said.
    fn turned(&mut self, reason: Option<Reason>) {
        let Some(reason) = reason.filter(|reason| reason.verdict() == Verdict::Failure) else {
            return;
        };
        self.note(|record| {
            if let Some(last) = record.attempts.last_mut() {
                (last.verdict, last.reason) = (Verdict::Failure, Some(reason));
            }
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.answered.is_some() && self.ended.is_none() {
            self.upload.give_up();
        }
        let now = self.ended.unwrap_or_else(clock::now);
        let aborting = self.connection.terms.worker.is_aborting();
        let cut_off = if aborting { Reason::Shutdown } else { Reason::ClientGoneBeforeHeaders };
        // It ended while it was under way, which says nothing about the upstream.
        self.attempted(cut_off.verdict(), Some(cut_off), now);
        let record = &mut self.record;
        record.duration_us = micros(now, self.started);
        record.upstream_us = self.sent.map(|sent| micros(now, sent));
        record.request_bytes = self.upload.bytes.get();
        if record.outcome == Outcome::Cancelled && aborting {
            record.outcome = Reason::Shutdown.outcome();
            record.reason = Some(Reason::Shutdown);
        }
        let given_up = record.reason == Some(Reason::ClientGoneBeforeHeaders)
            && record.duration_us < GIVEN_UP_WITHIN_US;
        if self.route.is_some() {
            self.place.traffic.end();
        }
        let ending = Ending { begun: self.begun.take(), hops: self.hops.take() };
        match self.capture.take() {
            None => {
                self.place.count(record, ending.hops.is_some(), now);
                self.connection.terms.worker.finish(record, ending, &self.place.line);
            }
            Some(capture) => Late {
                worker: Rc::clone(&self.connection.terms.worker),
                place: Rc::clone(&self.place),
                record: record.clone(),
                ending: Some(ending),
                capture,
                upload: Rc::clone(&self.upload),
                is_over: self.ended.is_some(),
                now,
            }
            .end(),
        }
        self.connection.end(given_up, now);
    }
}

fn micros(now: Instant, since: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(since).as_micros()).unwrap_or(u64::MAX)
}
