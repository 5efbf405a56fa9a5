//! What one instance and the fleet owe each other about a circuit.
//!
//! State-based: the decision looks at what the circuit says now and at what the store says now,
//! never at the way that either took. So messages may be late, doubled or lost, and after an outage
//! of the store one look puts everything right. The store's compare-and-set on the epoch decides
//! between instances that publish at the same time.

use std::time::Duration;

use super::breaker::{Shared, State};

/// What to do about one circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Both agree, or the difference is nobody else's business.
    Nothing,
    /// The fleet moved on: the circuit takes its state.
    Adopt,
    /// The circuit moved on: the fleet should know.
    Publish,
}

/// Compares what a circuit would publish now with its row; no row means closed.
///
/// A higher epoch wins over everything local, a lower one never does. At the same epoch the local
/// state is the newer one, and is published where others gain by it: half-open is a matter between
/// this instance and the upstream, and so is a ramp that the fleet saw no outage before.
pub fn reconcile(local: &Shared, stored: Option<&Shared>) -> Step {
    let epoch = stored.map_or(local.epoch, |row| row.epoch);
    if epoch > local.epoch {
        return Step::Adopt;
    }
    if epoch < local.epoch {
        return Step::Nothing;
    }
    let fleet = stored.map_or(State::Closed, |row| row.state);
    let fleet_step = stored.map_or(0, |row| row.step);
    let is_news = match (local.state, fleet) {
        (State::HalfOpen, _) | (State::Closed, State::Closed) => false,
        (State::Open, _) if local.open_for.is_zero() => false,
        (State::Open, State::Open | State::HalfOpen) => local.step > fleet_step,
        (State::Open, State::Closed | State::Ramping) => true,
        (State::Ramping, _) => matches!(fleet, State::Open | State::HalfOpen),
        (State::Closed, State::Open | State::HalfOpen | State::Ramping) => true,
    };
    if is_news { Step::Publish } else { Step::Nothing }
}

/// What a row that was read says after some time, while nobody changes it.
pub fn aged(row: &Shared, by: Duration) -> Shared {
    let ramp_age = if row.state == State::Ramping { row.ramp_age + by } else { row.ramp_age };
    Shared { open_for: row.open_for.saturating_sub(by), ramp_age, ..row.clone() }
}

/// Polls per second that all instances together may cost the store.
const POLLS_PER_SECOND: u32 = 500;

/// Heartbeats per second that all instances together may cost the store.
const BEATS_PER_SECOND: u32 = 50;

/// How often an instance looks at the store when nothing hints at a change: every second, or two
/// where hints come as well; rarer in a fleet so large that this would be a burden.
pub fn poll_every(live: u32, has_hints: bool) -> Duration {
    let least = Duration::from_secs(if has_hints { 2 } else { 1 });
    (Duration::from_secs(1) * live / POLLS_PER_SECOND).clamp(least, Duration::from_secs(30))
}

