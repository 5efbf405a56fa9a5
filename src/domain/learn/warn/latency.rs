//! "Calls take longer than they used to, since 14:02": a change of the latency, minute by minute.
//!
//! A minute is judged by the logarithm of its p95, in robust standard scores of the minutes before,
//! and adds the evidence that the mean has moved up by one standard deviation. One wild minute
//! counts no more than a bad one, and minutes that are much like the one before count for less than
//! as many that are not.

use super::cusum::{Change, Cusum};
use crate::domain::learn::formula::trend::median;

/// The evidence at which it alarms.
pub const LIMIT: f64 = 10.0;

/// Minutes without which nothing is usual.
const ENOUGH: usize = 30;

/// The spread that steady latencies have all the same: 3 %, about a bin of the histogram.
const LEAST_SPREAD: f64 = 0.03;

/// A minute counts for no more standard scores than this.
const WILDEST: f64 = 4.0;

/// Neighbouring minutes are taken to be correlated no more than this.
const MOST_ALIKE: f64 = 0.9;

/// The median absolute deviation of a normal variable is its standard deviation over this.
const NORMAL: f64 = 1.482_602_218_505_602;

/// What is usual: the middle of some numbers and their spread, neither moved by a few wild ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usual {
    middle: f64,
    spread: f64,
}

impl Usual {
    /// The median and the scaled median absolute deviation, held above `least`. None of none.
    ///
    /// Source: F. R. Hampel, *The influence curve and its role in robust estimation*, Journal of
    /// the American Statistical Association 69 (1974).
    pub fn of(values: &[f64], least: f64) -> Option<Self> {
        let middle = median(values.iter().copied())?;
        let deviation = median(values.iter().map(|value| (value - middle).abs()))?;
        Some(Self { middle, spread: (NORMAL * deviation).max(least) })
    }

    /// How many standard scores a number lies above the middle.
    pub fn score(&self, x: f64) -> f64 {
        (x - self.middle) / self.spread
    }
}

/// Watches the latency of one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    usual: Usual,
    cusum: Cusum,
}

impl Watch {
    /// Watches for a change from these minutes' p95; none where they are too few.
    pub fn after(p95_us: &[u64]) -> Option<Self> {
        let logs: Vec<f64> = p95_us.iter().map(|&us| ln(us)).collect();
        let usual = Usual::of(&logs, LEAST_SPREAD).filter(|_| logs.len() >= ENOUGH)?;
        let scores: Vec<f64> = logs.iter().map(|ln| usual.score(*ln)).collect();
        let usual = Usual { spread: usual.spread * inflation(&scores), ..usual };
        Some(Self { usual, cusum: Cusum::new(LIMIT) })
    }

    /// The usual p95, in µs.
    pub fn usual_us(&self) -> f64 {
        self.usual.middle.exp()
    }

    /// Whether calls take longer than usual.
    pub fn is_alarmed(&self) -> bool {
        self.cusum.is_alarmed()
    }

    /// A minute ended, with this p95.
    pub fn record(&mut self, p95_us: u64, at: i64) -> Option<Change> {
        let score = self.usual.score(ln(p95_us)).clamp(-WILDEST, WILDEST);
        self.cusum.add(score - 0.5, at)
    }
}

/// By how much sums of scores spread more than if each were independent of the one before:
/// √((1 + φ)/(1 − φ)) for a correlation φ of neighbours.
///
/// Source: R. A. Johnson & M. Bagshaw, *The effect of serial correlation on the performance of
/// CUSUM tests*, Technometrics 16 (1974).
fn inflation(scores: &[f64]) -> f64 {
    let tame = |score: &f64| score.clamp(-WILDEST, WILDEST);
    let neighbours = scores.iter().zip(scores.iter().skip(1));
    let together: f64 = neighbours.map(|(a, b)| tame(a) * tame(b)).sum();
    let alone: f64 = scores.iter().map(|score| tame(score).powi(2)).sum();
    let alike = if alone > 0.0 { (together / alone).clamp(0.0, MOST_ALIKE) } else { 0.0 };
    ((1.0 + alike) / (1.0 - alike)).sqrt()
}

fn ln(us: u64) -> f64 {
    (us.max(1) as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::{Usual, Watch};
    use crate::domain::learn::warn::cusum::Change;

    /// Minutes of about 100 ms, with a spread of 5 %.
    fn usual() -> Vec<u64> {
        (0..240).map(|minute| 95_000 + 10_000 * (minute * 7 % 11) / 10).collect()
    }

    #[test]
    fn a_slowdown_is_noticed_within_three_minutes_and_so_is_its_end() {
        let mut watch = Watch::after(&usual()).unwrap();
        assert!((0..60).all(|at| watch.record(100_000, at).is_none()));
        let began = (60..).find_map(|at| Some((at, watch.record(150_000, at)?))).unwrap();
        assert_eq!(began, (62, Change::Began { since: 60 }));
        let ended = (63..).find_map(|at| Some((at, watch.record(100_000, at)?))).unwrap();
        assert_eq!(ended.1, Change::Ended { since: 63 });
        assert!(ended.0 < 63 + 30 && !watch.is_alarmed(), "{}", ended.0);
    }

    #[test]
    fn one_wild_minute_is_no_change() {
        let mut watch = Watch::after(&usual()).unwrap();
        assert_eq!(watch.record(60_000_000, 0), None);
        assert!((1..60).all(|at| watch.record(100_000, at).is_none()));
    }

    #[test]
    fn too_few_minutes_make_nothing_usual() {
        assert_eq!(Watch::after(&usual()[..29]), None);
        assert_eq!(Usual::of(&[], 0.1), None);
    }
}
