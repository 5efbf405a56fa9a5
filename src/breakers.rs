//! The live circuits: one lock around each pure [`Breaker`], guards in place of discipline, and
//! news of every transition.
//!
//! The rules are in [`crate::domain::breaker`]; who acts on a transition (logs, metrics, the fleet,
//! the admin port) subscribes to [`Breakers::changes`]; who carries the orders of people to other
//! instances, to [`Breakers::orders`]. Nothing here waits, and no lock is held
//! while anything else does: the mutexes are the standard library's, a few tens of nanoseconds of
//! arithmetic each, shared by all data-plane workers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::sync::broadcast;

use crate::{
    clock,
    domain::{
        breaker::{
            Breaker, Mode, Observed, Permit, Policy, Receipt, Refusal, Scope, Shared, Snapshot,
            State, Transition,
        },
        fleet::mind::{Local, Terms},
        order::Act,
    },
};

/// Transitions that a subscriber may lag behind before it misses some. Transitions are rare; one
/// that lags reads the snapshots again.
const CHANGES_KEPT: usize = 1_024;

/// Orders that a subscriber may lag behind before it misses some. People give them one by one.
const ORDERS_KEPT: usize = 256;

/// All circuits of this process, by name.
#[derive(Debug)]
pub struct Breakers {
    circuits: BTreeMap<Arc<str>, Arc<Circuit>>,
    changes: broadcast::Sender<Change>,
    orders: broadcast::Sender<Steered>,
}

/// A circuit moved.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which.
    pub circuit: Arc<Circuit>,
    /// From where to where, and why.
    pub transition: Transition,
}

/// Somebody steered a circuit here.
#[derive(Debug, Clone)]
pub struct Steered {
    /// Which.
    pub circuit: Arc<Circuit>,
    /// What was done, by whom and why.
    pub act: Act,
    /// For whom it is meant.
    pub reach: Scope,
}

/// Nothing can be ordered while breakers do not act at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("every circuit breaker is off by CIRCUIT_BREAKER_ENABLED, which no order changes")]
pub struct KillSwitch;

impl Breakers {
    /// Closed circuits: name, shared key, rules. With `enabled` false, which is the kill switch,
    /// all of them pass everything and count nothing, whatever anybody orders.
    pub fn new(
        circuits: impl Iterator<Item = (Arc<str>, String, Policy)>,
        enabled: bool,
    ) -> Arc<Self> {
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        let (orders, _) = broadcast::channel(ORDERS_KEPT);
        let circuits = circuits.map(|(name, key, policy)| {
            let circuit = Circuit::new(Arc::clone(&name), key, policy, enabled, changes.clone());
            (name, Arc::new(circuit))
        });
        let circuits = circuits.collect();
        Arc::new(Self { circuits, changes, orders })
    }

    /// The circuit of this name: that of an upstream, `upstream/route` for a route's own.
    pub fn of(&self, name: &str) -> Option<&Arc<Circuit>> {
        self.circuits.get(name)
    }

    /// All circuits, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Circuit>> {
        self.circuits.values()
    }

    /// News of all transitions from now on, those of one circuit in their order.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Does what somebody wishes here, and tells those who carry it to others.
    ///
    /// # Errors
    /// The kill switch is set.
    pub fn steer(
        &self,
        circuit: &Arc<Circuit>,
        act: Act,
        reach: Scope,
        now: Instant,
    ) -> Result<(), KillSwitch> {
        if !circuit.enabled {
            return Err(KillSwitch);
        }
        circuit.steer(&act, now);
        let reach = if circuit.scope() == Scope::Fleet { reach } else { Scope::Instance };
        // An error says that nobody listens, which is fine.
        self.orders.send(Steered { circuit: Arc::clone(circuit), act, reach }).ok();
        Ok(())
    }

    /// What people order here from now on; not what came from other instances.
    pub fn orders(&self) -> broadcast::Receiver<Steered> {
        self.orders.subscribe()
    }
}

/// One live circuit.
#[derive(Debug)]
pub struct Circuit {
    name: Arc<str>,
    key: String,
    policy: Policy,
    /// False when the kill switch is set.
    enabled: bool,
    breaker: Mutex<Breaker>,
    /// [`Breaker::awaits_endings`] as of the last time that it may have changed, so that the end of
    /// an ordinary body costs no lock. A stale value costs one lock, or one ending.
    awaits_endings: AtomicBool,
    /// Calls were refused since somebody asked.
    has_refused: AtomicBool,
    changes: broadcast::Sender<Change>,
}

impl Circuit {
    fn new(
        name: Arc<str>,
        key: String,
        policy: Policy,
        enabled: bool,
        changes: broadcast::Sender<Change>,
    ) -> Self {
        let mode = if enabled { policy.mode } else { Mode::Disabled };
        let policy = Policy { mode, ..policy };
        let breaker = Breaker::new(policy.clone(), fastrand::u64(..), clock::now());
        let (breaker, awaits_endings) = (Mutex::new(breaker), AtomicBool::new(false));
        let has_refused = AtomicBool::new(false);
        Self { name, key, policy, enabled, breaker, awaits_endings, has_refused, changes }
    }

    /// The name of its upstream, `upstream/route` for a route's own.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it is called in the fleet.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Who shares its state.
    pub const fn scope(&self) -> Scope {
        self.policy.scope
    }

    /// Its rules.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Admits an attempt.
    ///
    /// # Errors
    /// The circuit refuses it; says why, and when to ask again.
    pub fn admit(self: &Arc<Self>, idempotent: bool, now: Instant) -> Result<Admission, Refusal> {
        let decision = self.change(|breaker| breaker.admit(idempotent, now));
        if decision.is_err() {
            self.has_refused.store(true, Ordering::Relaxed);
        }
        decision.map(|permit| Admission { held: Some((Arc::clone(self), permit)) })
    }

