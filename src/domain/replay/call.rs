//! A stored call, as far as circuits care.

use std::sync::Arc;

use crate::domain::{
    outcome::{Outcome, Reason, Verdict},
    task::TaskId,
};

/// A row of `task_history`, without what says nothing about its upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its id.
    pub id: TaskId,
    /// When its head was read, in microseconds since the Unix epoch.
    pub started_at_us: i64,
    /// Which process carried it.
    pub instance: Arc<str>,
    /// The upstream that it was for.
    pub upstream: Arc<str>,
    /// The route that it took.
    pub route: Arc<str>,
    /// Whether its method may be repeated, so that it may try out an upstream that failed.
    pub is_idempotent: bool,
    /// Whether Fusebox made it to check the upstream.
    pub is_check: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, unless it succeeded.
    pub reason: Option<Reason>,
    /// The status that the caller saw.
    pub status: Option<u16>,
    /// The code in `grpc-status`.
    pub grpc_status: Option<u8>,
    /// How many attempts it took; none when it was not sent on.
    pub attempts: u32,
    /// The attempts, when there were several or another upstream stood in; else empty.
    pub log: Vec<Logged>,
    /// From its head to the end of the response body.
    pub duration_us: u64,
    /// From sending the last attempt to the end of its body.
    pub upstream_us: Option<u64>,
    /// From its head to the response head; none when no answer was passed on.
    pub first_byte_us: Option<u64>,
    /// How many calls the row stands for.
    pub weight: u32,
}

/// One attempt as the row tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Where it went.
    pub upstream: Arc<str>,
    /// What was counted.
    pub verdict: Verdict,
    /// Why it did not succeed.
    pub reason: Option<Reason>,
    /// How long it took, up to the response head.
    pub duration_us: u64,
}

impl Call {
    /// Whether its upstream's circuit refused it. With a fallback it may have gone elsewhere.
    pub(super) fn was_refused_by_circuit(&self) -> bool {
        if self.attempts == 0 {
            return self.reason == Some(Reason::BreakerOpen);
        }
        !self.log.is_empty() && self.log.iter().all(|attempt| attempt.upstream != self.upstream)
    }

    /// When it ended, if it began then.
    pub(super) fn ended_us(&self, began_us: i64) -> i64 {
        began_us.saturating_add(signed(self.duration_us))
    }
}

/// Microseconds that can be added to a time.
pub(super) fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}
