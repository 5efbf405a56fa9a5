//! TLS of listeners and towards upstreams: certificates, keys, authorities, and what went wrong.
//!
//! Everything is made from files once, at the start, so that a bad one is told before the first
//! call; then a [`Watcher`] looks at the files and makes anew what has changed. Handles are cheap
//! to clone and shared by all threads; a handshake takes what is current, and connections that
//! are open stay as they are. How long a handshake may take is the caller's business.

mod alpn;
mod client;
mod failure;
mod fault;
mod identity;
mod pem;
mod provider;
pub(crate) mod roots;
mod server;
mod stamp;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use crate::config::{Config, Endpoint};
use roots::SystemRoots;
use watch::Watched;

/// A stream of either side.
pub use tokio_rustls::TlsStream;

pub use alpn::{Alpn, is_http2};
pub use client::{ClientStream, ClientTls, EndpointTls};
pub use failure::Failure;
pub use fault::{Cause, Fault, Faults};
pub use identity::Remark;
pub use pem::FileError;
pub(crate) use provider::provider;
pub use server::{ServerStream, ServerTls};
pub(crate) use stamp::Stamp;
pub use watch::{News, Renewed, Watcher};

/// The TLS of a configuration. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    listeners: Arc<BTreeMap<String, (ServerTls, Watched)>>,
    upstreams: Arc<BTreeMap<Arc<str>, (ClientTls, Watched)>>,
    /// Towards the collector of traces, which is that of the start.
    collector: Option<(EndpointTls, Watched)>,
}

/// A certificate of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The keys that lead to it: `listeners.egress.tls`.
    pub place: String,
    /// When it expires. None when it does not say so legibly.
    pub not_after: Option<Timestamp>,
}

impl Tls {
    /// Reads the files that a configuration names. The watcher is to be run.
    ///
    /// # Errors
    /// Files cannot be read or used; every fault is reported.
    pub fn new(config: &Config) -> Result<(Self, Watcher), Faults> {
        Self::default().renewed(config)
    }

    /// The same for another configuration, with a watcher in place of the one before. What is
    /// configured as before stays, whatever its files say by now.
    ///
    /// # Errors
    /// As above.
    pub fn renewed(&self, config: &Config) -> Result<(Self, Watcher), Faults> {
        let mut faults = Faults::default();
        let mut listeners = BTreeMap::new();
        for listener in &config.listeners {
            let Some(settings) = &listener.tls else { continue };
            let before = self.listeners.get(&listener.name).filter(|(it, _)| it.suits(settings));
            let place = || format!("listeners.{}.tls", listener.name);
            let made = before.cloned().map_or_else(|| ServerTls::new(place(), settings), Ok);
            listeners.extend(faults.take(made).map(|made| (listener.name.clone(), made)));
        }
        let system = SystemRoots::default();
        let mut upstreams = BTreeMap::new();
        for upstream in config.upstreams.values() {
            if !upstream.endpoints.iter().any(Endpoint::is_tls) {
                continue;
            }
            let before = self.upstreams.get(&upstream.name).filter(|(it, _)| it.suits(upstream));
            let made = before.cloned().map_or_else(|| ClientTls::new(upstream, &system), Ok);
            upstreams.extend(faults.take(made).map(|made| (Arc::clone(&upstream.name), made)));
        }
        let mut collector = self.collector.clone();
        if collector.is_none()
            && let Some(traces) = &config.telemetry.traces
            && traces.collector.endpoint.is_tls()
            && let Some((client, watched)) = faults.take(ClientTls::of_collector(traces, &system))
        {
            collector = client.towards(&traces.collector.endpoint).map(|tls| (tls, watched));
        }
        faults.or(())?;
        let of_listeners = listeners.values().map(|(_, watched)| watched.clone());
        let watched = of_listeners.chain(upstreams.values().map(|(_, watched)| watched.clone()));
        let watched = watched.chain(collector.iter().map(|(_, watched)| watched.clone()));
        let watcher = Watcher::new(watched.collect());
        let (listeners, upstreams) = (Arc::new(listeners), Arc::new(upstreams));
        Ok((Self { listeners, upstreams, collector }, watcher))
    }

    /// Whether an upstream is spoken with as before.
    pub fn is_same_towards(&self, upstream: &str, other: &Self) -> bool {
        match (self.upstreams.get(upstream), other.upstreams.get(upstream)) {
            (Some((one, _)), Some((other, _))) => one.is_same(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// That of a listener. None where it takes plain text.
    pub fn of_listener(&self, name: &str) -> Option<&ServerTls> {
        self.listeners.get(name).map(|(server, _)| server)
    }

    /// That towards an endpoint of an upstream. None where it takes plain text.
    pub fn of_endpoint(&self, upstream: &str, endpoint: &Endpoint) -> Option<EndpointTls> {
        self.upstreams.get(upstream)?.0.towards(endpoint)
    }

    /// That towards the collector of traces. None where it takes plain text, or there is none.
    pub fn of_collector(&self) -> Option<&EndpointTls> {
        self.collector.as_ref().map(|(tls, _)| tls)
    }

    /// What is odd about the files, though they can be used.
    pub fn remarks(&self) -> Vec<Remark> {
        let of_listeners = self.listeners.values().flat_map(|(server, _)| server.remarks());
        let of_upstreams = self.upstreams.values().flat_map(|(client, _)| client.remarks());
        of_listeners.chain(of_upstreams).collect()
    }

    /// The certificates that are shown to others now.
    pub fn certificates(&self) -> Vec<Certificate> {
        let of_listeners = self.listeners.values().map(|(server, _)| server.certificate());
        let of_upstreams = self.upstreams.values().filter_map(|(client, _)| client.certificate());
        of_listeners.chain(of_upstreams).collect()
    }
}