    /// Counts the result of a health check.
    pub fn check(self: &Arc<Self>, ok: bool, now: Instant) {
        // First what time has changed, so that news of it is not folded into news of the check.
        self.tick(now);
        self.change(|breaker| ((), breaker.check(ok, now)));
    }

    /// Makes the transitions that time alone brings, for those who must hear of them although no
    /// call comes.
    pub fn tick(self: &Arc<Self>, now: Instant) {
        self.change(|breaker| ((), breaker.tick(now)));
    }

    /// Takes over what the fleet decided, if it is newer than all that is known here.
    pub fn adopt(self: &Arc<Self>, shared: &Shared, now: Instant) {
        self.change(|breaker| ((), breaker.adopt(shared, now)));
    }

    /// Steers it, and tells nobody but those who hear of transitions: for what other instances
    /// ordered. Does nothing while the kill switch is set.
    pub fn steer(self: &Arc<Self>, act: &Act, now: Instant) {
        if !self.enabled {
            return;
        }
        // First what time has changed, so that news of it is not folded into news of the order.
        self.tick(now);
        self.change(|breaker| {
            let moved = match act {
                Act::Order(order) => breaker.steer(order.clone(), now),
                Act::Lift(_) => breaker.lift(now),
                Act::Reset(_) => breaker.reset(now),
            };
            self.awaits_endings.store(breaker.awaits_endings(), Ordering::Relaxed);
            ((), moved)
        });
    }

    /// Tries an upstream on behalf of the fleet.
    pub fn try_out(self: &Arc<Self>, now: Instant) {
        self.change(|breaker| ((), breaker.try_out(now)));
    }

    /// Gives up trying on behalf of the fleet.
    pub fn stop_trying(self: &Arc<Self>, now: Instant) {
        self.change(|breaker| ((), breaker.stop_trying(now)));
    }

    /// As the fleet's protocol looks at it.
    pub fn local(&self, now: Instant) -> Local {
        self.lock().local(now)
    }

    /// Whether calls were refused since this was last asked.
    pub fn has_refused(&self) -> bool {
        self.has_refused.swap(false, Ordering::Relaxed)
    }

    /// Whether the fleet keeps it open, and not this instance alone.
    pub fn is_agreed(&self) -> bool {
        self.lock().is_agreed()
    }

    /// How the fleet decides about it.
    pub fn terms(&self) -> Terms {
        Terms::of(&self.policy)
    }

    /// The circuit at this moment.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        self.lock().snapshot(now)
    }

    /// Does something to the breaker and tells of the transition while the lock is held, so that
    /// news leaves in the order in which it happened. Sending neither waits nor does I/O.
    fn change<T>(self: &Arc<Self>, act: impl FnOnce(&mut Breaker) -> (T, Option<Transition>)) -> T {
        let mut breaker = self.lock();
        let (result, transition) = act(&mut breaker);
        if let Some(transition) = transition {
            let circuit = Arc::clone(self);
            // An error says that nobody listens, which is fine.
            self.changes.send(Change { circuit, transition }).ok();
        }
        result
    }

    fn reclassify(self: &Arc<Self>, receipt: Receipt, now: Instant) {
        self.change(|breaker| {
            let transition = breaker.reclassify(receipt, now);
            self.awaits_endings.store(breaker.awaits_endings(), Ordering::Relaxed);
            ((), transition)
        });
    }

    fn settle(&self, receipt: Receipt) {
        if !receipt.is_final() && self.awaits_endings.load(Ordering::Relaxed) {
            let mut breaker = self.lock();
            breaker.settle(receipt);
            self.awaits_endings.store(breaker.awaits_endings(), Ordering::Relaxed);
        }
    }

    /// A breaker is consistent between any two of its statements, so one that a panic left behind
    /// is as good as any.
    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An admitted attempt. Dropped without a verdict it is neutral, and a probe's slot is free again.
#[derive(Debug)]
#[must_use = "an admission that is dropped counts as given up"]
pub struct Admission {
    /// Present until it is recorded.
    held: Option<(Arc<Circuit>, Permit)>,
}

impl Admission {
    /// The state that admitted it.
    pub fn state(&self) -> State {
        self.held.as_ref().map_or(State::Closed, |(_, permit)| permit.state())
    }

    /// Records how the attempt went, as far as its response head.
    pub fn record(mut self, observed: Observed, now: Instant) -> Recorded {
        let held = self.held.take().map(|(circuit, permit)| {
            let receipt = circuit.change(|breaker| breaker.record(permit, observed, now));
            (circuit, receipt)
        });
        Recorded { held }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some((circuit, permit)) = self.held.take() {
            circuit.lock().release(permit, clock::now());
        }
    }
}

/// A recorded attempt, to be kept until its body has ended. Dropped, the verdict stands and the
/// body says nothing, as when the caller went away.
#[derive(Debug)]
pub struct Recorded {
    /// None when the admission was recorded already.
    held: Option<(Arc<Circuit>, Receipt)>,
}

impl Recorded {
    /// The success turned out to be none: its body or its trailers failed. Does nothing to other
    /// verdicts.
    pub fn reclassify(self, now: Instant) {
        if let Some((circuit, receipt)) = self.held {
            circuit.reclassify(receipt, now);
        }
    }

    /// The body ended well.
    pub fn settle(self) {
        if let Some((circuit, receipt)) = self.held {
            circuit.settle(receipt);
        }
    }
}

#[cfg(test)]
mod tests;
