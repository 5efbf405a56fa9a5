//! Other rules for a breaker that goes on: its configuration was changed while it was running.
//!
//! What it is and what it has counted stays: an open circuit stays open for as long as was said when
//! it opened, failures in a row go on being counted. Only a window that is now of another length
//! begins anew, for what an old one has counted cannot be spread over it.

use std::time::Instant;

use super::{Breaker, Policy, Scope, state::Transition, steering::Steering, tally::Tally};

impl Breaker {
    /// Goes on by these rules. Somebody's order stays in force.
    pub fn adjust(&mut self, policy: Policy, now: Instant) -> Option<Transition> {
        let ended = self.end_order(now);
        let mode = policy.mode;
        let before = std::mem::replace(&mut self.machine.policy, policy.clone());
        if !Tally::has_same_windows(&before, &policy) {
            let mut is_counting = false;
            if let Steering::ForcedClosed { tally, .. } = &mut self.steering {
                tally.begin_windows(&policy, now);
                is_counting = true;
            }
            if let Some(tally) = self.machine.phase.tally_mut() {
                tally.begin_windows(&policy, now);
                // Whoever hangs is of a generation before, and ends unheard.
                tally.silence.break_at(now);
                is_counting = true;
            }
            // Receipts that are out name places in windows that are gone. Where nothing is counted there
            // are none, and a probe that is out is waited for.
            if is_counting {
                self.machine.begin_generation();
            }
        }
        if policy.scope == Scope::Instance {
            // Nobody else tries the upstream for it any more.
            self.machine.phase.is_own();
        }
        let is_steered = self.order.is_some() || mode == before.mode;
        let turned = if is_steered { None } else { self.turn(mode, now) };
        Transition::joined(ended, turned)
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use super::{Breaker, Policy};
    use crate::{
        clock,
        domain::{
            breaker::{Cause, Mode, Observed, RateRule, Scope, Shared, State},
            outcome::Verdict,
            units::Percent,
        },
    };

    fn failure() -> Observed {
        Observed { verdict: Verdict::Failure, ..Observed::GIVEN_UP }
    }

    fn fails(breaker: &mut Breaker, times: usize) {
        let now = clock::now();
        for _ in 0..times {
            let permit = breaker.admit(true, now).0.unwrap();
            breaker.record(permit, failure(), now);
        }
    }

    fn breaker() -> Breaker {
        Breaker::new(Policy::default(), 1, clock::now())
    }

    fn rate() -> RateRule {
        let over = Percent::of(50);
        RateRule { over, window: Duration::from_secs(60), min_calls: NonZeroU32::MIN }
    }

    #[test]
    fn a_streak_goes_on_under_other_rules() {
        let (mut breaker, now) = (breaker(), clock::now());
        fails(&mut breaker, 3);
        let four = NonZeroU32::MIN.saturating_add(3);
        breaker.adjust(Policy { consecutive_failures: four, ..Policy::default() }, now);
        assert_eq!(breaker.snapshot(now).state, State::Closed);
        fails(&mut breaker, 1);
        assert_eq!(breaker.snapshot(now).state, State::Open);
    }

    #[test]
    fn an_open_circuit_stays_open_for_as_long_as_was_said() {
        let (mut breaker, now) = (breaker(), clock::now());
        fails(&mut breaker, 5);
        let left = breaker.admit(true, now).0.unwrap_err().retry_after;
        let short = Duration::from_secs(1);
        assert_eq!(breaker.adjust(Policy { open_for: short, ..Policy::default() }, now), None);
        assert_eq!(breaker.admit(true, now).0.unwrap_err().retry_after, left);
    }

    #[test]
    fn a_window_of_another_length_begins_anew_and_late_results_are_not_counted_in_it() {
        let (mut breaker, now) = (breaker(), clock::now());
        fails(&mut breaker, 2);
        let late = breaker.admit(true, now).0.unwrap();
        breaker.adjust(Policy { failure_rate: Some(rate()), ..Policy::default() }, now);
        breaker.record(late, failure(), now);
        let snapshot = breaker.snapshot(now);
        assert_eq!((snapshot.failure_count, snapshot.window_calls), (2, 0));
    }

    #[test]
    fn a_probe_that_is_out_is_heard_under_other_windows() {
        let (mut breaker, mut now) = (breaker(), clock::now());
        fails(&mut breaker, 5);
        now += breaker.admit(true, now).0.unwrap_err().retry_after;
        let probe = breaker.admit(true, now).0.unwrap();
        breaker.adjust(Policy { failure_rate: Some(rate()), ..Policy::default() }, now);
        breaker.record(probe, failure(), now);
        assert_eq!(breaker.snapshot(now).state, State::Open);
        assert!(breaker.admit(true, now).0.unwrap_err().retry_after > Duration::ZERO);
    }

    #[test]
    fn a_circuit_that_the_fleet_opened_is_tried_here_when_it_is_shared_no_more() {
        let (mut breaker, mut now) = (breaker(), clock::now());
        let open_for = Duration::from_secs(30);
        let shared = Shared {
            epoch: 1,
            state: State::Open,
            open_for,
            ramp_age: Duration::ZERO,
            step: 1,
            failure_count: 5,
            cause: Cause::ConsecutiveFailures,
            by_connection: false,
        };
        breaker.adopt(&shared, now);
        now += open_for;
        assert!(breaker.admit(true, now).0.is_err(), "the fleet has somebody who does");
        breaker.adjust(Policy { scope: Scope::Instance, ..Policy::default() }, now);
        assert!(breaker.admit(true, now).0.is_ok());
    }

    #[test]
    fn another_mode_counts_at_once_and_an_order_stays_in_force() {
        let (mut breaker, now) = (breaker(), clock::now());
        let disabled = Policy { mode: Mode::Disabled, ..Policy::default() };
        breaker.adjust(disabled.clone(), now);
        assert_eq!(breaker.mode(), Mode::Disabled);
        let wish = crate::domain::order::Wish {
            mode: Mode::ForcedOpen,
            reason: "a test",
            by: None,
            ttl: None,
        };
        let order = crate::domain::order::Order::new(wish, now).unwrap();
        breaker.steer(order, now);
        breaker.adjust(Policy::default(), now);
        assert_eq!(breaker.mode(), Mode::ForcedOpen);
        breaker.lift(now);
        assert_eq!(breaker.mode(), Mode::Auto);
    }
}
