//! The automatic machine: the rules by which a circuit opens and closes by itself.
//!
//! Overrides and the fleet's numbering are [`Breaker`](super::Breaker)'s. All changes of phase go
//! through [`Machine::enter`], which begins a new generation: whatever was admitted before can no
//! longer move anything.

use std::time::{Duration, Instant};

use super::{
    Observed, Policy,
    backoff::Backoff,
    phase::{FLEET_IS_SILENT, Outage, Phase, Whose},
    probe::Trial,
    state::{Cause, Heard, Mode, Refusal, State, Transition},
    token::{Generation, Permit, Receipt},
    usual::Usual,
};
use crate::domain::{outcome::Verdict, wait::part};

/// The automatic machine. See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) policy: Policy,
    pub(super) phase: Phase,
    pub(super) entered: Instant,
    /// Why it entered this phase; none when it never left the first.
    pub(super) cause: Option<Cause>,
    pub(super) generation: Generation,
    pub(super) backoff: Backoff,
    /// How long the fleet is waited for beyond its open time.
    patience: Duration,
    /// How long answers take.
    pub(super) usual: Usual,
    /// When a call or a check last said something about the upstream.
    pub(super) heard_at: Option<Instant>,
    /// When it last said that the upstream fails, and that it does not.
    pub(super) heard: Heard,
    /// The fleet, which keeps the circuit open, has somebody try the upstream.
    pub(super) is_tried: bool,
    /// When a check succeeded last, when a call was answered that had hung, and when the latest
    /// outage began.
    pub(super) connected_at: Option<Instant>,
    pub(super) answered_at: Option<Instant>,
    pub(super) outage_began: Instant,
}

impl Machine {
    pub(super) fn new(policy: Policy, seed: u64, now: Instant) -> Self {
        let (phase, backoff) = (Phase::closed(&policy, now), Backoff::new(seed));
        Self {
            policy,
            phase,
            entered: now,
            cause: None,
            generation: 1,
            backoff,
            patience: FLEET_IS_SILENT + part(FLEET_IS_SILENT, mixed(seed)),
            usual: Usual::new(now),
            heard_at: None,
            heard: Heard::default(),
            is_tried: false,
            connected_at: None,
            answered_at: None,
            outage_began: now,
        }
    }

    pub(super) fn admit(
        &mut self,
        idempotent: bool,
        now: Instant,
    ) -> (Result<Permit, Refusal>, Option<Transition>) {
        let transition = self.tick(now);
        let (generation, policy) = (self.generation, &self.policy);
        let permit = |ticket, state| Permit::new(generation, ticket, state);
        let decision = match &mut self.phase {
            Phase::Closed { .. } => Ok(permit(0, State::Closed)),
            Phase::Open { until, outage } => Err(outage.refusal_until(*until, now)),
            Phase::HalfOpen(trial) => trial
                .admit(idempotent, policy, now)
                .map(|ticket| permit(ticket, State::HalfOpen))
                .map_err(|wait| trial.outage.refusal(State::HalfOpen, wait)),
            Phase::Ramping(ramp) => ramp
                .admit(policy.ramp, now)
                .map(|()| permit(0, State::Ramping))
                .map_err(|wait| ramp.outage.refusal(State::Ramping, wait)),
        };
        (decision, transition)
    }

    /// How an attempt would be refused. None too while a share of them passes: which, is known when
    /// they ask.
    pub(super) fn refusal(&self, idempotent: bool, now: Instant) -> Option<Refusal> {
        let refused_by = |trial: &Trial| {
            let wait = trial.wait(idempotent, &self.policy, now)?;
            Some(trial.outage.refusal(State::HalfOpen, wait))
        };
        match &self.phase {
            Phase::Closed { .. } | Phase::Ramping(_) => None,
            Phase::Open { until, outage } if now < outage.tried_from(*until, self.patience) => {
                Some(outage.refusal_until(*until, now))
            }
            Phase::Open { until, outage } => refused_by(&Trial::new(*outage, *until)),
            Phase::HalfOpen(trial) => refused_by(trial),
        }
    }

