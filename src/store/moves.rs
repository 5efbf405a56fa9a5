//! What both stores make of a [`Move`].

use serde_json::{Value, json};

use super::{Move, Moved, StoredBreaker};
use crate::domain::breaker::State;

impl Move {
    /// The numbers behind it, for its event.
    pub(super) fn detail(&self) -> Value {
        json!({
            "failureCount": self.failure_count,
            "windowCalls": self.window_calls,
            "windowFailures": self.window_failures,
            "step": self.step,
            "openForMs": u64::try_from(self.open_for.as_millis()).unwrap_or(u64::MAX),
            "byConnection": self.by_connection,
        })
    }

    /// What became of it when the store changed nothing and holds `current`. No row means closed,
    /// so that closing where nothing is stored has nothing to do and is made.
    pub(super) fn lost_to(&self, current: Option<StoredBreaker>) -> Moved {
        if current.is_none() && self.from_epoch == 0 && self.to == State::Closed {
            return Moved::Made(0);
        }
        Moved::Lost(current)
    }
}
