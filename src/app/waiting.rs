//! How long upstreams are waited for: learned on the store's thread, applied to the live upstreams.

use std::{convert::Infallible, sync::Arc};

use crate::{
    clock,
    config::{Config, LearnedMode, Upstream},
    domain::learn::timeout::{Mode, Policy},
    history::Onlooker,
    learning::waits::{Terms, Waits},
    upstreams::Upstreams,
};

/// The waits of all upstreams of which anything is to be learned, and applied to them from now on.
pub(super) fn begin(config: &Config, upstreams: &Arc<Upstreams>) -> Arc<Waits> {
    let waits = Arc::new(Waits::new(terms_of(config)));
    tokio::spawn(keep(Arc::clone(&waits), Arc::clone(upstreams)));
    waits
}

/// What a configuration says about them.
pub(super) fn terms_of(config: &Config) -> impl Iterator<Item = (&str, Terms)> {
    let upstreams = config.upstreams.values();
    upstreams.filter_map(|upstream| Some((&*upstream.name, terms(upstream)?)))
}

fn terms(upstream: &Upstream) -> Option<Terms> {
    let learned = upstream.timeouts.learned;
    let mode = match learned.mode {
        LearnedMode::Off => return None,
        LearnedMode::Observe => Mode::Observe,
        LearnedMode::Widen => Mode::Widen,
    };
    let policy = Policy { floor: learned.floor, ceiling: learned.ceiling, ..Policy::default() };
    Some(Terms { configured: upstream.timeouts.first_byte, mode, policy })
}

/// Shows it the calls whose rows are in the store.
pub(super) fn onlooker(waits: &Arc<Waits>) -> Onlooker {
    let waits = Arc::clone(waits);
    Onlooker::new(move |calls| waits.saw(calls, clock::wall_us()))
}

/// Lets minutes pass, and upstreams be waited for as long as that has taught.
async fn keep(waits: Arc<Waits>, upstreams: Arc<Upstreams>) -> Infallible {
    let apply = |name: &str, wait| {
        if let Some(live) = upstreams.of(name) {
            live.waits_at_least(wait);
        }
    };
    waits.forever(apply).await
}
