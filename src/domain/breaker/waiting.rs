//! Calls that wait for long: when they count as slow, when as hanging, and what ends that.
//!
//! An attempt says so itself when it has waited for [`Policy::first_look`], and again as often as it
//! is asked to; one that is answered sooner, which is nearly every one, costs nothing.

use std::time::{Duration, Instant};

use super::{
    Observed, Permit, Policy,
    machine::Machine,
    phase::{Outage, Phase, Whose},
    probe::Trial,
    state::{Cause, Transition},
    token::Wait,
};
use crate::domain::outcome::Verdict;

/// So long at least a probe may wait where errors opened the circuit: one lease of the fleet's prober,
/// so that half-open is left within two.
const PROBE_WAITS: Duration = Duration::from_secs(10);

impl Policy {
    /// After how long a wait for an answer is worth a look; none when no rule asks for that.
    pub fn first_look(&self) -> Option<Duration> {
        let slower_than = self.slow_calls.map(|rule| rule.slower_than);
        [self.hangs_after, slower_than].into_iter().flatten().min()
    }
}

impl Machine {
    /// An attempt has waited for so long. After how long it is to say so again, if it still waits.
    pub(super) fn waits(
        &mut self,
        permit: &mut Permit,
        waited: Duration,
        now: Instant,
    ) -> (Option<Duration>, Option<Transition>) {
        if permit.generation != self.generation {
            return (None, None);
        }
        let since = now.checked_sub(waited).unwrap_or(now);
        let wait = permit.wait.get_or_insert_with(|| Box::new(Wait::since(since)));
        if let Some(tally) = self.phase.tally_mut()
            && self.policy.slow_calls.is_some_and(|rule| waited > rule.slower_than)
            && !std::mem::replace(&mut permit.is_slow, true)
        {
            tally.waits_slowly(now);
        }
        let hangs_after = self.hangs_after();
        if hangs_after.is_some_and(|after| waited >= after) && wait.hangs_in.is_none() {
            if let Some(reopened) = self.probe_hangs((permit.ticket, waited), now) {
                return (None, Some(reopened));
            }
            self.hangs(wait, now);
        }
        let moved = self.trip_if_a_rule_is_broken(now);
        let slower_than = self.policy.slow_calls.map(|rule| rule.slower_than);
        let probes = matches!(self.phase, Phase::HalfOpen(_)).then_some(PROBE_WAITS);
        let next = [hangs_after, slower_than.map(just_beyond), probes].into_iter().flatten();
        (next.filter(|after| *after > waited).min(), moved)
    }

    /// An answer has begun that does not say yet what it is. Silence it is not.
    pub(super) fn begins_to_answer(&mut self, permit: &mut Permit, now: Instant) {
        permit.wait = None;
        if permit.generation == self.generation
            && let Some(tally) = self.phase.tally_mut()
        {
            tally.silence.break_at(now);
        }
    }

    /// Whether that counts as a failure which is none by itself.
    pub(super) fn has_hung(&self, permit: &Permit, observed: &Observed, now: Instant) -> bool {
        let wait = permit.wait.as_deref().filter(|_| permit.generation == self.generation);
        wait.and_then(|wait| self.hung(wait, observed, now)).is_some()
    }

    /// What an attempt says that was given up without a verdict: if it had hung, it has failed.
    pub(super) fn hung(&self, wait: &Wait, observed: &Observed, now: Instant) -> Option<Observed> {
        let least = self.policy.hangs_after.filter(|_| observed.verdict == Verdict::Neutral)?;
        let waited = now.saturating_duration_since(wait.since);
        let is_in_silence = self
            .phase
            .tally()
            .is_none_or(|tally| tally.silence.covers(wait.since, self.usual.slowest()));
        (is_in_silence && waited >= self.usual.hung_after(least)).then(|| Observed::hung(waited))
    }

    /// A call that was admitted before the circuit moved is answered.
    pub(super) fn answered_late(
        &mut self,
        permit: &Permit,
        observed: &Observed,
        now: Instant,
    ) -> Option<Transition> {
        let outage = *self.phase.outage().filter(|outage| outage.by_silence)?;
        if observed.verdict != Verdict::Success || !permit.is_counted() {
            return None;
        }
        self.usual.note(observed.latency, now);
        self.hears(false, now);
        self.answered_at = Some(now);
        let tried = match self.phase {
            Phase::Open { until, .. } if outage.whose == Whose::Own => {
                let trial = Trial::early(outage, until, now);
                Some(self.enter(Phase::HalfOpen(trial), Cause::Answered, now))
            }
            _ => None,
        };
        // It was no outage for longer than this, so the ramp need not be longer.
        let age = self.policy.ramp.saturating_sub(now.saturating_duration_since(self.outage_began));
        Transition::joined(tried, self.probe_succeeded(age, now))
    }

    /// How long a call waits until it hangs.
    fn hangs_after(&self) -> Option<Duration> {
        self.usual.hangs_after(self.policy.hangs_after?)
    }

    /// The probe hangs, if it is this one, as those calls did that opened the circuit: it has failed,
    /// and its answer makes good for that should it come. Where errors opened it, slow is better than
    /// before, as the first answers after an outage are: the probe has more time.
    fn probe_hangs(
        &mut self,
        (ticket, waited): (u64, Duration),
        now: Instant,
    ) -> Option<Transition> {
        let Phase::HalfOpen(trial) = &mut self.phase else { return None };
        let is_too_long = trial.outage.by_silence || waited >= PROBE_WAITS;
        if !is_too_long || !trial.take_back(ticket, now) {
            return None;
        }
        let outage = Outage { by_connection: false, ..trial.outage };
        Some(self.reopen(outage, Duration::ZERO, now))
    }

    /// A call hangs, if nothing is answered beside it.
    fn hangs(&mut self, wait: &mut Wait, now: Instant) {
        let usual = self.usual.slowest();
        let Some(tally) = self.phase.tally_mut() else { return };
        if tally.silence.covers(wait.since, usual) {
            wait.hangs_in = Some(tally.silence.join());
            self.heard.note(true, now);
            self.backoff.saw_failure();
        }
    }
}

/// A call is slow when it has taken longer than the limit, not as long.
fn just_beyond(limit: Duration) -> Duration {
    limit.saturating_add(Duration::from_millis(1))
}
