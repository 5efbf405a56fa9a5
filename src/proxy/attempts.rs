//! The attempts of a call at one upstream, of which there is nearly always one.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, Response, StatusCode, header};
use http_body::Body as _;
use tokio::time::sleep;

use super::{
    alarm::Alarm,
    answer::Answer,
    answered::{Answered, Standing},
    endpoint::{Asks, Endpoint, Failed, Reached},
    exchange::{Exchange, Towards},
    fields::Fields,
    patience::Patience,
    reply::Problem,
    spare::{Left, Spare},
    upgrade::Upgrade,
    upload::RequestBody,
    upstream::Upstream,
};
use crate::{
    breakers::Admission,
    clock,
    domain::{
        breaker::Observed,
        deadline::Deadline,
        grpc::Code,
        outcome::{Reason, Verdict},
        retry::{Condition, Ending, Facts},
    },
    upstreams::{InFlight, Retry},
};

/// What all attempts of a call have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) deadline: Deadline,
    /// The upstream, if it stands in for the call's own.
    pub(super) instead: Option<&'a Arc<str>>,
    pub(super) asks: Asks,
    /// The caller's Host goes upstream.
    pub(super) preserves_host: bool,
    /// What it asks the connection to become.
    pub(super) upgrade: Option<&'a Upgrade>,
    /// It may be the one that tries out an upstream that failed.
    pub(super) is_safe_probe: bool,
    /// Borrowed while it is polled only.
    pub(super) alarm: &'a RefCell<Alarm>,
}

/// How the attempts ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The answer, which may be a failure, or why there is none.
    pub(super) end: Result<(Response<Answer>, Answered), Problem>,
    /// Why it is no success.
    pub(super) reason: Option<Reason>,
    /// What can be sent elsewhere.
    pub(super) left: Left,
}

/// What an attempt came to.
struct Attempted {
    sent: Result<Response<Answer>, Failed>,
    /// Why it is no success.
    reason: Option<Reason>,
    standing: Standing,
    counted: InFlight,
}

/// Makes attempts until one is good enough, or there is to be no other. `is_spared` says whether
/// the request can be needed again.
pub(super) async fn attempts(
    upstream: &Upstream,
    mut request: Request<RequestBody>,
    is_spared: bool,
    call: &Call<'_>,
    exchange: &mut Exchange,
) -> Ended {
    let began = exchange.started();
    let mut admission = match upstream.circuit.admit(call.is_safe_probe, began) {
        Ok(admission) => admission,
        Err(refusal) => {
            exchange.note(|record| record.breaker_state = refusal.state);
            let problem = Problem::circuit_open(upstream.circuit.name(), &refusal);
            return Ended::without(problem, Left::all(request));
        }
    };
    exchange.note(|record| record.breaker_state = admission.state());
    let mut spare = is_spared.then(|| Spare::of(&request));
    let (mut tried, mut retry) = (Vec::new(), None);
    let mut now = began;
    loop {
        let endpoint = match upstream.pick(&tried, now) {
            Some(endpoint) => endpoint,
            None => match resolve(upstream, call, now).await {
                Ok(endpoint) => endpoint,
                Err(reason) => {
                    observe(admission, reason, now);
                    return Ended::without(Problem::of(reason), Left::all(request));
                }
            },
        };
        let attempted = attempt(upstream, &endpoint, request, admission, call, exchange, now).await;
        tried.push(Arc::clone(endpoint.host()));
        let again = again(upstream, call, &attempted, spare.as_ref(), tried.len());
        let Some((wait, within_budget)) = again else {
            return attempted.into_ended(endpoint, retry, spare);
        };
        if !wait.is_zero() {
            sleep(wait).await;
        }
        now = clock::now();
        admission = match upstream.circuit.admit(call.is_safe_probe, now) {
            Ok(admission) => admission,
            Err(_) => return attempted.into_ended(endpoint, retry, spare),
        };
        let Ended { end, reason, left } = attempted.into_ended(endpoint, retry, spare);
        let Some(next) = left.take() else {
            return Ended { end, reason, left: Left::default() };
        };
        (request, spare) = next;
        retry = Some(within_budget);
    }
}

/// How long to wait before another attempt, and its share in the budget; none if there is to be no
/// other.
fn again(
    upstream: &Upstream,
    call: &Call<'_>,
    attempted: &Attempted,
    spare: Option<&Spare>,
    made: usize,
) -> Option<(Duration, Retry)> {
    let ending = attempted.ending()?;
    let facts = Facts {
        is_repeatable: call.asks.is_idempotent,
        is_replayable: attempted.is_unsent() || spare.is_some_and(Spare::is_whole),
        has_answered: false,
        attempts: u32::try_from(made).unwrap_or(u32::MAX),
        left: call.deadline.at().saturating_duration_since(clock::now()),
    };
    let wait = upstream.live.retry_policy().wait(&facts, ending, fastrand::u64(..))?;
    Some((wait, upstream.live.retry()?))
}

/// Waits for an endpoint while no name has been resolved.
async fn resolve(
    upstream: &Upstream,
    call: &Call<'_>,
    now: Instant,
) -> Result<Rc<Endpoint>, Reason> {
    let patience = call.patience(upstream, now);
    patience.connect(upstream.resolved()).await?;
    upstream.pick(&[], now).ok_or(Reason::DnsFailure)
}

/// Records the verdict of an attempt that never was.
fn observe(admission: Admission, reason: Reason, began: Instant) {
    let now = clock::now();
    let observed = Observed {
        verdict: reason.verdict(),
        latency: now.saturating_duration_since(began),
        retry_after: None,
        by_connection: reason.is_connections(),
    };
    admission.record(observed, now).settle();
}

