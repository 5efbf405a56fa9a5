//! What a warning says: the numbers, the words, how far ahead it looks and what it is held to.

use std::{fmt, time::Duration};

use super::{Signal, burn::Burn, headroom::Headroom, trend::Approach};

/// See the module docs. Minutes are counted from the Unix epoch; shares are from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Claim {
    /// Failures have become more frequent.
    Failures {
        /// Before.
        usual: f64,
        /// Since then.
        now: f64,
        /// The minute in which that began.
        since: i64,
    },
    /// Calls take longer than they used to.
    Latency {
        /// The p95 before, in µs.
        usual_us: f64,
        /// Since then.
        now_us: f64,
        /// The minute in which that began.
        since: i64,
    },
    /// The error budget is being burnt too fast.
    Budget {
        /// How fast.
        burn: Burn,
        /// The share of calls that may fail.
        allowed: f64,
    },
    /// Calls come close to their timeout.
    Headroom {
        /// How close.
        headroom: Headroom,
        /// The timeout.
        timeout: Duration,
    },
    /// Calls are on their way to their timeout.
    Trend {
        /// How fast.
        approach: Approach,
        /// The timeout.
        timeout: Duration,
    },
    /// More calls than at this hour of other weeks.
    Season {
        /// How many robust standard scores more.
        deviation: f64,
        /// Calls in the hour.
        calls: u64,
        /// The share of them that is worth an alarm.
        worse: f64,
    },
    /// Calls in flight come close to their limit.
    Saturation {
        /// Calls in flight, on average.
        in_flight: f64,
        /// The limit.
        limit: u32,
    },
}

/// A share of timeouts that hurts.
const TIMEOUTS: f64 = 0.01;

/// A p95 of this part of the timeout has reached it, as far as a histogram can tell.
const REACHED: f64 = 0.95;

impl Claim {
    /// Whose claim it is.
    pub const fn signal(&self) -> Signal {
        match self {
            Self::Failures { .. } => Signal::Failures,
            Self::Latency { .. } => Signal::Latency,
            Self::Budget { .. } => Signal::Budget,
            Self::Headroom { .. } => Signal::Headroom,
            Self::Trend { .. } => Signal::Trend,
            Self::Season { .. } => Signal::Season,
            Self::Saturation { .. } => Signal::Saturation,
        }
    }

    /// How far ahead it looks.
    pub fn horizon(&self) -> Duration {
        let minutes = |minutes: u32| Duration::from_secs(60 * u64::from(minutes));
        match self {
            Self::Failures { .. } | Self::Latency { .. } | Self::Saturation { .. } => minutes(30),
            Self::Budget { burn, .. } => minutes(burn.window_minutes),
            Self::Headroom { .. } => minutes(60),
            Self::Trend { approach, .. } => Duration::from_secs_f64(3_600.0 * approach.hours.1),
            Self::Season { .. } => minutes(120),
        }
    }

    /// What it is held to; see [`Event`](super::event::Event). A change must go on at half of what
    /// it was seen at, at least.
    pub fn bar(&self) -> f64 {
        match self {
            Self::Failures { usual, now, .. } => f64::midpoint(*usual, *now),
            Self::Latency { usual_us, now_us, .. } => f64::midpoint(*usual_us, *now_us),
            Self::Budget { burn, allowed } => burn.rate * allowed / 2.0,
            Self::Headroom { .. } => TIMEOUTS,
            Self::Trend { timeout, .. } => REACHED * timeout.as_secs_f64() * 1e6,
            Self::Season { worse, .. } => *worse,
            Self::Saturation { .. } => 0.0,
        }
    }

