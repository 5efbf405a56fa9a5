//! Calls to test with.

use std::sync::Arc;

use http::Method;

use crate::domain::{
    breaker::State,
    correlation::{CorrelationId, TraceId},
    outcome::{Outcome, Reason, Verdict},
    task::{Attempt, CallRecord, CallSite, TaskId},
};

/// When every sample started: 2023-11-14 22:13:20.123456 UTC.
pub(crate) const STARTED_AT_US: i64 = 1_700_000_000_123_456;

/// A route to this upstream.
pub(crate) fn site(upstream: &str) -> Arc<CallSite> {
    Arc::new(CallSite {
        listener: "egress".into(),
        route: "all".into(),
        upstream: upstream.into(),
        domain: upstream.into(),
        action: "all".into(),
        path: "/".into(),
    })
}

/// A call that succeeded.
pub(crate) fn success(site: &Arc<CallSite>) -> CallRecord {
    let attempt = Attempt {
        instead: None,
        endpoint: "payments:8080".into(),
        verdict: Verdict::Success,
        reason: None,
        duration_us: 900,
    };
    CallRecord {
        id: TaskId::mint(STARTED_AT_US, fastrand::u128(..)),
        started_at_us: STARTED_AT_US,
        correlation_id: CorrelationId::mint(fastrand::u64(..)),
        trace_id: TraceId::from_u128(fastrand::u128(..)),
        parent_id: None,
        site: Arc::clone(site),
        endpoint: Some(Arc::clone(&attempt.endpoint)),
        method: Method::GET,
        status: Some(200),
        grpc_status: None,
        outcome: Outcome::Success,
        reason: None,
        attempts: [attempt].into_iter().collect(),
        breaker_state: State::Closed,
        duration_us: 1_000,
        upstream_us: Some(900),
        first_byte_us: Some(900),
        deadline_ms: Some(60_000),
        request_bytes: 0,
        response_bytes: 2,
        captured: None,
        weight: 1,
    }
}

/// A call that the upstream answered with 503.
pub(crate) fn failure(site: &Arc<CallSite>) -> CallRecord {
    let mut call = success(site);
    call.status = Some(503);
    call.outcome = Outcome::Failure;
    call.reason = Some(Reason::Http503);
    call.attempts[0].verdict = Verdict::Failure;
    call.attempts[0].reason = Some(Reason::Http503);
    call
}

/// A call that the open breaker refused.
pub(crate) fn refused(site: &Arc<CallSite>) -> CallRecord {
    CallRecord {
        endpoint: None,
        status: Some(503),
        outcome: Outcome::Refused,
        reason: Some(Reason::BreakerOpen),
        attempts: Default::default(),
        breaker_state: State::Open,
        upstream_us: None,
        ..success(site)
    }
}
