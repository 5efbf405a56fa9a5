//! A task: one call that Fusebox carried, refused or made itself, as it is stored.
//!
//! [`CallRecord`] is what the data plane hands to history when a call ends: small, owned, and
//! with everything that is the same for all calls of a route behind one pointer. Nothing here
//! knows how it is stored.

use std::{fmt, sync::Arc};

use http::Method;

pub use super::attempt::{Attempt, Attempts};

use super::{
    breaker::State,
    capture::Captured,
    correlation::{CorrelationId, TraceId},
    hex,
    outcome::{Outcome, Reason},
};

/// One call, complete. Becomes exactly one row of `task_history`.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// Made by Fusebox, echoed to the caller as `x-task-id`.
    pub id: TaskId,
    /// When the request head was read, in microseconds since the Unix epoch.
    pub started_at_us: i64,
    /// The caller's id, or ours.
    pub correlation_id: CorrelationId,
    /// The trace that the call belongs to.
    pub trace_id: TraceId,
    /// The task that caused this one, when the caller passed an `x-task-id`.
    pub parent_id: Option<TaskId>,
    /// Listener, route, upstream, domain, action and path template.
    pub site: Arc<CallSite>,
    /// The authority of the endpoint that the last attempt went to.
    pub endpoint: Option<Arc<str>>,
    /// The request's method.
    pub method: Method,
    /// The status that the caller saw; none when it went away first.
    pub status: Option<u16>,
    /// The code in `grpc-status`, of the upstream or of ours; none when the call was no gRPC call,
    /// or ended before there was one.
    pub grpc_status: Option<u8>,
    /// How the call ended.
    pub outcome: Outcome,
    /// Why, unless it succeeded.
    pub reason: Option<Reason>,
    /// Attempts in order; empty when the call was refused.
    pub attempts: Attempts,
    /// The breaker's state when the call was admitted or refused.
    pub breaker_state: State,
    /// From the request head to the end of the response body.
    pub duration_us: u64,
    /// From sending the last attempt to the end of its body.
    pub upstream_us: Option<u64>,
    /// From the request head to the response head.
    pub first_byte_us: Option<u64>,
    /// The total timeout in force.
    pub deadline_ms: Option<u64>,
    /// Body bytes that the caller sent.
    pub request_bytes: u64,
    /// Body bytes that the caller was sent.
    pub response_bytes: u64,
    /// What it meant, where its route captures that.
    pub captured: Option<Box<Captured>>,
    /// How many calls this row stands for; above 1 only for folded rows.
    pub weight: u32,
}

impl CallRecord {
    /// It ended for this reason.
    pub const fn end_with(&mut self, reason: Reason) {
        self.outcome = reason.outcome();
        self.reason = Some(reason);
    }
}

/// Who carried a call: what is the same for all calls of a process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Origin {
    /// Sidecars with the same one share breakers.
    pub namespace: String,
    /// The service beside it.
    pub service: String,
    /// The service's version; empty when unknown.
    pub version: String,
    /// The process start, unique.
    pub instance: String,
}

/// What is the same for every call of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CallSite {
    /// The listener's name.
    pub listener: Box<str>,
    /// The route's name; `-` when none matched.
    pub route: Box<str>,
    /// The upstream's name; `-` when none was chosen.
    pub upstream: Box<str>,
    /// The task's domain; the upstream's name unless configured.
    pub domain: Box<str>,
    /// The task's action; the route's name unless configured.
    pub action: Box<str>,
    /// The route's path template, never the raw path.
    pub path: Box<str>,
}

/// A task's id: a UUID of version 7 (RFC 9562 §5.7), so that ids sort by time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(u128);

impl TaskId {
    /// An id for a task that started at `started_at_us`, from 128 random bits.
    #[expect(clippy::cast_sign_loss, reason = "times before 1970 are clamped to 0")]
    pub const fn mint(started_at_us: i64, random: u128) -> Self {
        let ms =
            if started_at_us < 0 { 0 } else { (started_at_us / 1_000) as u128 & 0xffff_ffff_ffff };
        let rand_a = (random >> 64) & 0xfff;
        let rand_b = random & 0x3fff_ffff_ffff_ffff;
        Self((ms << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b)
    }

    /// The id with these 128 bits.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// Its 128 bits.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// When the task started, in milliseconds since the Unix epoch.
    pub const fn started_at_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }

    /// Reads the hyphenated form. None for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return None;
        }
        let mut bits = 0_u128;
        for (at, &byte) in bytes.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if byte != b'-' {
                    return None;
                }
            } else {
                bits = (bits << 4) | u128::from(char::from(byte).to_digit(16)?);
            }
        }
        Some(Self(bits))
    }

    /// The hyphenated form, without allocating.
    pub fn encode(self) -> [u8; 36] {
        let digits = hex::digits(self.0);
        let mut text = [b'-'; 36];
        for (group, from) in [(0..8, 0), (9..13, 8), (14..18, 12), (19..23, 16), (24..36, 20)] {
            let length = group.len();
            text[group].copy_from_slice(&digits[from..from + length]);
        }
        text
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.encode()).unwrap_or_default())
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::TaskId;

    #[test]
    fn an_id_is_a_uuid_of_version_7_that_carries_its_time() {
        let id = TaskId::mint(1_700_000_000_123_456, u128::MAX);
        let text = id.to_string();
        assert_eq!(&text[14..15], "7");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
        assert_eq!(id.started_at_ms(), 1_700_000_000_123);
        assert_eq!(TaskId::parse(&text), Some(id));
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        assert!(TaskId::mint(1_000_000, u128::MAX) < TaskId::mint(1_001_000, 0));
    }

    #[test]
    fn what_is_no_uuid_does_not_parse() {
        for text in
            ["", "x", "00000000-0000-7000-8000-00000000000", "00000000x0000-7000-8000-000000000000"]
        {
            assert_eq!(TaskId::parse(text), None, "{text}");
        }
    }
}