/// How often an instance says that it lives.
pub fn beat_every(live: u32) -> Duration {
    let load = Duration::from_secs(1) * live / BEATS_PER_SECOND;
    load.clamp(Duration::from_secs(5), Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::{Step, aged, beat_every, poll_every, reconcile};
    use crate::domain::breaker::{Cause, Shared, State};
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
    use std::time::Duration;

    /// Reads `O5`, `C0`, `H3`, `R7`: a state and its epoch; `O5+2` has opened twice more, `O5.` is
    /// over. `-` is no row.
    fn shared(text: &str) -> Option<Shared> {
        let state = match text.chars().next()? {
            'C' => State::Closed,
            'O' => State::Open,
            'H' => State::HalfOpen,
            'R' => State::Ramping,
            _ => return None,
        };
        let (text, is_over) = text.strip_suffix('.').map_or((text, false), |text| (text, true));
        let (epoch, step) = text[1..].split_once('+').unwrap_or_else(|| (&text[1..], "0"));
        Some(Shared {
            epoch: epoch.parse().unwrap(),
            state,
            open_for: Duration::from_secs(if is_over { 0 } else { 60 }),
            ramp_age: Duration::ZERO,
            step: step.parse().unwrap(),
            failure_count: 5,
            cause: Cause::ConsecutiveFailures,
            by_connection: false,
        })
    }

    fn check(cases: &[(&str, &str)], expected: Step) {
        for (local, stored) in cases {
            let step = reconcile(&shared(local).unwrap(), shared(stored).as_ref());
            assert_eq!(step, expected, "local {local}, stored {stored}");
        }
    }

    #[test]
    fn a_higher_epoch_is_adopted_whatever_the_circuit_says() {
        check(
            &[("C0", "O1"), ("O5", "C6"), ("H5", "O6"), ("R5+1", "O9+2"), ("O5", "O6")],
            Step::Adopt,
        );
    }

    #[test]
    fn a_lower_epoch_never_wins_and_is_not_overwritten() {
        check(&[("C5", "O4"), ("O5", "C4"), ("O5+3", "O4"), ("R5", "O1")], Step::Nothing);
    }

    #[test]
    fn a_local_change_is_published_where_others_gain_by_it() {
        check(
            &[("O0", "-"), ("O5", "C5"), ("O5", "R5"), ("C5", "O5"), ("C5", "R5"), ("R5", "O5")],
            Step::Publish,
        );
        check(&[("O5+2", "O5+1"), ("O5", "-")], Step::Publish);
    }

    #[test]
    fn agreement_and_private_matters_are_not_published() {
        check(
            &[("C0", "-"), ("C5", "C5"), ("O5", "O5"), ("O5.", "O5."), ("R5", "R5")],
            Step::Nothing,
        );
        check(&[("H5", "O5"), ("H0", "-"), ("R0", "-"), ("R5", "C5")], Step::Nothing);
        check(&[("O0.", "-"), ("O5.", "C5"), ("O5", "O5+1"), ("O5+2.", "O5+1")], Step::Nothing);
    }

    #[test]
    fn a_row_ages_between_reading_and_using_it() {
        let second = Duration::from_secs(1);
        let (open, ramping) = (shared("O1").unwrap(), shared("R1").unwrap());
        assert_eq!(aged(&open, 50 * second).open_for, 10 * second);
        assert!(aged(&open, 70 * second).open_for.is_zero());
        assert_eq!(aged(&ramping, 3 * second).ramp_age, 3 * second);
    }

    #[test]
    fn a_large_fleet_asks_more_rarely() {
        let seconds = |wait: Duration| wait.as_secs();
        assert_eq!([0, 10, 500, 1_000].map(|live| seconds(poll_every(live, false))), [1, 1, 1, 2]);
        assert_eq!(
            [0, 1_000, 5_000, 90_000].map(|live| seconds(poll_every(live, true))),
            [2, 2, 10, 30]
        );
        assert_eq!([1, 1_000, 90_000].map(|live| seconds(beat_every(live))), [5, 20, 60]);
    }

    /// What happens to one of three instances.
    #[derive(Debug, Clone)]
    enum Event {
        Moves(State),
        Looks,
        /// Handles the row as it was this many changes ago.
        HearsLate(usize),
    }

    fn event() -> impl Strategy<Value = (usize, Event)> {
        let state = prop_oneof![
            Just(State::Closed),
            Just(State::Open),
            Just(State::HalfOpen),
            Just(State::Ramping)
        ];
        let event = prop_oneof![
            state.prop_map(Event::Moves),
            Just(Event::Looks),
            any::<proptest::sample::Index>().prop_map(|ago| Event::HearsLate(ago.index(5))),
        ];
        (0..3_usize, event)
    }

    /// A row with its past, and instances around it.
    struct World {
        row: Vec<Option<Shared>>,
        locals: Vec<Shared>,
    }

    impl World {
        fn row(&self) -> Option<&Shared> {
            self.row.last().and_then(Option::as_ref)
        }

        /// Does what `reconcile` says about a row that may be old; true when it was something.
        fn handle(&mut self, at: usize, seen: Option<&Shared>) -> bool {
            let local = self.locals[at].clone();
            let now = self.row().cloned();
            match reconcile(&local, seen) {
                Step::Nothing => return false,
                Step::Adopt => self.locals[at] = seen.unwrap().clone(),
                // The store's compare-and-set.
                Step::Publish if now.as_ref().map_or(0, |row| row.epoch) == local.epoch => {
                    self.locals[at].epoch += 1;
                    self.row.push(Some(self.locals[at].clone()));
                }
                Step::Publish => {
                    let row = now.expect("epochs only part when there is a row");
                    assert!(row.epoch > local.epoch, "the store is never behind");
                    self.locals[at] = row;
                }
            }
            assert!(self.locals[at].epoch >= local.epoch, "epochs never fall");
            true
        }
    }

    proptest! {
        #[test]
        fn late_doubled_and_lost_messages_end_in_agreement(events in proptest::collection::vec(event(), 0..60)) {
            let mut world = World { row: vec![None], locals: vec![shared("C0").unwrap(); 3] };
            for (at, event) in events {
                match event {
                    Event::Moves(state) => {
                        let local = &mut world.locals[at];
                        local.step += u32::from(state == State::Open);
                        local.state = state;
                    }
                    Event::Looks => drop(world.handle(at, world.row().cloned().as_ref())),
                    Event::HearsLate(ago) => {
                        let old = world.row.iter().rev().nth(ago).cloned().flatten();
                        world.handle(at, old.as_ref());
                    }
                }
            }
            let rounds = (0..6).take_while(|_| {
                (0..3).fold(false, |acted, at| world.handle(at, world.row().cloned().as_ref()) | acted)
            });
            assert!(rounds.count() < 6, "instances that only look come to rest");
            let row = world.row().cloned();
            for local in &world.locals {
                assert_eq!(reconcile(local, row.as_ref()), Step::Nothing);
                assert_eq!(local.epoch, row.as_ref().map_or(0, |row| row.epoch));
            }
            let epochs: Vec<_> = world.row.iter().flatten().map(|row| row.epoch).collect();
            assert!(epochs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{epochs:?}");
        }

        #[test]
        fn the_order_and_number_of_messages_do_not_matter(order in proptest::collection::vec(1..8_u64, 1..30)) {
            let row = |epoch: u64| Shared { epoch, ..shared("O1").unwrap() };
            let mut local = shared("C0").unwrap();
            for &epoch in &order {
                let stored = row(epoch);
                if reconcile(&local, Some(&stored)) == Step::Adopt {
                    local = stored;
                }
            }
            assert_eq!(Some(local.epoch), order.iter().max().copied());
        }
    }
}
