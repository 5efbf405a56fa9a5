//! Confidence sequences: intervals that hold at every look, not only at one chosen in advance.
//!
//! Whoever looks at a test each day and stops at the first significant one finds something in the
//! end, always. A confidence sequence is wide enough to hold at all looks at once.

/// The sequence is tightest near this many observations.
const TUNED_FOR: f64 = 100.0;

/// Half the width around a mean of `count` observations with variance `variance`, so that with
/// probability 1 − `alpha` no look ever misses the true mean. Infinite without observations.
///
/// Source: I. Waudby-Smith et al., *Time-uniform central limit theory and asymptotic confidence
/// sequences*, Annals of Statistics 52 (2024), eq. (9), with the width tuned as in its appendix
/// B.2.
pub fn half_width(count: u64, variance: f64, alpha: f64) -> f64 {
    if count == 0 {
        return f64::INFINITY;
    }
    let n = count as f64;
    let ln_alpha = -2.0 * alpha.ln();
    let rho_square = (ln_alpha + ln_alpha.ln() + 1.0) / TUNED_FOR;
    let inner = n * variance * rho_square + 1.0;
    (inner / (n * n * rho_square) * (inner / (alpha * alpha)).ln()).sqrt()
}

/// Whether the difference of two means, of which each is observed with its own sequence, is not 0
/// at any look. `one` and `rest` are (observations, variance).
///
/// Means are measured in their own standard deviations, so that it does not matter in what they are
/// counted. The two half widths are added as independent errors are, each at half of `alpha`; the
/// sum would be the strict form.
pub fn tells_apart(difference: f64, one: (u64, f64), rest: (u64, f64), alpha: f64) -> bool {
    let width =
        |(count, variance): (u64, f64)| variance.sqrt() * half_width(count, 1.0, alpha / 2.0);
    difference.abs() > width(one).hypot(width(rest))
}
