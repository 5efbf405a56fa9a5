//! Active health checks: one small loop per upstream that has one.
//!
//! A check asks all endpoints of its upstream at once. It is well when any of them is: the circuit
//! is the upstream's, and opening it would cut off the endpoints that work. The result goes through
//! the same circuit as calls do, to the [`HealthBoard`], and into history as a task of the domain
//! `system-health`.

mod board;
mod probe;
mod rows;
#[cfg(test)]
mod tests;
mod watch;

use std::{future::Future, sync::Arc};

use futures_util::future::join_all;
use http::uri::InvalidUri;

use crate::{breakers::Breakers, config::Upstream, history::Lane, tls::Tls};
use watch::Watch;

pub use board::{HealthBoard, LastCheck};

/// All checks of a configuration.
#[derive(Debug)]
pub struct Checks {
    watches: Vec<Watch>,
}

impl Checks {
    /// The checks of those upstreams that have one, by `tls` where an endpoint is `https://`. Their
    /// rows go into `lane`, their last results on the `board`.
    ///
    /// # Errors
    /// The path of a check is none.
    pub fn new<'a>(
        upstreams: impl IntoIterator<Item = &'a Arc<Upstream>>,
        tls: &Tls,
        breakers: &Breakers,
        lane: &Lane,
        board: &HealthBoard,
    ) -> Result<Self, InvalidUri> {
        let watches = upstreams.into_iter().filter_map(|upstream| {
            let check = upstream.health_check.as_ref()?;
            let circuit = breakers.of(&upstream.name)?;
            Some(Watch::new(upstream, check, tls, &circuit, board, lane))
        });
        Ok(Self { watches: watches.collect::<Result<_, _>>()? })
    }

    /// Checks until `stop`; then records what was still being added up.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            _ = join_all(self.watches.iter_mut().map(Watch::forever)), if !self.watches.is_empty() => {}
        }
        self.watches.into_iter().for_each(Watch::finish);
    }
}
