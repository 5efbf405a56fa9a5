//! Trends that a few outliers cannot make: the median of all slopes.

use crate::domain::learn::interval::Interval;

/// A slope, its interval, and how much of the variation a straight line explains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// The median slope over all pairs.
    pub slope: f64,
    /// Its interval.
    pub interval: Interval,
    /// The share of the variance that the line of this slope explains; at most 1.
    pub explained: f64,
}

/// The trend of `y` over `x`, in any order, with the interval for a standard score `z`. None below
/// three different `x`.
///
/// Source: H. Theil, *A rank-invariant method of linear and polynomial regression analysis* (1950);
/// P. K. Sen, *Estimates of the regression coefficient based on Kendall's tau*, Journal of the
/// American Statistical Association 63 (1968), eq. (2.6) for the interval, ties included.
pub fn theil_sen(points: &[(f64, f64)], z: f64) -> Option<Trend> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (at, &(x, y)) in points.iter().enumerate() {
        for &(later, higher) in &points[at + 1..] {
            if (later - x).abs() > 0.0 {
                slopes.push((higher - y) / (later - x));
            }
        }
    }
    if slopes.len() < 3 {
        return None;
    }
    slopes.sort_by(f64::total_cmp);
    let slope = middle(&slopes);
    let ties = |values: Vec<f64>| tie_term(values);
    let n = points.len() as f64;
    let variance = (n * (n - 1.0) * (2.0 * n + 5.0)
        - ties(points.iter().map(|point| point.0).collect())
        - ties(points.iter().map(|point| point.1).collect()))
        / 18.0;
    let (count, reach) = (slopes.len() as f64, z * variance.max(0.0).sqrt());
    let interval = Interval {
        low: nth(&slopes, ((count - reach) / 2.0).round() - 1.0),
        high: nth(&slopes, ((count + reach) / 2.0).round()),
    };
    Some(Trend { slope, interval, explained: explained(points, slope) })
}

/// The median of numbers; none of none.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| middle(&sorted))
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        0.5 * (sorted[half - 1] + sorted[half])
    } else {
        sorted[half]
    }
}

/// The value at a place that may lie outside.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the length of a slice"
)]
fn nth(sorted: &[f64], place: f64) -> f64 {
    sorted[place.clamp(0.0, (sorted.len() - 1) as f64) as usize]
}

/// Σ t(t − 1)(2t + 5) over the groups of equal values.
fn tie_term(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .chunk_by(|a, b| a.total_cmp(b).is_eq())
        .map(|group| {
            let t = group.len() as f64;
            t * (t - 1.0) * (2.0 * t + 5.0)
        })
        .sum()
}

/// R² of the line with this slope through the medians.
fn explained(points: &[(f64, f64)], slope: f64) -> f64 {
    let residuals: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
    let centre = median(residuals.iter().copied()).unwrap_or_default();
    let mean = points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64;
    let left: f64 = residuals.iter().map(|residual| (residual - centre).powi(2)).sum();
    let all: f64 = points.iter().map(|point| (point.1 - mean).powi(2)).sum();
    if all > 0.0 { 1.0 - left / all } else { 0.0 }
}
