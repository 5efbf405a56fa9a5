//! Lessons: the calls whose end says something about what was asked of the upstream.
//!
//! An outage must not decide which parameters work best. So what never got to the upstream, what
//! was turned away before anybody looked at it, and what its caller gave up are no lessons; nor is
//! anything that met a circuit that was not closed, or a time in which the whole operation failed
//! more than usual. The last two are for whoever has the rows to leave out.

use std::time::Duration;

use crate::domain::outcome::Reason;

/// An operation that fails more than usual for longer than this is not in trouble: it has changed.
/// From then on its calls are lessons again.
pub const LONGEST_INCIDENT: Duration = Duration::from_secs(86_400);

/// Whether a call that ended for this reason is one.
pub const fn is_lesson(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::TimeoutFirstByte
            | Reason::TimeoutTotal
            | Reason::TimeoutAttempt
            | Reason::TimeoutIdle
            | Reason::ResetMidBody
            | Reason::Http500
            | Reason::Http502
            | Reason::Http503
            | Reason::Http504
            | Reason::HttpOther
            | Reason::GrpcUnavailable
            | Reason::GrpcDeadlineExceeded
            | Reason::GrpcInternal
            | Reason::GrpcDataLoss
            | Reason::GrpcOther
            | Reason::TaskFailed
    )
}

#[cfg(test)]
mod tests {
    use super::is_lesson;
    use crate::domain::outcome::{Outcome, Reason, Verdict};

    #[test]
    fn only_what_the_upstream_or_the_task_did_is_a_lesson() {
        for &reason in Reason::ALL.iter().filter(|reason| is_lesson(**reason)) {
            assert!(!reason.is_connections(), "{}", reason.as_str());
            assert!(
                matches!(reason.outcome(), Outcome::Failure | Outcome::Timeout),
                "{}",
                reason.as_str()
            );
            let is_upstreams = matches!(reason.verdict(), Verdict::Failure | Verdict::Success);
            assert!(is_upstreams, "{}", reason.as_str());
        }
        assert!(!is_lesson(Reason::CallerDeadline) && !is_lesson(Reason::Http429));
        assert_eq!(Reason::ALL.iter().filter(|reason| is_lesson(**reason)).count(), 16);
    }
}
