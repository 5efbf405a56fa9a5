//! A breaker as its owner sees it: the automatic machine, steered by orders, numbered by the fleet.
//!
//! An order never destroys the automatic state: the machine rests underneath, keeps its deadlines,
//! still adopts what the fleet decides, and goes on from there when the order ends. That an order
//! is over is noticed by whatever happens next, as with every other time here.

use std::time::{Duration, Instant};

use super::{
    Observed, Policy,
    machine::Machine,
    state::{Cause, Mode, Refusal, Shared, State, Transition},
    tally::Tally,
    token::{Permit, Receipt},
};
use crate::domain::order::{Order, Signature};

/// The circuit breaker of one upstream. See the module's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    pub(super) machine: Machine,
    pub(super) steering: Steering,
    /// Who steers it; none while it is steered as configured.
    pub(super) order: Option<Order>,
    /// Who reset it last, and when.
    pub(super) reset: Option<(Signature, Instant)>,
    /// The last epoch adopted from the fleet, and whether calls were refused in it.
    pub(super) epoch: u64,
    pub(super) is_open_for_fleet: bool,
    /// Calls that would have been refused, were it not in shadow.
    pub(super) would_refuse: u64,
}

/// How the machine is steered; see [`Mode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Steering {
    Auto,
    Shadow,
    Disabled { since: Instant },
    ForcedOpen { since: Instant },
    ForcedClosed { since: Instant, tally: Box<Tally> },
}

impl Steering {
    fn new(mode: Mode, policy: &Policy, now: Instant) -> Self {
        match mode {
            Mode::Auto => Self::Auto,
            Mode::Shadow => Self::Shadow,
            Mode::Disabled => Self::Disabled { since: now },
            Mode::ForcedOpen => Self::ForcedOpen { since: now },
            Mode::ForcedClosed => {
                Self::ForcedClosed { since: now, tally: Box::new(Tally::new(policy, now)) }
            }
        }
    }
}

impl Breaker {
    /// A closed breaker. The seed feeds the jitter of grown open times, and of how long the fleet
    /// is waited for.
    pub fn new(policy: Policy, seed: u64, now: Instant) -> Self {
        let steering = Steering::new(policy.mode, &policy, now);
        let machine = Machine::new(policy, seed, now);
        let (order, reset) = (None, None);
        Self {
            machine,
            steering,
            order,
            reset,
            epoch: 0,
            is_open_for_fleet: false,
            would_refuse: 0,
        }
    }

    /// Admits an attempt, or refuses it. Refusals are counted nowhere.
    pub fn admit(
        &mut self,
        idempotent: bool,
        now: Instant,
    ) -> (Result<Permit, Refusal>, Option<Transition>) {
        let ended = self.end_order(now);
        let (decision, moved) = match &self.steering {
            Steering::Auto => self.machine.admit(idempotent, now),
            Steering::Shadow => {
                let (decision, moved) = self.machine.admit(idempotent, now);
                let permit = decision.unwrap_or_else(|refusal| {
                    self.would_refuse += 1;
                    Permit::uncounted(refusal.state)
                });
                (Ok(permit), self.reported(moved))
            }
            Steering::Disabled { .. } => (Ok(Permit::uncounted(State::Closed)), None),
            Steering::ForcedOpen { .. } => (Err(self.forced_refusal(now)), None),
            Steering::ForcedClosed { .. } => {
                let generation = self.machine.generation;
                (Ok(Permit::new(generation, 0, State::Closed)), None)
            }
        };
        (decision, Transition::joined(ended, moved))
    }

    /// Counts how an admitted attempt went. The receipt of a success can turn it into a failure
    /// later.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is recorded once")]
    pub fn record(
        &mut self,
        permit: Permit,
        observed: Observed,
        now: Instant,
    ) -> (Receipt, Option<Transition>) {
        let ended = self.end_order(now);
        let generation = self.machine.generation;
        match &mut self.steering {
            Steering::Auto | Steering::Shadow => {
                let (receipt, moved) = self.machine.record(&permit, &observed, now);
                (receipt, Transition::joined(ended, self.reported(moved)))
            }
            Steering::ForcedClosed { tally, .. } if permit.generation == generation => {
                let counted = tally.count(&self.machine.policy, &permit, &observed, now);
                let receipt = counted.map(|(place, tick)| Receipt { generation, place, tick });
                (receipt.unwrap_or(Receipt::FINAL), ended)
            }
            // What is underneath rests, also from answers that come late.
            Steering::Disabled { .. }
            | Steering::ForcedOpen { .. }
            | Steering::ForcedClosed { .. } => (Receipt::FINAL, ended),
        }
    }

