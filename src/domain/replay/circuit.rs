//! One circuit under the rules that are tried, and the trip that it is in.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::report::Log;
use crate::domain::breaker::{
    Breaker, Cause, Observed, Permit, Policy, Receipt, State, Transition,
};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Circuit {
    breaker: Breaker,
    pub(super) upstream: Arc<str>,
    pub(super) instance: Arc<str>,
    /// Which trip it is in, until it is closed again.
    pub(super) trip: Option<usize>,
}

/// Leave to make an attempt, and whose it is.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) circuit: usize,
    pub(super) permit: Permit,
    /// When it was given.
    pub(super) at_us: i64,
}

impl Circuit {
    pub(super) fn new(
        policy: Policy,
        upstream: Arc<str>,
        instance: Arc<str>,
        now: Instant,
    ) -> Self {
        Self { breaker: Breaker::new(policy, SEED, now), upstream, instance, trip: None }
    }

    /// Admits an attempt; none when it is refused.
    pub(super) fn admit(
        &mut self,
        is_idempotent: bool,
        now: Instant,
        log: &mut Log<'_>,
    ) -> Option<Permit> {
        let (decision, moved) = self.breaker.admit(is_idempotent, now);
        self.saw(moved, log);
        decision.ok()
    }

    /// An attempt has waited for so long; after how long that is to be told again.
    pub(super) fn waits(
        &mut self,
        permit: &mut Permit,
        waited: Duration,
        now: Instant,
        log: &mut Log<'_>,
    ) -> Option<Duration> {
        let (again, moved) = self.breaker.waits(permit, waited, now);
        self.saw(moved, log);
        again
    }

    /// After how long a wait is to be told first.
    pub(super) fn first_look(&self) -> Option<Duration> {
        self.breaker.policy().first_look()
    }

    /// Whether a call that has no outcome would be refused. One that would not leaves no trace: its
    /// result would have been the next thing to happen, and nobody knows it.
    pub(super) fn would_refuse(
        &mut self,
        is_idempotent: bool,
        now: Instant,
        log: &mut Log<'_>,
    ) -> bool {
        let moved = self.breaker.tick(now);
        self.saw(moved, log);
        if self.breaker.snapshot(now).state == State::Closed {
            return false;
        }
        let mut tried = self.breaker.clone();
        match tried.admit(is_idempotent, now).0 {
            Err(_) => {
                // A ramp remembers whom it refused.
                self.breaker = tried;
                true
            }
            Ok(permit) => {
                tried.release(permit, now);
                false
            }
        }
    }

    /// Counts how an attempt went.
    pub(super) fn record(
        &mut self,
        permit: Permit,
        observed: Observed,
        now: Instant,
        log: &mut Log<'_>,
    ) -> Receipt {
        let (receipt, moved) = self.breaker.record(permit, observed, now);
        self.saw(moved, log);
        receipt
    }

    /// Counts so many more that went alike, while calls pass: they share a row.
    pub(super) fn repeat(
        &mut self,
        times: u32,
        is_idempotent: bool,
        observed: Observed,
        now: Instant,
        log: &mut Log<'_>,
    ) {
        for _ in 0..times.min(MAX_REPEATED) {
            if self.breaker.snapshot(now).state != State::Closed {
                return;
            }
            let Some(permit) = self.admit(is_idempotent, now, log) else { return };
            let receipt = self.record(permit, observed, now, log);
            self.breaker.settle(receipt);
        }
    }

    /// The body of a success ended, or died.
    pub(super) fn end(&mut self, receipt: Receipt, dies: bool, now: Instant, log: &mut Log<'_>) {
        if dies {
            let moved = self.breaker.reclassify(receipt, now);
            self.saw(moved, log);
        } else {
            self.breaker.settle(receipt);
        }
    }

    /// Counts a health check.
    pub(super) fn check(&mut self, ok: bool, now: Instant, log: &mut Log<'_>) {
        // First what time has changed, as it is done live.
        let passed = self.breaker.tick(now);
        self.saw(passed, log);
        let moved = self.breaker.check(ok, now);
        self.saw(moved, log);
    }

    fn saw(&mut self, moved: Option<Transition>, log: &mut Log<'_>) {
        let Some(moved) = moved else { return };
        match (moved.to, moved.cause) {
            (State::Open, Cause::ProbeFailed) => log.probe_failed(self.trip),
            (State::Open, _) => self.trip = log.opened(self, &moved),
            (State::Ramping, _) => log.carries(self.trip),
            (State::Closed, _) => {
                log.carries(self.trip);
                self.trip = None;
            }
            (State::HalfOpen, _) => {}
        }
    }
}

/// Feeds the jitter of grown open times: the same for every replay, so that two can be compared.
pub(super) const SEED: u64 = 5;

/// Successes of one row that are counted one by one: more than any window asks for.
const MAX_REPEATED: u32 = 10_000;
