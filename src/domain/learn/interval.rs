//! How sure a share is: Wilson's score interval for `hits` of `trials`.
//!
//! The plain share of few trials says little; the interval says how little. A rule that asks the
//! lower bound needs no magic number of trials: 6 of 6 and 34 of 50 both exceed one half with 99 %
//! confidence, 5 of 5 does not.

/// The standard score of 99 % confidence on one side.
pub const Z_99_ONE_SIDED: f64 = 2.326;

/// A share that is known not exactly, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower bound.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
}

/// The interval of a share of which `hits` of `trials` were seen, for a standard score `z`.
/// Without trials it is everything from 0 to 1.
pub fn wilson(hits: u32, trials: u32, z: f64) -> Interval {
    if trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (n, z2) = (f64::from(trials), z * z);
    let share = f64::from(hits.min(trials)) / n;
    let centre = share + z2 / (2.0 * n);
    let spread = z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    Interval {
        low: ((centre - spread) / scale).clamp(0.0, 1.0),
        high: ((centre + spread) / scale).clamp(0.0, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Z_99_ONE_SIDED, wilson};
    use proptest::prelude::proptest;

    #[test]
    fn few_trials_must_be_nearly_unanimous_to_exceed_one_half() {
        for (hits, trials) in [(6, 6), (9, 10), (16, 20), (34, 50), (62, 100)] {
            let low = |hits| wilson(hits, trials, Z_99_ONE_SIDED).low;
            assert!(low(hits) > 0.5, "{hits} of {trials}");
            assert!(low(hits - 1) <= 0.5, "{} of {trials}", hits - 1);
        }
    }

    #[test]
    fn the_interval_is_that_of_the_textbook() {
        let interval = wilson(8, 10, 1.96);
        assert!((interval.low - 0.4902).abs() < 1e-4, "{interval:?}");
        assert!((interval.high - 0.9433).abs() < 1e-4, "{interval:?}");
        let nothing = wilson(0, 0, 1.96);
        assert!(nothing.low < f64::EPSILON && nothing.high > 1.0 - f64::EPSILON);
    }

    proptest! {
        #[test]
        fn it_holds_the_share_and_narrows_with_more_trials(hits in 0_u32..1_000, misses in 0_u32..1_000) {
            let trials = hits + misses + 1;
            let share = f64::from(hits) / f64::from(trials);
            let (few, many) = (wilson(hits, trials, 1.96), wilson(hits * 10, trials * 10, 1.96));
            assert!(few.low <= share + 1e-9 && share <= few.high + 1e-9);
            assert!(many.high - many.low <= few.high - few.low + 1e-9);
        }
    }
}
