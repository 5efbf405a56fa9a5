//! The automatic machine among others: what it takes over from the fleet, what it does for it, and
//! what it can tell it.

use std::time::{Duration, Instant};

use super::{
    machine::{Machine, after},
    phase::{Outage, Phase, Whose},
    probe::Trial,
    state::{Cause, Evidence, Shared, State, Transition},
};
use crate::domain::window::Counts;

/// What is older says nothing about an upstream now.
const FRESH: Duration = Duration::from_secs(30);

impl Machine {
    /// Another instance moved the circuit.
    pub(super) fn adopt(&mut self, shared: &Shared, now: Instant) -> Transition {
        // The cause tells what may end it early, until the fleet moves on: then it is still the same.
        let was_silent = self.phase.outage().is_some_and(|outage| outage.by_silence);
        let is_silent = shared.cause == Cause::HangingCalls || was_silent;
        let by_silence = shared.by_connection && is_silent;
        let told = Outage {
            cause: shared.cause,
            failure_count: shared.failure_count,
            window: Counts::default(),
            by_connection: shared.by_connection && !by_silence,
            by_silence,
            whose: Whose::Fleet,
            opened_by: if shared.cause.is_rule() { shared.cause } else { Cause::Fleet },
            is_opened_here: false,
        };
        let outage = match self.phase.outage().filter(|_| self.goes_on(shared)) {
            // The fleet agrees to what was seen here.
            Some(Outage { opened_by, failure_count, window, is_opened_here: true, .. }) => Outage {
                opened_by: *opened_by,
                failure_count: *failure_count,
                window: *window,
                is_opened_here: true,
                ..told
            },
            // How it was tried since is not what opened it.
            Some(known) if !shared.cause.is_rule() => Outage { opened_by: known.opened_by, ..told },
            _ => told,
        };
        let open_for = if shared.state == State::Open { shared.open_for } else { Duration::ZERO };
        self.is_tried = shared.state == State::HalfOpen;
        let next = match shared.state {
            State::Closed => Phase::closed(&self.policy, now),
            State::Ramping => Phase::recovering(&self.policy, outage, shared.ramp_age, now),
            State::Open | State::HalfOpen => Phase::Open { until: after(now, open_for), outage },
        };
        self.backoff.adopt(shared.step);
        let is_reset = shared.state == State::Closed && shared.cause == Cause::Override;
        self.enter(next, if is_reset { Cause::Override } else { Cause::Fleet }, now)
    }

    /// Whether what the fleet says is about the outage that is known here, and no new one.
    fn goes_on(&self, shared: &Shared) -> bool {
        let opens = matches!(shared.state, State::Open | State::HalfOpen);
        !(opens && matches!(self.phase, Phase::Ramping(_)))
    }

    /// Whether what this instance has seen itself goes on to hold although the fleet's circuit is closed:
    /// nobody has found out anew that the upstream answers, and nobody has ordered it.
    pub(super) fn stays_open(&self, shared: &Shared) -> bool {
        let is_news = matches!(shared.cause, Cause::ProbesSucceeded | Cause::Override);
        shared.state == State::Closed && !is_news && self.is_open_by_itself()
    }

    /// Tries an upstream that the fleet keeps the circuit open for: this instance is the prober, or
    /// cannot ask who is. Nothing where there is nothing to try.
    pub(super) fn try_out(&mut self, now: Instant) -> Option<Transition> {
        match &self.phase {
            Phase::Open { until, outage } if outage.whose == Whose::Fleet => {
                let trial = Trial::early(*outage, *until, now);
                let is_disproved = self.is_disproved();
                let tried = self.enter(Phase::HalfOpen(trial), Cause::OpenTimeOver, now);
                // What makes it worth a try is the first probe.
                let decided =
                    if is_disproved { self.probe_succeeded(Duration::ZERO, now) } else { None };
                Transition::joined(Some(tried), decided)
            }
            _ => None,
        }
    }

    /// Gives up being the prober: whoever is may say how the upstream is.
    pub(super) fn stop_trying(&mut self, now: Instant) -> Option<Transition> {
        match &self.phase {
            Phase::HalfOpen(trial) if trial.outage.whose == Whose::Fleet => {
                let outage = trial.outage;
                Some(self.enter(Phase::Open { until: now, outage }, Cause::Fleet, now))
            }
            _ => None,
        }
    }

    /// What this instance can say about the upstream from what it has seen itself.
    pub(super) fn evidence(&self, now: Instant) -> Evidence {
        if self.is_open_by_itself() {
            return Evidence::Bad;
        }
        if self.heard.succeeded_within(FRESH, now) { Evidence::Good } else { Evidence::Abstains }
    }

    /// Whether it refuses calls by what it has seen itself.
    fn is_open_by_itself(&self) -> bool {
        let is_own = |outage: &Outage| outage.whose == Whose::Own;
        match &self.phase {
            Phase::Open { outage, .. } => is_own(outage),
            Phase::HalfOpen(trial) => is_own(&trial.outage),
            Phase::Closed { .. } | Phase::Ramping(_) => false,
        }
    }

    /// How long ago something came to try the upstream with, as far as it was not refused.
    pub(super) fn wanted(&self, now: Instant) -> Option<Duration> {
        let is_probing = matches!(&self.phase, Phase::HalfOpen(trial) if trial.is_held(now));
        let at = if is_probing { Some(now) } else { self.heard_at };
        at.map(|at| now.saturating_duration_since(at))
    }

    /// Whether what opened the circuit has been disproved since: that nobody could connect by a
    /// check, that nothing was answered by an answer.
    pub(super) fn is_disproved(&self) -> bool {
        let by_silence = self.phase.outage().is_some_and(|outage| outage.by_silence);
        let at = if by_silence { self.answered_at } else { self.connected_at };
        at.is_some_and(|at| at >= self.outage_began)
    }

    /// Whether calls pass again, and have succeeded lately and since the outage began.
    pub(super) fn has_recovered(&self, now: Instant) -> bool {
        let passes = matches!(self.phase, Phase::Closed { .. } | Phase::Ramping(_));
        let lately = now.checked_sub(FRESH).unwrap_or(self.outage_began);
        passes && self.heard.succeeded_since(lately.max(self.outage_began))
    }

    /// Whether it tries the upstream for the fleet.
    pub(super) fn is_trying(&self) -> bool {
        matches!(&self.phase, Phase::HalfOpen(trial) if trial.outage.whose == Whose::Fleet)
    }
}
