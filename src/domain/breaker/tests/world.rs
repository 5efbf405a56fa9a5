//! Random histories of a breaker, with what must hold after every step of each.

use std::{num::NonZeroU32, time::Instant};

use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::script::{s, steer};
use crate::{
    clock,
    domain::{
        breaker::{
            Breaker, Cause, Mode, Observed, Permit, Policy, RateRule, Receipt, Shared, SlowRule,
            State, Transition,
        },
        outcome::Verdict,
        units::Percent,
    },
};

/// Something that happens to a breaker. Indices choose among what is under way.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Admit {
        idempotent: bool,
    },
    Report {
        which: usize,
        observed: Observed,
    },
    Release {
        which: usize,
    },
    /// All that are under way say how long they have waited.
    Wait,
    Died {
        which: usize,
    },
    EndedWell {
        which: usize,
    },
    Check {
        ok: bool,
    },
    Adopt(Shared),
    Steer(Mode),
    Pass {
        seconds: u64,
    },
}

pub(super) fn state() -> impl Strategy<Value = State> {
    let states = [State::Closed, State::Open, State::HalfOpen, State::Ramping];
    (0..states.len()).prop_map(move |at| states[at])
}

pub(super) fn shared() -> impl Strategy<Value = Shared> {
    (0_u64..12, state(), 0_u64..600, 0_u64..15, 0_u32..12, any::<bool>()).prop_map(
        |(epoch, state, open_for, ramp_age, step, by_connection)| Shared {
            epoch,
            state,
            open_for: s(open_for),
            ramp_age: s(ramp_age),
            step,
            failure_count: 5,
            cause: Cause::FailureRate,
            by_connection,
        },
    )
}

fn observed() -> impl Strategy<Value = Observed> {
    let verdict = prop_oneof![
        3 => Just(Verdict::Success),
        4 => Just(Verdict::Failure),
        1 => Just(Verdict::Overload),
        1 => Just(Verdict::Neutral),
    ];
    let pause = proptest::option::of((0_u64..10_000).prop_map(s));
    (verdict, 0_u64..4, pause, any::<bool>()).prop_map(
        |(verdict, latency, retry_after, by_connection)| Observed {
            verdict,
            latency: s(latency),
            retry_after,
            by_connection,
        },
    )
}

/// Anything that may happen; `steered` adds overrides.
pub(super) fn event(steered: bool) -> impl Strategy<Value = Event> {
    let modes = [Mode::Auto, Mode::Shadow, Mode::Disabled, Mode::ForcedOpen, Mode::ForcedClosed];
    let which = any::<usize>;
    prop_oneof![
        8 => any::<bool>().prop_map(|idempotent| Event::Admit { idempotent }),
        8 => (which(), observed()).prop_map(|(which, observed)| Event::Report { which, observed }),
        2 => which().prop_map(|which| Event::Release { which }),
        4 => Just(Event::Wait),
        2 => which().prop_map(|which| Event::Died { which }),
        1 => which().prop_map(|which| Event::EndedWell { which }),
        2 => any::<bool>().prop_map(|ok| Event::Check { ok }),
        1 => shared().prop_map(Event::Adopt),
        u32::from(steered) => (0..modes.len()).prop_map(move |at| Event::Steer(modes[at])),
        4 => prop_oneof![0_u64..5, 0_u64..80, 0_u64..800].prop_map(|seconds| Event::Pass { seconds }),
    ]
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let more = (any::<bool>(), any::<bool>());
    let numbers = (1_u32..6, 1_u32..4, 1_u64..100);
    (numbers, flags, more).prop_map(
        |((failures, close_after, open_for), flags, (hangs, checked))| {
            let count = |count| NonZeroU32::new(count).expect("at least one");
            let over = Percent::from_basis_points(4_000).expect("a share");
            let rate = RateRule { over, window: s(30), min_calls: count(4) };
            Policy {
                consecutive_failures: count(failures),
                close_after: count(close_after),
                open_for: s(open_for),
                ramp: s(if flags.0 { 10 } else { 0 }),
                failure_rate: flags.1.then_some(rate),
                slow_calls: flags.2.then_some(SlowRule { rate, slower_than: s(2) }),
                hangs_after: hangs.then_some(s(3)),
                checked_within: checked.then_some(s(6)),
                ..Policy::default()
            }
        },
    )
}

/// A call that is under way.
struct Call {
    permit: Permit,
    began: Instant,
    /// Until when it may be a probe.
    lease: Instant,
}

/// A breaker, all that is under way, and what was seen of it.
pub(super) struct World {
    pub(super) breaker: Breaker,
    pub(super) now: Instant,
    policy: Policy,
    permits: Vec<Call>,
    receipts: Vec<Receipt>,
    last: Option<Transition>,
}

impl World {
    pub(super) fn new(policy: Policy, seed: u64) -> Self {
        let now = clock::now();
        let breaker = Breaker::new(policy.clone(), seed, now);
        let (permits, receipts) = (Vec::new(), Vec::new());
        Self { breaker, now, policy, permits, receipts, last: None }
    }

