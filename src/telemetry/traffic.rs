//! The numbers of one upstream: calls by outcome, refusals by reason, the last seconds, calls in
//! flight.
//!
//! All of a call's counting happens under one short lock when the call ends; what a scrape or the
//! dashboard shows is read from the same place.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use crate::domain::{
    emf::Totals,
    learn::recent::{Counts as RecentCounts, Recent},
    outcome::{Outcome, Reason},
    task::CallRecord,
};

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
    tasks: Totals,
    refused: BTreeMap<Reason, u64>,
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
        counts.tasks.add(call);
        if let Some(reason) = call.reason.filter(|_| call.outcome == Outcome::Refused) {
            *counts.refused.entry(reason).or_default() += 1;
        }
        counts.recent.record(second, call.outcome, call.duration_us, call.weight);
        // What was refused here says nothing about the upstream.
        if call.outcome != Outcome::Refused {
            counts.last = Some(Last {
                at_us: call.started_at_us.saturating_add_unsigned(call.duration_us),
                duration_us: call.duration_us,
                reason: call.reason,
            });
        }
    }

    /// The last seconds.
    pub fn recent(&self, now: Instant) -> RecentCounts {
        self.counts().recent.counts(now.saturating_duration_since(self.began).as_secs())
    }

    /// How the last call ended that was sent on; none before the first.
    pub fn last(&self) -> Option<Last> {
        self.counts().last
    }

    /// Calls by outcome since the start.
    pub fn outcomes(&self) -> [(Outcome, u64); Outcome::ALL.len()] {
        let outcomes = self.counts().outcomes;
        Outcome::ALL.map(|outcome| (outcome, outcomes[outcome as usize]))
    }

    /// Tasks since the start.
    pub fn tasks(&self) -> Totals {
        self.counts().tasks
    }

    /// Refused calls since the start, by reason.
    pub fn refused(&self) -> BTreeMap<Reason, u64> {
        self.counts().refused.clone()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
