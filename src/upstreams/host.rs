//! One concrete address of an upstream: what is under way there, and how it has done lately.
//!
//! A host stays the same value for as long as its endpoint has its address, so its counts and its
//! standing outlive every list of hosts. What every attempt asks is an atomic; the lock is for
//! hosts that have failed lately.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::{
    config::Endpoint,
    domain::ejection::{Policy, Standing},
};

/// See the module's text.
#[derive(Debug)]
pub struct Host {
    endpoint: Arc<Endpoint>,
    address: Address,
    doubt: Option<Arc<Notify>>,
    in_flight: AtomicU32,
    pub(super) connections: AtomicU32,
    standing: Mutex<Standing>,
    /// [`Standing::is_spotless`] as of the last time that it may have changed, so that a success
    /// costs no lock. A stale value costs one lock, or one success.
    is_spotless: AtomicBool,
    /// When its ejection ends, in nanoseconds since `born`; 0 when it was told that it has, or when
    /// there was none.
    out_until: AtomicU64,
    born: Instant,
}

/// Where a host is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// At an IP address and port.
    Tcp(SocketAddr),
    /// At a Unix socket.
    Unix(PathBuf),
}

impl Host {
    /// A host of which nothing is known yet.
    /// When it has a name, `doubt` has that resolved anew.
    pub(super) fn new(
        endpoint: &Arc<Endpoint>,
        address: Address,
        doubt: Option<&Arc<Notify>>,
        born: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            endpoint: Arc::clone(endpoint),
            address,
            doubt: doubt.map(Arc::clone),
            in_flight: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            standing: Mutex::default(),
            is_spotless: AtomicBool::new(true),
            out_until: AtomicU64::new(0),
            born,
        })
    }

    /// The endpoint that it is an address of.
    pub const fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Where it is.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Counts an attempt as under way until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { host: Arc::clone(self) }
    }

    /// A connection was not made: the address may be out of date, so its name is resolved soon.
    pub fn connect_failed(&self) {
        if let Some(doubt) = &self.doubt {
            doubt.notify_one();
        }
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Connections, idle ones included.
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether it is left out.
    pub fn is_ejected(&self, now: Instant) -> bool {
        let until = self.out_until.load(Ordering::Relaxed);
        until != 0 && self.since_born(now) < until
    }

    /// An attempt succeeded.
    pub(super) fn succeeded(&self, policy: &Policy, now: Instant) {
        if self.is_spotless.load(Ordering::Relaxed) {
            return;
        }
        let mut standing = self.lock();
        standing.succeeded(policy, now);
        self.is_spotless.store(standing.is_spotless(), Ordering::Relaxed);
    }

    /// An attempt failed. Says for how long the host is left out from now on, if it is.
    pub(super) fn failed(
        &self,
        policy: &Policy,
        has_room: impl FnOnce() -> bool,
        random: u64,
        now: Instant,
    ) -> Option<Duration> {
        let mut standing = self.lock();
        let time = standing.failed(policy, has_room, random, now);
        self.is_spotless.store(standing.is_spotless(), Ordering::Relaxed);
        let time = time?;
        self.out_until.store(self.since_born(now + time).max(1), Ordering::Relaxed);
        Some(time)
    }

    /// Whether it has returned since it was asked last. Only one who asks is told.
    pub(super) fn has_returned(&self, now: Instant) -> bool {
        let until = self.out_until.load(Ordering::Relaxed);
        let is_over = until != 0 && self.since_born(now) >= until;
        is_over
            && self
                .out_until
                .compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn since_born(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.born).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    /// A standing is consistent between any two of its statements.
    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt under way at a host, until it is dropped.
#[derive(Debug)]
#[must_use = "an attempt that is not held is not counted"]
pub struct InFlight {
    host: Arc<Host>,
}

impl InFlight {
    /// Where it goes.
    pub const fn host(&self) -> &Arc<Host> {
        &self.host
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.host.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
