//! The upstreams of a configuration, made from those of the one before.
//!
//! What calls do not notice is kept: an upstream whose endpoints and limits are as they were is the
//! same one. Where it is another, it still begins with the hosts that are known of its endpoints, so
//! that no call waits for a name that was resolved a second ago.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use tokio::sync::watch;

use super::{Live, names::Name};
use crate::config::{Location, Upstream};

/// See the module docs.
pub(super) struct Renewed {
    pub(super) lives: BTreeMap<Arc<str>, Arc<Live>>,
    pub(super) names: Vec<Name>,
}

/// Makes them.
pub(super) fn renewed<'a>(
    upstreams: impl IntoIterator<Item = &'a Arc<Upstream>>,
    before: &BTreeMap<Arc<str>, Arc<Live>>,
    known: &[Name],
    (hunger, now): (&watch::Sender<()>, Instant),
) -> Renewed {
    let mut names: BTreeMap<(&str, u16), Name> = BTreeMap::new();
    let mut lives = BTreeMap::new();
    for upstream in upstreams {
        let keys = upstream.endpoints.iter().map(|endpoint| match &endpoint.location {
            Location::Name(host, port) => Some((host.as_str(), *port)),
            Location::Address(_) | Location::Unix(_) => None,
        });
        let mut name_of = |(host, port)| {
            let name = names.entry((host, port)).or_insert_with(|| Name::of(host, port, known));
            Arc::clone(name.doubt())
        };
        let doubts = keys.clone().map(|key| key.map(&mut name_of)).collect();
        let old = before.get(&upstream.name);
        let live = match old.filter(|live| live.suits(upstream)) {
            Some(stays) => Arc::clone(stays),
            None => Live::new(upstream, doubts, (hunger.clone(), now), old.map(|live| &**live)),
        };
        for (endpoint, key) in keys.enumerate() {
            if let Some(name) = key.and_then(|key| names.get_mut(&key)) {
                name.add(&live, endpoint, upstream.dns_refresh);
            }
        }
        lives.insert(Arc::clone(&upstream.name), live);
    }
    Renewed { lives, names: names.into_values().collect() }
}
