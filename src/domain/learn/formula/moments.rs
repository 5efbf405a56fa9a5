//! Sums that give means: number, sum and sum of squares, which add up in any order.

use super::tail;
use crate::domain::learn::interval::Interval;

/// So many numbers, their sum and the sum of their squares.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    /// How many.
    pub count: u64,
    /// The sum of the squares of how many each stands for: as many, where each stands for itself.
    pub weight_squares: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sum_of_squares: f64,
}

impl Moments {
    /// Adds one number.
    pub fn record(&mut self, x: f64) {
        self.record_weighed(x, 1);
    }

    /// Adds one number that stands for so many.
    pub fn record_weighed(&mut self, x: f64, weight: u32) {
        let times = f64::from(weight);
        self.count += u64::from(weight);
        self.weight_squares += u64::from(weight).pow(2);
        self.sum += times * x;
        self.sum_of_squares += times * x * x;
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.weight_squares += other.weight_squares;
        self.sum += other.sum;
        self.sum_of_squares += other.sum_of_squares;
    }

    /// What is left without a part of it.
    #[must_use]
    pub fn without(&self, part: &Self) -> Self {
        Self {
            count: self.count.saturating_sub(part.count),
            weight_squares: self.weight_squares.saturating_sub(part.weight_squares),
            sum: self.sum - part.sum,
            sum_of_squares: self.sum_of_squares - part.sum_of_squares,
        }
    }

    /// As many numbers, each standing for itself, as would tell as much of the mean: (Σw)²/Σw².
    ///
    /// Source: L. Kish, *Survey Sampling* (1965), §8.2.
    #[must_use]
    pub fn effective(&self) -> Self {
        if self.weight_squares == self.count {
            return *self;
        }
        let count = self.count as f64;
        let told = whole(count * count / self.weight_squares as f64, self.count);
        let part = told as f64 / count;
        Self {
            count: told,
            weight_squares: told,
            sum: part * self.sum,
            sum_of_squares: part * self.sum_of_squares,
        }
    }

    /// Their mean; none without numbers.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Their variance, with n − 1; none below two numbers.
    pub fn variance(&self) -> Option<f64> {
        let n = self.count as f64;
        let squares = self.sum_of_squares - self.sum * self.sum / n;
        (self.count > 1).then(|| (squares / (n - 1.0)).max(0.0))
    }
}

/// The nearest whole number up to `most`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and a count, which is exact below 2^53"
)]
pub(in crate::domain::learn) fn whole(x: f64, most: u64) -> u64 {
    (x.round().max(0.0) as u64).min(most)
}

/// Two means beside each other, whose variances may differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Welch {
    /// The first mean less the second.
    pub difference: f64,
    /// The standard error of the difference.
    pub error: f64,
    /// Degrees of freedom.
    pub freedom: f64,
}

impl Welch {
    /// Compares `one` with `rest`; none where either has fewer than two numbers, or neither varies.
    pub fn of(one: &Moments, rest: &Moments) -> Option<Self> {
        Self::with((one, one.variance()?), (rest, rest.variance()?))
    }

    /// The same with these variances of one number.
    ///
    /// Source: B. L. Welch, *The generalization of "Student's" problem when several different
    /// population variances are involved*, Biometrika 34 (1947).
    pub fn with((one, of_one): (&Moments, f64), (rest, of_rest): (&Moments, f64)) -> Option<Self> {
        let (n, m) = (one.count as f64, rest.count as f64);
        if n < 2.0 || m < 2.0 {
            return None;
        }
        let (a, b) = (of_one / n, of_rest / m);
        let freedom = (a + b) * (a + b) / (a * a / (n - 1.0) + b * b / (m - 1.0));
        (a + b > 0.0).then_some(Self {
            difference: one.mean()? - rest.mean()?,
            error: (a + b).sqrt(),
            freedom,
        })
    }

    /// How likely equal means look at least this different.
    pub fn p_value(&self) -> f64 {
        tail::student_two_sided(self.difference / self.error, self.freedom)
    }

    /// The interval of the difference that misses it with probability `alpha`.
    pub fn interval(&self, alpha: f64) -> Interval {
        let spread = tail::student_quantile(alpha, self.freedom) * self.error;
        Interval { low: self.difference - spread, high: self.difference + spread }
    }
}
