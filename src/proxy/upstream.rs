//! An upstream as one worker sees it: a circuit, limits and hosts that all workers share, and
//! connections of its own.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Instant};

use super::endpoint::{Asks, Common, Endpoint};
use crate::{
    breakers::Circuit,
    config::{self, Protocol},
    domain::{breaker, outcome::Reason, retry::Condition},
    upstreams::{Host, Hosts, Live},
};

#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) circuit: Arc<Circuit>,
    /// What all workers share besides the circuit.
    pub(super) live: Arc<Live>,
    pub(super) timeouts: config::Timeouts,
    /// What counts as a failure.
    pub(super) policy: breaker::Policy,
    common: Common,
    known: RefCell<Known>,
}

/// The hosts as of the last look, and the connections to each.
#[derive(Debug)]
struct Known {
    hosts: Arc<Hosts>,
    /// In the order of the hosts.
    endpoints: Vec<Rc<Endpoint>>,
}

impl Upstream {
    pub(super) fn new(circuit: Arc<Circuit>, common: Common) -> Self {
        let upstream = Self {
            circuit,
            live: Arc::clone(&common.live),
            timeouts: common.settings.timeouts,
            policy: common.settings.breaker.clone(),
            known: RefCell::new(Known { hosts: Arc::default(), endpoints: Vec::new() }),
            common,
        };
        upstream.meet(upstream.live.hosts());
        upstream
    }

    /// Whether it would be the same, made of these.
    pub(super) fn is_as(&self, circuit: &Arc<Circuit>, common: &Common) -> bool {
        let (name, ours) = (&common.settings.name, &self.common);
        Arc::ptr_eq(&self.circuit, circuit)
            && Arc::ptr_eq(&ours.live, &common.live)
            && ours.settings == common.settings
            && ours.tls.is_same_towards(name, &common.tls)
    }

    /// The endpoint for the next attempt, none of these if there is another. None while no name has
    /// been resolved, see [`Upstream::resolved`].
    pub(super) fn pick(&self, tried: &[Arc<Host>], now: Instant) -> Option<Rc<Endpoint>> {
        if self.known.borrow().hosts.generation() != self.live.generation() {
            self.meet(self.live.hosts());
        }
        let known = self.known.borrow();
        let at = match &*known.endpoints {
            [_only] => 0,
            _ => known.hosts.pick(tried, fastrand::u64(..), now)?,
        };
        known.endpoints.get(at).map(Rc::clone)
    }

    /// Waits until there is an endpoint.
    ///
    /// # Errors
    /// There is none, since its name does not resolve.
    pub(super) async fn resolved(&self) -> Result<(), Reason> {
        let hosts = self.live.resolved().await?;
        self.meet(hosts);
        Ok(())
    }

    /// Whether a call may have to be sent once more after some of it has been sent: that what was
    /// not sent at all can be sent again goes without saying.
    pub(super) fn may_need_it_again(&self, asks: Asks) -> bool {
        let retry = self.live.retry_policy();
        let after_sending = retry.on.iter().any(|on| *on != Condition::Unsent);
        let is_asked_for = asks.is_idempotent && (after_sending || !retry.statuses.is_empty());
        // Streams are refused when their requests have been sent.
        let is_refusable =
            retry.on.contains(&Condition::Unsent) && (asks.is_grpc || self.may_speak_http2());
        retry.attempts.get() > 1 && !asks.is_upgrade && (is_asked_for || is_refusable)
    }

    /// Whether calls that are not gRPC can go over HTTP/2.
    fn may_speak_http2(&self) -> bool {
        let settings = &self.common.settings;
        match settings.protocol {
            Protocol::Http1 => false,
            Protocol::Http2 => true,
            Protocol::Auto => settings.endpoints.iter().any(|endpoint| endpoint.is_tls()),
        }
    }

    /// Closes connections that have been idle for too long.
    pub(super) fn sweep(&self, now: Instant) {
        self.known.borrow().endpoints.iter().for_each(|endpoint| endpoint.sweep(now));
    }

    /// Closes connections that are idle, for those who wait for leave to make one.
    pub(super) fn feed(&self) {
        for endpoint in &self.known.borrow().endpoints {
            while self.live.is_hungry() && endpoint.close_idle() {}
        }
    }

    /// Takes over a list of hosts. Connections to those that stay are kept; those to others end with
    /// their calls.
    fn meet(&self, hosts: Arc<Hosts>) {
        let mut known = self.known.borrow_mut();
        let endpoint = |host: &Arc<Host>| {
            let is_its = |endpoint: &&Rc<Endpoint>| Arc::ptr_eq(endpoint.host(), host);
            known
                .endpoints
                .iter()
                .find(is_its)
                .map_or_else(|| Rc::new(Endpoint::new(host, &self.common)), Rc::clone)
        };
        let endpoints = hosts.iter().map(endpoint).collect();
        *known = Known { hosts, endpoints };
    }
}
