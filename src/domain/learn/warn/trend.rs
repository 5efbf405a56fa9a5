//! "p95 rises by 4 % an hour and reaches the timeout in 3 to 7 hours", or nothing.

use std::time::Duration;

use crate::domain::learn::{
    formula::trend::{median, theil_sen},
    interval::{Z_80, Z_95},
};

/// Points below which there is no trend: two hours of five minutes.
const ENOUGH: usize = 24;

/// The share of the variance that a straight line must explain.
const STRAIGHT: f64 = 0.5;

/// A latency on its way to the timeout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Approach {
    /// The rise per hour: 0.04 is 4 %.
    pub per_hour: f64,
    /// Hours until it reaches the timeout: no sooner, and no later, with 80 % confidence.
    pub hours: (f64, f64),
}

/// Where the p95 of five minutes each (minute, µs) is heading. None unless it rises beyond chance
/// and in a line, and is below the timeout still.
pub fn approach(p95_us: &[(i64, u64)], timeout: Duration) -> Option<Approach> {
    let hour = |minute: i64| minute as f64 / 60.0;
    let points: Vec<(f64, f64)> =
        p95_us.iter().map(|&(minute, us)| (hour(minute), (us.max(1) as f64).ln())).collect();
    if points.len() < ENOUGH {
        return None;
    }
    let sure = theil_sen(&points, Z_95)?;
    if sure.interval.low <= 0.0 || sure.explained < STRAIGHT {
        return None;
    }
    let likely = theil_sen(&points, Z_80)?.interval;
    // Lines of every likely slope cross in the middle of the points; the way is counted from there.
    let last = points.iter().map(|point| point.0).fold(f64::MIN, f64::max);
    let middle = median(points.iter().map(|point| point.0))?;
    let level = median(points.iter().map(|(x, y)| y - sure.slope * (x - middle)))?;
    let way = (timeout.as_secs_f64() * 1e6).ln() - level;
    let hours = |slope: f64| way / slope - (last - middle);
    (hours(sure.slope) > 0.0).then(|| Approach {
        per_hour: sure.slope.exp_m1(),
        hours: (hours(likely.high).max(0.0), hours(likely.low)),
    })
}

#[cfg(test)]
mod tests {
    use super::approach;
    use std::time::Duration;

    const TIMEOUT: Duration = Duration::from_secs(1);

    /// Six hours from 500 ms on, growing by so much an hour, with a ripple of 2 %.
    fn growing(per_hour: f64) -> Vec<(i64, u64)> {
        (0..72)
            .map(|at| {
                let ripple = 0.02 * f64::from((at * 7) % 11 - 5) / 5.0;
                let ln_us = 500_000_f64.ln() + per_hour * f64::from(at) / 12.0 + ripple;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "µs")]
                (i64::from(at) * 5, ln_us.exp() as u64)
            })
            .collect()
    }

    #[test]
    fn a_steady_rise_tells_when_it_reaches_the_timeout() {
        let approach = approach(&growing(0.05), TIMEOUT).unwrap();
        assert!((approach.per_hour - 0.0513).abs() < 0.002, "{approach:?}");
        // Of ln 2 = 0.693, six hours have taken 0.296; the rest takes 7.9 hours.
        assert!(approach.hours.0 < 7.95 && 7.95 < approach.hours.1, "{approach:?}");
        assert!(approach.hours.1 - approach.hours.0 < 1.0, "{approach:?}");
    }

    #[test]
    fn no_rise_a_fall_and_the_past_are_not_told() {
        assert_eq!(approach(&growing(0.0), TIMEOUT), None);
        assert_eq!(approach(&growing(-0.05), TIMEOUT), None);
        assert_eq!(approach(&growing(0.2), TIMEOUT), None, "it is beyond the timeout already");
        assert_eq!(approach(&growing(0.05)[..23], TIMEOUT), None);
    }
}
