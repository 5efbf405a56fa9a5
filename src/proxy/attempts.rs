//! The attempts of a call at one upstream, of which there is nearly always one.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use tokio::time::sleep;

use super::{
    alarm::Alarm,
    answer::Answer,
    answer_fields::AnswerFields,
    answered::{Answered, Standing},
    endpoint::{Asks, Endpoint, Failed, Reached},
    exchange::{Exchange, Towards},
    headers,
    message::Reply,
    own::Own,
    patience::{Patience, Watched},
    reply::Problem,
    spare::Sendable,
    upgrade::Upgrade,
    upstream::Upstream,
};
use crate::{
    breakers::Admission,
    clock,
    domain::{
        breaker::Observed,
        deadline::Deadline,
        outcome::{Reason, Verdict},
        retry::{Condition, Ending, Facts},
    },
    upstreams::{InFlight, Retry},
};

/// What all attempts of a call have in common.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) deadline: Deadline,
    /// The upstream, if it stands in for the call's own.
    pub(super) instead: Option<Arc<str>>,
    pub(super) asks: Asks,
    /// The caller's Host goes upstream.
    pub(super) preserves_host: bool,
    /// The ids of the call are among the request's fields.
    pub(super) has_ids: bool,
    /// What it asks the connection to become.
    pub(super) upgrade: Option<Upgrade>,
    /// It may wait for as long as it likes: that says nothing about the upstream.
    pub(super) is_patient: bool,
    /// It may be the one that tries out an upstream that failed.
    pub(super) is_safe_probe: bool,
    /// Borrowed while it is polled only.
    pub(super) alarm: Rc<RefCell<Alarm>>,
}

mod room;
mod said;

use room::{NotAdmitted, room};
pub(super) use said::Said;

/// How the attempts ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The answer, which may be a failure, or why there is none.
    pub(super) end: Result<(Reply<Answer>, Answered), Problem>,
    /// Why it is no success.
    pub(super) reason: Option<Reason>,
}

/// An attempt that is over.
struct Attempted {
    endpoint: Rc<Endpoint>,
    sent: Result<Reply<Answer>, Failed>,
    said: Said,
    standing: Standing,
    deadline: Deadline,
    counted: InFlight,
}

/// An attempt that is to be followed by another.
struct Again {
    last: Attempted,
    /// The share of the last one in the budget, if it was a retry.
    counted: Option<Retry>,
    /// Until the next one.
    wait: Duration,
    /// The share of the next one.
    within_budget: Retry,
}

/// Makes attempts, when the upstream has room for the call and its circuit admits it, until one is
/// good enough or there is to be no other. What is left of the request can be sent elsewhere.
pub(super) async fn attempts(
    upstream: &Upstream,
    request: &mut Sendable,
    call: &Call,
    exchange: &mut Exchange,
    now: Instant,
) -> Ended {
    // What is rare is in boxes here: every call would carry its room about.
    let (room, now) = match upstream.live.try_admit() {
        Some(room) => (Ok(room), now),
        // What is waited for room is no time of the upstream's.
        None => (Box::pin(room(upstream, call)).await, clock::now()),
    };
    let admitted = room.and_then(|room| {
        exchange.enter(Some(room));
        upstream.circuit.admit(call.is_safe_probe, now).map_err(NotAdmitted::Refused)
    });
    let admission = match admitted {
        Ok(admission) => admission.of(exchange.ids().task_id),
        Err(reason) => return reason.ended(upstream, call, exchange),
    };
    exchange.note(|record| record.breaker_state = admission.state());
    let endpoint = match upstream.pick(&[], now) {
        Some(endpoint) => endpoint,
        None => match Box::pin(resolve(upstream, call, now)).await {
            Ok(endpoint) => endpoint,
            Err(reason) => {
                observe(admission, reason, call, now);
                return Ended::without(Problem::of(reason));
            }
        },
    };
    let first = attempt(upstream, endpoint, request, admission, call, exchange, now).await;
    match first.or_again(upstream, request, call, None, 1) {
        Ok(ended) => ended,
        Err(more) => Box::pin(others(upstream, request, call, exchange, more)).await,
    }
}

