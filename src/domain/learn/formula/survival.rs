//! Survival: how durations are spread when some of them were cut short.
//!
//! A call that was cut at its timeout says only that it takes longer than that. Left out, it makes
//! the rest look fast; counted as its timeout, it makes the slow look faster than they are.

use std::collections::BTreeMap;

/// Durations by bin, weighted: those that came to their end and those that were cut short.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Survival {
    /// Bin to (ended, cut).
    bins: BTreeMap<i16, (f64, f64)>,
}

impl Survival {
    /// Adds so many that ended in this bin.
    pub fn ended(&mut self, bin: i16, weight: f64) {
        self.bins.entry(bin).or_default().0 += weight;
    }

    /// Adds so many that were cut in this bin.
    pub fn cut(&mut self, bin: i16, weight: f64) {
        self.bins.entry(bin).or_default().1 += weight;
    }

    /// Lets everything so far count less, by this factor; what no longer counts goes.
    pub fn fade(&mut self, factor: f64) {
        const NOTHING: f64 = 1e-6;
        self.bins.retain(|_, (ended, cut)| {
            (*ended, *cut) = (*ended * factor, *cut * factor);
            *ended + *cut > NOTHING
        });
    }

    /// How many there are, by weight.
    pub fn count(&self) -> f64 {
        self.bins.values().map(|(ended, cut)| ended + cut).sum()
    }

    /// The first bin beyond which at most a share 1 − `q` lasts; none where cuts hide it.
    ///
    /// Source: E. L. Kaplan & P. Meier, *Nonparametric estimation from incomplete observations*,
    /// Journal of the American Statistical Association 53 (1958). Within a bin, cuts come after
    /// ends.
    pub fn quantile(&self, q: f64) -> Option<i16> {
        let mut at_risk = self.count();
        let mut lasting = 1.0;
        for (&bin, &(ended, cut)) in &self.bins {
            if ended > 0.0 {
                lasting *= 1.0 - ended / at_risk;
            }
            // Rounding must not hide that the last of all ended.
            if lasting <= 1.0 - q + 1e-12 {
                return Some(bin);
            }
            at_risk -= ended + cut;
        }
        None
    }
}

/// The order statistic's share that bounds the `q` quantile of `count` observations from above
/// with 95 % confidence; none where there are too few to tell.
///
/// Source: the normal approximation of the binomial bound on order statistics, for instance
/// G. J. Hahn & W. Q. Meeker, *Statistical Intervals* (1991), §5.2: rank ⌈nq + 1.645√(nq(1 − q))⌉.
pub fn upper_share(q: f64, count: f64) -> Option<f64> {
    const Z_95_ONE_SIDED: f64 = 1.644_853_626_951_472_7;
    // Even the largest of n bounds the quantile only with confidence 1 − qⁿ.
    let enough = count * q.ln() <= 0.05_f64.ln();
    let rank = (count * q + Z_95_ONE_SIDED * (count * q * (1.0 - q)).sqrt()).ceil();
    (enough && rank <= count).then(|| rank / count)
}
