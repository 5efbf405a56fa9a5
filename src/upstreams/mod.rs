//! The live upstreams: what all data-plane threads share about where calls go.
//!
//! Threads have their own connections; what must hold over all of them is here: which hosts an
//! upstream has, how busy each is and which is left out, how many calls and connections there may
//! be, and how many retries. The rules are in [`crate::domain`]; the shell here adds atomics, the
//! clock and the resolver. An ordinary call meets no lock.
//!
//! In the order of a call: it is admitted ([`Live::try_admit`], [`Live::admit`]); the thread's own
//! list is brought up to date when [`Live::generation`] moved; each attempt picks a host
//! ([`Hosts::pick`]) and counts there ([`Host::begin`]); without an idle connection it gets leave to
//! make one ([`Live::try_connection`], [`Live::connection`]) and makes it ([`Live::dial`]); its verdict
//! is recorded ([`Live::record`]); another attempt needs [`Live::retry`]. Afterwards the connection is
//! kept, if it may be ([`Live::keep`]).

mod connections;
mod dial;
mod directory;
mod gate;
mod host;
mod hosts;
mod live;
mod names;
mod renewal;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::{
    sync::{Semaphore, watch},
    time::{MissedTickBehavior, interval},
};

use crate::{clock, config::Upstream};
use names::Name;

pub use connections::{ConnectionPermit, Leave};
pub use dial::Socket;
pub use host::{Address, Host, InFlight};
pub use hosts::Hosts;
pub use live::{Call, Live, Retry};
pub use names::{Lookup, System};

/// How soon the log tells that a host has returned.
const TICK_EVERY: Duration = Duration::from_secs(1);

/// All upstreams of a configuration, by name. The configuration may be renewed.
#[derive(Debug)]
pub struct Upstreams {
    lives: ArcSwap<BTreeMap<Arc<str>, Arc<Live>>>,
    /// The names that are resolved; a new value has all of them resolved anew.
    names: watch::Sender<Arc<Vec<Name>>>,
    hunger: watch::Sender<()>,
}

impl Upstreams {
    /// Upstreams of which nothing was asked yet. Names are resolved while [`Upstreams::run`] runs.
    pub fn new<'a>(
        upstreams: impl IntoIterator<Item = &'a Arc<Upstream>>,
        now: Instant,
    ) -> Arc<Self> {
        let ((hunger, _), (names, _)) = (watch::channel(()), watch::channel(Arc::default()));
        let all = Self { lives: ArcSwap::default(), names, hunger };
        all.renew(upstreams, now);
        Arc::new(all)
    }

    /// From now on these are the upstreams. One whose endpoints and limits are as before stays; of
    /// another, hosts stay that were known.
    pub fn renew<'a>(&self, upstreams: impl IntoIterator<Item = &'a Arc<Upstream>>, now: Instant) {
        let (before, names) = (self.lives.load_full(), Arc::clone(&self.names.borrow()));
        let renewed = renewal::renewed(upstreams, &before, &names, (&self.hunger, now));
        self.lives.store(Arc::new(renewed.lives));
        if renewed.names != *names {
            self.names.send_replace(Arc::new(renewed.names));
        }
    }

    /// The upstream of this name.
    pub fn of(&self, name: &str) -> Option<Arc<Live>> {
        self.lives.load().get(name).map(Arc::clone)
    }

    /// All upstreams that there are now, by name.
    pub fn iter(&self) -> impl Iterator<Item = Arc<Live>> + use<> {
        let lives: Vec<_> = self.lives.load().values().map(Arc::clone).collect();
        lives.into_iter()
    }

    /// Tells a thread when it should close idle connections, see [`Live::is_hungry`].
    pub fn hunger(&self) -> Hunger {
        Hunger(self.hunger.subscribe())
    }

    /// Resolves names and tells of hosts that returned, until `stop`.
    pub async fn run(&self, lookup: &impl Lookup, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            never = self.resolve(lookup) => match never {},
            never = self.let_time_pass() => match never {},
        }
    }

    async fn resolve(&self, lookup: &impl Lookup) -> Infallible {
        let (room, mut renewed) = (Semaphore::new(names::AT_A_TIME), self.names.subscribe());
        loop {
            let names = Arc::clone(&renewed.borrow_and_update());
            let fresh = join_all(names.iter().map(|name| name.keep_fresh(lookup, &room)));
            tokio::select! {
                _ = fresh, if !names.is_empty() => {}
                // The sender is held here.
                _renewed = renewed.changed() => {}
            }
        }
    }

    async fn let_time_pass(&self) -> Infallible {
        let mut every = interval(TICK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let now = clock::now();
            self.iter().for_each(|live| live.tick(now));
        }
    }
}

/// News that attempts wait for connections, of whatever upstream.
#[derive(Debug)]
pub struct Hunger(watch::Receiver<()>);

impl Hunger {
    /// Waits until some upstream is hungry that was not when this was last asked. It never ends when
    /// the upstreams are gone.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
