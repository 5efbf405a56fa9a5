//! A mergeable histogram of durations: sparse, logarithmic, 16 bins to the octave.
//!
//! A duration of `x` µs falls into bin ⌊16·log2(max(x, 1))⌋ and is reported as the bin's middle,
//! 2^((bin + ½)/16) µs, so that no quantile is off by more than 2^(1/32) − 1 = 2.2 %. Merging adds
//! counts, so order and grouping do not matter.

use std::collections::BTreeMap;

/// Bins to the octave.
const BINS_PER_OCTAVE: f64 = 16.0;

/// Counts of durations by bin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    bins: BTreeMap<i16, u64>,
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration_us: u64) {
        self.record_many(duration_us, 1);
    }

    /// Counts a duration that stands for `count` calls.
    pub fn record_many(&mut self, duration_us: u64, count: u64) {
        *self.bins.entry(bin_of(duration_us)).or_default() += count;
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (&bin, &count) in &other.bins {
            *self.bins.entry(bin).or_default() += count;
        }
    }

    /// How many durations it holds.
    pub fn count(&self) -> u64 {
        self.bins.values().sum()
    }

    /// The duration in µs below which a share `q` (0 to 1) lies; none when empty.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let total = self.count();
        let rank = rank_of(q, total)?;
        let mut below = 0;
        for (&bin, &count) in &self.bins {
            below += count;
            if below >= rank {
                return Some(middle_of(bin));
            }
        }
        None
    }

    /// The mean duration in µs; none when empty.
    #[expect(clippy::cast_precision_loss, reason = "a bin's error dwarfs the rounding")]
    pub fn mean(&self) -> Option<f64> {
        let sum: f64 = self.bins().map(|(bin, count)| middle_of(bin) as f64 * count as f64).sum();
        let count = self.count();
        (count > 0).then(|| sum / count as f64)
    }

    /// The bins with their counts, in order, for the stores.
    pub fn bins(&self) -> impl Iterator<Item = (i16, u64)> + '_ {
        self.bins.iter().map(|(&bin, &count)| (bin, count))
    }

    /// Durations in µs, each the middle of a bin, with their counts, in order.
    pub fn durations(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.bins().map(|(bin, count)| (middle_of(bin), count))
    }

    /// The histogram with these bins; a bin named twice counts twice.
    pub fn from_bins(bins: impl IntoIterator<Item = (i16, u64)>) -> Self {
        let mut histogram = Self::default();
        for (bin, count) in bins {
            *histogram.bins.entry(bin).or_default() += count;
        }
        histogram
    }
}

/// The bin of a duration. At most 16 × 64, so it always fits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the logarithm of a u64 is below 64; a bin's error dwarfs the rounding"
)]
fn bin_of(duration_us: u64) -> i16 {
    (BINS_PER_OCTAVE * (duration_us.max(1) as f64).log2()).floor() as i16
}

/// Where a bin ends, in µs: no duration in it is longer.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a saturating cast of a positive number"
)]
pub(super) fn end_of(bin: i16) -> u64 {
    ((f64::from(bin) + 1.0) / BINS_PER_OCTAVE).exp2().ceil() as u64
}

/// The middle of a bin, in µs.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a saturating cast of a positive number"
)]
pub(super) fn middle_of(bin: i16) -> u64 {
    ((f64::from(bin) + 0.5) / BINS_PER_OCTAVE).exp2().round() as u64
}

/// The rank of a quantile: the smallest whole number at or above `q × total`, at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "counts stay far below 2^52"
)]
fn rank_of(q: f64, total: u64) -> Option<u64> {
    (total > 0).then(|| ((q.clamp(0.0, 1.0) * total as f64).ceil() as u64).clamp(1, total))
}

#[cfg(test)]
mod tests {
    use super::Histogram;
    use proptest::prelude::{any, proptest};

    fn of(durations: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        durations.iter().for_each(|&us| histogram.record(us));
        histogram
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn merging_is_the_same_as_recording_everything(a: Vec<u64>, b: Vec<u64>) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let together: Vec<u64> = a.iter().chain(&b).copied().collect();
            assert_eq!(merged, of(&together));
            assert_eq!(Histogram::from_bins(merged.bins()), merged);
        }

        #[test]
        fn a_quantile_is_off_by_at_most_two_and_a_half_percent(us in 50_u64..1_000_000_000_000, q in 0.0_f64..=1.0) {
            let reported = of(&[us]).quantile(q).unwrap();
            assert!(reported.abs_diff(us) * 1000 <= us * 25, "{us} reported as {reported}");
        }

        #[test]
        fn quantiles_never_fall(durations in proptest::collection::vec(any::<u64>(), 1..50)) {
            let histogram = of(&durations);
            let quantiles: Vec<_> = (0..=10).map(|tenth| histogram.quantile(f64::from(tenth) / 10.0)).collect();
            assert!(quantiles.is_sorted());
        }
    }
}
