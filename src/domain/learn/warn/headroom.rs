//! "p99 is 83 % of the timeout; 2.1 % of the calls come within a fifth of it."

use std::time::Duration;

use crate::domain::learn::{histogram::middle_of, timeout::Durations};

/// Calls below which a p99 says nothing: ln(0.05)/ln(0.99).
const ENOUGH: u64 = 299;

/// A p99 of this part of the timeout is close to it.
const CLOSE: f64 = 0.8;

/// How close calls come to their timeout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Headroom {
    /// The p99 of all calls as a part of the timeout; 1 where that is what ends them.
    pub p99_of_timeout: f64,
    /// The share of calls that take longer than four fifths of it, cut ones included.
    pub close: f64,
}

impl Headroom {
    /// Whether it is worth a warning.
    pub fn is_short(&self) -> bool {
        self.p99_of_timeout >= CLOSE
    }
}

/// How close these calls come to `timeout`; none where they are too few.
pub fn headroom(calls: &Durations, timeout: Duration) -> Option<Headroom> {
    let mut all = calls.ended.clone();
    all.merge(&calls.cut);
    let count = all.count();
    let limit = timeout.as_secs_f64() * 1e6;
    let p99 = all.quantile(0.99).filter(|_| count >= ENOUGH && limit > 0.0)?;
    let late = |&(bin, _): &(i16, u64)| middle_of(bin) as f64 > CLOSE * limit;
    let close: u64 = all.bins().filter(late).map(|(_, calls)| calls).sum();
    Some(Headroom {
        p99_of_timeout: (p99 as f64 / limit).min(1.0),
        close: close as f64 / count as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::{Durations, headroom};
    use std::time::Duration;

    fn calls(fast: u64, slow: u64) -> Durations {
        let mut durations = Durations::default();
        durations.ended.record_many(100_000, fast);
        durations.ended.record_many(900_000, slow);
        durations
    }

    #[test]
    fn calls_that_come_close_to_the_timeout_leave_little_room() {
        let headroom = headroom(&calls(970, 30), Duration::from_secs(1)).unwrap();
        assert!(headroom.is_short() && (headroom.close - 0.03).abs() < 1e-9, "{headroom:?}");
    }

    #[test]
    fn a_few_slow_calls_among_many_leave_enough() {
        let headroom = headroom(&calls(9_990, 10), Duration::from_secs(1)).unwrap();
        assert!(!headroom.is_short(), "{headroom:?}");
    }

    #[test]
    fn few_calls_say_nothing() {
        assert_eq!(headroom(&calls(200, 50), Duration::from_secs(1)), None);
    }
}
