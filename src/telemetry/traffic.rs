//! The numbers of one upstream: calls by outcome, durations by method and status, calls in flight.
//!
//! All of a call's counting happens under one short lock when the call ends; what a scrape or the
//! dashboard shows is read from the same place.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use http::Method;

use crate::domain::{
    learn::recent::{Counts as RecentCounts, Recent},
    outcome::{Outcome, Reason},
    task::CallRecord,
};

/// Upper bounds in microseconds of OpenTelemetry's buckets for HTTP durations (semantic conventions
/// 1.44, `http.client.request.duration`).
pub const BUCKETS_US: [u64; 14] = [
    5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000,
    2_500_000, 5_000_000, 7_500_000, 10_000_000,
];
/// Combinations of method, status and reason that get a series of their own; further ones share
/// one, so that an upstream's inventiveness cannot fill the memory.
const MAX_SERIES: usize = 64;

/// The numbers of one upstream.
#[derive(Debug)]
pub struct Traffic {
    in_flight: AtomicU64,
    began: Instant,
    /// Held for the length of one call's counting.
    counts: Mutex<Counts>,
}

/// Everything that is added up.
#[derive(Debug, Default)]
struct Counts {
    outcomes: [u64; Outcome::ALL.len()],
    series: Vec<Series>,
    recent: Recent,
    last: Option<Last>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// When, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// How long it took.
    pub duration_us: u64,
    /// Why it did not succeed.
    pub reason: Option<Reason>,
}

/// Durations of the calls with the same method, status and reason.
#[derive(Debug, Clone)]
pub struct Series {
    /// The method; none for one that is not registered, or when there are too many series.
    pub method: Option<Method>,
    /// The status that the caller saw.
    pub status: Option<u16>,
    /// Why they did not succeed.
    pub reason: Option<Reason>,
    /// Counts by bucket, the last one beyond all bounds.
    pub buckets: [u64; BUCKETS_US.len() + 1],
    /// The sum of the durations.
    pub sum_us: u64,
}

impl Traffic {
    /// No calls yet.
    pub fn new(now: Instant) -> Self {
        Self { in_flight: AtomicU64::new(0), began: now, counts: Mutex::default() }
    }

    /// A call to the upstream began.
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A call that [`Self::begin`] counted is over.
    pub fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Adds a call that ended.
    pub fn count(&self, call: &CallRecord, now: Instant) {
        let second = now.saturating_duration_since(self.began).as_secs();
        let mut counts = self.counts();
        counts.outcomes[call.outcome as usize] += 1;
        counts.series_of(call).add(call.duration_us);
        counts.recent.record(second, call.outcome, call.duration_us, call.weight);
        counts.last = Some(Last {
            at_us: call.started_at_us.saturating_add_unsigned(call.duration_us),
            duration_us: call.duration_us,
            reason: call.reason,
        });
    }

    /// The last seconds.
    pub fn recent(&self, now: Instant) -> RecentCounts {
        self.counts().recent.counts(now.saturating_duration_since(self.began).as_secs())
    }

    /// How the last call ended; none before the first.
    pub fn last(&self) -> Option<Last> {
        self.counts().last
    }

    /// Calls by outcome since the start.
    pub fn outcomes(&self) -> [(Outcome, u64); Outcome::ALL.len()] {
        let outcomes = self.counts().outcomes;
        Outcome::ALL.map(|outcome| (outcome, outcomes[outcome as usize]))
    }

    /// The series since the start.
    pub fn series(&self) -> Vec<Series> {
        self.counts().series.clone()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn series_of(&mut self, call: &CallRecord) -> &mut Series {
        let of = |series: &Series| {
            (series.status, series.reason) == (call.status, call.reason)
                && series.method.as_ref() == known(&call.method)
        };
        let at = self.series.iter().position(of).unwrap_or_else(|| {
            let room = self.series.len() < MAX_SERIES;
            let method = known(&call.method).filter(|_| room).cloned();
            let (status, reason) = if room { (call.status, call.reason) } else { (None, None) };
            let shared = |series: &Series| {
                (series.status, series.reason, &series.method) == (status, reason, &method)
            };
            self.series.iter().position(shared).unwrap_or_else(|| {
                let buckets = [0; BUCKETS_US.len() + 1];
                self.series.push(Series { method, status, reason, buckets, sum_us: 0 });
                self.series.len() - 1
            })
        });
        &mut self.series[at]
    }
}

impl Series {
    fn add(&mut self, duration_us: u64) {
        let bucket = BUCKETS_US.iter().position(|&bound| duration_us <= bound);
        self.buckets[bucket.unwrap_or(BUCKETS_US.len())] += 1;
        self.sum_us = self.sum_us.saturating_add(duration_us);
    }
}

/// The methods that OpenTelemetry names; all others are one.
fn known(method: &Method) -> Option<&Method> {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ];
    KNOWN.contains(method).then_some(method)
}
