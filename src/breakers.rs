//! The live circuits: one lock around each pure [`Breaker`], guards in place of discipline, and
//! news of every transition.
//!
//! The rules are in [`crate::domain::breaker`]; who acts on a transition (logs, metrics, the fleet,
//! the admin port) subscribes to [`Breakers::changes`]; who carries the orders of people to other
//! instances, to [`Breakers::orders`]. Nothing here waits, and no lock is held
//! while anything else does: the mutexes are the standard library's, a few tens of nanoseconds of
//! arithmetic each, shared by all data-plane workers.
//!
//! Which circuits there are may change while all this runs: [`Breakers::renew`]. Whoever keeps a list
//! of them hears of it by [`Breakers::renewals`].

mod admission;
mod culprits;
mod refusal;
mod renewal;
mod steering;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, broadcast, watch};

use crate::{
    clock,
    domain::{
        breaker::{
            Breaker, Mode, Policy, Receipt, Refusal, Scope, Shared, Snapshot, State, Transition,
        },
        fleet::mind::{Local, Terms},
        order::{Act, Reach},
        task::TaskId,
    },
};
use culprits::Culprits;
use renewal::{effective, look_us};

pub use admission::{Admission, Recorded};

/// Transitions that a subscriber may lag behind before it misses some. Transitions are rare; one
/// that lags reads the snapshots again.
const CHANGES_KEPT: usize = 1_024;

/// Orders that a subscriber may lag behind before it misses some. People give them one by one.
const ORDERS_KEPT: usize = 256;