    pub(super) fn record(
        &mut self,
        permit: &Permit,
        observed: &Observed,
        now: Instant,
    ) -> (Receipt, Option<Transition>) {
        if permit.generation != self.generation {
            return (Receipt::FINAL, self.answered_late(permit, observed, now));
        }
        let hung = permit.wait.as_deref().and_then(|wait| self.hung(wait, observed, now));
        let observed = hung.as_ref().unwrap_or(observed);
        if observed.verdict != Verdict::Neutral {
            self.hears(observed.verdict == Verdict::Failure, now);
        }
        if observed.verdict == Verdict::Success {
            self.usual.note(observed.latency, now);
        }
        if let Phase::HalfOpen(trial) = &mut self.phase {
            let in_time = trial.take_back(permit.ticket, now);
            return if in_time { self.probed(observed, now) } else { (Receipt::FINAL, None) };
        }
        let generation = self.generation;
        let Some(tally) = self.phase.tally_mut() else { return (Receipt::FINAL, None) };
        let receipt = match tally.count(&self.policy, permit, observed, now) {
            Some((place, tick)) => Receipt { generation, place, tick },
            None => Receipt::FINAL,
        };
        match observed.verdict {
            Verdict::Success => self.backoff.saw_success(&self.policy, now),
            Verdict::Failure | Verdict::Overload => self.backoff.saw_failure(),
            Verdict::Neutral => return (receipt, None),
        }
        (receipt, self.trip_if_a_rule_is_broken(now))
    }

    /// A success turned into a failure.
    pub(super) fn reclassify(&mut self, receipt: &Receipt, now: Instant) -> Option<Transition> {
        if receipt.generation != self.generation {
            return None;
        }
        if let Phase::HalfOpen(trial) = &self.phase {
            // The probe that seemed to succeed failed, and it is not too late to say so.
            return Some(self.reopen(trial.outage, Duration::ZERO, now));
        }
        self.phase.tally_mut()?.died(receipt.place, receipt.tick, now);
        self.backoff.saw_failure();
        self.trip_if_a_rule_is_broken(now)
    }

    /// A success is one to its end.
    pub(super) fn settle(&mut self, receipt: &Receipt) {
        if let Some(tally) = self.phase.tally_mut()
            && receipt.generation == self.generation
        {
            tally.ended_well();
        }
    }

    /// The result of a health check.
    pub(super) fn check(&mut self, ok: bool, now: Instant) -> Option<Transition> {
        let passed = self.tick(now);
        self.hears(!ok, now);
        self.connected_at = ok.then_some(now);
        let decided = match (&mut self.phase, ok) {
            (Phase::Open { outage, until }, true)
                if outage.by_connection && outage.whose == Whose::Own =>
            {
                let mut trial = Trial::early(*outage, *until, now);
                trial.checked(now);
                let tried = self.enter(Phase::HalfOpen(trial), Cause::CheckSucceeded, now);
                Transition::joined(Some(tried), self.probe_succeeded(Duration::ZERO, now))
            }
            // One that cannot connect now may be what ends the outage when it can.
            (Phase::Open { outage, .. }, false) => {
                outage.by_connection = true;
                None
            }
            (Phase::Open { .. }, true) => None,
            (Phase::HalfOpen(trial), true) => {
                trial.checked(now);
                self.probe_succeeded(Duration::ZERO, now)
            }
            (Phase::HalfOpen(trial), false) => {
                let outage = Outage { by_connection: true, ..trial.outage };
                Some(self.reopen(outage, Duration::ZERO, now))
            }
            (Phase::Closed { .. } | Phase::Ramping(_), _) => self.count_check(ok, now),
        };
        Transition::joined(passed, decided)
    }

    /// What time alone has changed.
    pub(super) fn tick(&mut self, now: Instant) -> Option<Transition> {
        match &self.phase {
            Phase::Open { until, outage } if now >= outage.tried_from(*until, self.patience) => {
                let trial = Trial::new(*outage, *until);
                Some(self.enter(Phase::HalfOpen(trial), Cause::OpenTimeOver, now))
            }
            Phase::Ramping(ramp) if ramp.age(now) >= self.policy.ramp => {
                Some(self.enter(Phase::closed(&self.policy, now), Cause::RampOver, now))
            }
            _ => None,
        }
    }

    /// Closes it, whatever it was, and forgets what it had counted.
    pub(super) fn reset(&mut self, now: Instant) -> Transition {
        self.backoff.adopt(0);
        self.enter(Phase::closed(&self.policy, now), Cause::Override, now)
    }

    /// Something said how the upstream does.
    pub(super) const fn hears(&mut self, is_failure: bool, now: Instant) {
        self.heard_at = Some(now);
        self.heard.note(is_failure, now);
    }

