//! Orders to a circuit, and how far they have got.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use tokio::sync::watch;

use super::Circuit;
use crate::domain::order::{Act, Reach};

impl Circuit {
    /// Steers it, and tells nobody but those who hear of transitions: for what other instances
    /// ordered. Does nothing while the kill switch is set.
    pub fn steer(self: &Arc<Self>, act: &Act, now: Instant) {
        if !self.enabled {
            return;
        }
        // First what time has changed, so that news of it is not folded into news of the order.
        self.tick(now);
        self.change(|breaker| {
            let moved = match act {
                Act::Order(order) => breaker.steer(order.clone(), now),
                Act::Lift(_) => breaker.lift(now),
                Act::Reset(signature) => breaker.reset(signature, now),
            };
            self.awaits_endings.store(breaker.awaits_endings(), Ordering::Relaxed);
            ((), moved)
        });
        // Also where an order refuses what the rules alone would have refused already.
        self.moved.notify_waiters();
        if matches!(act, Act::Reset(_)) {
            self.culprits().forget();
        }
        self.reach.send_replace(Reach::Fleet);
    }

    /// The store has been told of the last order.
    pub fn is_told(&self) {
        self.reach.send_if_modified(|reach| {
            let is_news = *reach == Reach::Untold;
            if is_news {
                *reach = Reach::Fleet;
            }
            is_news
        });
    }

    /// How far the last order has got, now and later.
    pub fn reach(&self) -> watch::Receiver<Reach> {
        self.reach.subscribe()
    }
}