    /// The numbers behind the words. Shares are from 0 to 1.
    pub fn numbers(&self) -> Vec<(&'static str, f64)> {
        let seconds = |minute: i64| 60.0 * minute as f64;
        let ms = |us: f64| us / 1_000.0;
        match *self {
            Self::Failures { usual, now, since } => {
                vec![("usual", usual), ("now", now), ("sinceSeconds", seconds(since))]
            }
            Self::Latency { usual_us, now_us, since } => vec![
                ("usualMs", ms(usual_us)),
                ("nowMs", ms(now_us)),
                ("sinceSeconds", seconds(since)),
            ],
            Self::Budget { burn, allowed } => vec![
                ("burnRate", burn.rate),
                ("windowMinutes", burn.window_minutes.into()),
                ("hoursLeft", burn.hours_left),
                // What is left of 1 has no more digits than what was taken from it.
                ("allowed", (allowed * 1e9).round() / 1e9),
            ],
            Self::Headroom { headroom, timeout } => vec![
                ("p99OfTimeout", headroom.p99_of_timeout),
                ("close", headroom.close),
                ("timeoutMs", timeout.as_secs_f64() * 1e3),
            ],
            Self::Trend { approach, timeout } => vec![
                ("perHour", approach.per_hour),
                ("hoursAtLeast", approach.hours.0),
                ("hoursAtMost", approach.hours.1),
                ("timeoutMs", timeout.as_secs_f64() * 1e3),
            ],
            Self::Season { deviation, calls, .. } => {
                vec![("deviation", deviation), ("calls", calls as f64)]
            }
            Self::Saturation { in_flight, limit } => {
                vec![("inFlight", in_flight), ("limit", limit.into())]
            }
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Failures { usual, now, since } => write!(
                f,
                "failures rose from {} to {}, since {}",
                Share(usual),
                Share(now),
                Clock(since)
            ),
            Self::Latency { usual_us, now_us, since } => write!(
                f,
                "p95 rose from {:.0} ms to {:.0} ms, since {}",
                usual_us / 1e3,
                now_us / 1e3,
                Clock(since)
            ),
            Self::Budget { burn, allowed } if burn.hours_left > 0.0 => write!(
                f,
                "failures burn the 30-day budget of {} at {:.1} times its rate: it is gone in {:.0} h",
                Share(allowed),
                burn.rate,
                burn.hours_left.ceil()
            ),
            Self::Budget { burn, allowed } => write!(
                f,
                "the 30-day budget of {} is gone, and failures go on at {:.1} times its rate",
                Share(allowed),
                burn.rate
            ),
            Self::Headroom { headroom, timeout } => write!(
                f,
                "p99 is {:.0} % of the timeout of {} ms; {} of the calls come within a fifth of it",
                100.0 * headroom.p99_of_timeout,
                timeout.as_millis(),
                Share(headroom.close)
            ),
            Self::Trend { approach, timeout } => write!(
                f,
                "p95 rises by {} an hour and reaches the timeout of {} ms in {:.1} to {:.1} h",
                Share(approach.per_hour),
                timeout.as_millis(),
                approach.hours.0,
                approach.hours.1
            ),
            Self::Season { deviation, calls, .. } => write!(
                f,
                "{calls} calls in an hour, {deviation:.1} deviations above this hour of other weeks"
            ),
            Self::Saturation { in_flight, limit } => {
                write!(f, "{in_flight:.0} calls in flight of {limit}")
            }
        }
    }
}

/// A share as people write it.
struct Share(f64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.0;
        if percent < 10.0 { write!(f, "{percent:.1} %") } else { write!(f, "{percent:.0} %") }
    }
}

/// The time of day of a minute.
struct Clock(i64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_day = self.0.rem_euclid(24 * 60);
        write!(f, "{:02}:{:02} UTC", of_day / 60, of_day % 60)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Approach, Burn, Claim, Headroom};

    const TIMEOUT: Duration = Duration::from_secs(2);

    #[test]
    fn each_says_what_was_seen_how_far_it_looks_and_what_it_is_held_to() {
        let burn = Burn { rate: 80.0, window_minutes: 60, hours_left: 8.2 };
        let headroom = Headroom { p99_of_timeout: 0.83, close: 0.021 };
        let approach = Approach { per_hour: 0.04, hours: (3.0, 7.0) };
        for (claim, words, minutes, bar) in [
            (
                Claim::Failures { usual: 0.004, now: 0.06, since: 14 * 60 + 2 },
                "failures rose from 0.4 % to 6.0 %, since 14:02 UTC",
                30,
                0.032,
            ),
            (
                Claim::Latency { usual_us: 1e5, now_us: 3e5, since: 0 },
                "p95 rose from 100 ms to 300 ms, since 00:00 UTC",
                30,
                2e5,
            ),
            (
                Claim::Budget { burn, allowed: 0.001 },
                "failures burn the 30-day budget of 0.1 % at 80.0 times its rate: it is gone in 9 h",
                60,
                0.04,
            ),
            (
                Claim::Budget { burn: Burn { hours_left: 0.0, ..burn }, allowed: 0.001 },
                "the 30-day budget of 0.1 % is gone, and failures go on at 80.0 times its rate",
                60,
                0.04,
            ),
            (
                Claim::Headroom { headroom, timeout: TIMEOUT },
                "p99 is 83 % of the timeout of 2000 ms; 2.1 % of the calls come within a fifth of it",
                60,
                0.01,
            ),
            (
                Claim::Trend { approach, timeout: TIMEOUT },
                "p95 rises by 4.0 % an hour and reaches the timeout of 2000 ms in 3.0 to 7.0 h",
                420,
                1.9e6,
            ),
            (
                Claim::Season { deviation: 7.25, calls: 9_000, worse: 0.05 },
                "9000 calls in an hour, 7.2 deviations above this hour of other weeks",
                120,
                0.05,
            ),
            (Claim::Saturation { in_flight: 46.8, limit: 50 }, "47 calls in flight of 50", 30, 0.0),
        ] {
            assert_eq!(claim.to_string(), words);
            assert_eq!(claim.horizon(), Duration::from_secs(60 * minutes), "{words}");
            assert!((claim.bar() - bar).abs() <= 1e-9 * bar, "{words}: {}", claim.bar());
            assert!(claim.numbers().iter().all(|(_, number)| number.is_finite()), "{words}");
        }
    }

    #[test]
    fn the_budget_is_told_in_as_many_digits_as_it_was_given() {
        let burn = Burn { rate: 80.0, window_minutes: 60, hours_left: 8.2 };
        let numbers = Claim::Budget { burn, allowed: 1.0 - 0.999 }.numbers();
        assert_eq!(numbers[3].1.to_string(), "0.001");
    }
}
