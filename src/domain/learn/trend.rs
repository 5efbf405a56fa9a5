//! Whether something became more or less frequent than it was: counts of one stretch of time held
//! against those of the stretch before.
//!
//! Called a change is only what chance would hardly make: the 95 % intervals of both shares must
//! lie apart. That is careful, and asks for no number of calls: few calls have wide intervals.

use super::interval::{Interval, wilson};

/// How a share moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// It is higher than it was.
    Rising,
    /// There is no change that could not be chance.
    Steady,
    /// It is lower than it was.
    Falling,
}

impl Trend {
    /// How `now` compares with `before`, each as hits and trials. None where one has no trials.
    pub fn of(now: (u64, u64), before: (u64, u64)) -> Option<Self> {
        let (now, before) = (share(now.0, now.1)?, share(before.0, before.1)?);
        Some(match (now.low > before.high, now.high < before.low) {
            (true, _) => Self::Rising,
            (_, true) => Self::Falling,
            _ => Self::Steady,
        })
    }

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rising => "rising",
            Self::Steady => "steady",
            Self::Falling => "falling",
        }
    }
}

/// The 95 % interval of a share; none of nothing.
pub fn share(hits: u64, trials: u64) -> Option<Interval> {
    // Beyond four billion trials the interval is narrower than anything that is shown.
    let excess = (u64::BITS - trials.leading_zeros()).saturating_sub(u32::BITS);
    let scaled = |count: u64| u32::try_from(count >> excess).unwrap_or(u32::MAX);
    (trials > 0).then(|| wilson(scaled(hits), scaled(trials), Z_95))
}

/// The standard score of 95 % confidence on both sides together.
const Z_95: f64 = 1.959_963_984_540_054;

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::{Trend, share};

    #[test]
    fn a_change_is_told_only_where_chance_would_hardly_make_it() {
        for (now, before, expected) in [
            ((50, 100), (10, 100), Some(Trend::Rising)),
            ((10, 100), (50, 100), Some(Trend::Falling)),
            ((12, 100), (10, 100), Some(Trend::Steady)),
            ((3, 3), (0, 3), Some(Trend::Steady)),
            ((6, 10), (0, 1_000), Some(Trend::Rising)),
            ((0, 0), (5, 10), None),
            ((5, 10), (0, 0), None),
        ] {
            assert_eq!(Trend::of(now, before), expected, "{now:?} after {before:?}");
        }
    }

    #[test]
    fn the_interval_of_eight_in_ten_is_that_of_the_textbook() {
        // statsmodels.stats.proportion.proportion_confint(8, 10, method="wilson")
        let interval = share(8, 10).unwrap();
        assert!((interval.low - 0.490_162_471_536_642_3).abs() < 1e-9, "{interval:?}");
        assert!((interval.high - 0.943_317_848_545_624_7).abs() < 1e-9, "{interval:?}");
        assert_eq!(share(0, 0), None);
    }

    proptest! {
        #[test]
        fn what_rises_one_way_falls_the_other(a in 0_u64..500, b in 0_u64..500, n in 1_u64..500, m in 1_u64..500) {
            let (now, before) = ((a.min(n), n), (b.min(m), m));
            let turned = match Trend::of(now, before).unwrap() {
                Trend::Rising => Trend::Falling,
                Trend::Steady => Trend::Steady,
                Trend::Falling => Trend::Rising,
            };
            assert_eq!(Trend::of(before, now), Some(turned));
        }

        #[test]
        fn a_share_of_very_many_is_as_good_as_known(hits in 0_u64..1_u64 << 50) {
            let interval = share(hits, 1 << 50).unwrap();
            assert!(interval.high - interval.low < 1e-4);
        }
    }
}
