//! What holds of every history, whatever happens in it.

use std::time::{Duration, Instant};

use proptest::{
    collection::vec,
    prelude::{ProptestConfig, any, proptest},
};

use super::{
    script::{observed, s, steer},
    world::{Event, World, event, policy, shared},
};
use crate::domain::{
    breaker::{Breaker, Evidence, Mode, Policy, Shared, State},
    outcome::Verdict,
};

/// Time passes and calls succeed; nothing that was under way ever reports. True when the circuit
/// closes.
fn closes(world: &mut World) -> bool {
    // The longest open time with its jitter, and the wait for the fleet's prober; a lease is shorter.
    world.now += s(721 + 120);
    // Three successes at most are asked for; before them an unrepeatable call may have to wait for
    // something better, after them comes the ramp.
    for _ in 0..4 {
        if let (Ok(permit), _) = world.breaker.admit(false, world.now) {
            world.breaker.record(permit, observed(Verdict::Success), world.now);
        }
        world.now += s(31);
    }
    world.breaker.snapshot(world.now).state == State::Closed
}

/// What the newest row decides about a breaker, without how it got there.
fn decided(breaker: &Breaker, now: Instant) -> (Shared, State, Duration) {
    let (shared, snapshot) = (breaker.share(now), breaker.snapshot(now));
    (shared, snapshot.state, snapshot.retry_after)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_history_breaks_what_must_hold_and_none_wedges_the_circuit(
        policy in policy(), seed: u64, events in vec(event(true), 1..120)
    ) {
        let mut world = World::new(policy, seed);
        events.into_iter().for_each(|event| world.apply(event));
        steer(&mut world.breaker, Mode::Auto, world.now);
        assert!(closes(&mut world), "wedged: {:?}", world.breaker);
    }

    #[test]
    fn a_history_replays_to_the_same_breaker(
        policy in policy(), seed: u64, events in vec(event(true), 1..60)
    ) {
        let mut worlds = [World::new(policy.clone(), seed), World::new(policy, seed)];
        worlds[1].now = worlds[0].now;
        worlds[1].breaker = worlds[0].breaker.clone();
        for event in events {
            worlds.iter_mut().for_each(|world| world.apply(event.clone()));
        }
        assert_eq!(worlds[0].breaker, worlds[1].breaker);
    }

    #[test]
    fn when_calls_only_fail_the_circuit_opens_and_probes_are_rare(policy in policy(), seed: u64) {
        let mut world = World::new(Policy { close_after: policy.consecutive_failures, ..policy }, seed);
        let (mut passed, mut refused) = (0, 0);
        for _ in 0..3_600 {
            match world.breaker.admit(true, world.now).0 {
                Ok(permit) => {
                    world.breaker.record(permit, observed(Verdict::Failure), world.now);
                    passed += 1;
                }
                Err(_) => refused += 1,
            }
            world.now += s(1);
        }
        // Open times double: of an hour, at most a dozen end, even when the first is one second.
        assert!(passed <= 5 + 16, "{passed} passed, {refused} refused");
    }

    /// Invariant 4: a probe that hangs, or whose holder is gone, costs one lease at most.
    #[test]
    fn half_open_is_left_within_two_leases_whatever_becomes_of_one_probe(
        close_after in 1_u32..4, lease in 61_u64..300, waited in 0_u64..700, fate in 0_usize..4,
        idempotent: bool, seed: u64
    ) {
        let close_after = std::num::NonZeroU32::new(close_after).expect("at least one");
        let policy = Policy { probe_lease: s(lease), close_after, ..Policy::default() };
        let mut world = World::new(policy, seed);
        for _ in 0..5 {
            let permit = world.breaker.admit(true, world.now).0.expect("closed");
            world.breaker.record(permit, observed(Verdict::Failure), world.now);
        }
        world.now += s(60 + waited);
        // An unrepeatable call may be the first only when nothing better came for a while.
        let mut hung = None;
        let began = loop {
            let now = world.now;
            world.now += s(1);
            let Ok(permit) = world.breaker.admit(idempotent, now).0 else { continue };
            match fate {
                0 => drop(permit),
                1 => drop(world.breaker.release(permit, now)),
                2 => drop(world.breaker.record(permit, observed(Verdict::Neutral), now)),
                _ => hung = Some(permit),
            }
            break now;
        };
        while world.breaker.snapshot(world.now).state == State::HalfOpen {
            assert!(world.now <= began + s(2 * lease), "wedged: {:?}", world.breaker);
            if let Ok(permit) = world.breaker.admit(idempotent, world.now).0 {
                world.breaker.record(permit, observed(Verdict::Success), world.now);
            }
            world.now += s(1);
        }
        let left = world.breaker.clone();
        if let Some(permit) = hung {
            world.breaker.record(permit, observed(Verdict::Failure), world.now);
        }
        assert_eq!(world.breaker, left, "the late result of the probe that hung");
    }

    #[test]
    fn adopting_is_idempotent_monotone_and_in_any_order(
        rows in vec(shared(), 1..6), before in vec(event(false), 0..30), seed: u64
    ) {
        let mut world = World::new(Policy::default(), seed);
        before.into_iter().for_each(|event| world.apply(event));
        // One row for each epoch, as in the store.
        let mut rows = rows;
        rows.sort_by_key(|row| row.epoch);
        rows.dedup_by_key(|row| row.epoch);
        let adopted = |order: &mut dyn Iterator<Item = &Shared>| {
            let mut breaker = world.breaker.clone();
            order.for_each(|row| { breaker.adopt(row, world.now); });
            breaker
        };
        let forth = adopted(&mut rows.iter());
        let back = adopted(&mut rows.iter().rev());
        let twice = adopted(&mut rows.iter().chain(&rows));
        // What is open here alone is closed by a recovery, which one who looks late does not see.
        if world.breaker.evidence(world.now) != Evidence::Bad {
            assert_eq!(decided(&forth, world.now), decided(&back, world.now));
        }
        assert_eq!(forth, twice);
        let newest = rows.last().map_or(0, |row| row.epoch).max(world.breaker.epoch);
        assert_eq!(forth.epoch, newest);
    }

    #[test]
    fn an_override_hides_the_automatic_state_and_gives_it_back(
        policy in policy(), seed: u64, before in vec(event(false), 0..60), mode in 0_usize..3,
        idempotent in any::<bool>(), is_lifted in any::<bool>()
    ) {
        let mut world = World::new(policy, seed);
        before.into_iter().for_each(|event| world.apply(event));
        let at_first = world.breaker.clone();
        let mode = [Mode::Disabled, Mode::ForcedOpen, Mode::ForcedClosed][mode];
        steer(&mut world.breaker, mode, world.now);
        for _ in 0..5 {
            world.apply(Event::Admit { idempotent });
            let failed = observed(Verdict::Failure);
            world.apply(Event::Report { which: usize::MAX, observed: failed });
            world.apply(Event::Check { ok: false });
        }
        let then = world.now;
        if is_lifted {
            steer(&mut world.breaker, Mode::Auto, then);
        } else {
            // An order that ends by itself gives back the same.
            world.now += s(600);
            world.breaker.end_order(world.now);
        }
        assert_eq!((world.breaker.mode(), &world.breaker.order), (Mode::Auto, &None));
        let mut expected = at_first.machine.phase.clone();
        // Who hung then is of another generation, and forgotten.
        if let (Some(tally), Some(is)) = (expected.tally_mut(), world.breaker.machine.phase.tally()) {
            tally.silence = is.silence.clone();
        }
        assert_eq!(world.breaker.machine.phase, expected);
        assert_eq!(world.breaker.share(then), at_first.share(then));
    }
}
