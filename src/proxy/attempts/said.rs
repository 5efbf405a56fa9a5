//! What an attempt says at its head.

use std::time::{Duration, Instant};

use http::StatusCode;
use http_body::Body as _;

use super::Call;
use crate::{
    domain::{grpc::Code, outcome::Reason},
    proxy::{
        answer::Answer, answer_fields::AnswerFields, endpoint::Failed, fields::Present,
        message::Reply, upstream::Upstream,
    },
};

/// See the module's text.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::proxy) struct Said {
    /// Which fields there are.
    pub(in crate::proxy) present: Present,
    /// Why it is no success.
    pub(in crate::proxy) reason: Option<Reason>,
    /// What it says of itself in gRPC.
    pub(in crate::proxy) code: Option<Code>,
    pub(super) retry_after: Option<Duration>,
    /// Whether it succeeded is said at its end.
    pub(super) is_unfinished: bool,
}

impl Said {
    pub(super) fn of(
        sent: &Result<Reply<Answer>, Failed>,
        upstream: &Upstream,
        call: &Call,
        now: Instant,
    ) -> Self {
        let answer = match sent {
            Ok(answer) => answer,
            Err(failed) => return Self { reason: Some(failed.reason), ..Self::default() },
        };
        let fields = AnswerFields::of(answer.headers());
        let policy = &upstream.policy;
        let mut said =
            Self { present: fields.present, retry_after: retry_after(&fields), ..Self::default() };
        said.reason =
            if call.asks.is_grpc && fields.present.grpc && answer.status() == StatusCode::OK {
                said.code = fields.grpc_status.first.map(Code::of_field);
                said.is_unfinished = said.code.is_none() && !answer.body.is_end_stream();
                said.code.and_then(|code| Reason::of_grpc(code, &policy.failure_grpc_statuses))
            } else {
                Reason::of_status(answer.status(), &policy.failure_statuses)
            };
        said.reason = said.reason.map(|reason| call.deadline.blame(reason, now));
        said
    }
}

/// `Retry-After` in seconds; dates are not read.
fn retry_after(fields: &AnswerFields<'_>) -> Option<Duration> {
    let value = std::str::from_utf8(fields.retry_after.first?).ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}
