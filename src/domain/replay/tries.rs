//! A row's attempts, each with its moments and its verdict under the rules that are tried.
//!
//! A row tells when the call began, when its answer began, when it ended and when its last attempt
//! was sent. Of several attempts the earlier ones are laid end to end from the beginning: the waits
//! between them are not stored. The verdict follows the statuses that the rules count, where the row
//! tells the status; else the reason decides, by the one table that decides live.

use std::{sync::Arc, time::Duration};

use http::StatusCode;

use super::call::{Call, Logged, signed};
use crate::domain::{
    breaker::{Observed, Policy},
    grpc::Code,
    outcome::{Outcome, Reason, Verdict},
    task::TaskId,
};

/// A call under way: its attempts that are still to come, the next one last.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) id: TaskId,
    pub(super) instance: Arc<str>,
    pub(super) is_idempotent: bool,
    /// How long it waits says nothing: it is a stream, for all that is known, or Fusebox went away.
    pub(super) is_patient: bool,
    pub(super) weight: u32,
    pub(super) tries: Vec<Try>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Try {
    /// The name of the circuit that admits it.
    pub(super) circuit: Arc<str>,
    pub(super) began_us: i64,
    /// At the response head, or at the error.
    pub(super) judged_us: i64,
    /// At the end of the body.
    pub(super) ended_us: i64,
    pub(super) verdict: Verdict,
    /// It was a success whose body failed.
    pub(super) dies: bool,
    by_connection: bool,
}

impl Try {
    pub(super) fn observed(&self) -> Observed {
        let latency = u64::try_from(self.judged_us - self.began_us).unwrap_or(0);
        Observed {
            verdict: self.verdict,
            latency: Duration::from_micros(latency),
            retry_after: None,
            by_connection: self.by_connection,
        }
    }
}

impl Carried {
    /// Drops the attempts that come next at this circuit, and says what they came to.
    pub(super) fn skip(&mut self, circuit: &str) -> Verdict {
        let mut came_to = Verdict::Neutral;
        while let Some(next) = self.tries.pop_if(|next| *next.circuit == *circuit) {
            came_to = if next.dies { Verdict::Failure } else { next.verdict };
        }
        came_to
    }
}

/// The attempts of a call that began at this moment, under the rules of their circuits. Those at the
/// call's own upstream are admitted by its `home`.
pub(super) fn carried<'a>(
    call: &Call,
    home: &Arc<str>,
    began_us: i64,
    policy: impl Fn(&str) -> Option<&'a Policy>,
) -> Carried {
    let ended_us = call.ended_us(began_us);
    let last_began_us = call.upstream_us.map_or(began_us, |us| ended_us.saturating_sub(signed(us)));
    let mut tries = Vec::with_capacity(call.log.len().max(1));
    let mut free_us = began_us;
    let circuit_of =
        |upstream: &Arc<str>| Arc::clone(if *upstream == call.upstream { home } else { upstream });
    let earlier = call.log.len().saturating_sub(1);
    for logged in &call.log[..earlier] {
        let circuit = circuit_of(&logged.upstream);
        let judged_us = free_us.saturating_add(signed(logged.duration_us)).min(ended_us);
        tries.push(Try {
            verdict: earlier_verdict(logged, policy(&circuit)),
            circuit,
            began_us: free_us,
            judged_us,
            ended_us: judged_us,
            dies: false,
            by_connection: logged.reason.is_some_and(Reason::is_connections),
        });
        free_us = judged_us;
    }
    let (circuit, reason) = match call.log.last() {
        Some(logged) => (circuit_of(&logged.upstream), logged.reason),
        None => (Arc::clone(home), call.reason),
    };
    let last_began_us = last_began_us.clamp(free_us, ended_us.max(free_us));
    let head_us = call.first_byte_us.map(|us| began_us.saturating_add(signed(us)));
    let head_us = head_us.map(|us| us.clamp(last_began_us, ended_us.max(last_began_us)));
    let (verdict, dies) = last_verdict(call, reason, head_us.is_some(), policy(&circuit));
    let judged_us = match head_us {
        // gRPC says at its end how it went; a stream that lasts is not waited for.
        Some(head_us) if call.grpc_status.is_some() => {
            ended_us.min(head_us.saturating_add(GRPC_WAIT_US))
        }
        Some(head_us) => head_us,
        None => ended_us,
    };
    tries.push(Try {
        circuit,
        began_us: last_began_us,
        judged_us: judged_us.max(last_began_us),
        ended_us,
        verdict,
        dies,
        by_connection: reason.is_some_and(Reason::is_connections),
    });
    tries.reverse();
    let Call { id, is_idempotent, weight, .. } = *call;
    let is_patient = call.grpc_status.is_some() || call.outcome == Outcome::Interrupted;
    let instance = Arc::clone(&call.instance);
    Carried { id, instance, is_idempotent, is_patient, weight, tries }
}

/// What the last attempt says at its head, and whether that turned into a failure.
fn last_verdict(
    call: &Call,
    reason: Option<Reason>,
    has_head: bool,
    policy: Option<&Policy>,
) -> (Verdict, bool) {
    let stored = reason.map_or(Verdict::Success, Reason::verdict);
    let Some(policy) = policy.filter(|_| has_head && reason != Some(Reason::CallerDeadline)) else {
        return (stored, false);
    };
    let broke_off = stored == Verdict::Failure && !reason.is_some_and(is_said_by_the_upstream);
    let said = match (call.grpc_status, call.status) {
        (Some(_), _) if broke_off => return (Verdict::Failure, false),
        (Some(code), _) => of_code(code, policy),
        (None, Some(status)) => of_status(status, policy),
        (None, None) => return (stored, false),
    };
    let verdict = said.map_or(Verdict::Success, Reason::verdict);
    (verdict, broke_off && verdict == Verdict::Success)
}

/// What an attempt says that was followed by another.
fn earlier_verdict(logged: &Logged, policy: Option<&Policy>) -> Verdict {
    let Some(policy) = policy else { return logged.verdict };
    let status = match logged.reason {
        Some(Reason::Http500) => 500,
        Some(Reason::Http502) => 502,
        Some(Reason::Http503) => 503,
        Some(Reason::Http504) => 504,
        _ => return logged.verdict,
    };
    of_status(status, policy).map_or(Verdict::Success, Reason::verdict)
}

fn of_status(status: u16, policy: &Policy) -> Option<Reason> {
    let status = StatusCode::from_u16(status).ok()?;
    Reason::of_status(status, &policy.failure_statuses)
}

fn of_code(code: u8, policy: &Policy) -> Option<Reason> {
    Reason::of_grpc(Code::from_number(code)?, &policy.failure_grpc_statuses)
}

/// Whether the upstream itself answered so.
const fn is_said_by_the_upstream(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Http500
            | Reason::Http502
            | Reason::Http503
            | Reason::Http504
            | Reason::HttpOther
            | Reason::Http429
            | Reason::GrpcUnavailable
            | Reason::GrpcDeadlineExceeded
            | Reason::GrpcInternal
            | Reason::GrpcDataLoss
            | Reason::GrpcResourceExhausted
            | Reason::GrpcOther
    )
}

/// How long the verdict of a gRPC call waits for its trailers.
const GRPC_WAIT_US: i64 = 10_000_000;