    /// What is admitted from now on belongs to a new generation.
    pub(super) const fn begin_generation(&mut self) {
        self.generation += 1;
    }

    fn count_check(&mut self, ok: bool, now: Instant) -> Option<Transition> {
        self.phase.tally_mut()?.check(ok);
        if ok {
            self.backoff.saw_success(&self.policy, now);
            return None;
        }
        self.backoff.saw_failure();
        self.trip_if_a_rule_is_broken(now)
    }

    /// A probe reported in time.
    fn probed(&mut self, observed: &Observed, now: Instant) -> (Receipt, Option<Transition>) {
        let Phase::HalfOpen(trial) = &self.phase else { return (Receipt::FINAL, None) };
        // A check may end the outage early only if it was one of connecting this time, too.
        let outage = Outage { by_connection: observed.by_connection, ..trial.outage };
        match observed.verdict {
            Verdict::Success => {
                let receipt = Receipt { generation: self.generation, place: 0, tick: 0 };
                (receipt, self.probe_succeeded(Duration::ZERO, now))
            }
            Verdict::Failure => (Receipt::FINAL, Some(self.reopen(outage, Duration::ZERO, now))),
            Verdict::Overload => {
                let asked = observed.retry_after.unwrap_or_default();
                (Receipt::FINAL, Some(self.reopen(outage, asked, now)))
            }
            Verdict::Neutral => (Receipt::FINAL, None),
        }
    }

    /// Something succeeded that is as good as a probe. If that is enough, the ramp is so old already.
    pub(super) fn probe_succeeded(&mut self, age: Duration, now: Instant) -> Option<Transition> {
        let Phase::HalfOpen(trial) = &mut self.phase else { return None };
        if trial.succeeded() < self.policy.close_after.get() {
            return None;
        }
        let next = Phase::recovering(&self.policy, trial.outage, age, now);
        Some(self.enter(next, Cause::ProbesSucceeded, now))
    }

    pub(super) fn trip_if_a_rule_is_broken(&mut self, now: Instant) -> Option<Transition> {
        let tally = self.phase.tally()?;
        let cause = tally.broken_rule(&self.policy)?;
        let (outage, asked) = (tally.outage(cause, now), tally.asked_pause(now));
        match self.phase {
            Phase::Ramping(_) => self.backoff.failed_again(),
            _ => self.backoff.opened(),
        }
        Some(self.open(outage, asked, cause, now))
    }

    /// Half-open did not end well. If it had begun early it goes on where it was.
    pub(super) fn reopen(&mut self, outage: Outage, asked: Duration, now: Instant) -> Transition {
        if let Phase::HalfOpen(trial) = &self.phase
            && let Some(until) = trial.is_early(now)
        {
            let until = until.max(after(now, asked.min(self.policy.open_for_max)));
            return self.enter(Phase::Open { until, outage }, Cause::ProbeFailed, now);
        }
        self.backoff.failed_again();
        self.open(outage, asked, Cause::ProbeFailed, now)
    }

    fn open(&mut self, outage: Outage, asked: Duration, cause: Cause, now: Instant) -> Transition {
        let open_for = self.backoff.open_time(&self.policy, asked);
        self.enter(Phase::Open { until: after(now, open_for), outage }, cause, now)
    }

    /// The only change of phase.
    pub(super) fn enter(&mut self, next: Phase, cause: Cause, now: Instant) -> Transition {
        let (from, window) = (self.phase.state(), self.phase.counts(now));
        if from == State::Closed && next.state() == State::Open {
            self.outage_began = now;
        }
        self.phase = next;
        self.entered = now;
        self.cause = Some(cause);
        self.begin_generation();
        let open_for = match self.phase {
            Phase::Open { until, .. } => until.saturating_duration_since(now),
            _ => Duration::ZERO,
        };
        Transition {
            from,
            to: self.phase.state(),
            cause,
            failure_count: self.phase.failure_count(),
            window_calls: window.calls,
            window_failures: window.hits,
            open_for,
            step: self.backoff.step(),
            by_connection: self.phase.outage().is_some_and(Outage::ends_early),
            generation: self.generation,
            mode: Mode::Auto,
        }
    }
}

/// Seeds that are near each other come to lie far apart.
const fn mixed(seed: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A moment after `now`. One too far to be represented is taken for `now` itself, for nothing may
/// wait for a moment that never comes.
pub(super) fn after(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}
