//! Ramping: a growing share of the calls passes, so that recovery is not a stampede.
//!
//! The share grows in a straight line from [`FLOOR`] to all. No dice: each call adds its share to
//! a credit, and a call that makes it whole passes. So the admitted calls are the share exactly,
//! evenly spread, and the first call of a ramp always passes.

use std::time::{Duration, Instant};

use super::{Policy, phase::Outage, tally::Tally};

/// All calls, in basis points.
const ALL: u32 = 10_000;

/// The share at the beginning of a ramp, in basis points.
const FLOOR: u32 = 500;

/// How long refused callers are told to wait: any later call has a better chance.
const WAIT: Duration = Duration::from_secs(1);

/// The data of ramping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ramp {
    pub(super) outage: Outage,
    pub(super) tally: Box<Tally>,
    began: Instant,
    /// In basis points of a call.
    credit: u32,
}

impl Ramp {
    /// A ramp that is `age` old.
    pub(super) fn new(policy: &Policy, outage: Outage, age: Duration, now: Instant) -> Self {
        let began = now.checked_sub(age).unwrap_or(now);
        Self { outage, tally: Box::new(Tally::new(policy, now)), began, credit: ALL - FLOOR }
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// When it is over, for a ramp of this length.
    pub(super) fn ends(&self, length: Duration) -> Instant {
        self.began.checked_add(length).unwrap_or(self.began)
    }

    /// Admits a call, or says how long to wait.
    pub(super) fn admit(&mut self, length: Duration, now: Instant) -> Result<(), Duration> {
        self.credit += share(self.age(now), length);
        if self.credit < ALL {
            return Err(WAIT.min(length.saturating_sub(self.age(now))));
        }
        self.credit -= ALL;
        Ok(())
    }
}

/// The admitted share after `age`, in basis points.
fn share(age: Duration, length: Duration) -> u32 {
    let grown = age.as_nanos() * u128::from(ALL) / length.as_nanos().max(1);
    u32::try_from(grown).unwrap_or(ALL).clamp(FLOOR, ALL)
}
