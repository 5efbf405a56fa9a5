//! How long a connection to an upstream takes calls: one that lives for ever never leads to an
//! instance that came behind the same address after it.

use std::time::{Duration, Instant};

/// Of a thousand parts of the largest age, as many may be left out: connections that were made
/// together are not to end together.
const MOST_LEFT_OUT: u32 = 100;

/// See the module's text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Age {
    /// None for ever.
    until: Option<Instant>,
}

impl Age {
    /// That of a connection that is made now.
    pub(super) fn begin(longest: Option<Duration>, now: Instant) -> Self {
        Self {
            until: longest.and_then(|longest| now.checked_add(left(longest, fastrand::u32(..)))),
        }
    }

    /// Whether it takes no more calls.
    pub(super) fn is_over(self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// The largest age of one connection; by chance up to a tenth is left out.
fn left(longest: Duration, chance: u32) -> Duration {
    longest - longest / 1_000 * (chance % (MOST_LEFT_OUT + 1))
}

#[cfg(test)]
mod tests {
    use super::{Age, Duration, MOST_LEFT_OUT, left};
    use crate::clock;

    #[test]
    fn connections_end_when_they_are_so_old_or_up_to_a_tenth_younger() {
        let minute = Duration::from_secs(60);
        assert_eq!(left(minute, 0), minute);
        assert_eq!(left(minute, MOST_LEFT_OUT), Duration::from_secs(54));
        let now = clock::now();
        let age = Age::begin(Some(minute), now);
        assert!(!age.is_over(now + Duration::from_secs(53)));
        assert!(age.is_over(now + minute));
        assert!(!Age::begin(None, now).is_over(now + minute * 1_000_000));
    }
}
