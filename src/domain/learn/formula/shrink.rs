//! Shrinkage: what the share of a small group most likely is, given all the other groups.
//!
//! The best of many small groups looks better than it is. Each share is drawn towards the mean of
//! all, the more so the fewer trials it has and the less the groups differ.

use super::share::Share;

/// How many trials' worth the common mean may weigh.
const WEIGHT: (f64, f64) = (2.0, 1_000.0);

/// A beta distribution of the shares of groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// Hits that each group is given in advance.
    pub hits: f64,
    /// Misses that each group is given in advance.
    pub misses: f64,
}

impl Prior {
    /// The prior of these groups, by the method of moments: their mean μ and the variance between
    /// them τ², less what binomial noise alone makes; then κ = μ(1 − μ)/τ² − 1 trials' worth,
    /// held between 2 and 1,000. None without trials.
    ///
    /// Source: the parametric empirical Bayes of C. N. Morris, Journal of the American Statistical
    /// Association 78 (1983), for beta-binomial groups weighted by their trials.
    pub fn of(groups: &[Share]) -> Option<Self> {
        let all = groups.iter().copied().fold(Share::default(), Share::plus);
        let (trials, mean) = (all.trials as f64, all.rate());
        if all.trials == 0 {
            return None;
        }
        let used = groups.iter().filter(|group| group.trials > 0);
        let (mut spread, mut noise) = (0.0, 0.0);
        for group in used {
            let weight = group.trials as f64 / trials;
            spread += weight * (group.rate() - mean).powi(2);
            noise += weight * all.variance() / group.trials as f64;
        }
        let between = (spread - noise).max(0.0);
        let weight = if between > 0.0 { all.variance() / between - 1.0 } else { WEIGHT.1 };
        let weight = weight.clamp(WEIGHT.0, WEIGHT.1);
        Some(Self { hits: mean * weight, misses: (1.0 - mean) * weight })
    }

    /// The share of a group, drawn towards the mean of all.
    pub fn shrink(&self, group: Share) -> f64 {
        (group.hits as f64 + self.hits) / (group.trials as f64 + self.hits + self.misses)
    }
}
