//! How the fleet decides about one breaker: what is configured, and how a circuit opens by it.

use std::time::Duration;

use super::{row::Row, word::Opening};
use crate::domain::{
    breaker::{Cause, Policy, Shared, jittered},
    quorum::Quorum,
};

/// What is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The first open time, and the longest.
    pub open_for: Duration,
    /// See above.
    pub open_for_max: Duration,
    /// How long the share of calls grows after an outage.
    pub ramp: Duration,
    /// How many have to say "bad".
    pub quorum: Quorum,
}

impl Terms {
    /// Of a breaker with these rules.
    pub const fn of(policy: &Policy) -> Self {
        Self {
            open_for: policy.open_for,
            open_for_max: policy.open_for_max,
            ramp: policy.ramp,
            quorum: policy.quorum,
        }
    }

    /// How the circuit opens as the instance has opened its own.
    pub(super) fn opening(&self, local: &Shared) -> Opening {
        let open_for = local.open_for.clamp(Duration::from_millis(1), self.open_for_max);
        Opening {
            open_for: if local.open_for.is_zero() { self.open_for } else { open_for },
            step: local.step.max(1),
            failure_count: local.failure_count,
            cause: local.cause,
            by_connection: local.by_connection,
        }
    }

    /// How it opens once more without anything new being known: for longer, and for not quite as long
    /// as others would say.
    pub(super) fn reopening(&self, row: &Row, dice: u128) -> Opening {
        let doublings = row.step.min(31);
        let plain = self.open_for.saturating_mul(1 << doublings).min(self.open_for_max);
        let [part, ..] = dice.to_le_bytes();
        Opening {
            open_for: jittered(plain, self.open_for_max, part.into(), u8::MAX.into()),
            step: row.step.saturating_add(1),
            failure_count: row.failure_count,
            cause: Cause::ProbeFailed,
            by_connection: row.by_connection,
        }
    }
}
