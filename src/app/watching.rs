//! The watch for what is about to go wrong, begun anew when there are other upstreams.

use std::{convert::Infallible, future::pending, sync::Arc};

use tokio::sync::watch;

use super::current::Current;
use crate::{
    config,
    learning::warnings::{Board, Upstream, Watch},
    store::Stores,
};

/// Watches until it is dropped, where that is wished, and shows on the board what it finds.
pub(super) async fn forever(
    mut current: watch::Receiver<Arc<Current>>,
    stores: Stores,
    board: Arc<Board>,
) -> Infallible {
    loop {
        let now = Arc::clone(&current.borrow_and_update());
        if !now.config.warnings.enabled {
            return pending().await;
        }
        let watch = Watch {
            history: Arc::clone(&stores.history),
            store: Arc::clone(&stores.warnings),
            upstreams: upstreams(&now),
            objective: now.config.warnings.objective,
            board: Arc::clone(&board),
        };
        tokio::select! {
            never = watch.forever() => match never {},
            () = differs(&mut current, &now) => {}
        }
    }
}

/// Waits until a configuration is in force that the watch must know of.
async fn differs(current: &mut watch::Receiver<Arc<Current>>, before: &Current) {
    while current.changed().await.is_ok() {
        if facts(&current.borrow_and_update()).ne(facts(before)) {
            return;
        }
    }
    // Nobody changes it any more: the process is stopping.
    pending().await
}

/// What the watch knows of upstreams.
fn facts(current: &Current) -> impl Iterator<Item = impl PartialEq> {
    upstreams(current).into_iter().map(|one| (one.name, one.timeout, one.concurrency))
}

fn upstreams(current: &Current) -> Vec<Upstream> {
    let upstream = |upstream: &Arc<config::Upstream>| {
        Some(Upstream {
            name: Arc::clone(&upstream.name),
            timeout: upstream.timeouts.first_byte.min(upstream.timeouts.total),
            concurrency: upstream.limits.concurrency,
            traffic: Arc::clone(current.traffic.get(&upstream.name)?),
        })
    };
    current.config.upstreams.values().filter_map(upstream).collect()
}