/// One attempt.
async fn attempt(
    upstream: &Upstream,
    endpoint: &Rc<Endpoint>,
    mut request: Request<RequestBody>,
    admission: Admission,
    call: &Call<'_>,
    exchange: &mut Exchange,
    now: Instant,
) -> Attempted {
    let headers = request.headers_mut();
    if !call.preserves_host {
        headers.insert(header::HOST, endpoint.name().clone());
    }
    call.deadline.tell(headers, now);
    let towards = Towards { instead: call.instead, endpoint: endpoint.authority() };
    exchange.sending(towards, now);
    let counted = endpoint.host().begin();
    let patience = call.patience(upstream, now);
    let sent = endpoint.send(request, call.asks, exchange.upload(), patience).await;
    let now = clock::now();
    let sent = call.understood(sent, now);
    let said = Said::of(&sent, upstream, call, now);
    let verdict = said.reason.map_or(Verdict::Success, Reason::verdict);
    exchange.attempted(verdict, said.reason, now);
    let observed = Observed {
        verdict,
        latency: exchange.upstream_latency(now),
        retry_after: said.retry_after,
        by_connection: said.reason.is_some_and(Reason::is_connections),
    };
    let standing = if said.is_unfinished {
        Standing::Awaited(admission, observed)
    } else {
        Standing::Recorded(admission.record(observed, now))
    };
    if verdict != Verdict::Success {
        endpoint.record(verdict, now);
    }
    Attempted { sent, reason: said.reason, standing, counted }
}

impl Call<'_> {
    /// How long an attempt that begins now waits.
    fn patience<'a>(&'a self, upstream: &'a Upstream, now: Instant) -> Patience<'a> {
        let timeouts = &upstream.timeouts;
        let (deadline, late) = self.deadline.attempt(timeouts.attempt, now);
        Patience { timeouts, began: now, deadline, late, alarm: self.alarm }
    }

    /// What came of an attempt, as this call sees it. An answer in a protocol that was not asked for
    /// is none, whose connection must not be used by anybody.
    fn understood(
        &self,
        sent: Result<Response<Answer>, Failed>,
        now: Instant,
    ) -> Result<Response<Answer>, Failed> {
        match sent {
            Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let fields = Fields::of(answer.headers());
                let is_granted = self.upgrade.is_some_and(|wanted| wanted.is_granted(&fields));
                let (reason, reached) = (Reason::ProtocolError, Reached::Something);
                if is_granted { Ok(answer) } else { Err(Failed { reason, reached }) }
            }
            Err(Failed { reason: full @ Reason::NoConnection, reached }) => {
                Err(Failed { reason: self.deadline.waited(full, now), reached })
            }
            other => other,
        }
    }
}

/// What an attempt says at its head.
#[derive(Debug, Default)]
struct Said {
    /// Why it is no success.
    reason: Option<Reason>,
    retry_after: Option<Duration>,
    /// Whether it succeeded is said at its end.
    is_unfinished: bool,
}

impl Said {
    fn of(
        sent: &Result<Response<Answer>, Failed>,
        upstream: &Upstream,
        call: &Call<'_>,
        now: Instant,
    ) -> Self {
        let answer = match sent {
            Ok(answer) => answer,
            Err(failed) => return Self { reason: Some(failed.reason), ..Self::default() },
        };
        let fields = Fields::of(answer.headers());
        let policy = &upstream.policy;
        let mut said = Self { retry_after: retry_after(&fields), ..Self::default() };
        said.reason =
            if call.asks.is_grpc && fields.present.grpc && answer.status() == StatusCode::OK {
                let code = fields.grpc_status.first.map(Code::of_field);
                said.is_unfinished = code.is_none() && !answer.body().is_end_stream();
                code.and_then(|code| Reason::of_grpc(code, &policy.failure_grpc_statuses))
            } else {
                Reason::of_status(answer.status(), &policy.failure_statuses)
            };
        said.reason = said.reason.map(|reason| call.deadline.blame(reason, now));
        said
    }
}

impl Attempted {
    /// What it is as to another attempt; none when it is good enough, or beyond help.
    fn ending(&self) -> Option<Ending> {
        let failed = match &self.sent {
            Ok(answer) => return self.reason.map(|_| Ending::Answered(answer.status())),
            Err(failed) => failed,
        };
        let is_untouched = match failed.reached {
            Reached::Refused => true,
            Reached::Nothing(_) => failed.reason == Reason::ResetBeforeHeaders,
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

    fn into_ended(
        self,
        endpoint: Rc<Endpoint>,
        retry: Option<Retry>,
        spare: Option<Spare>,
    ) -> Ended {
        let Self { sent, reason, standing, counted } = self;
        match sent {
            Ok(answer) => {
                let answered = Answered::new(endpoint, (counted, retry), standing, reason);
                let left = Left::after(Reached::Something, spare);
                Ended { end: Ok((answer, answered)), reason, left }
            }
            Err(Failed { reason, reached }) => {
                Ended::without(Problem::of(reason), Left::after(reached, spare))
            }
        }
    }
}

impl Ended {
    /// Without an answer.
    pub(super) fn without(problem: Problem, left: Left) -> Self {
        Self { reason: Some(problem.reason()), end: Err(problem), left }
    }
}

/// `Retry-After` in seconds; dates are not read.
fn retry_after(fields: &Fields<'_>) -> Option<Duration> {
    let value = std::str::from_utf8(fields.retry_after.first?).ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}
