//! How attempts and calls end: verdicts, outcomes and the one vocabulary of reasons.
//!
//! An *attempt* gets a [`Verdict`], which is what the breaker counts. A *call* gets an
//! [`Outcome`] and, unless it succeeded, a [`Reason`]. The reason alone decides the verdict, the
//! outcome, whose fault it is and the status that the caller sees, so the table below is the only
//! place where any of these is written down.

use std::io::{self, ErrorKind};

use http::StatusCode;

use super::grpc::Code;

/// What one attempt says about its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The upstream answered, 4xx included.
    Success,
    /// The upstream failed: counts in the streak and in the rate.
    Failure,
    /// The upstream asked for less: counts in the rate, never in the streak; fails a probe.
    Overload,
    /// Says nothing about the upstream.
    Neutral,
}

impl Verdict {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::Success, Self::Failure, Self::Overload, Self::Neutral];

    /// The verdict with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == name)
    }

    /// The name in rows and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Overload => "overload",
            Self::Neutral => "neutral",
        }
    }
}

/// How a call ended, as stored in its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The caller got the upstream's answer and it was no failure.
    Success,
    /// The upstream failed.
    Failure,
    /// A deadline passed first.
    Timeout,
    /// Fusebox did not send it on.
    Refused,
    /// The caller went away.
    Cancelled,
    /// Fusebox stopped while the call was under way.
    Interrupted,
}

impl Outcome {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::Success,
        Self::Failure,
        Self::Timeout,
        Self::Refused,
        Self::Cancelled,
        Self::Interrupted,
    ];

    /// The name in rows, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// The outcome with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// Declares [`Reason`] with its table: name, verdict, outcome, status for the caller, RFC 9209
/// token. One row a reason; the names are append-only, for they are stored.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $verdict:ident, $outcome:ident, $status:literal, $token:literal;)*) => {
        /// Why a call did not succeed. The names are stored, so they are never changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in rows, metrics and the API; also OpenTelemetry's `error.type`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What an attempt that ended so says about its upstream.
            pub const fn verdict(self) -> Verdict {
                match self { $(Self::$variant => Verdict::$verdict,)* }
            }

            /// The outcome of a call that ended so.
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$variant => Outcome::$outcome,)* }
            }

            /// The status of the reply that Fusebox makes for it, when it makes one.
            pub fn status(self) -> StatusCode {
                let code: u16 = match self { $(Self::$variant => $status,)* };
                StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// `Proxy-Status` of such a reply, with its `error` parameter (RFC 9209 §2.3).
            pub const fn proxy_status(self) -> &'static str {
                match self { $(Self::$variant => concat!("fusebox; error=", $token),)* }
            }
        }
    };
}

