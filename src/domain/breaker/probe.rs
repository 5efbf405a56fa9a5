//! Half-open: one call at a time, under a lease with a deadline.
//!
//! A probe holds the only slot until it reports, is dropped, or its lease ends; after that its
//! result is late and changes nothing. So a probe that hangs costs one lease, and no order of
//! events leaves the slot taken for good.

use std::time::{Duration, Instant};

use super::{Policy, phase::Outage};

/// How long callers are told to wait while a probe is under way: it takes a moment, not its lease.
pub(super) const WAIT_FOR_PROBE: Duration = Duration::from_secs(1);

/// A call that may not be repeated is tried only when nothing better came for so long.
const WAIT_FOR_IDEMPOTENT: Duration = Duration::from_secs(30);

/// The data of half-open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trial {
    pub(super) outage: Outage,
    slot: Slot,
    /// Successes in a row.
    successes: u32,
    /// When the open time was over, or the last probe or check came.
    last_probe: Instant,
    /// Probes admitted.
    tickets: u64,
    /// A check has come, so that calls may be probes too.
    has_checked: bool,
    /// When the open time is over, if that was not waited for.
    early_until: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Slot {
    Free,
    Held { ticket: u64, until: Instant },
}

impl Trial {
    /// A trial that might have begun at `since`.
    pub(super) const fn new(outage: Outage, since: Instant) -> Self {
        let (slot, has_checked) = (Slot::Free, false);
        Self {
            outage,
            slot,
            successes: 0,
            last_probe: since,
            tickets: 0,
            has_checked,
            early_until: None,
        }
    }

    /// One that begins now, whether or not the open time is over.
    pub(super) fn early(outage: Outage, until: Instant, now: Instant) -> Self {
        Self { early_until: Some(until), ..Self::new(outage, until.min(now)) }
    }

    /// Until when the circuit would still be open, had it not begun early.
    pub(super) fn is_early(&self, now: Instant) -> Option<Instant> {
        self.early_until.filter(|until| now < *until)
    }

    /// Gives the slot to a call and returns its ticket, or how long to wait.
    pub(super) fn admit(
        &mut self,
        idempotent: bool,
        policy: &Policy,
        now: Instant,
    ) -> Result<u64, Duration> {
        if let Some(wait) = self.wait(idempotent, policy, now) {
            return Err(wait);
        }
        self.tickets += 1;
        self.last_probe = now;
        // A lease too long to be added is one that ends at once: the slot is never lost.
        let until = now.checked_add(policy.probe_lease).unwrap_or(now);
        self.slot = Slot::Held { ticket: self.tickets, until };
        Ok(self.tickets)
    }

    /// How long a call is to wait for the slot; none if it may have it now.
    pub(super) fn wait(&self, idempotent: bool, policy: &Policy, now: Instant) -> Option<Duration> {
        if let Slot::Held { until, .. } = self.slot
            && now < until
        {
            return Some((until - now).min(WAIT_FOR_PROBE));
        }
        let waited = now.saturating_duration_since(self.last_probe);
        let wait = if idempotent { self.wait_for_check(policy) } else { WAIT_FOR_IDEMPOTENT };
        wait.checked_sub(waited).filter(|left| !left.is_zero())
    }

    /// Takes the slot back from the probe with this ticket. False when it does not hold it any
    /// more: then its result is late.
    pub(super) fn take_back(&mut self, ticket: u64, now: Instant) -> bool {
        match self.slot {
            Slot::Held { ticket: holder, until } if holder == ticket => {
                self.slot = Slot::Free;
                now < until
            }
            _ => false,
        }
    }

    /// Whether a probe is under way.
    pub(super) fn is_held(&self, now: Instant) -> bool {
        matches!(self.slot, Slot::Held { until, .. } if now < until)
    }

    /// A probe or a check succeeded: how many have, in a row.
    pub(super) const fn succeeded(&mut self) -> u32 {
        self.successes = self.successes.saturating_add(1);
        self.successes
    }

    /// A check came, which is as good as a probe.
    pub(super) const fn checked(&mut self, now: Instant) {
        self.last_probe = now;
        self.has_checked = true;
    }

    /// How long a call leaves the first probe to a check: none is configured, or its time is over.
    fn wait_for_check(&self, policy: &Policy) -> Duration {
        let wait = policy.checked_within.filter(|_| !self.has_checked).unwrap_or_default();
        wait.min(WAIT_FOR_IDEMPOTENT)
    }
}
