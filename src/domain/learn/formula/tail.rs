//! Tail probabilities: how likely chance alone makes a score this large.
//!
//! All are upper tails, computed as such, so that tiny ones keep their digits; none is ever one
//! minus something close to one.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use crate::domain::learn::interval::Z_95;

/// More terms than any of the expansions below needs.
const MAX_TERMS: u32 = 20_000;

/// Where an expansion stands still.
const PRECISION: f64 = 1e-16;

/// The probability that a standard normal variable exceeds `z`.
pub fn normal(z: f64) -> f64 {
    0.5 * erfc(z * FRAC_1_SQRT_2)
}

/// The probability that a standard normal variable is further from 0 than `z`, on either side.
pub fn normal_two_sided(z: f64) -> f64 {
    erfc(z.abs() * FRAC_1_SQRT_2)
}

/// The probability that a chi-square variable with one degree of freedom exceeds `x`: it is the
/// square of a standard normal one.
pub fn chi_square(x: f64) -> f64 {
    normal_two_sided(x.max(0.0).sqrt())
}

/// The probability that Student's t with `freedom` degrees of freedom is further from 0 than `t`,
/// on either side: the regularised incomplete beta function I(ν/2, ½) at ν/(ν + t²).
///
/// Source: Abramowitz & Stegun, *Handbook of Mathematical Functions*, 26.7.1 and 26.5.27.
pub fn student_two_sided(t: f64, freedom: f64) -> f64 {
    let square = t * t;
    let (a, b) = (0.5 * freedom, 0.5);
    let x = freedom / (freedom + square);
    // ln of xᵃ (1 − x)ᵇ / B(a, b), with 1 − x and ln x where they lose no digits.
    let complement = square / (freedom + square);
    let front = (-a * (square / freedom).ln_1p() + b * complement.ln() - ln_beta_half(a)).exp();
    if square <= 0.0 {
        1.0
    } else if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, complement) / b
    }
}

/// The `t` that Student's t exceeds on either side with probability `p`.
///
/// The tail is convex in `t`, so that Newton's steps from below approach it and cannot miss. It is
/// never below that of a normal variable.
pub fn student_quantile(p: f64, freedom: f64) -> f64 {
    let a = 0.5 * freedom;
    let top = -0.5 * freedom.ln() - ln_beta_half(a);
    let mut t = if p <= 0.05 { Z_95 } else { 0.0 };
    for _ in 0..200 {
        let density = (top - (a + 0.5) * (t * t / freedom).ln_1p()).exp();
        let step = (student_two_sided(t, freedom) - p) / (2.0 * density);
        t += step;
        if step <= t * 1e-14 {
            break;
        }
    }
    t
}

/// The complementary error function: its series near 0, its continued fraction further out.
///
/// Source: Abramowitz & Stegun 7.1.6 and 7.1.14.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    let front = (-x * x).exp() / PI.sqrt();
    if x < 2.0 {
        let (mut term, mut sum) = (2.0 * x, 2.0 * x);
        for n in 1..MAX_TERMS {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
            if term < sum * PRECISION {
                break;
            }
        }
        return 1.0 - front * sum;
    }
    // From the inside out; 120 terms suffice from x = 2 on.
    let tail = (1..=120).rev().fold(0.0, |tail, n| 0.5 * f64::from(n) / (x + tail));
    front / (x + tail)
}

/// The continued fraction of the incomplete beta function, evaluated by Lentz' method.
///
/// Source: Abramowitz & Stegun 26.5.8.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let mut fraction = 1.0;
    let mut above = 1.0;
    let mut below = 1.0 / (1.0 - (a + b) * x / (a + 1.0));
    fraction *= below;
    for m in 1..MAX_TERMS {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            below = 1.0 / (1.0 + term * below);
            above = 1.0 + term / above;
            change = below * above;
            fraction *= change;
        }
        if (change - 1.0).abs() < PRECISION {
            break;
        }
    }
    fraction
}

/// ln B(a, ½) = ln Γ(a) + ln Γ(½) − ln Γ(a + ½), shifted to where Stirling's series is exact and
/// with the large parts cancelled before they are computed.
///
/// Source: Abramowitz & Stegun 6.1.15 and 6.1.41.
fn ln_beta_half(a: f64) -> f64 {
    let (mut a, mut shift) = (a, 0.0);
    while a < 10.0 {
        // Γ(a)/Γ(a + ½) = Γ(a + 1)/Γ(a + 3/2) · (a + ½)/a
        shift += (0.5 / a).ln_1p();
        a += 1.0;
    }
    let ratio = 0.5 - a * (0.5 / a).ln_1p() - 0.5 * a.ln();
    shift + 0.5 * PI.ln() + ratio + stirling(a) - stirling(a + 0.5)
}

/// What Stirling's formula leaves of ln Γ, for `x` from 10 up.
fn stirling(x: f64) -> f64 {
    const BERNOULLI: [f64; 7] = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
        1.0 / 156.0,
    ];
    let inverse_square = 1.0 / (x * x);
    BERNOULLI.iter().rev().fold(0.0, |sum, term| sum * inverse_square + term) / x
}