reasons! {
    /// The upstream's name did not resolve.
    DnsFailure = "dns_failure", Failure, Failure, 502, "dns_error";
    /// The upstream refused the connection.
    ConnectRefused = "connect_refused", Failure, Failure, 502, "connection_refused";
    /// No connection within the connect timeout.
    ConnectTimeout = "connect_timeout", Failure, Timeout, 504, "connection_timeout";
    /// Reset, or unreachable, before the request was written.
    ConnectReset = "connect_reset", Failure, Failure, 502, "destination_ip_unroutable";
    /// The TLS handshake failed.
    TlsFailure = "tls_failure", Failure, Failure, 502, "tls_protocol_error";
    /// The upstream's certificate is not to be trusted.
    TlsCertificate = "tls_certificate", Failure, Failure, 502, "tls_certificate_error";
    /// No response head within the first-byte timeout.
    TimeoutFirstByte = "timeout_first_byte", Failure, Timeout, 504, "http_response_timeout";
    /// No response head within the total timeout.
    TimeoutTotal = "timeout_total", Failure, Timeout, 504, "http_response_timeout";
    /// No body frame of the upstream within the body-idle timeout.
    TimeoutIdle = "timeout_idle", Failure, Timeout, 504, "connection_read_timeout";
    /// Nothing went through a tunnel for too long.
    TunnelIdle = "tunnel_idle", Neutral, Timeout, 504, "connection_read_timeout";
    /// The caller's own, shorter deadline passed.
    CallerDeadline = "caller_deadline", Neutral, Timeout, 504, "http_response_timeout";
    /// The upstream closed or reset before a response head.
    ResetBeforeHeaders = "reset_before_headers", Failure, Failure, 502, "connection_terminated";
    /// The upstream closed or reset in the middle of the body.
    ResetMidBody = "reset_mid_body", Failure, Failure, 502, "http_response_incomplete";
    /// The upstream's answer was not HTTP, or had ambiguous framing.
    ProtocolError = "protocol_error", Failure, Failure, 502, "http_protocol_error";
    /// The upstream answered 500.
    Http500 = "http_500", Failure, Failure, 500, "proxy_internal_response";
    /// The upstream answered 502.
    Http502 = "http_502", Failure, Failure, 502, "proxy_internal_response";
    /// The upstream answered 503.
    Http503 = "http_503", Failure, Failure, 503, "proxy_internal_response";
    /// The upstream answered 504.
    Http504 = "http_504", Failure, Failure, 504, "proxy_internal_response";
    /// The upstream answered another status that is configured as a failure.
    HttpOther = "http_other", Failure, Failure, 502, "proxy_internal_response";
    /// The upstream answered 429.
    Http429 = "http_429", Overload, Failure, 429, "proxy_internal_response";
    /// The circuit is open.
    BreakerOpen = "breaker_open", Neutral, Refused, 503, "destination_unavailable";
    /// The limit of calls in flight is reached.
    BulkheadFull = "bulkhead_full", Neutral, Refused, 503, "connection_limit_reached";
    /// The call waited too long for others to end.
    QueueTimeout = "queue_timeout", Neutral, Refused, 503, "connection_limit_reached";
    /// All connections that the upstream may have are in use.
    NoConnection = "no_connection", Neutral, Refused, 503, "connection_limit_reached";
    /// No route matches.
    NoRoute = "no_route", Neutral, Refused, 404, "http_request_error";
    /// A route matches, but not for this method.
    MethodNotAllowed = "method_not_allowed", Neutral, Refused, 405, "http_request_error";
    /// The request was malformed.
    BadRequest = "bad_request", Neutral, Refused, 400, "http_request_error";
    /// The request head is larger than the listener takes.
    HeadTooLarge = "head_too_large", Neutral, Refused, 431, "http_request_error";
    /// The request came back through this proxy.
    LoopDetected = "loop_detected", Neutral, Refused, 508, "proxy_loop_detected";
    /// The caller went away before the response head.
    ClientGoneBeforeHeaders = "client_gone_before_headers", Neutral, Cancelled, 499, "http_request_error";
    /// The caller went away in the middle of the body.
    ClientGoneMidBody = "client_gone_mid_body", Neutral, Cancelled, 499, "http_request_error";
    /// The caller's body was malformed or ended early.
    ClientBodyError = "client_body_error", Neutral, Cancelled, 400, "http_request_error";
    /// The caller stopped sending its body.
    ClientBodyTimeout = "client_body_timeout", Neutral, Cancelled, 408, "http_request_error";
    /// Fusebox was stopped while the call was under way.
    Shutdown = "shutdown", Neutral, Interrupted, 503, "proxy_internal_error";
    /// Fusebox was killed, or its machine died, while the call was under way.
    Crashed = "crashed", Neutral, Interrupted, 503, "proxy_internal_error";
    /// A fault of Fusebox itself.
    Internal = "internal", Neutral, Failure, 500, "proxy_internal_error";
    /// The upstream's gRPC code was UNAVAILABLE.
    GrpcUnavailable = "grpc_unavailable", Failure, Failure, 503, "proxy_internal_response";
    /// The upstream's gRPC code was DEADLINE_EXCEEDED, and the deadline was not the caller's.
    GrpcDeadlineExceeded = "grpc_deadline_exceeded", Failure, Timeout, 504, "proxy_internal_response";
    /// The upstream's gRPC code was INTERNAL.
    GrpcInternal = "grpc_internal", Failure, Failure, 500, "proxy_internal_response";
    /// The upstream's gRPC code was DATA_LOSS.
    GrpcDataLoss = "grpc_data_loss", Failure, Failure, 500, "proxy_internal_response";
    /// The upstream's gRPC code was RESOURCE_EXHAUSTED.
    GrpcResourceExhausted = "grpc_resource_exhausted", Overload, Failure, 429, "proxy_internal_response";
    /// The upstream's gRPC code was another that is configured as a failure.
    GrpcOther = "grpc_other", Failure, Failure, 502, "proxy_internal_response";
    /// No response head within the timeout of one attempt.
    TimeoutAttempt = "timeout_attempt", Failure, Timeout, 504, "http_response_timeout";
    /// The request target is longer than any that is taken.
    UriTooLong = "uri_too_long", Neutral, Refused, 414, "http_request_error";
    /// The caller expects what Fusebox does not know.
    ExpectationFailed = "expectation_failed", Neutral, Refused, 417, "http_request_error";
    /// The call went well, but by what its route says of success the task did not. Its upstream
    /// answered, and is judged by that alone.
    TaskFailed = "task_failed", Success, Failure, 500, "proxy_internal_response";
    /// The request body is larger than the listener takes.
    BodyTooLarge = "body_too_large", Neutral, Refused, 413, "http_request_error";
}

impl Reason {
    /// The reason with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }

    /// The reason behind a name that was not resolved.
    pub fn of_lookup(error: &io::Error) -> Self {
        if is_exhausted(error) { Self::Internal } else { Self::DnsFailure }
    }