    /// Lets something happen, and checks what must hold of it.
    pub(super) fn apply(&mut self, event: Event) {
        // That an order is over is seen apart from what the event changes.
        let before = self.breaker.clone();
        let ended = self.breaker.end_order(self.now);
        self.saw(&before, ended);
        let before = self.breaker.clone();
        let moved = match event {
            Event::Admit { idempotent } => self.admit(idempotent),
            Event::Report { which, observed } => self.report(which, observed),
            Event::Release { which } => self.release(which),
            Event::Wait => {
                self.wait();
                None
            }
            Event::Died { which } => self.died(which),
            Event::EndedWell { which } => {
                if let Some(receipt) = take(&mut self.receipts, which) {
                    self.breaker.settle(receipt);
                }
                None
            }
            Event::Check { ok } => self.breaker.check(ok, self.now),
            Event::Adopt(shared) => {
                let moved = self.breaker.adopt(&shared, self.now);
                let newer = shared.epoch > before.epoch;
                assert!(newer || self.breaker == before, "an old epoch changed something");
                moved
            }
            Event::Steer(mode) => steer(&mut self.breaker, mode, self.now),
            Event::Pass { seconds } => {
                self.now += s(seconds);
                None
            }
        };
        self.saw(&before, moved);
    }

    fn admit(&mut self, idempotent: bool) -> Option<Transition> {
        // What time alone changes is seen apart from what the call changes.
        let before = self.breaker.clone();
        let passed = self.breaker.tick(self.now);
        self.saw(&before, passed);
        let before = self.breaker.clone();
        let (decision, moved) = self.breaker.admit(idempotent, self.now);
        match decision {
            Ok(permit) => {
                let lease = self.now + self.policy.probe_lease;
                let rivals = self.permits.iter().filter(|other| {
                    other.permit.generation == permit.generation
                        && permit.ticket > 0
                        && self.now < other.lease
                });
                assert_eq!(rivals.count(), 0, "two probes at once");
                self.permits.push(Call { permit, began: self.now, lease });
            }
            // A ramp remembers whom it refused, to be fair to the next.
            Err(refusal) if refusal.state != State::Ramping => {
                assert_eq!(self.breaker, before, "a refusal changed something");
                assert!(refusal.retry_after > s(0) && refusal.retry_after <= s(600));
            }
            Err(_) => {}
        }
        moved
    }

    fn report(&mut self, which: usize, observed: Observed) -> Option<Transition> {
        let Call { permit, lease, .. } = take(&mut self.permits, which)?;
        let (ticket, late, before) =
            (permit.ticket, self.is_late(permit.generation), self.breaker.clone());
        // The one late result that counts.
        let breaks_silence = permit.is_counted()
            && observed.verdict == Verdict::Success
            && before.machine.phase.outage().is_some_and(|outage| outage.by_silence);
        let (receipt, moved) = self.breaker.record(permit, observed, self.now);
        let lost = late || (ticket > 0 && self.now >= lease);
        if !(late && breaks_silence) {
            assert!(!late || self.breaker == before, "a late result changed something");
            assert!(!lost || moved.is_none(), "a lost probe moved the circuit");
        }
        assert!(!lost || receipt.is_final(), "a lost probe may turn into something");
        self.receipts.push(receipt);
        moved
    }

    fn release(&mut self, which: usize) -> Option<Transition> {
        let Call { permit, .. } = take(&mut self.permits, which)?;
        let (late, before) = (self.is_late(permit.generation), self.breaker.clone());
        let moved = self.breaker.release(permit, self.now);
        assert!(!late || self.breaker == before, "a late release changed something");
        moved
    }

    fn wait(&mut self) {
        let mut permits = std::mem::take(&mut self.permits);
        for Call { permit, began, .. } in &mut permits {
            let (late, before) = (self.is_late(permit.generation), self.breaker.clone());
            let waited = self.now - *began;
            let (again, moved) = self.breaker.waits(permit, waited, self.now);
            assert!(!late || self.breaker == before, "a late wait changed something");
            assert!(again.is_none_or(|again| again > waited), "it would ask for ever");
            self.saw(&before, moved);
        }
        self.permits = permits;
    }

    fn died(&mut self, which: usize) -> Option<Transition> {
        let receipt = take(&mut self.receipts, which)?;
        let (late, before) = (self.is_late(receipt.generation), self.breaker.clone());
        let moved = self.breaker.reclassify(receipt, self.now);
        assert!(!late || self.breaker == before, "a late death changed something");
        moved
    }

    fn is_late(&self, generation: u64) -> bool {
        generation != self.breaker.machine.generation
    }

    /// What must hold of every transition.
    fn saw(&mut self, before: &Breaker, moved: Option<Transition>) {
        let Some(moved) = moved else { return };
        let (state, generation) = (before.snapshot(self.now), before.machine.generation);
        assert!(moved.generation > generation, "no new generation: {moved:?}");
        assert_eq!(moved.generation, self.breaker.machine.generation);
        if let Some(last) = &self.last {
            assert_eq!(last.to, moved.from, "{last:?} then {moved:?}");
        }
        assert!(moved.open_for <= s(600), "{moved:?}");
        let one_outage =
            [Cause::OpenTimeOver, Cause::CheckSucceeded, Cause::Answered, Cause::ProbeFailed];
        if one_outage.contains(&moved.cause) && moved.to != State::Closed {
            assert_eq!(moved.failure_count, state.failure_count, "{moved:?}");
        }
        self.last = Some(moved);
    }
}

fn take<T>(among: &mut Vec<T>, which: usize) -> Option<T> {
    let at = which.checked_rem(among.len())?;
    Some(among.remove(at))
}
