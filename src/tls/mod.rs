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
pub use watch::{News, Renewed, Watcher};

/// The TLS of a configuration. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    listeners: Arc<BTreeMap<String, ServerTls>>,
    upstreams: Arc<BTreeMap<Arc<str>, ClientTls>>,
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
        let (mut faults, mut watched) = (Faults::default(), Vec::new());
        let mut keep = |made: Result<Watched, Faults>| match made {
            Ok(one) => watched.push(one),
            Err(more) => faults.extend(more),
        };
        let mut listeners = BTreeMap::new();
        for listener in &config.listeners {
            let Some(settings) = &listener.tls else { continue };
            let made = ServerTls::new(format!("listeners.{}.tls", listener.name), settings);
            keep(made.map(|(server, watch)| {
                listeners.insert(listener.name.clone(), server);
                watch
            }));
        }
        let system = SystemRoots::default();
        let mut upstreams = BTreeMap::new();
        for upstream in config.upstreams.values() {
            if !upstream.endpoints.iter().any(Endpoint::is_tls) {
                continue;
            }
            let made = ClientTls::new(upstream, &system);
            keep(made.map(|(client, watch)| {
                upstreams.insert(Arc::clone(&upstream.name), client);
                watch
            }));
        }
        faults.or(())?;
        let tls = Self { listeners: Arc::new(listeners), upstreams: Arc::new(upstreams) };
        Ok((tls, Watcher::new(watched)))
    }

    /// That of a listener. None where it takes plain text.
    pub fn of_listener(&self, name: &str) -> Option<&ServerTls> {
        self.listeners.get(name)
    }

    /// That towards an endpoint of an upstream. None where it takes plain text.
    pub fn of_endpoint(&self, upstream: &str, endpoint: &Endpoint) -> Option<EndpointTls> {
        self.upstreams.get(upstream)?.towards(endpoint)
    }

    /// What is odd about the files, though they can be used.
    pub fn remarks(&self) -> Vec<Remark> {
        let of_listeners = self.listeners.values().flat_map(ServerTls::remarks);
        of_listeners.chain(self.upstreams.values().flat_map(ClientTls::remarks)).collect()
    }

    /// The certificates that are shown to others now.
    pub fn certificates(&self) -> Vec<Certificate> {
        let of_listeners = self.listeners.values().map(ServerTls::certificate);
        of_listeners.chain(self.upstreams.values().filter_map(ClientTls::certificate)).collect()
    }
}