    /// The reason behind a connection that did not come about.
    pub fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::ConnectRefused,
            ErrorKind::TimedOut => Self::ConnectTimeout,
            _ if is_exhausted(error) => Self::Internal,
            _ => Self::ConnectReset,
        }
    }

    /// Whether no connection came about, or none that could be used.
    pub const fn is_connections(self) -> bool {
        matches!(
            self,
            Self::DnsFailure
                | Self::ConnectRefused
                | Self::ConnectTimeout
                | Self::ConnectReset
                | Self::TlsFailure
                | Self::TlsCertificate
        )
    }

    /// The response status that it stands for, where it stands for one.
    pub const fn said_status(self) -> Option<u16> {
        Some(match self {
            Self::Http429 => 429,
            Self::Http500 => 500,
            Self::Http502 => 502,
            Self::Http503 => 503,
            Self::Http504 => 504,
            _ => return None,
        })
    }

    /// The reason that a response status stands for, when it is no success.
    ///
    /// `failures` are the statuses that the upstream's breaker counts as failures.
    pub fn of_status(status: StatusCode, failures: &[StatusCode]) -> Option<Self> {
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Some(Self::Http429);
        }
        if status.as_u16() < 400 || !failures.contains(&status) {
            return None;
        }
        Some(match status.as_u16() {
            500 => Self::Http500,
            502 => Self::Http502,
            503 => Self::Http503,
            504 => Self::Http504,
            _ => Self::HttpOther,
        })
    }

    /// The reason that a gRPC code stands for, when it is no success.
    ///
    /// `failures` are the codes that the upstream's breaker counts as failures.
    pub fn of_grpc(code: Code, failures: &[Code]) -> Option<Self> {
        match code {
            Code::Ok => None,
            Code::ResourceExhausted => Some(Self::GrpcResourceExhausted),
            _ if !failures.contains(&code) => None,
            Code::Unavailable => Some(Self::GrpcUnavailable),
            Code::DeadlineExceeded => Some(Self::GrpcDeadlineExceeded),
            Code::Internal => Some(Self::GrpcInternal),
            Code::DataLoss => Some(Self::GrpcDataLoss),
            _ => Some(Self::GrpcOther),
        }
    }
}

/// Whether this machine has run out of something: no upstream can help it.
fn is_exhausted(error: &io::Error) -> bool {
    // Open files of the system and of the process, and buffers: std has no names for these.
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = if cfg!(target_os = "linux") { 105 } else { 55 };
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::OutOfMemory)
        || matches!(error.raw_os_error(), Some(ENFILE | EMFILE | ENOBUFS))
}

#[cfg(test)]
mod tests {
    use super::{Code, Outcome, Reason, Verdict};
    use http::StatusCode;
    use std::io::{Error, ErrorKind};

    const DEFAULT: [StatusCode; 4] = [
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];

    #[test]
    fn names_are_unique_and_parse_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        }
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
    }

    #[test]
    fn what_fusebox_refused_or_the_caller_broke_never_counts_against_the_upstream() {
        let not_its_own = [Outcome::Refused, Outcome::Cancelled, Outcome::Interrupted];
        for reason in Reason::ALL.iter().filter(|reason| not_its_own.contains(&reason.outcome())) {
            assert_eq!(reason.verdict(), Verdict::Neutral, "{}", reason.as_str());
        }
    }

    #[test]
    fn a_failed_connect_counts_against_the_upstream() {
        for (kind, reason) in [
            (ErrorKind::ConnectionRefused, Reason::ConnectRefused),
            (ErrorKind::TimedOut, Reason::ConnectTimeout),
            (ErrorKind::HostUnreachable, Reason::ConnectReset),
        ] {
            assert_eq!(Reason::of_connect(&Error::from(kind)), reason);
            assert_eq!(reason.verdict(), Verdict::Failure);
        }
    }

    #[test]
    fn what_this_machine_has_run_out_of_is_nobody_elses_failure() {
        let out_of_files = Error::from_raw_os_error(24);
        let out_of_ports = Error::from(ErrorKind::AddrNotAvailable);
        for error in [out_of_files, out_of_ports] {
            assert_eq!(Reason::of_connect(&error).verdict(), Verdict::Neutral);
            assert_eq!(Reason::of_lookup(&error).verdict(), Verdict::Neutral);
        }
    }

    #[test]
    fn a_status_is_a_failure_only_when_the_breaker_counts_it() {
        let of = |code| Reason::of_status(StatusCode::from_u16(code).unwrap(), &DEFAULT);
        assert_eq!([of(200), of(404), of(501), of(505)], [None; 4]);
        assert_eq!(of(500), Some(Reason::Http500));
        assert_eq!(of(429).map(Reason::verdict), Some(Verdict::Overload));
    }

    #[test]
    fn a_grpc_code_is_a_failure_only_when_the_breaker_counts_it() {
        let counted = [Code::Unavailable, Code::DeadlineExceeded, Code::Internal, Code::Aborted];
        let of = |code| Reason::of_grpc(code, &counted);
        assert_eq!([of(Code::Ok), of(Code::NotFound), of(Code::DataLoss)], [None; 3]);
        assert_eq!(of(Code::Unavailable), Some(Reason::GrpcUnavailable));
        assert_eq!(of(Code::Aborted), Some(Reason::GrpcOther));
        let exceeded = of(Code::DeadlineExceeded).unwrap();
        assert_eq!((exceeded.verdict(), exceeded.outcome()), (Verdict::Failure, Outcome::Timeout));
        let exhausted = Reason::of_grpc(Code::ResourceExhausted, &[]).unwrap();
        assert_eq!(exhausted.verdict(), Verdict::Overload);
    }
}
