//! How many times likelier: the ratio of two shares, and what part of all hits it explains.

use super::share::Share;
use crate::domain::learn::interval::Interval;

/// The ratio of the share of `one` to that of `rest`, with its interval for a standard score `z`.
/// Where a group has no hits, half a hit is added to each.
///
/// Source: D. Katz et al., *Obtaining confidence intervals for the risk ratio in cohort studies*,
/// Biometrics 34 (1978), method C.
pub fn risk_ratio(one: Share, rest: Share, z: f64) -> (f64, Interval) {
    let half = if one.hits == 0 || rest.hits == 0 { 0.5 } else { 0.0 };
    let (f1, n1) = (one.hits as f64 + half, one.trials as f64 + half);
    let (f0, n0) = (rest.hits as f64 + half, rest.trials as f64 + half);
    let ratio = (f1 / n1) / (f0 / n0);
    let error = (1.0 / f1 - 1.0 / n1 + 1.0 / f0 - 1.0 / n0).max(0.0).sqrt();
    let factor = (z * error).exp();
    (ratio, Interval { low: ratio / factor, high: ratio * factor })
}

/// The part of all hits that would be gone if `one` had the share of `rest`; negative where `one`
/// has fewer. None when there are no hits.
///
/// Source: O. S. Miettinen, *Proportion of disease caused or prevented by a given exposure*,
/// American Journal of Epidemiology 99 (1974): (hits of `one` / all hits) · (RR − 1)/RR, which is
/// computed here without the division by RR.
pub fn attributable(one: Share, rest: Share) -> Option<f64> {
    let all = one.hits + rest.hits;
    let excess = one.hits as f64 - one.trials as f64 * rest.rate();
    (all > 0).then(|| excess / all as f64)
}
