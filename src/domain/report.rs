//! Reports: tasks that were no calls, told by whoever did them, and scores that come late.
//!
//! A report becomes a row like that of a call, through the same journal. What a call has and a task
//! has not (listener, route, upstream, method, path) reads `-`, and that tells the two apart. Its id
//! is the reporter's, or is made of the reporter's key for the batch: a report that comes again has
//! the same id, and one row.

use std::sync::Arc;

use http::Method;

use super::{
    breaker::State,
    capture::Captured,
    correlation::{CorrelationId, TraceId},
    outcome::{Outcome, Reason},
    task::{Attempts, CallRecord, CallSite, TaskId},
};

/// What stands where a call would have something.
pub const NOTHING: &str = "-";

/// A task that was no call.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its id, which carries its time.
    pub id: TaskId,
    /// When it began, in microseconds since the Unix epoch.
    pub started_at_us: i64,
    /// Who it belongs to.
    pub correlation_id: CorrelationId,
    /// The trace that it belongs to.
    pub trace_id: TraceId,
    /// The task that caused it.
    pub parent_id: Option<TaskId>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, unless it succeeded.
    pub reason: Option<Reason>,
    /// How long it took.
    pub duration_us: u64,
    /// Parameters, impact and cost.
    pub captured: Captured,
}

impl Report {
    /// The row that tells it.
    pub fn into_row(self, site: Arc<CallSite>) -> CallRecord {
        CallRecord {
            id: self.id,
            started_at_us: self.started_at_us,
            correlation_id: self.correlation_id,
            trace_id: self.trace_id,
            parent_id: self.parent_id,
            site,
            endpoint: None,
            method: Method::from_bytes(NOTHING.as_bytes()).unwrap_or(Method::GET),
            status: None,
            grpc_status: None,
            outcome: self.outcome,
            reason: self.reason,
            attempts: Attempts::default(),
            breaker_state: State::Closed,
            duration_us: self.duration_us,
            upstream_us: None,
            first_byte_us: None,
            deadline_ms: None,
            request_bytes: 0,
            response_bytes: 0,
            captured: (!self.captured.is_empty()).then(|| Box::new(self.captured)),
            weight: 1,
        }
    }
}

/// The site of reported tasks of an operation.
pub fn site(domain: &str, action: &str) -> CallSite {
    let nothing = || Box::from(NOTHING);
    CallSite {
        listener: nothing(),
        route: nothing(),
        upstream: nothing(),
        domain: domain.into(),
        action: action.into(),
        path: nothing(),
    }
}

/// Whether a row tells a report, which may have come before.
pub fn is_one(row: &CallRecord) -> bool {
    &*row.site.listener == NOTHING
}

/// How a task may end by report. Whether it was refused or interrupted is not the reporter's to say.
pub const OUTCOMES: [Outcome; 4] =
    [Outcome::Success, Outcome::Failure, Outcome::Timeout, Outcome::Cancelled];

/// The reason of a task that ended so when nobody gave one.
pub const fn usual_reason(outcome: Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Failure => Some(Reason::TaskFailed),
        Outcome::Timeout => Some(Reason::TimeoutTotal),
        _ => None,
    }
}

/// An impact score that comes after its task has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct LateScore {
    /// Of this task.
    pub id: TaskId,
    /// From 0 to 100.
    pub score: f32,
    /// Who scored it.
    pub source: String,
}

/// What became of a late score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scored {
    /// There is no such row, or not yet.
    Unknown,
    /// The row had this score from this source already.
    Same,
    /// The row has it now, and the sums were corrected with it.
    Changed,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{OUTCOMES, Report, is_one, site, usual_reason};
    use crate::domain::{
        capture::Captured,
        correlation::{CorrelationId, TraceId},
        outcome::Outcome,
        task::TaskId,
    };

    #[test]
    fn a_report_is_a_row_that_can_be_told_from_a_call() {
        let report = Report {
            id: TaskId::mint(1_000, 7),
            started_at_us: 1_000,
            correlation_id: CorrelationId::mint(1),
            trace_id: TraceId::from_u128(1),
            parent_id: None,
            outcome: Outcome::Success,
            reason: None,
            duration_us: 5,
            captured: Captured::default(),
        };
        let mut row = report.into_row(Arc::new(site("music", "render")));
        assert!(is_one(&row) && row.captured.is_none());
        assert_eq!((&*row.site.domain, row.method.as_str()), ("music", "-"));
        row.site = Arc::new(crate::domain::task::CallSite {
            listener: "egress".into(),
            ..site("music", "render")
        });
        assert!(!is_one(&row));
    }

    #[test]
    fn the_usual_reason_goes_with_its_outcome() {
        for outcome in OUTCOMES {
            assert!(usual_reason(outcome).is_none_or(|reason| reason.outcome() == outcome));
        }
    }
}
