//! Answers that Fusebox makes itself: `application/problem+json` (RFC 9457) with `Proxy-Status`
//! (RFC 9209), so that a caller can tell them from the upstream's.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::Full;

use super::{body::Outgoing, headers::PROXY_STATUS, message::Reply};
use crate::{
    config::FixedAnswer,
    domain::{
        breaker::{Cause, Refusal, State},
        grpc::{self, Code},
        outcome::Reason,
        task::CallRecord,
    },
};

/// What an answer says.
#[derive(Debug)]
pub(super) struct Problem {
    reason: Reason,
    detail: String,
    /// The state and the failures in a row of the circuit that refused.
    circuit: Option<(State, u32)>,
    retry_after: Option<Duration>,
    allow: Vec<Method>,
}

impl Problem {
    /// A problem in one sentence.
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), circuit: None, retry_after: None, allow: Vec::new() }
    }

    /// What an attempt came to, in words for the caller. Where the upstream is, only rows and log
    /// lines say.
    pub(super) fn of(reason: Reason) -> Self {
        Self::new(reason, explanation(reason))
    }

    /// The route exists, but not for this method.
    pub(super) fn method_not_allowed(allow: Vec<Method>) -> Self {
        let mut problem = Self::new(Reason::MethodNotAllowed, "no route takes this method here");
        problem.allow = allow;
        problem
    }

    /// Says it in other words.
    pub(super) fn explain(&mut self, detail: &str) {
        detail.clone_into(&mut self.detail);
    }

    /// The circuit is open.
    pub(super) fn circuit_open(upstream: &str, refusal: &Refusal) -> Self {
        let (mut count, mut seconds) = (itoa::Buffer::new(), itoa::Buffer::new());
        let count = count.format(refusal.failure_count);
        let seconds = seconds.format(whole_seconds(refusal.retry_after));
        let what = match refusal.cause {
            Cause::Override => ["an operator keeps the circuit open", ""],
            Cause::Fleet => ["its calls failed elsewhere", ""],
            Cause::FailureRate => ["too large a share of its calls failed", ""],
            Cause::HangingCalls => [count, " calls in a row failed or hang"],
            Cause::SlowCalls => ["too large a share of its calls was slow", ""],
            _ => [count, " calls in a row failed"],
        };
        let next = match refusal.state {
            // Nothing is tried under an order.
            _ if refusal.cause == Cause::Override => ["ask again in ", seconds, " s"],
            State::HalfOpen => ["a probe is under way", "", ""],
            State::Ramping => ["it is taking calls again, step by step", "", ""],
            _ => ["the next probe is in ", seconds, " s"],
        };
        let [failed, how] = what;
        let [then, when, unit] = next;
        let detail = [upstream, ": ", failed, how, "; ", then, when, unit].concat();
        let mut problem = Self::new(Reason::BreakerOpen, detail);
        problem.retry_after = Some(refusal.retry_after);
        problem.circuit = Some((refusal.state, refusal.failure_count));
        problem
    }

    /// Why.
    pub(super) const fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether what follows on the connection cannot be trusted to be a request.
    pub(super) const fn breaks_connection(&self) -> bool {
        matches!(
            self.reason,
            Reason::BadRequest
                | Reason::BodyTooLarge
                | Reason::ClientBodyError
                | Reason::ClientBodyTimeout
                | Reason::ExpectationFailed
                | Reason::HeadTooLarge
                | Reason::UriTooLong
        )
    }

    /// What it is for a caller that speaks gRPC.
    pub(super) fn code(&self) -> Code {
        Code::of_reason(self.reason)
    }

    /// The answer for a caller that speaks gRPC.
    pub(super) fn into_trailers_only(self) -> Reply<Outgoing> {
        let mut response = Reply::new(Outgoing::default());
        let headers = response.headers_mut();
        grpc::put_trailers_only(headers, self.code(), &self.detail, self.retry_after);
        put_proxy_status(headers, self.reason);
        response
    }

    /// The answer. `call` gives the ids under which its row is found.
    pub(super) fn into_response(self, call: &CallRecord) -> (Reply<Outgoing>, u64) {
        let status = self.reason.status();
        let body = self.body(status, call);
        let length = body.len() as u64;
        let mut response = Reply::new(Outgoing::Reply(Full::new(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        put_proxy_status(headers, self.reason);
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(jittered_seconds(wait)));
        }
        if self.reason == Reason::MethodNotAllowed {
            let allow: Vec<&str> = self.allow.iter().map(Method::as_str).collect();
            if let Ok(value) = HeaderValue::try_from(allow.join(", ")) {
                headers.insert(header::ALLOW, value);
            }
        }
        (response, length)
    }

    fn title(&self) -> &'static str {
        match self.circuit {
            Some((State::HalfOpen, _)) => "The circuit is half-open",
            Some((State::Ramping, _)) => "The circuit is closing, step by step",
            _ => title(self.reason),
        }
    }

    /// Written by hand: a caller that loops on an open circuit gets thousands of these a second.
    fn body(&self, status: StatusCode, call: &CallRecord) -> Bytes {
        let mut body = Vec::with_capacity(512);
        body.extend_from_slice(br#"{"type":"urn:fusebox:problem:"#);
        body.extend_from_slice(self.reason.as_str().as_bytes());
        for part in [r#"","title":""#, self.title()] {
            body.extend_from_slice(part.as_bytes());
        }
        number(&mut body, r#"","status":"#, status.as_u16().into());
        text(&mut body, r#","detail":"#, &self.detail);
        body.extend_from_slice(br#","instance":"urn:uuid:"#);
        body.extend_from_slice(&call.id.encode());
        text(&mut body, r#"","correlationId":"#, call.correlation_id.as_str());
        text(&mut body, r#","upstream":"#, &call.site.upstream);
        if let Some((state, failure_count)) = self.circuit {
            for part in [r#","breakerState":""#, state.as_upper_str()] {
                body.extend_from_slice(part.as_bytes());
            }
            number(&mut body, r#"","failureCount":"#, failure_count.into());
        }
        if let Some(wait) = self.retry_after {
            let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            number(&mut body, r#","retryAfterMs":"#, ms);
        }
        body.push(b'}');
        Bytes::from(body)
    }
}

/// The answer that is configured for a call that ended for this reason.
pub(super) fn fixed(answer: &FixedAnswer, reason: Reason) -> Reply<Outgoing> {
    let mut response = Reply::new(Outgoing::Reply(Full::new(answer.body.clone())));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    if !answer.body.is_empty() {
        headers.insert(header::CONTENT_TYPE, answer.content_type.clone());
    }
    put_proxy_status(headers, reason);
    response
}

fn put_proxy_status(headers: &mut HeaderMap, reason: Reason) {
    headers.insert(PROXY_STATUS, HeaderValue::from_static(reason.proxy_status()));
}

fn text(body: &mut Vec<u8>, key: &str, value: &str) {
    body.extend_from_slice(key.as_bytes());
    // Writing to a Vec cannot fail.
    serde_json::to_writer(body, value).ok();
}

fn number(body: &mut Vec<u8>, key: &str, value: u64) {
    body.extend_from_slice(key.as_bytes());
    body.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// What failed, for the caller. Where the upstream is, only rows and log lines say.
const fn explanation(reason: Reason) -> &'static str {
    match reason {
        Reason::DnsFailure => "the upstream's name does not resolve",
        Reason::ConnectRefused => "the upstream refused the connection",
        Reason::ConnectReset => "no connection to the upstream could be made",
        Reason::ConnectTimeout => "the upstream did not accept a connection in time",
        Reason::TimeoutFirstByte | Reason::TimeoutAttempt | Reason::TimeoutTotal => {
            "the upstream did not answer in time"
        }
        Reason::CallerDeadline => "the caller's own deadline has passed",
        Reason::BulkheadFull => "too many calls to the upstream are under way, and too many wait",
        Reason::QueueTimeout => "too many calls to the upstream are under way",
        Reason::NoConnection => "too many connections to the upstream are in use",
        Reason::TlsFailure => "no TLS connection to the upstream came about",
        Reason::TlsCertificate => "the upstream's certificate is not to be trusted",
        Reason::ResetBeforeHeaders => "the upstream closed the connection before it answered",
        Reason::ProtocolError => "the upstream sent an answer that is not understood",
        Reason::ClientBodyError => "the request body is malformed or ended early",
        Reason::ClientBodyTimeout => "the request body stopped coming",
        Reason::BodyTooLarge => "the request body is larger than this listener takes",
        Reason::Internal => "Fusebox itself could not make the call",
        other => other.as_str(),
    }
}

/// The same for every problem of a kind.
const fn title(reason: Reason) -> &'static str {
    match reason {
        Reason::BreakerOpen => "The circuit is open",
        Reason::NoRoute => "No route",
        Reason::MethodNotAllowed => "Method not allowed",
        Reason::BadRequest | Reason::ClientBodyError => "Bad request",
        Reason::ClientBodyTimeout => "The request body took too long",
        Reason::HeadTooLarge => "Request head too large",
        Reason::BodyTooLarge => "Request body too large",
        Reason::UriTooLong => "Request target too long",
        Reason::ExpectationFailed => "Expectation failed",
        Reason::LoopDetected => "Loop detected",
        Reason::DnsFailure
        | Reason::ConnectRefused
        | Reason::ConnectReset
        | Reason::TlsFailure
        | Reason::TlsCertificate => "The upstream cannot be reached",
        Reason::ConnectTimeout
        | Reason::TimeoutFirstByte
        | Reason::TimeoutAttempt
        | Reason::TimeoutTotal
        | Reason::CallerDeadline
        | Reason::TimeoutIdle => "The upstream took too long",
        Reason::ResetBeforeHeaders | Reason::ResetMidBody => "The upstream closed the connection",
        Reason::ProtocolError => "The upstream's answer is not understood",
        Reason::BulkheadFull | Reason::QueueTimeout | Reason::NoConnection => {
            "The upstream is busy"
        }
        Reason::Shutdown => "Shutting down",
        _ => "The call failed",
    }
}

/// Whole seconds, rounded up, at least one.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_millis() > 0)).max(1)
}

/// Up to a tenth more, so that the callers that were refused together do not return together.
fn jittered_seconds(wait: Duration) -> u64 {
    whole_seconds(wait + wait.mul_f64(0.1 * fastrand::f64()))
}

#[cfg(test)]
mod tests {
    use super::{Problem, jittered_seconds, whole_seconds};
    use crate::domain::breaker::{Cause, Refusal, State};
    use std::time::Duration;

    #[test]
    fn a_refusal_says_what_failed_and_when_to_come_back() {
        let told = |state, cause| {
            let retry_after = Duration::from_secs(42);
            let refusal = Refusal { state, retry_after, failure_count: 5, cause };
            Problem::circuit_open("payments", &refusal).detail
        };
        for (state, cause, detail) in [
            (
                State::Open,
                Cause::ConsecutiveFailures,
                "payments: 5 calls in a row failed; the next probe is in 42 s",
            ),
            (
                State::HalfOpen,
                Cause::FailureRate,
                "payments: too large a share of its calls failed; a probe is under way",
            ),
            (
                State::Open,
                Cause::Fleet,
                "payments: its calls failed elsewhere; the next probe is in 42 s",
            ),
            (
                State::Open,
                Cause::Override,
                "payments: an operator keeps the circuit open; ask again in 42 s",
            ),
        ] {
            assert_eq!(told(state, cause), detail);
        }
    }

    #[test]
    fn retry_after_is_at_least_a_second_and_never_early() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1_001)), 2);
        for _ in 0..100 {
            assert!((60..=66).contains(&jittered_seconds(Duration::from_secs(60))));
        }
    }
}
