//! What instances and the store owe each other about a circuit.
//!
//! An instance protects itself at once, by what it has seen. What holds for all is decided together:
//! an instance whose circuit has opened asks for a vote, and when enough of those who can tell say
//! "bad" the fleet opens. It has one prober at a time, whose failure another instance has to
//! confirm, and one ramp.
//!
//! - [`word`]: what an instance can say to the store, and [`entry`]: what each word does there.
//! - [`row`]: what the store says to an instance.
//! - [`mind`]: what an instance does next, and [`memory`]: what it holds against a store that has
//!   forgotten.
//! - [`electorate`]: who may vote.
//! - `turn`: when one of many does what one of them is to do.
//!
//! And for people: [`hearing`], what the store can tell of a breaker; [`attribution`], where it fails
//! when it fails for a few; [`rules`] and [`drift`], who is configured otherwise than the rest.

pub mod alone;
pub mod attribution;
pub mod decree;
pub mod drift;
pub mod electorate;
pub mod entry;
pub mod hearing;
pub mod memory;
pub mod mind;
pub mod orders;
pub mod row;
pub mod rules;
mod terms;
mod turn;
pub mod word;

use std::time::Duration;

/// Polls per second that all instances together may cost the store, but for those of the few that
/// look more often.
const POLLS_PER_SECOND: u32 = 600;

/// An instance that may be asked looks this many times as often as others, in a fleet in which that is
/// no burden;
const SOONER: u32 = 4;

/// and so many times in a large one.
const SOONER_OF_MANY: u32 = 2;

/// Heartbeats per second that all instances together may cost the store.
const BEATS_PER_SECOND: u32 = 50;

/// How often an instance looks at the store when nothing hints at a change: every second, or two
/// where hints come as well; rarer in a fleet so large that this would be a burden.
pub fn poll_every(live: u32, has_hints: bool) -> Duration {
    let least = Duration::from_secs(if has_hints { 2 } else { 1 });
    (Duration::from_secs(1) * live / POLLS_PER_SECOND).clamp(least, Duration::from_secs(30))
}

/// The same for one that is asked when a breaker is in doubt, see [`electorate`]: without hints it
/// looks more often than the others, for nothing is decided before nearly all of those have answered.
/// They are few however large the fleet is. `electorates` is how many different ones its breakers have.
pub fn poll_every_of_a_voter(live: u32, has_hints: bool, electorates: u32) -> Duration {
    let ordinary = poll_every(live, has_hints);
    if has_hints {
        return ordinary;
    }
    // From the one to the other without a step.
    let least = poll_every(0, false);
    let sooner = ordinary / SOONER_OF_MANY - (least / SOONER_OF_MANY - least / SOONER);
    (sooner * electorates.max(1)).min(ordinary)
}

/// How soon an instance without hints that has seen a round of voting looks again: by then those who are
/// asked have looked too and answered. It would be the last to hear of what they decided, for it looked
/// shortly before they did.
pub fn look_in_round(live: u32) -> Duration {
    poll_every(live, false) / SOONER_OF_MANY
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
    use super::{beat_every, look_in_round, poll_every, poll_every_of_a_voter};
    use std::time::Duration;

    #[test]
    fn a_large_fleet_asks_more_rarely() {
        let seconds = |wait: Duration| wait.as_secs();
        assert_eq!(
            [0, 10, 1_000, 2_000].map(|live| seconds(poll_every(live, false))),
            [1, 1, 1, 3]
        );
        assert_eq!(
            [0, 1_000, 5_000, 90_000].map(|live| seconds(poll_every(live, true))),
            [2, 2, 8, 30]
        );
        assert_eq!([1, 1_000, 90_000].map(|live| seconds(beat_every(live))), [5, 20, 60]);
    }

    #[test]
    fn who_is_asked_looks_sooner_where_nothing_hints() {
        let ms = |wait: Duration| wait.as_millis();
        let electorates = [0, 1, 2, 4, 9];
        let polls = electorates.map(|count| ms(poll_every_of_a_voter(20, false, count)));
        assert_eq!(polls, [250, 250, 500, 1_000, 1_000]);
        assert_eq!(ms(poll_every_of_a_voter(20, true, 1)), 2_000, "hints come sooner than that");
        let large = [600, 1_200, 6_000].map(|live| ms(poll_every_of_a_voter(live, false, 1)));
        assert_eq!(large, [250, 750, 4_750]);
        assert_eq!([20, 6_000].map(|live| ms(look_in_round(live))), [500, 5_000]);
    }
}
