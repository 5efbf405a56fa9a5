//! Comparing within strata: like with like, so that a mixture of groups cannot pose as an effect.

use super::{share::Share, tail};

/// A stratum in which either group is smaller than this compares nothing.
const OVERLAP: u64 = 5;

/// A difference seen in one stratum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Within {
    /// Observations of the group.
    pub one: u64,
    /// Observations of the rest.
    pub rest: u64,
    /// The group's mean less that of the rest.
    pub difference: f64,
    /// The square of its standard error.
    pub variance: f64,
}

impl Within {
    /// The difference of two shares.
    pub fn of_shares(one: Share, rest: Share) -> Self {
        let error = |share: Share| share.variance() / share.trials.max(1) as f64;
        Self {
            one: one.trials,
            rest: rest.trials,
            difference: one.rate() - rest.rate(),
            variance: error(one) + error(rest),
        }
    }

    const fn overlaps(&self) -> bool {
        self.one >= OVERLAP && self.rest >= OVERLAP
    }
}

/// A difference put together from strata.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adjusted {
    /// The weighted difference.
    pub difference: f64,
    /// Its standard error.
    pub error: f64,
    /// The strata that hold enough of both groups.
    pub strata: usize,
    /// The share of all observations in these.
    pub kept: f64,
}

/// The difference over all strata that hold at least 5 of both groups, each weighted by
/// n₁n₀/(n₁ + n₀). None where no stratum does.
///
/// Source: N. Mantel & W. Haenszel, Journal of the National Cancer Institute 22 (1959), for the
/// weights; W. G. Cochran, Biometrics 10 (1954), for the difference and the variance Σw²v/(Σw)².
pub fn adjusted(strata: &[Within]) -> Option<Adjusted> {
    let all: u64 = strata.iter().map(|within| within.one + within.rest).sum();
    let (mut weights, mut sum, mut squares, mut kept, mut count) = (0.0, 0.0, 0.0, 0, 0);
    for within in strata.iter().filter(|within| within.overlaps()) {
        let (n, m) = (within.one as f64, within.rest as f64);
        let weight = n * m / (n + m);
        weights += weight;
        sum += weight * within.difference;
        squares += weight * weight * within.variance;
        kept += within.one + within.rest;
        count += 1;
    }
    (count > 0).then(|| Adjusted {
        difference: sum / weights,
        error: squares.sqrt() / weights,
        strata: count,
        kept: kept as f64 / all as f64,
    })
}

/// How likely the shares look at least this different if they are equal in every stratum: the
/// Cochran-Mantel-Haenszel test of pairs (group, rest). 1 where the outcome does not vary.
///
/// Without continuity correction, which makes it miss small effects: it is asked in addition to
/// the test of all together, and that one is exact where counts are small.
///
/// Source: N. Mantel & W. Haenszel (1959), as above; A. Agresti, *Categorical Data Analysis*
/// (2002), §6.3.2.
pub fn p_value(strata: &[(Share, Share)]) -> f64 {
    let (mut excess, mut variance) = (0.0, 0.0);
    for &(one, rest) in strata {
        let both = one.plus(rest);
        let (n, m, total) = (one.trials as f64, rest.trials as f64, both.trials as f64);
        if both.trials < 2 {
            continue;
        }
        excess += one.hits as f64 - n * both.rate();
        variance += n * m * both.variance() / (total - 1.0);
    }
    if variance > 0.0 { tail::chi_square(excess * excess / variance) } else { 1.0 }
}
