//! An upstream as one worker sees it.

use std::{cell::Cell, sync::Arc, time::Instant};

use http::StatusCode;

use super::endpoint::Endpoint;
use crate::{breakers::Circuit, config};

#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) circuit: Arc<Circuit>,
    pub(super) timeouts: config::Timeouts,
    /// Statuses that the breaker counts as failures.
    pub(super) failure_statuses: Vec<StatusCode>,
    endpoints: Vec<Endpoint>,
    /// Whose turn it is.
    next: Cell<usize>,
}

impl Upstream {
    pub(super) fn new(settings: &config::Upstream, circuit: Arc<Circuit>) -> Self {
        Self {
            circuit,
            timeouts: settings.timeouts,
            failure_statuses: settings.breaker.failure_statuses.clone(),
            endpoints: settings.endpoints.iter().map(|e| Endpoint::new(e, settings)).collect(),
            next: Cell::new(fastrand::usize(..settings.endpoints.len().max(1))),
        }
    }

    /// The endpoint whose turn it is, and its place.
    pub(super) fn turn(&self) -> usize {
        let at = self.next.get();
        self.next.set((at + 1) % self.endpoints.len().max(1));
        at
    }

    /// The endpoint at this place.
    pub(super) fn endpoint(&self, at: usize) -> &Endpoint {
        &self.endpoints[at]
    }

    /// Closes connections that have been idle for too long.
    pub(super) fn sweep(&self, now: Instant) {
        self.endpoints.iter().for_each(|endpoint| endpoint.sweep(now));
    }
}