/// All circuits of this process, by name.
#[derive(Debug)]
pub struct Breakers {
    circuits: ArcSwap<BTreeMap<Arc<str>, Arc<Circuit>>>,
    /// False when the kill switch is set.
    enabled: bool,
    renewals: watch::Sender<()>,
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
    /// Calls that were the reason, some of them.
    pub task_ids: Vec<TaskId>,
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
        let (renewals, _) = watch::channel(());
        let circuits = ArcSwap::from_pointee(circuits.collect());
        Arc::new(Self { circuits, enabled, renewals, changes, orders })
    }

    /// The circuit of this name: that of an upstream, `upstream/route` for a route's own.
    pub fn of(&self, name: &str) -> Option<Arc<Circuit>> {
        self.circuits.load().get(name).map(Arc::clone)
    }

    /// All circuits that there are now, by name.
    pub fn iter(&self) -> impl Iterator<Item = Arc<Circuit>> + use<> {
        let circuits: Vec<_> = self.circuits.load().values().map(Arc::clone).collect();
        circuits.into_iter()
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
        circuit.reach.send_replace(match reach {
            Scope::Fleet => Reach::Untold,
            Scope::Instance => Reach::Here,
        });
        // An error says that nobody carries it on.
        let sent = self.orders.send(Steered { circuit: Arc::clone(circuit), act, reach });
        if sent.is_err() {
            circuit.reach.send_replace(Reach::Here);
        }
        Ok(())
    }

    /// The process is about to end: calls that are given up from now on may be so by it and not by
    /// their callers, and how long they have waited says nothing about an upstream.
    pub fn stop(&self) {
        self.iter().for_each(|circuit| circuit.is_stopping.store(true, Ordering::Relaxed));
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
    /// That of the breaker, to be read without its lock.
    policy: ArcSwap<Policy>,
    /// In microseconds; `u64::MAX` for none.
    first_look_us: AtomicU64,
    /// False when the kill switch is set.
    enabled: bool,
    breaker: Mutex<Breaker>,
    /// [`Breaker::awaits_endings`] as of the last time that it may have changed, so that the end of
    /// an ordinary body costs no lock. A stale value costs one lock, or one ending.
    awaits_endings: AtomicBool,
    /// Woken by every transition and order.
    moved: Notify,
    /// Calls were refused since somebody asked.
    has_refused: AtomicBool,
    /// See [`Breakers::stop`].
    is_stopping: AtomicBool,
    /// Locked by failures and transitions alone.
    culprits: Mutex<Culprits>,
    /// How far the last order has got.
    reach: watch::Sender<Reach>,
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
        let policy = effective(policy, enabled);
        let breaker = Breaker::new(policy.clone(), fastrand::u64(..), clock::now());
        let (breaker, awaits_endings) = (Mutex::new(breaker), AtomicBool::new(false));
        let (has_refused, is_stopping) = (AtomicBool::new(false), AtomicBool::new(false));
        let culprits = Mutex::default();
        let first_look_us = AtomicU64::new(look_us(&policy));
        let reach = watch::Sender::default();
        let policy = ArcSwap::from_pointee(policy);
        Self {
            name,
            key,
            policy,
            first_look_us,
            enabled,
            breaker,
            awaits_endings,
            moved: Notify::new(),
            has_refused,
            is_stopping,
            culprits,
            reach,
            changes,
        }
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
    pub fn scope(&self) -> Scope {
        self.policy.load().scope
    }

    /// After how long an attempt that waits for its response head is to say so; see
    /// [`Admission::waits`]. None when nobody wants to know.
    pub fn first_look(&self) -> Option<Duration> {
        match self.first_look_us.load(Ordering::Relaxed) {
            u64::MAX => None,
            us => Some(Duration::from_micros(us)),
        }
    }

    /// Its rules by now.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
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
        decision.map(|permit| Admission::new(Arc::clone(self), permit))
    }

    /// Counts the result of a health check.
    pub fn check(self: &Arc<Self>, ok: bool, now: Instant) {
        // First what time has changed, so that news of it is not folded into news of the check.
        self.tick(now);
        if !ok {
            self.culprits().note(None);
        }
        self.change(|breaker| ((), breaker.check(ok, now)));
    }

    /// Makes the transitions that time alone brings, for those who must hear of them although no
    /// call comes.
    pub fn tick(self: &Arc<Self>, now: Instant) {
        self.change(|breaker| ((), breaker.tick(now)));
    }

    /// Takes over what the fleet decided, if it is newer than all that is known here.
    pub fn adopt(self: &Arc<Self>, shared: &Shared, now: Instant) {
        self.change(|breaker| {
            let streak = breaker.streak();
            let moved = breaker.adopt(shared, now);
            if let (Some(failures), Some(State::Open)) = (streak, moved.as_ref().map(|it| it.to)) {
                self.culprits().were_so_far(failures);
            }
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

    /// Whether its automatic state is that of the fleet, and not this instance's alone.
    pub fn is_agreed(&self) -> bool {
        self.lock().is_agreed()
    }

    /// How the fleet decides about it.
    pub fn terms(&self) -> Terms {
        Terms::of(&self.policy.load())
    }

    /// How it is steered at this moment.
    pub fn mode(&self, now: Instant) -> Mode {
        self.lock().mode_at(now)
    }

    /// The circuit at this moment.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let mut snapshot = self.lock().snapshot(now);
        let reach = *self.reach.borrow();
        for ordered in [&mut snapshot.order, &mut snapshot.reset].into_iter().flatten() {
            ordered.reach = reach;
        }
        snapshot
    }

    /// Does something to the breaker and tells of the transition while the lock is held, so that
    /// news leaves in the order in which it happened. Sending neither waits nor does I/O.
    fn change<T>(self: &Arc<Self>, act: impl FnOnce(&mut Breaker) -> (T, Option<Transition>)) -> T {
        let mut breaker = self.lock();
        let (result, transition) = act(&mut breaker);
        if let Some(transition) = transition {
            let (circuit, task_ids) = (Arc::clone(self), self.culprits().of(&transition));
            // An error says that nobody listens, which is fine.
            self.changes.send(Change { circuit, transition, task_ids }).ok();
            self.moved.notify_waiters();
        }
        result
    }

    fn reclassify(self: &Arc<Self>, receipt: Receipt, call: Option<TaskId>, now: Instant) {
        if !receipt.is_final() {
            self.culprits().note(call);
        }
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

#[cfg(test)]
mod tests;