    /// A success turned out to be none: its body or its trailers failed. It counts as a failure,
    /// and the streak that it had ended is restored.
    #[expect(clippy::needless_pass_by_value, reason = "a receipt is used once")]
    pub fn reclassify(&mut self, receipt: Receipt, now: Instant) -> Option<Transition> {
        let ended = self.end_order(now);
        if let Steering::ForcedClosed { tally, .. } = &mut self.steering {
            if receipt.generation == self.machine.generation {
                tally.died(receipt.place, receipt.tick, now);
            }
            return ended;
        }
        let moved = self.machine.reclassify(&receipt, now);
        Transition::joined(ended, self.reported(moved))
    }

    /// A success was one to its end. Needed only while [`Self::awaits_endings`]; a receipt that is
    /// dropped otherwise says the same.
    #[expect(clippy::needless_pass_by_value, reason = "a receipt is used once")]
    pub fn settle(&mut self, receipt: Receipt) {
        match &mut self.steering {
            Steering::ForcedClosed { tally, .. } => {
                if receipt.generation == self.machine.generation {
                    tally.ended_well();
                }
            }
            _ => self.machine.settle(&receipt),
        }
    }

    /// Whether bodies have died lately, so that one which ends well is news.
    pub fn awaits_endings(&self) -> bool {
        match &self.steering {
            Steering::ForcedClosed { tally, .. } => tally.awaits_endings(),
            _ => self.machine.phase.tally().is_some_and(Tally::awaits_endings),
        }
    }

    /// An admitted attempt has waited for so long for its response head, since all of the request was
    /// sent. Returns after how long it is to say so again, if it still waits; the first time is after
    /// [`Policy::first_look`].
    pub fn waits(
        &mut self,
        permit: &mut Permit,
        waited: Duration,
        now: Instant,
    ) -> (Option<Duration>, Option<Transition>) {
        let ended = self.end_order(now);
        if !self.by_its_rules() {
            return (None, ended);
        }
        let (again, moved) = self.machine.waits(permit, waited, now);
        (again, Transition::joined(ended, self.reported(moved)))
    }

    /// Whether an attempt that ends so without a verdict had hung, and counts as a failure.
    pub fn has_hung(&self, permit: &Permit, observed: &Observed, now: Instant) -> bool {
        self.by_its_rules() && self.machine.has_hung(permit, observed, now)
    }

    /// The response head of an attempt has come, and what it is will be known later.
    pub fn begins_to_answer(&mut self, permit: &mut Permit, now: Instant) {
        self.machine.begins_to_answer(permit, now);
    }

    /// An admitted attempt was given up without a verdict: a probe's slot is free. It is neutral,
    /// unless it had hung.
    pub fn release(&mut self, permit: Permit, now: Instant) -> Option<Transition> {
        self.record(permit, Observed::GIVEN_UP, now).1
    }

    /// Counts the result of an active health check.
    ///
    /// Closed or ramping, it counts in the streak as a call does. Half-open, it counts as a probe,
    /// whoever holds the slot. Open by failures to connect, a success makes the circuit half-open
    /// at once and is its first probe.
    pub fn check(&mut self, ok: bool, now: Instant) -> Option<Transition> {
        let ended = self.end_order(now);
        let moved = match &mut self.steering {
            Steering::Auto | Steering::Shadow => self.machine.check(ok, now),
            Steering::ForcedClosed { tally, .. } => {
                tally.check(ok);
                None
            }
            Steering::Disabled { .. } | Steering::ForcedOpen { .. } => None,
        };
        Transition::joined(ended, self.reported(moved))
    }

    /// Makes the transitions that time alone brings: an order, an open time or a ramp that is over.
    /// Calls do this by themselves; this is for telling others when no call comes.
    pub fn tick(&mut self, now: Instant) -> Option<Transition> {
        let ended = self.end_order(now);
        if !self.by_its_rules() {
            return ended;
        }
        let moved = self.machine.tick(now);
        Transition::joined(ended, self.reported(moved))
    }

    /// Takes over what the fleet decided, if it is newer than all that is known here.
    pub fn adopt(&mut self, shared: &Shared, now: Instant) -> Option<Transition> {
        if shared.epoch <= self.epoch {
            return None;
        }
        let ended = self.end_order(now);
        self.epoch = shared.epoch;
        self.is_open_for_fleet = matches!(shared.state, State::Open | State::HalfOpen);
        if self.machine.stays_open(shared) {
            return ended;
        }
        // Whoever closes what is not closed here is somebody else.
        self.reset.take_if(|_| self.machine.phase.state() != State::Closed);
        let moved = self.machine.adopt(shared, now);
        let news = moved.from != State::Closed || moved.to != State::Closed;
        Transition::joined(ended, self.reported(news.then_some(moved)))
    }

