//! What a breaker says about itself: to people and metrics, and to other instances.
//!
//! Asking changes nothing. What is over counts as over, even before a call has come that makes the
//! transition.

use std::time::{Duration, Instant};

use super::{
    Breaker,
    phase::{Outage, Phase, Whose},
    state::{Cause, Evidence, Mode, Ordered, Refusal, Shared, Snapshot, State},
    steering::Steering,
    tally::Tally,
};
use crate::domain::{fleet::mind::Local, order::Reach, units::Percent, window::Counts};

/// A state, when it began and why.
struct Standing {
    state: State,
    began: Instant,
    cause: Option<Cause>,
}

impl Breaker {
    /// The breaker at this moment.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        if self.has_order_that_is_over(now) {
            let mut without = self.clone();
            without.end_order(now);
            return without.snapshot(now);
        }
        let Standing { state, began, cause } = self.standing(now);
        let phase = &self.machine.phase;
        let outage = phase.outage().filter(|_| self.by_its_rules() && state != State::Closed);
        let tally = self.counting();
        let window = tally.map_or_else(|| phase.counts(now), |tally| tally.counts(now));
        let streak = tally.map_or(0, Tally::failures_in_a_row);
        Snapshot {
            state,
            mode: self.mode(),
            order: self.order(now),
            would_refuse: self.would_refuse,
            failure_count: outage.map_or(streak, |outage| outage.failure_count),
            retry_after: self.remaining(now),
            since: now.saturating_duration_since(began),
            cause,
            opened_by: outage.map(|outage| outage.opened_by),
            is_opened_here: outage.is_some_and(|outage| outage.is_opened_here),
            reset: self.last_reset(now),
            failure_rate: share(window),
            window_calls: window.calls,
            window_failures: window.hits,
            epoch: self.epoch,
            step: self.machine.backoff.step(),
            generation: self.machine.generation,
        }
    }

    /// How it is steered at this moment, whether or not anybody has noticed that an order is over.
    pub fn mode_at(&self, now: Instant) -> Mode {
        if self.has_order_that_is_over(now) { self.policy().mode } else { self.mode() }
    }

    /// What this instance can say about the upstream from what it has seen itself.
    pub fn evidence(&self, now: Instant) -> Evidence {
        self.machine.evidence(now)
    }

    /// The circuit as the fleet's protocol looks at it.
    pub fn local(&self, now: Instant) -> Local {
        Local {
            shared: self.share(now),
            evidence: self.machine.evidence(now),
            heard: self.machine.heard,
            is_trying: self.machine.is_trying(),
            wanted: self.machine.wanted(now),
            has_connected: self.machine.is_disproved(),
            has_recovered: self.machine.has_recovered(now),
        }
    }

    /// Whether its automatic state is that of the fleet, and not this instance's alone.
    pub fn is_agreed(&self) -> bool {
        let outage = self.machine.phase.outage();
        outage.map_or(!self.is_open_for_fleet, |outage| outage.whose == Whose::Fleet)
    }

    /// Whether it tries the upstream for the fleet.
    pub fn is_trying(&self) -> bool {
        self.machine.is_trying()
    }

    /// How an attempt would be refused now. None where it may be admitted, which it learns when it
    /// asks for it.
    pub fn refusal(&self, idempotent: bool, now: Instant) -> Option<Refusal> {
        match self.mode_at(now) {
            Mode::Auto => self.machine.refusal(idempotent, now),
            Mode::ForcedOpen => Some(self.forced_refusal(now)),
            Mode::Shadow | Mode::Disabled | Mode::ForcedClosed => None,
        }
    }

    /// Failures in a row so far, while calls pass.
    pub fn streak(&self) -> Option<u32> {
        self.machine.phase.tally().map(Tally::failures_in_a_row)
    }

    /// What it would tell the fleet now: the automatic state, as durations. Half-open is the local
    /// matter of who may probe; to others it is an open circuit whose time is over.
    pub fn share(&self, now: Instant) -> Shared {
        let machine = &self.machine;
        let (state, open_for, ramp_age) = match &machine.phase {
            Phase::Closed { .. } => (State::Closed, Duration::ZERO, Duration::ZERO),
            Phase::Open { until, .. } => {
                (State::Open, until.saturating_duration_since(now), Duration::ZERO)
            }
            Phase::HalfOpen(_) => (State::Open, Duration::ZERO, Duration::ZERO),
            Phase::Ramping(ramp) if ramp.age(now) < machine.policy.ramp => {
                (State::Ramping, Duration::ZERO, ramp.age(now))
            }
            Phase::Ramping(_) => (State::Closed, Duration::ZERO, Duration::ZERO),
        };
        let outage = machine.phase.outage().filter(|_| state != State::Closed);
        Shared {
            epoch: self.epoch,
            state,
            open_for,
            ramp_age,
            step: machine.backoff.step(),
            failure_count: outage.map_or(0, |outage| outage.failure_count),
            cause: outage.map(|outage| outage.cause).or(machine.cause).unwrap_or(Cause::RampOver),
            by_connection: outage.is_some_and(Outage::ends_early),
        }
    }

    fn order(&self, now: Instant) -> Option<Ordered> {
        let order = self.order.as_ref()?;
        let (signature, reach) = (order.signature().clone(), Reach::default());
        Some(Ordered { signature, age: order.age(now), left: order.left(now), reach })
    }

    /// Who reset it, while that is why it is closed.
    fn last_reset(&self, now: Instant) -> Option<Ordered> {
        let Standing { state, cause, .. } = self.standing(now);
        let is_so = state == State::Closed && cause == Some(Cause::Override) && self.by_its_rules();
        let (signature, at) = self.reset.as_ref().filter(|_| is_so)?;
        let age = now.saturating_duration_since(*at);
        let (signature, reach) = (signature.clone(), Reach::default());
        Some(Ordered { signature, age, left: None, reach })
    }

    fn standing(&self, now: Instant) -> Standing {
        let ordered = |state, began| Standing { state, began, cause: Some(Cause::Override) };
        match self.steering {
            Steering::Auto | Steering::Shadow => self.automatic(now),
            Steering::ForcedOpen { since } => ordered(State::Open, since),
            Steering::Disabled { since } | Steering::ForcedClosed { since, .. } => {
                ordered(State::Closed, since)
            }
        }
    }

    fn automatic(&self, now: Instant) -> Standing {
        let (machine, ramp_length) = (&self.machine, self.machine.policy.ramp);
        let (state, began, cause) = match &machine.phase {
            // The fleet's is open until somebody tries it.
            Phase::Open { outage, .. } if outage.whose == Whose::Fleet => {
                let state = if machine.is_tried { State::HalfOpen } else { State::Open };
                (state, machine.entered, machine.cause)
            }
            Phase::Open { until, .. } if now >= *until => {
                (State::HalfOpen, *until, Some(Cause::OpenTimeOver))
            }
            Phase::Ramping(ramp) if ramp.age(now) >= ramp_length => {
                (State::Closed, ramp.ends(ramp_length), Some(Cause::RampOver))
            }
            phase => (phase.state(), machine.entered, machine.cause),
        };
        Standing { state, began, cause }
    }

    /// How long until the next probe, while it is open by its rules.
    fn remaining(&self, now: Instant) -> Duration {
        match self.machine.phase {
            Phase::Open { until, .. } if self.by_its_rules() => {
                until.saturating_duration_since(now)
            }
            _ => Duration::ZERO,
        }
    }

    /// The counters that are counting.
    fn counting(&self) -> Option<&Tally> {
        match &self.steering {
            Steering::ForcedClosed { tally, .. } => Some(tally),
            Steering::Auto | Steering::Shadow => self.machine.phase.tally(),
            Steering::Disabled { .. } | Steering::ForcedOpen { .. } => None,
        }
    }
}

/// The share of failures; none of no calls.
fn share(window: Counts) -> Option<Percent> {
    let basis_points = (u64::from(window.hits) * 10_000).checked_div(u64::from(window.calls))?;
    Percent::from_basis_points(u16::try_from(basis_points).ok()?)
}
