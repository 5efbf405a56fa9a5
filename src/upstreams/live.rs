//! One upstream as all data-plane threads share it: its hosts, its limits, its retry budget.
//!
//! A call is admitted, an attempt picks a host and is counted there, a connection has its permit;
//! each of these is a guard that gives back what it holds when it is dropped, on whatever thread.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::{
    Host, Hosts,
    connections::Kept,
    directory::Directory,
    gate::{Gate, Place, Turn, Turned},
};
use crate::{
    clock,
    config::{Upstream, UpstreamLimits},
    domain::{
        ejection,
        outcome::{Reason, Verdict},
        retry,
    },
};

/// See the module's text.
#[derive(Debug)]
pub struct Live {
    name: Arc<str>,
    limits: UpstreamLimits,
    retry: retry::Policy,
    ejection: ejection::Policy,
    hosts: ArcSwap<Hosts>,
    /// That of `hosts`, to be looked at before every attempt.
    generation: AtomicU64,
    directory: Mutex<Directory>,
    /// Woken when names were resolved, or were not.
    news: Notify,
    /// None when calls are not limited.
    calls: Option<Arc<Gate<Infallible>>>,
    pub(super) connections: Arc<Gate<Kept>>,
    pub(super) hunger: watch::Sender<()>,
    retries: AtomicU32,
    /// How long the first byte is to be waited for at least, in microseconds.
    least_wait_us: AtomicU64,
    /// Held while it is decided whether there is room for one more ejection.
    ejecting: Mutex<()>,
    ejections: AtomicU64,
}

impl Live {
    /// An upstream of which no more was asked than of the one `before` it. `doubts` are for its
    /// endpoints, in their order.
    pub(super) fn new(
        settings: &Upstream,
        doubts: Vec<Option<Arc<Notify>>>,
        (hunger, now): (watch::Sender<()>, Instant),
        before: Option<&Self>,
    ) -> Arc<Self> {
        let limits = settings.limits;
        let mut directory = Directory::new(settings.endpoints.iter().cloned().zip(doubts), now);
        if let Some(before) = before {
            directory.inherit(&before.directory());
        }
        let least_wait_us = before.map_or(0, |live| live.least_wait_us.load(Ordering::Relaxed));
        let hosts = Hosts { generation: 0, list: directory.hosts() };
        Arc::new(Self {
            name: Arc::clone(&settings.name),
            limits,
            retry: settings.retry.clone(),
            ejection: settings.ejection,
            hosts: ArcSwap::from_pointee(hosts),
            generation: AtomicU64::new(0),
            directory: Mutex::new(directory),
            news: Notify::new(),
            calls: limits.concurrency.map(|limit| Gate::new(limit.get(), limits.queue)),
            connections: Gate::new(limits.connections.get(), limits.pending),
            hunger,
            retries: AtomicU32::new(0),
            least_wait_us: AtomicU64::new(least_wait_us),
            ejecting: Mutex::default(),
            ejections: AtomicU64::new(0),
        })
    }

    /// Whether these settings make no other upstream of it.
    pub(super) fn suits(&self, settings: &Upstream) -> bool {
        self.limits == settings.limits
            && self.retry == settings.retry
            && self.ejection == settings.ejection
            && self.directory().is_of(&settings.endpoints)
    }

    /// The upstream's name.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How long the first byte is waited for: as configured, or longer where calls have taught so.
    pub fn first_byte(&self, configured: Duration) -> Duration {
        configured.max(Duration::from_micros(self.least_wait_us.load(Ordering::Relaxed)))
    }

    /// Calls have taught that the first byte is to be waited for at least so long.
    pub fn waits_at_least(&self, wait: Duration) {
        let wait_us = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        self.least_wait_us.store(wait_us, Ordering::Relaxed);
    }

    /// Which attempts are made again.
    pub const fn retry_policy(&self) -> &retry::Policy {
        &self.retry
    }

    /// The generation of the latest list of hosts.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The latest list of hosts. It may be empty, see [`Live::resolved`].
    pub fn hosts(&self) -> Arc<Hosts> {
        self.hosts.load_full()
    }

