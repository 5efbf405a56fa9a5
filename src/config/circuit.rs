//! The circuits of a configuration: one for each upstream, and one for each route that asks for it.

use std::sync::Arc;

use super::Config;
use crate::domain::breaker::Policy;

/// The circuit of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteBreaker {
    /// Its name, `upstream/route`.
    pub name: Arc<str>,
    /// What it is shared by.
    pub key: String,
    /// Its rules.
    pub policy: Policy,
}

impl Config {
    /// Every circuit: its name, the key that it is shared by, its rules.
    pub fn circuits(&self) -> impl Iterator<Item = (Arc<str>, String, Policy)> {
        let of_upstreams = self.upstreams.values().map(|upstream| {
            (Arc::clone(&upstream.name), upstream.breaker_key.clone(), upstream.breaker.clone())
        });
        let routes = self.listeners.iter().flat_map(|listener| &listener.routes);
        let of_routes = routes.filter_map(|route| route.breaker.as_ref()).map(|breaker| {
            (Arc::clone(&breaker.name), breaker.key.clone(), breaker.policy.clone())
        });
        of_upstreams.chain(of_routes)
    }
}
