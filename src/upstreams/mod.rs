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
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    sync::{Semaphore, watch},
    time::{MissedTickBehavior, interval},
};

use crate::{
    clock,
    config::{Location, Upstream},
};
use names::Name;

pub use connections::{ConnectionPermit, Leave};
pub use dial::Socket;
pub use host::{Address, Host, InFlight};
pub use hosts::Hosts;
pub use live::{Call, Live, Retry};
pub use names::{Lookup, System};

/// How soon the log tells that a host has returned.
const TICK_EVERY: Duration = Duration::from_secs(1);

/// All upstreams of a configuration, by name.
#[derive(Debug)]
pub struct Upstreams {
    lives: BTreeMap<Arc<str>, Arc<Live>>,
    names: Vec<Name>,
    hunger: watch::Sender<()>,
}

impl Upstreams {
    /// Upstreams of which nothing was asked yet. Names are resolved while [`Upstreams::run`] runs.
    pub fn new<'a>(
        upstreams: impl IntoIterator<Item = &'a Arc<Upstream>>,
        now: Instant,
    ) -> Arc<Self> {
        let (hunger, _) = watch::channel(());
        let mut names: BTreeMap<(&str, u16), Name> = BTreeMap::new();
        let mut lives = BTreeMap::new();
        for upstream in upstreams {
            let keys = upstream.endpoints.iter().map(|endpoint| match &endpoint.location {
                Location::Name(host, port) => Some((host.as_str(), *port)),
                Location::Address(_) | Location::Unix(_) => None,
            });
            let mut name_of = |(host, port)| {
                let name = names.entry((host, port)).or_insert_with(|| Name::new(host, port));
                Arc::clone(name.doubt())
            };
            let doubts = keys.clone().map(|key| key.map(&mut name_of)).collect();
            let live = Live::new(upstream, doubts, hunger.clone(), now);
            for (endpoint, key) in keys.enumerate() {
                if let Some(name) = key.and_then(|key| names.get_mut(&key)) {
                    name.add(&live, endpoint, upstream.dns_refresh);
                }
            }
            lives.insert(Arc::clone(&upstream.name), live);
        }
        Arc::new(Self { lives, names: names.into_values().collect(), hunger })
    }

    /// The upstream of this name.
    pub fn of(&self, name: &str) -> Option<&Arc<Live>> {
        self.lives.get(name)
    }

    /// All upstreams, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Live>> {
        self.lives.values()
    }

    /// Tells a thread when it should close idle connections, see [`Live::is_hungry`].
    pub fn hunger(&self) -> Hunger {
        Hunger(self.hunger.subscribe())
    }

    /// Resolves names and tells of hosts that returned, until `stop`.
    pub async fn run(&self, lookup: &impl Lookup, stop: impl Future<Output = ()>) {
        let room = Semaphore::new(names::AT_A_TIME);
        let fresh = join_all(self.names.iter().map(|name| name.keep_fresh(lookup, &room)));
        tokio::select! {
            () = stop => {}
            _ = fresh, if !self.names.is_empty() => {}
            () = self.let_time_pass() => {}
        }
    }

    async fn let_time_pass(&self) {
        let mut every = interval(TICK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let now = clock::now();
            self.lives.values().for_each(|live| live.tick(now));
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
