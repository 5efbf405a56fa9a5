//! A row as one JSON line, for those that the store did not get.
//!
//! The keys are those of the log, so that a line can be found, read and loaded later. A row holds
//! no header, body, query or raw path, so there is nothing to hide.

use serde_json::{Value, json};

use crate::{
    domain::{
        outcome::{Reason, Verdict},
        task::{Attempt, CallRecord},
    },
    store::params,
};

/// The row as a JSON object on one line, without the line's end.
pub fn line(row: &CallRecord) -> String {
    let site = &row.site;
    let started_at = jiff::Timestamp::from_microsecond(row.started_at_us);
    json!({
        "taskId": row.id.to_string(),
        "startedAt": started_at.map(|at| at.to_string()).ok(),
        "startedAtUs": row.started_at_us,
        "correlationId": row.correlation_id.as_str(),
        "traceId": row.trace_id.to_string(),
        "parentId": row.parent_id.map(|id| id.to_string()),
        "listener": &*site.listener,
        "route": &*site.route,
        "upstream": &*site.upstream,
        "endpoint": row.endpoint.as_deref(),
        "domain": &*site.domain,
        "action": &*site.action,
        "method": row.method.as_str(),
        "path": &*site.path,
        "status": row.status,
        "grpcStatus": row.grpc_status,
        "outcome": row.outcome.as_str(),
        "failureReason": row.reason.map(Reason::as_str),
        "attempts": row.attempts.iter().map(|made| attempt(made, &site.upstream)).collect::<Vec<_>>(),
        "breakerState": row.breaker_state.as_str(),
        "durationUs": row.duration_us,
        "upstreamUs": row.upstream_us,
        "firstByteUs": row.first_byte_us,
        "deadlineMs": row.deadline_ms,
        "requestBytes": row.request_bytes,
        "responseBytes": row.response_bytes,
        "params": row.captured.as_deref().map(|known| params::json(&known.params)),
        "impactScore": row.captured.as_deref().and_then(|known| known.impact_score),
        "costUsd": row.captured.as_deref().and_then(|known| known.cost_nano_usd).map(params::usd),
        "weight": row.weight,
    })
    .to_string()
}

fn attempt(attempt: &Attempt, upstream: &str) -> Value {
    let verdict = match attempt.verdict {
        Verdict::Success => "success",
        Verdict::Failure => "failure",
        Verdict::Overload => "overload",
        Verdict::Neutral => "neutral",
    };
    json!({
        "upstream": attempt.instead.as_deref().unwrap_or(upstream),
        "endpoint": &*attempt.endpoint,
        "verdict": verdict,
        "reason": attempt.reason.map(Reason::as_str),
        "durationUs": attempt.duration_us,
    })
}

#[cfg(test)]
mod tests {
    use super::line;
    use crate::history::samples;
    use serde_json::Value;

    #[test]
    fn a_row_is_one_line_of_json_with_everything_that_its_columns_hold() {
        let row = samples::failure(&samples::site("payments"));
        let text = line(&row);
        assert!(!text.contains('\n'));
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["taskId"], row.id.to_string());
        assert_eq!(read["startedAt"], "2023-11-14T22:13:20.123456Z");
        assert_eq!(read["upstream"], "payments");
        assert_eq!(read["failureReason"], "http_503");
        assert_eq!(read["attempts"][0]["verdict"], "failure");
        assert_eq!(read["weight"], 1);
    }
}
