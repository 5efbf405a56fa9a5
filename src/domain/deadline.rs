//! How long a call may take up to its response head, whose deadline that is, and what the upstream
//! is told of it.
//!
//! Two clocks run: our own total timeout, which ends at the response head, and the caller's, which
//! covers the whole call. The one that is over first ends the wait, and decides whose fault it is:
//! an upstream that misses ours failed, one that misses the caller's shorter one may be well. What
//! the upstream is told is what the caller said, less what has passed, and nothing where the caller
//! said nothing: told of ours, it would cut a stream that may go on for as long as its caller likes.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    grpc::{GRPC_TIMEOUT, read_timeout, show_timeout},
    outcome::{Reason, Verdict},
};

/// How long the caller still waits, in milliseconds: Envoy's name for it.
pub const EXPECTED_MS: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");

/// The least that an upstream is told: below it there is nothing that it could do in time.
const LEAST: Duration = Duration::from_millis(1);

/// The most digits of a number of milliseconds: 115 days.
const MAX_DIGITS: usize = 10;

/// Timers are coarse, and an upstream begins to count when it has read what we rounded down: what
/// it says so shortly before a deadline was said because of it.
const GRAIN: Duration = Duration::from_millis(10);

/// What a caller says in one field about how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Told {
    /// The field is not there.
    #[default]
    Nothing,
    /// The field makes no sense, or is there more than once: it counts for nothing, and nobody
    /// further on is to make something else of it.
    Nonsense,
    /// This long, from when its request came.
    Within(Duration),
}

impl Told {
    /// Of a `grpc-timeout`: the value of the first, and whether there is another.
    pub fn grpc(first: Option<&[u8]>, is_repeated: bool) -> Self {
        Self::read(first, is_repeated, read_timeout)
    }

    /// The same of an `x-envoy-expected-rq-timeout-ms`. Zero there stands for no timeout.
    pub fn expected_ms(first: Option<&[u8]>, is_repeated: bool) -> Self {
        Self::read(first, is_repeated, |value| {
            let is_number = value.len() <= MAX_DIGITS && value.iter().all(u8::is_ascii_digit);
            let number = std::str::from_utf8(value).ok().filter(|_| is_number)?.parse().ok()?;
            (number > 0).then(|| Duration::from_millis(number))
        })
    }

    fn read(
        first: Option<&[u8]>,
        is_repeated: bool,
        read: impl Fn(&[u8]) -> Option<Duration>,
    ) -> Self {
        match first {
            None => Self::Nothing,
            Some(_) if is_repeated => Self::Nonsense,
            Some(value) => read(value).map_or(Self::Nonsense, Self::Within),
        }
    }

    const fn time(self) -> Option<Duration> {
        match self {
            Self::Within(time) => Some(time),
            Self::Nothing | Self::Nonsense => None,
        }
    }
}

/// When a call has to have its response head. See the module docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    began: Instant,
    /// When our total timeout is over.
    ours: Instant,
    /// That is sooner than the upstream's own would be: others have had some of the time.
    is_rest: bool,
    /// When the caller stops waiting, if it said so.
    callers: Option<Instant>,
    grpc: Told,
    expected: Told,
}

impl Deadline {
    /// The deadline of a call that began at `began`. `grpc` counts for gRPC calls only: of others
    /// it is [`Told::Nothing`], and the field goes on as it came.
    pub fn new(total: Duration, began: Instant, grpc: Told, expected: Told) -> Self {
        let shortest = [grpc.time(), expected.time()].into_iter().flatten().min();
        let callers = shortest.and_then(|time| began.checked_add(time));
        Self { began, ours: began + total, is_rest: false, callers, grpc, expected }
    }

    /// The same for an upstream that is asked from now on instead of another: it has a time of its
    /// own, and the caller no more than before.
    #[must_use]
    pub fn instead(self, total: Duration, now: Instant) -> Self {
        Self { ours: now + total, ..self }
    }

    /// The same for one of several that are asked in turn, within the time of the first: it has a
    /// time of its own, and no more than they have left.
    #[must_use]
    pub fn in_turn(self, total: Duration, now: Instant) -> Self {
        let own = now + total;
        Self { ours: self.ours.min(own), is_rest: self.ours < own, ..self }
    }

    /// When the wait for the response head ends.
    pub fn at(&self) -> Instant {
        self.callers.map_or(self.ours, |callers| callers.min(self.ours))
    }

    /// When the caller gives up the whole call, its body and trailers included.
    pub const fn of_caller(&self) -> Option<Instant> {
        self.callers
    }

    /// Why the wait ended, when [`Deadline::at`] has passed.
    pub fn reason(&self) -> Reason {
        if self.at() < self.ours { Reason::CallerDeadline } else { Reason::TimeoutTotal }
    }

    /// What it says about the upstream that an attempt at it ended so. One that had only what others
    /// left of the time may be well.
    pub fn verdict(&self, reason: Reason) -> Verdict {
        match reason {
            Reason::TimeoutTotal if self.is_rest => Verdict::Neutral,
            other => other.verdict(),
        }
    }

    /// Why a call is answered at once, because nobody waits for it any longer.
    pub fn expired(&self, now: Instant) -> Option<Reason> {
        (now >= self.at()).then(|| self.reason())
    }

    /// How long the wait may take in all, in milliseconds, as it is stored.
    pub fn total_ms(&self) -> u64 {
        let total = self.at().saturating_duration_since(self.began);
        u64::try_from(total.as_millis()).unwrap_or(u64::MAX)
    }

    /// When an attempt that begins now has to have its response head, and why it ended when it has
    /// not. `limit` is the timeout of one attempt.
    pub fn attempt(&self, limit: Option<Duration>, now: Instant) -> (Instant, Reason) {
        let limit = limit.and_then(|limit| now.checked_add(limit));
        match limit.filter(|&limit| limit < self.at()) {
            Some(limit) => (limit, Reason::TimeoutAttempt),
            None => (self.at(), self.reason()),
        }
    }

    /// Tells the upstream of an attempt that begins now how long its caller still waits, in the
    /// fields that the caller used. Those that make no sense are removed.
    pub fn tell(&self, fields: &mut HeaderMap, now: Instant) {
        let passed = now.saturating_duration_since(self.began);
        let left = |time: Duration| time.saturating_sub(passed).max(LEAST);
        let mut put = |name, told, show: fn(Duration) -> HeaderValue| match told {
            Told::Nothing => {}
            Told::Nonsense => drop(fields.remove(name)),
            Told::Within(time) => drop(fields.insert(name, show(left(time)))),
        };
        put(GRPC_TIMEOUT, self.grpc, show_timeout);
        put(EXPECTED_MS, self.expected, |left| {
            HeaderValue::from(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
        });
    }

    /// Why a wait for room ended now, for which our own limits give `reason`. A caller with less time
    /// than they allow has run out of its own.
    pub fn waited(&self, reason: Reason, now: Instant) -> Reason {
        let is_over = self.callers.is_some_and(|callers| now >= callers);
        if is_over { Reason::CallerDeadline } else { reason }
    }

    /// Why an attempt ended for which the upstream itself gives `reason` now. One that says "too
    /// late" when its caller's deadline passes does what it was told to.
    pub fn blame(&self, reason: Reason, now: Instant) -> Reason {
        let says_so = matches!(reason, Reason::GrpcDeadlineExceeded | Reason::Http504);
        let is_over = self.callers.is_some_and(|callers| now + GRAIN >= callers);
        if says_so && is_over { Reason::CallerDeadline } else { reason }
    }
}

#[cfg(test)]
mod tests;
