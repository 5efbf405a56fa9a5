//! What instances and the store owe each other about a circuit.
//!
//! An instance protects itself at once, by what it has seen. What holds for all is decided together:
//! an instance whose circuit has opened asks for a vote, and when enough of those who can tell say
//! "bad" the fleet opens. It has one prober at a time, whose failure another instance has to
//! confirm, and one ramp.
//!
//! - [`word`]: what an instance can say to the store, and [`entry`]: what each word does there.
//! - [`row`]: what the store says to an instance.
//! - [`mind`]: what an instance does next.
//! - [`electorate`]: who may vote.

pub mod electorate;
pub mod entry;
pub mod mind;
pub mod row;
pub mod word;

use std::time::Duration;

/// Polls per second that all instances together may cost the store.
const POLLS_PER_SECOND: u32 = 500;

/// Heartbeats per second that all instances together may cost the store.
const BEATS_PER_SECOND: u32 = 50;

/// How often an instance looks at the store when nothing hints at a change: every second, or two
/// where hints come as well; rarer in a fleet so large that this would be a burden.
pub fn poll_every(live: u32, has_hints: bool) -> Duration {
    let least = Duration::from_secs(if has_hints { 2 } else { 1 });
    (Duration::from_secs(1) * live / POLLS_PER_SECOND).clamp(least, Duration::from_secs(30))
}

/// How often an instance says that it lives.
pub fn beat_every(live: u32) -> Duration {
    let load = Duration::from_secs(1) * live / BEATS_PER_SECOND;
    load.clamp(Duration::from_secs(5), Duration::from_secs(60))
}

#[cfg(test)]
#[path = "fleet/tests/mod.rs"]
mod model;

#[cfg(test)]
mod tests {
    use super::{beat_every, poll_every};
    use std::time::Duration;

    #[test]
    fn a_large_fleet_asks_more_rarely() {
        let seconds = |wait: Duration| wait.as_secs();
        assert_eq!([0, 10, 500, 1_000].map(|live| seconds(poll_every(live, false))), [1, 1, 1, 2]);
        assert_eq!(
            [0, 1_000, 5_000, 90_000].map(|live| seconds(poll_every(live, true))),
            [2, 2, 10, 30]
        );
        assert_eq!([1, 1_000, 90_000].map(|live| seconds(beat_every(live))), [5, 20, 60]);
    }
}
