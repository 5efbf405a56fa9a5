//! Other circuits while calls go on: the configuration was read anew.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{Breakers, Circuit};
use crate::domain::breaker::{Mode, Policy};

impl Breakers {
    /// From now on these are the circuits. One that is called and shared as before stays, with all
    /// that it knows, and goes on by its new rules; calls in flight are told to whatever circuit
    /// admitted them.
    pub fn renew(&self, circuits: impl Iterator<Item = (Arc<str>, String, Policy)>, now: Instant) {
        let before = self.circuits.load_full();
        let renewed = circuits.map(|(name, key, policy)| {
            let circuit = match before.get(&name).filter(|circuit| circuit.key == key) {
                Some(stays) => {
                    stays.adjust(policy, now);
                    Arc::clone(stays)
                }
                None => self.make(&name, key, policy),
            };
            (name, circuit)
        });
        let renewed: BTreeMap<_, _> = renewed.collect();
        self.circuits.store(Arc::new(renewed));
        self.renewals.send_replace(());
    }

    /// Tells when there are other circuits, or other rules.
    pub fn renewals(&self) -> watch::Receiver<()> {
        self.renewals.subscribe()
    }

    fn make(&self, name: &Arc<str>, key: String, policy: Policy) -> Arc<Circuit> {
        let changes = self.changes.clone();
        Arc::new(Circuit::new(Arc::clone(name), key, policy, self.enabled, changes))
    }
}

impl Circuit {
    fn adjust(self: &Arc<Self>, policy: Policy, now: Instant) {
        let policy = effective(policy, self.enabled);
        if *self.policy.load_full() == policy {
            return;
        }
        self.change(|breaker| {
            let moved = breaker.adjust(policy.clone(), now);
            self.awaits_endings.store(breaker.awaits_endings(), Ordering::Relaxed);
            ((), moved)
        });
        self.first_look_us.store(look_us(&policy), Ordering::Relaxed);
        self.policy.store(Arc::new(policy));
        self.moved.notify_waiters();
    }
}

/// The rules in force: while the kill switch is set, none.
pub(super) fn effective(policy: Policy, enabled: bool) -> Policy {
    let mode = if enabled { policy.mode } else { Mode::Disabled };
    Policy { mode, ..policy }
}

/// See [`Circuit::first_look`].
pub(super) fn look_us(policy: &Policy) -> u64 {
    let us = |look: Duration| u64::try_from(look.as_micros()).unwrap_or(u64::MAX);
    policy.first_look().map_or(u64::MAX, us)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{
        breakers::Breakers,
        clock,
        domain::breaker::{Policy, Scope, State},
    };

    fn row(name: &str, key: &str, policy: &Policy) -> (Arc<str>, String, Policy) {
        (Arc::from(name), key.to_owned(), policy.clone())
    }

    #[test]
    fn a_circuit_of_the_same_key_stays_with_what_it_knows_and_gets_its_new_rules() {
        let (policy, now) = (Policy::default(), clock::now());
        let rows = [row("a", "a@1", &policy), row("b", "b@1", &policy)];
        let breakers = Breakers::new(rows.into_iter(), true);
        let (a, b) = (breakers.of("a").unwrap(), breakers.of("b").unwrap());
        for circuit in [&a, &b] {
            (0..5).for_each(|_| circuit.check(false, now));
            assert_eq!(circuit.snapshot(now).state, State::Open);
        }
        let alone = Policy { scope: Scope::Instance, ..policy.clone() };
        let mut renewals = breakers.renewals();
        let rows = [row("a", "a@1", &alone), row("b", "b@2", &policy), row("c", "c@1", &policy)];
        breakers.renew(rows.into_iter(), now);
        assert!(renewals.has_changed().unwrap());
        renewals.mark_unchanged();

        assert!(Arc::ptr_eq(&a, &breakers.of("a").unwrap()));
        assert_eq!((a.snapshot(now).state, a.scope()), (State::Open, Scope::Instance));
        let other = breakers.of("b").unwrap();
        assert!(!Arc::ptr_eq(&b, &other), "it is another upstream now");
        assert_eq!(other.snapshot(now).state, State::Closed);
        breakers.renew([row("c", "c@1", &policy)].into_iter(), now);
        assert!(breakers.of("a").is_none() && breakers.iter().count() == 1);
    }

    #[test]
    fn the_kill_switch_holds_for_new_rules_too() {
        let (policy, now) = (Policy::default(), clock::now());
        let breakers = Breakers::new([row("a", "a@1", &policy)].into_iter(), false);
        let alone = Policy { scope: Scope::Instance, ..policy.clone() };
        breakers.renew([row("a", "a@1", &alone), row("b", "b@1", &policy)].into_iter(), now);
        for circuit in breakers.iter() {
            (0..9).for_each(|_| circuit.check(false, now));
            assert_eq!(circuit.snapshot(now).state, State::Closed, "{}", circuit.name());
        }
    }
}
