//! How sure a share is: Wilson's score interval for `hits` of `trials`.
//!
//! The plain share of few trials says little; the interval says how little. A rule that asks the
//! lower bound needs no magic number of trials: 6 of 6 and 34 of 50 both exceed one half with 99 %
//! confidence, 5 of 5 does not.

/// The standard score of 99 % confidence on one side.
pub const Z_99_ONE_SIDED: f64 = 2.326;

/// The standard score of 95 % confidence on both sides together.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// The standard score of 95 % confidence on one side, and of 90 % on both.
pub const Z_90: f64 = 1.644_853_626_951_472_7;

/// The standard score of 80 % confidence on both sides together.
pub const Z_80: f64 = 1.281_551_565_544_600_4;

/// A number that is known not exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its lower bound.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
}

impl Interval {
    /// Whether this number may be the one.
    pub fn holds(&self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }
}

/// The interval of a share of which `hits` of `trials` were seen, for a standard score `z`.
/// Without trials it is everything from 0 to 1.
///
/// Source: E. B. Wilson, *Probable inference, the law of succession, and statistical inference*,
/// Journal of the American Statistical Association 22 (1927).
pub fn wilson(hits: impl Into<u64>, trials: impl Into<u64>, z: f64) -> Interval {
    let (hits, trials) = (hits.into(), trials.into());
    if trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (n, z2) = (trials as f64, z * z);
    let share = hits.min(trials) as f64 / n;
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
        for (hits, trials) in [(6_u32, 6_u32), (9, 10), (16, 20), (34, 50), (62, 100)] {
            let low = |hits| wilson(hits, trials, Z_99_ONE_SIDED).low;
            assert!(low(hits) > 0.5, "{hits} of {trials}");
            assert!(low(hits - 1) <= 0.5, "{} of {trials}", hits - 1);
        }
    }

    #[test]
    fn the_interval_is_that_of_the_textbook() {
        let interval = wilson(8_u32, 10_u32, 1.96);
        assert!((interval.low - 0.4902).abs() < 1e-4, "{interval:?}");
        assert!((interval.high - 0.9433).abs() < 1e-4, "{interval:?}");
        let nothing = wilson(0_u32, 0_u32, 1.96);
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
