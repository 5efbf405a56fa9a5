//! Fisher's exact test of two shares, for counts too small for the normal approximation.

use super::share::Share;

/// Tables as likely as the observed one, but for rounding, count as equally likely.
const SAME: f64 = 1.0 + 1e-7;

/// A table this much less likely than the likeliest is impossible.
const NEGLIGIBLE: f64 = 1e-300;

/// The two-sided p-value: the probability, with all margins fixed, of every table that is no
/// likelier than the observed one.
///
/// The hypergeometric weights come from the ratio of neighbours, outwards from the likeliest
/// table, so that nothing overflows and no logarithm of a factorial is needed.
///
/// Source: R. A. Fisher, *Statistical Methods for Research Workers* (1934), §21.02; the two-sided
/// form is that of R's `fisher.test` and SciPy's `fisher_exact`.
pub fn p_value(one: Share, rest: Share) -> f64 {
    let (extreme, _) = probabilities(one, rest);
    extreme.min(1.0)
}

/// The same, of which the observed table counts half. The exact test errs on the safe side by as
/// much as one table holds, which is a lot where counts are small; this one is right on average.
///
/// Source: H. O. Lancaster, *Significance tests in discrete distributions*, Journal of the American
/// Statistical Association 56 (1961).
pub fn mid_p_value(one: Share, rest: Share) -> f64 {
    let (extreme, observed) = probabilities(one, rest);
    (extreme - 0.5 * observed).min(1.0)
}

/// The probability of all tables no likelier than the observed one, and of that one.
fn probabilities(one: Share, rest: Share) -> (f64, f64) {
    let weights = weights(one, rest);
    let seen = one.hits as f64;
    let same = |k: f64| (k - seen).abs() < 0.5;
    let observed = weights.iter().find(|(k, _)| same(*k)).map_or(0.0, |&(_, weight)| weight);
    let total: f64 = weights.iter().map(|&(_, weight)| weight).sum();
    let no_likelier = weights.iter().map(|&(_, weight)| weight).filter(|w| *w <= observed * SAME);
    (no_likelier.sum::<f64>() / total, observed / total)
}

/// Hits of the first group, and how likely they are, relative to the likeliest.
fn weights(one: Share, rest: Share) -> Vec<(f64, f64)> {
    let (n, m) = (one.trials as f64, rest.trials as f64);
    let hits = (one.hits + rest.hits) as f64;
    let (least, most) = ((hits - m).max(0.0), hits.min(n));
    // The weight of k + 1 hits in the first group over that of k.
    let up = |k: f64| (n - k) * (hits - k) / ((k + 1.0) * (m - hits + k + 1.0));
    let mode = (((n + 1.0) * (hits + 1.0) / (n + m + 2.0)).floor()).clamp(least, most);
    let mut weights = vec![(mode, 1.0)];
    let (mut k, mut weight) = (mode, 1.0);
    while k < most && weight > NEGLIGIBLE {
        weight *= up(k);
        k += 1.0;
        weights.push((k, weight));
    }
    (k, weight) = (mode, 1.0);
    while k > least && weight > NEGLIGIBLE {
        k -= 1.0;
        weight /= up(k);
        weights.push((k, weight));
    }
    weights
}
