//! Refusals of attempts that cannot be sent yet: who waits for something else is not to wait for it
//! in vain.

use std::{pin::pin, sync::atomic::Ordering, time::Instant};

use super::Circuit;
use crate::{clock, domain::breaker::Refusal};

impl Circuit {
    /// How an attempt would be refused now; none where it may be admitted. A probe's slot is not
    /// taken by asking.
    pub fn refusal(&self, idempotent: bool, now: Instant) -> Option<Refusal> {
        let refusal = self.lock().refusal(idempotent, now);
        if refusal.is_some() {
            self.has_refused.store(true, Ordering::Relaxed);
        }
        refusal
    }

    /// Waits until an attempt would be refused.
    pub async fn refuses(&self, idempotent: bool) -> Refusal {
        loop {
            let mut moved = pin!(self.moved.notified());
            // From here on no transition is missed.
            moved.as_mut().enable();
            if let Some(refusal) = self.refusal(idempotent, clock::now()) {
                return refusal;
            }
            moved.await;
        }
    }
}