    /// Tries an upstream on behalf of the fleet, which keeps the circuit open until somebody has.
    pub fn try_out(&mut self, now: Instant) -> Option<Transition> {
        let transition = self.machine.try_out(now);
        self.reported(transition)
    }

    /// Gives up trying on behalf of the fleet.
    pub fn stop_trying(&mut self, now: Instant) -> Option<Transition> {
        let transition = self.machine.stop_trying(now);
        self.reported(transition)
    }

    /// Its rules.
    pub const fn policy(&self) -> &Policy {
        &self.machine.policy
    }

    /// Obeys an order, in place of one that is in force. Results of calls that were admitted under
    /// another mode are not counted any more.
    pub fn steer(&mut self, order: Order, now: Instant) -> Option<Transition> {
        let mode = order.mode();
        self.order = Some(order);
        self.turn(mode, now)
    }

    /// Goes on as configured.
    pub fn lift(&mut self, now: Instant) -> Option<Transition> {
        self.order = None;
        self.turn(self.machine.policy.mode, now)
    }

    /// Goes on as configured, closed, and as if nothing had ever failed.
    pub fn reset(&mut self, signature: &Signature, now: Instant) -> Option<Transition> {
        let from = self.entered_state();
        self.lift(now);
        self.machine.reset(now);
        self.reset = Some((signature.clone(), now));
        let to = self.entered_state();
        (from != to).then(|| self.ordered(from, to, now))
    }

    /// Whether the time of its order is over, though nobody has noticed yet.
    pub(super) fn has_order_that_is_over(&self, now: Instant) -> bool {
        self.order.as_ref().is_some_and(|order| order.is_over(now))
    }

    /// Goes on as configured when the order that is in force is over.
    pub(super) fn end_order(&mut self, now: Instant) -> Option<Transition> {
        if self.has_order_that_is_over(now) { self.lift(now) } else { None }
    }

    pub(super) fn turn(&mut self, mode: Mode, now: Instant) -> Option<Transition> {
        if mode == self.mode() {
            return None;
        }
        let from = self.entered_state();
        self.steering = Steering::new(mode, &self.machine.policy, now);
        self.machine.begin_generation();
        // Whoever hangs is of a generation before, and ends unheard.
        if let Some(tally) = self.machine.phase.tally_mut() {
            tally.silence.break_at(now);
        }
        let to = self.entered_state();
        (from != to).then(|| self.ordered(from, to, now))
    }

    /// How it is steered.
    pub const fn mode(&self) -> Mode {
        match self.steering {
            Steering::Auto => Mode::Auto,
            Steering::Shadow => Mode::Shadow,
            Steering::Disabled { .. } => Mode::Disabled,
            Steering::ForcedOpen { .. } => Mode::ForcedOpen,
            Steering::ForcedClosed { .. } => Mode::ForcedClosed,
        }
    }

    /// Whether the machine's state is the one in force, or would be.
    pub(super) const fn by_its_rules(&self) -> bool {
        matches!(self.steering, Steering::Auto | Steering::Shadow)
    }

    /// The state that was entered last, whether or not its time is over.
    const fn entered_state(&self) -> State {
        match self.steering {
            Steering::Auto | Steering::Shadow => self.machine.phase.state(),
            Steering::ForcedOpen { .. } => State::Open,
            Steering::Disabled { .. } | Steering::ForcedClosed { .. } => State::Closed,
        }
    }

    /// A transition of the machine as others may see it: none while an override hides it.
    fn reported(&self, transition: Option<Transition>) -> Option<Transition> {
        let mode = self.mode();
        transition.filter(|_| self.by_its_rules()).map(|made| Transition { mode, ..made })
    }

    fn ordered(&self, from: State, to: State, now: Instant) -> Transition {
        let window = self.machine.phase.counts(now);
        Transition {
            from,
            to,
            cause: Cause::Override,
            failure_count: self.machine.phase.failure_count(),
            window_calls: window.calls,
            window_failures: window.hits,
            open_for: Duration::ZERO,
            step: self.machine.backoff.step(),
            by_connection: false,
            generation: self.machine.generation,
            mode: self.mode(),
        }
    }

    pub(super) fn forced_refusal(&self, now: Instant) -> Refusal {
        let left = self.order.as_ref().and_then(|order| order.left(now));
        Refusal {
            state: State::Open,
            // Nobody knows when an order ends that has no end: as long as an ordinary outage lasts.
            retry_after: left.unwrap_or(self.machine.policy.open_for),
            failure_count: 0,
            cause: Cause::Override,
        }
    }
}