/// The attempts after the first.
async fn others(
    upstream: &Upstream,
    request: &mut Sendable,
    call: &Call,
    exchange: &mut Exchange,
    first: Box<Again>,
) -> Ended {
    let mut again = first;
    let mut tried = Vec::new();
    loop {
        let Again { last, counted, wait, within_budget } = *again;
        sleep(wait).await;
        let now = clock::now();
        // The one before may be sending still: it may have become too long to be kept meanwhile.
        if !last.is_unsent() && !request.is_at_hand() {
            return last.into_ended(request, counted);
        }
        // Not while the circuit is open.
        let Ok(admission) = upstream.circuit.admit(call.is_safe_probe, now) else {
            return last.into_ended(request, counted);
        };
        tried.push(Arc::clone(last.endpoint.host()));
        let Some(endpoint) = upstream.pick(&tried, now) else {
            return last.into_ended(request, counted);
        };
        drop(last.into_ended(request, counted));
        let admission = admission.of(exchange.ids().task_id);
        let next = attempt(upstream, endpoint, request, admission, call, exchange, now).await;
        match next.or_again(upstream, request, call, Some(within_budget), tried.len() + 1) {
            Ok(ended) => return ended,
            Err(more) => again = more,
        }
    }
}

/// How long to wait before another attempt, and its share in the budget; none if there is to be no
/// other.
fn again(
    upstream: &Upstream,
    request: &Sendable,
    call: &Call,
    last: &Attempted,
    made: usize,
) -> Option<(Duration, Retry)> {
    let ending = last.ending()?;
    let facts = Facts {
        is_repeatable: call.asks.is_idempotent,
        is_replayable: last.is_unsent() || request.is_at_hand(),
        has_answered: false,
        attempts: u32::try_from(made).unwrap_or(u32::MAX),
        left: call.deadline.at().saturating_duration_since(clock::now()),
    };
    let wait = upstream.live.retry_policy().wait(&facts, ending, fastrand::u64(..))?;
    Some((wait, upstream.live.retry()?))
}

/// Waits for an endpoint while no name has been resolved.
async fn resolve(upstream: &Upstream, call: &Call, now: Instant) -> Result<Rc<Endpoint>, Reason> {
    let patience = call.patience(upstream, Watched(None), now);
    patience.connect(upstream.resolved()).await?;
    upstream.pick(&[], now).ok_or(Reason::DnsFailure)
}

/// Records the verdict of an attempt that never was.
fn observe(admission: Admission, reason: Reason, call: &Call, began: Instant) {
    let now = clock::now();
    let observed = Observed {
        verdict: call.deadline.verdict(reason),
        latency: now.saturating_duration_since(began),
        retry_after: None,
        by_connection: reason.is_connections(),
    };
    admission.record(observed, now).settle();
}

/// One attempt.
async fn attempt(
    upstream: &Upstream,
    endpoint: Rc<Endpoint>,
    request: &mut Sendable,
    admission: Admission,
    call: &Call,
    exchange: &mut Exchange,
    now: Instant,
) -> Attempted {
    let towards = Towards { instead: call.instead.as_ref(), endpoint: endpoint.authority() };
    exchange.sending(towards, now);
    let counted = endpoint.host().begin();
    let admission = RefCell::new(admission);
    let sent = match request.take() {
        Some(mut request) => {
            call.deadline.tell(request.headers_mut(), now);
            if let Some(credentials) = &endpoint.settings().credentials {
                headers::identify(request.headers_mut(), credentials);
            }
            let own = call.own(&endpoint, exchange);
            let patience = call.patience(upstream, call.watched(upstream, &admission), now);
            endpoint.send((request, own), call.asks, exchange.upload(), patience).await
        }
        None => Err(Failed { reason: Reason::Internal, reached: Reached::Something }),
    };
    let now = clock::now();
    let mut admission = admission.into_inner();
    let sent = call.understood(sent, now);
    let said = Said::of(&sent, upstream, call, now);
    let verdict = said.reason.map_or(Verdict::Success, |reason| call.deadline.verdict(reason));
    exchange.attempted(verdict, said.reason, now);
    let observed = Observed {
        verdict,
        latency: exchange.upstream_latency(now),
        retry_after: said.retry_after,
        by_connection: said.reason.is_some_and(Reason::is_connections),
    };
    let standing = if said.is_unfinished {
        admission.begins_to_answer(now);
        Standing::Awaited(admission, observed)
    } else {
        Standing::Recorded(admission.record(observed, now))
    };
    if verdict != Verdict::Success {
        endpoint.record(verdict, now);
    }
    Attempted { endpoint, sent, said, standing, deadline: call.deadline, counted }
}