    /// The latest list of hosts as soon as there are some.
    ///
    /// # Errors
    /// There are none, since no name has ever been resolved.
    pub async fn resolved(&self) -> Result<Arc<Hosts>, Reason> {
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            // From here on no news is missed.
            news.as_mut().enable();
            let hosts = self.hosts();
            if !hosts.is_empty() {
                return Ok(hosts);
            }
            if let Some(reason) = self.fault() {
                return Err(reason);
            }
            news.await;
        }
    }

    /// Why there are no hosts; names are resolved anew soon. None while an answer is outstanding.
    fn fault(&self) -> Option<Reason> {
        let directory = self.directory();
        let fault = directory.fault();
        if fault.is_some() {
            directory.doubt();
        }
        fault
    }

    /// Admits a call if there is room and nobody waits for it.
    pub fn try_admit(&self) -> Option<Call> {
        match &self.calls {
            None => Some(Call { _place: None }),
            Some(gate) => gate.try_enter().map(|place| Call { _place: Some(place) }),
        }
    }

    /// Admits a call; it waits until the queue's timeout or its own deadline.
    ///
    /// # Errors
    /// `bulkhead_full` when too many wait, `queue_timeout` when it waited for too long.
    pub async fn admit(&self, deadline: Instant) -> Result<Call, Reason> {
        let Some(gate) = &self.calls else { return Ok(Call { _place: None }) };
        let until = deadline.min(clock::now() + self.limits.queue_timeout);
        match gate.enter(until).await {
            Ok(Turn::Place(place)) => Ok(Call { _place: Some(place) }),
            Ok(Turn::Gift(never)) => match never {},
            Err(Turned::Away) => Err(Reason::BulkheadFull),
            Err(Turned::Late) => Err(Reason::QueueTimeout),
        }
    }

    /// Leave to make an attempt again, if that is within the budget.
    pub fn retry(self: &Arc<Self>) -> Option<Retry> {
        let in_flight = self.in_flight();
        let within = |retries| self.retry.has_budget(in_flight, retries).then(|| retries + 1);
        let order = Ordering::Relaxed;
        self.retries.fetch_update(order, order, within).ok()?;
        Some(Retry { live: Arc::clone(self) })
    }

    /// How an attempt at a host went. Successes are to be told when the body has ended well, so
    /// that a host that always breaks off in the middle has no success between its failures.
    pub fn record(&self, host: &Arc<Host>, verdict: Verdict, now: Instant) {
        match verdict {
            Verdict::Success => host.succeeded(&self.ejection, now),
            Verdict::Failure => self.failed(host, now),
            Verdict::Overload | Verdict::Neutral => {}
        }
    }

    fn failed(&self, host: &Arc<Host>, now: Instant) {
        let one_at_a_time = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let hosts = self.hosts.load();
        let has_room = || {
            let is_in_use = hosts.iter().any(|other| Arc::ptr_eq(other, host));
            is_in_use && hosts.ejected(now) < self.ejection.room(hosts.len())
        };
        let ejected_for = host.failed(&self.ejection, has_room, fastrand::u64(..), now);
        drop(one_at_a_time);
        if let Some(time) = ejected_for {
            self.ejections.fetch_add(1, Ordering::Relaxed);
            let ejected_for_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                upstream = &*self.name,
                endpoint = &*host.endpoint().authority,
                address = ?host.address(),
                ejected_for_ms,
                "an address is left out: it kept failing"
            );
        }
    }

    /// Tells of hosts that returned, for those who must hear of it although no call comes.
    pub(super) fn tick(&self, now: Instant) {
        for host in self.hosts.load().iter().filter(|host| host.has_returned(now)) {
            tracing::info!(
                upstream = &*self.name,
                endpoint = &*host.endpoint().authority,
                address = ?host.address(),
                "an address gets calls again"
            );
        }
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> u32 {
        self.hosts.load().iter().map(|host| host.in_flight()).sum()
    }

    /// Retries under way.
    pub fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Calls that wait for others to end.
    pub fn queued(&self) -> u32 {
        self.calls.as_ref().map_or(0, |gate| gate.waiting())
    }

    /// Ejections since the start.
    pub fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// Changes what the endpoints stand for, and publishes the hosts if `change` says so.
    pub(super) fn change(&self, change: impl FnOnce(&mut Directory) -> bool) {
        let mut directory = self.directory();
        if change(&mut directory) {
            let generation = self.hosts.load().generation + 1;
            self.hosts.store(Arc::new(Hosts { generation, list: directory.hosts() }));
            self.generation.store(generation, Ordering::Release);
            self.news.notify_waiters();
        }
    }

    pub(super) fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was admitted. Dropped, another may come in.
#[derive(Debug)]
#[must_use = "a call that is not held is not counted"]
pub struct Call {
    /// None when calls are not limited.
    _place: Option<Place<Infallible>>,
}

/// A retry under way, until it is dropped.
#[derive(Debug)]
#[must_use = "a retry that is not held is not counted"]
pub struct Retry {
    live: Arc<Live>,
}

impl Drop for Retry {
    fn drop(&mut self) {
        self.live.retries.fetch_sub(1, Ordering::Relaxed);
    }
}
