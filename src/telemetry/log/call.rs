//! The line of one call, formatted by hand: this runs on every call, so it neither allocates nor
//! goes through a serializer.

use crate::domain::{
    outcome::Outcome,
    task::{CallRecord, CallSite},
};

use super::{Labels, Lane, Stamp};

/// Writes the lines of one data-plane thread.
#[derive(Debug)]
pub struct CallLines {
    lane: Lane,
    stamp: std::cell::RefCell<Stamp>,
    /// Only calls that did not succeed.
    failures_only: bool,
    /// Whose calls they are, as it stands in every line.
    labels: String,
}

impl CallLines {
    /// Lines into this lane.
    pub fn new(lane: Lane, labels: &Labels, failures_only: bool) -> Self {
        let labels = labels_fragment(labels);
        Self { lane, stamp: std::cell::RefCell::default(), failures_only, labels }
    }

    /// Writes the line of a call. `site` is [`site_fragment`] of its site.
    pub fn write(&self, call: &CallRecord, site: &str, ended_at_us: i64) {
        if self.failures_only && call.outcome == Outcome::Success {
            return;
        }
        let mut stamp = self.stamp.borrow_mut();
        self.lane.append(|line| format(line, &mut stamp, call, (&self.labels, site), ended_at_us));
    }
}

/// The part of the line that all calls of a site share: `,"listener":"egress",…`.
pub fn site_fragment(site: &CallSite) -> String {
    let fields = [
        ("listener", &site.listener),
        ("route", &site.route),
        ("upstream", &site.upstream),
        ("domain", &site.domain),
        ("action", &site.action),
        ("path", &site.path),
    ];
    fragment(fields.into_iter().map(|(key, value)| (key, &**value)))
}

/// The part that all lines share: `,"service":"orders",…`.
fn labels_fragment(Labels { service, environment }: &Labels) -> String {
    let fields = [("service", &**service), ("environment", &**environment)];
    let is_told = |(key, value): &(&str, &str)| *key == "service" || !value.is_empty();
    fragment(fields.into_iter().filter(is_told))
}

fn fragment<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let field = |(key, value)| format!(",\"{key}\":{}", serde_json::Value::from(value));
    fields.map(field).collect()
}

fn format(
    line: &mut Vec<u8>,
    stamp: &mut Stamp,
    call: &CallRecord,
    (labels, site): (&str, &str),
    ended_at_us: i64,
) {
    line.extend_from_slice(br#"{"timestamp":""#);
    stamp.append(line, ended_at_us);
    let level = if call.outcome == Outcome::Success { "info" } else { "warn" };
    text(line, r#"","level":""#, level);
    line.extend_from_slice(br#"","message":"call","correlationId":""#);
    line.extend_from_slice(call.correlation_id.as_bytes());
    line.extend_from_slice(br#"","taskId":""#);
    line.extend_from_slice(&call.id.encode());
    line.extend_from_slice(br#"","traceId":""#);
    line.extend_from_slice(&call.trace_id.encode());
    line.push(b'"');
    line.extend_from_slice(labels.as_bytes());
    line.extend_from_slice(site.as_bytes());
    text(line, r#","method":""#, call.method.as_str());
    line.push(b'"');
    if let Some(endpoint) = &call.endpoint {
        text(line, r#","endpoint":""#, endpoint);
        line.push(b'"');
    }
    if let Some(status) = call.status {
        number(line, r#","status":"#, u64::from(status));
    }
    if let Some(code) = call.grpc_status {
        number(line, r#","grpcStatus":"#, u64::from(code));
    }
    text(line, r#","outcome":""#, call.outcome.as_str());
    line.push(b'"');
    if let Some(reason) = call.reason {
        text(line, r#","reason":""#, reason.as_str());
        line.push(b'"');
    }
    text(line, r#","breakerState":""#, call.breaker_state.as_str());
    line.push(b'"');
    number(line, r#","attempts":"#, call.attempts.len() as u64);
    millis(line, r#","durationMs":"#, call.duration_us);
    if let Some(upstream_us) = call.upstream_us {
        millis(line, r#","upstreamMs":"#, upstream_us);
    }
    number(line, r#","requestBytes":"#, call.request_bytes);
    number(line, r#","responseBytes":"#, call.response_bytes);
    line.push(b'}');
}

fn text(line: &mut Vec<u8>, key: &str, value: &str) {
    line.extend_from_slice(key.as_bytes());
    line.extend_from_slice(value.as_bytes());
}

fn number(line: &mut Vec<u8>, key: &str, value: u64) {
    line.extend_from_slice(key.as_bytes());
    line.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Microseconds as milliseconds with three decimals.
fn millis(line: &mut Vec<u8>, key: &str, us: u64) {
    number(line, key, us / 1_000);
    let rest = us % 1_000;
    let digit = |n: u64| b'0' + u8::try_from(n % 10).unwrap_or(0);
    line.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
}

#[cfg(test)]
mod tests {
    use super::{format, labels_fragment, site_fragment};
    use crate::{
        domain::{
            breaker::State,
            correlation::{CorrelationId, TraceId},
            outcome::{Outcome, Reason},
            task::{CallRecord, CallSite, TaskId},
        },
        telemetry::log::{Labels, Stamp},
    };
    use std::sync::Arc;

    #[test]
    fn a_line_is_one_flat_json_object_with_the_correlation_id() {
        let site = Arc::new(CallSite { listener: "e\"gress".into(), ..CallSite::default() });
        let call = CallRecord {
            id: TaskId::mint(1_700_000_000_000_000, 1),
            started_at_us: 1_700_000_000_000_000,
            correlation_id: CorrelationId::keep(b"req-abc").unwrap(),
            trace_id: TraceId::from_u128(0xff),
            parent_id: None,
            site: Arc::clone(&site),
            endpoint: Some("10.0.0.1:80".into()),
            method: http::Method::GET,
            status: Some(503),
            grpc_status: Some(14),
            outcome: Outcome::Failure,
            reason: Some(Reason::Http503),
            attempts: Default::default(),
            breaker_state: State::Closed,
            duration_us: 12_045,
            upstream_us: None,
            first_byte_us: None,
            deadline_ms: None,
            request_bytes: 0,
            response_bytes: 17,
            captured: None,
            weight: 1,
        };
        let labels = Labels { service: "orders".into(), environment: "test".into() };
        let shared = (&*labels_fragment(&labels), &*site_fragment(&site));
        let mut line = Vec::new();
        format(&mut line, &mut Stamp::default(), &call, shared, call.started_at_us);
        let parsed: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(parsed["correlationId"], "req-abc");
        assert_eq!(
            (&parsed["service"], &parsed["environment"]),
            (&"orders".into(), &"test".into())
        );
        assert_eq!(parsed["listener"], "e\"gress");
        assert_eq!(parsed["durationMs"], 12.045);
        assert_eq!(parsed["reason"], "http_503");
        assert_eq!(parsed["grpcStatus"], 14);
        assert_eq!(parsed["traceId"], "000000000000000000000000000000ff");
        assert!(parsed.as_object().unwrap().values().all(|v| !v.is_object() && !v.is_array()));
    }
}