impl Call {
    /// What is said to this endpoint of the call.
    fn own<'a>(&self, endpoint: &'a Endpoint, exchange: &'a Exchange) -> Own<'a> {
        Own {
            host: Some(endpoint.name()).filter(|_| !self.preserves_host),
            ids: Some(exchange.ids()).filter(|_| !self.has_ids),
        }
    }

    /// Who wants to know how long it waits.
    fn watched<'a>(&self, upstream: &Upstream, admission: &'a RefCell<Admission>) -> Watched<'a> {
        let look = upstream.circuit.first_look().filter(|_| !self.is_patient);
        Watched(look.map(|look| (look, admission)))
    }

    /// How long an attempt that begins now waits.
    fn patience<'a>(
        &'a self,
        upstream: &'a Upstream,
        watched: Watched<'a>,
        now: Instant,
    ) -> Patience<'a> {
        let timeouts = &upstream.timeouts;
        let (deadline, late) = self.deadline.attempt(timeouts.attempt, now);
        let first_byte = upstream.live.first_byte(timeouts.first_byte);
        Patience { timeouts, began: now, first_byte, deadline, late, alarm: &self.alarm, watched }
    }

    /// What came of an attempt, as this call sees it. An answer in a protocol that was not asked for
    /// is none, and nobody is to use its connection.
    fn understood(
        &self,
        sent: Result<Reply<Answer>, Failed>,
        now: Instant,
    ) -> Result<Reply<Answer>, Failed> {
        match sent {
            Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let fields = AnswerFields::of(answer.headers());
                let wanted = self.upgrade.as_ref();
                if wanted.is_some_and(|wanted| wanted.is_granted(&fields)) {
                    return Ok(answer);
                }
                Err(Failed { reason: Reason::ProtocolError, reached: Reached::Something })
            }
            Err(Failed { reason: full @ Reason::NoConnection, reached }) => {
                Err(Failed { reason: self.deadline.waited(full, now), reached })
            }
            other => other,
        }
    }
}

impl Attempted {
    /// What it is as to another attempt; none when it is good enough, or beyond help.
    fn ending(&self) -> Option<Ending> {
        let failed = match &self.sent {
            Ok(answer) => return self.said.reason.map(|_| Ending::Answered(answer.status())),
            Err(failed) => failed,
        };
        let is_untouched = match failed.reached {
            Reached::Refused => true,
            Reached::Nothing(_) => failed.reason == Reason::ResetBeforeHeaders,
            // The session broke when the request may have been read: that is no handshake.
            Reached::Something
                if matches!(failed.reason, Reason::TlsFailure | Reason::TlsCertificate) =>
            {
                return Some(Ending::Failed(Condition::Reset));
            }
            Reached::Something => false,
        };
        let condition =
            if is_untouched { Some(Condition::Unsent) } else { Condition::of(failed.reason) };
        condition.map(Ending::Failed)
    }

    /// Whether nothing of the request was sent.
    const fn is_unsent(&self) -> bool {
        matches!(&self.sent, Err(Failed { reached: Reached::Nothing(_), .. }))
    }

    /// Hands on what came of it, or what is needed for another attempt.
    fn or_again(
        self,
        upstream: &Upstream,
        request: &mut Sendable,
        call: &Call,
        counted: Option<Retry>,
        made: usize,
    ) -> Result<Ended, Box<Again>> {
        match again(upstream, request, call, &self, made) {
            None => Ok(self.into_ended(request, counted)),
            Some((wait, within_budget)) => {
                Err(Box::new(Again { last: self, counted, wait, within_budget }))
            }
        }
    }

    /// Hands on what came of it. `counted` is its share in the budget, if it was a retry.
    fn into_ended(self, request: &mut Sendable, counted: Option<Retry>) -> Ended {
        let Self { endpoint, sent, said, standing, deadline, counted: in_flight } = self;
        match sent {
            Ok(answer) => {
                let in_flight = (in_flight, counted);
                let answered = Answered::new(endpoint, in_flight, standing, said, deadline);
                Ended { end: Ok((answer, answered)), reason: said.reason }
            }
            Err(Failed { reason, mut reached }) => {
                // Whoever gets it next has a key of its own, or none.
                if let (Reached::Nothing(request), Some(credentials)) =
                    (&mut reached, &endpoint.settings().credentials)
                {
                    request.headers_mut().remove(&credentials.header);
                }
                request.put_back(reached);
                Ended::without(Problem::of(reason))
            }
        }
    }
}

impl Ended {
    /// Without an answer.
    fn without(problem: Problem) -> Self {
        Self { reason: Some(problem.reason()), end: Err(problem) }
    }
}
