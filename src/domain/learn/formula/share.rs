//! Two shares beside each other: how far apart they are, and whether chance alone does that.

use super::{fisher, tail};
use crate::domain::learn::interval::{Interval, wilson};

/// Below this many expected counts in any field of the table, the normal approximation is not
/// trusted. W. G. Cochran's rule (1954) says 5, which is right near 5 %. Whoever tests two hundred
/// settings looks at one in ten thousand instead, where counts of 5 are called unlikely five times
/// too often, for few failures are spread to one side.
const EXPECTED_AT_LEAST: f64 = 200.0;

/// So many hits of so many trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// How many hit; never more than the trials.
    pub hits: u64,
    /// All of them.
    pub trials: u64,
}

impl Share {
    /// `hits` of `trials`.
    pub const fn new(hits: u64, trials: u64) -> Self {
        Self { hits, trials }
    }

    /// Hits over trials; 0 without trials.
    pub fn rate(self) -> f64 {
        if self.trials == 0 { 0.0 } else { self.hits as f64 / self.trials as f64 }
    }

    /// Wilson's interval for a standard score `z`.
    pub fn wilson(self, z: f64) -> Interval {
        wilson(self.hits, self.trials, z)
    }

    /// The variance of one trial, p(1 − p).
    pub fn variance(self) -> f64 {
        self.rate() * (1.0 - self.rate())
    }

    /// Both together.
    pub const fn plus(self, other: Self) -> Self {
        Self { hits: self.hits + other.hits, trials: self.trials + other.trials }
    }
}

/// The interval of the difference `one − rest` from the two Wilson intervals.
///
/// Source: R. G. Newcombe, *Interval estimation for the difference between independent
/// proportions*, Statistics in Medicine 17 (1998), method 10.
pub fn difference(one: Share, rest: Share, z: f64) -> Interval {
    let (p, q) = (one.rate(), rest.rate());
    let (a, b) = (one.wilson(z), rest.wilson(z));
    Interval {
        low: p - q - (p - a.low).hypot(b.high - q),
        high: p - q + (a.high - p).hypot(q - b.low),
    }
}

/// The standard score of the difference `one − rest` if both had the pooled share; 0 where that
/// is 0 or 1.
///
/// Source: the two-proportion z test, for instance A. Agresti, *Categorical Data Analysis* (2002),
/// §3.2.1.
pub fn z_score(one: Share, rest: Share) -> f64 {
    let per_trial = one.plus(rest).variance();
    let error = (per_trial * (1.0 / one.trials as f64 + 1.0 / rest.trials as f64)).sqrt();
    if error > 0.0 { (one.rate() - rest.rate()) / error } else { 0.0 }
}

/// How likely two equal shares look at least this different: the z test, and Fisher's exact test
/// with mid-p where an expected count is below 200. 1 when either has no trials.
pub fn p_value(one: Share, rest: Share) -> f64 {
    if one.trials == 0 || rest.trials == 0 {
        return 1.0;
    }
    let pooled = one.plus(rest).rate();
    let fewest = one.trials.min(rest.trials) as f64 * pooled.min(1.0 - pooled);
    if fewest < EXPECTED_AT_LEAST {
        fisher::mid_p_value(one, rest)
    } else {
        tail::normal_two_sided(z_score(one, rest))
    }
}
