//! A cell: what is left of some tasks when they are added up for learning.
//!
//! Everything in it is a count or a sum, so cells add up in any order and in any portions, and a
//! group's rest is the whole without it.

use std::time::Duration;

use super::formula::{moments::Moments, share::Share};

/// One task, as far as learning is concerned. Only tasks whose end says something about their
/// parameters belong here: not those that Fusebox refused, that never reached the upstream, or that
/// the caller gave up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Whether it succeeded.
    pub succeeded: bool,
    /// How long it took.
    pub duration: Duration,
    /// Its impact, 0 to 100, when it was scored.
    pub impact: Option<f64>,
    /// What it cost, when that is known; unknown is not free.
    pub cost: Option<f64>,
}

/// The sum of some tasks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cell {
    /// How many.
    pub tasks: u64,
    /// Those that succeeded.
    pub successes: u64,
    /// The impact of those that were scored.
    pub impact: Moments,
    /// The logarithm of the seconds that successful ones took: to fail fast is not to be fast.
    pub ln_duration: Moments,
    /// The cost of those whose cost is known.
    pub cost: Cost,
}

/// The cost of some tasks, failed ones included, with what its error needs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// What each cost.
    pub each: Moments,
    /// How many of these succeeded.
    pub successes: u64,
    /// What those cost together.
    pub of_successes: f64,
}

impl Cell {
    /// Adds one task.
    pub fn record(&mut self, task: &Observation) {
        self.tasks += 1;
        if task.succeeded {
            self.successes += 1;
            self.ln_duration.record(task.duration.as_secs_f64().max(1e-6).ln());
        }
        if let Some(impact) = task.impact {
            self.impact.record(impact);
        }
        if let Some(cost) = task.cost {
            self.cost.each.record(cost);
            if task.succeeded {
                self.cost.successes += 1;
                self.cost.of_successes += cost;
            }
        }
    }

    /// Adds the tasks of another.
    pub fn merge(&mut self, other: &Self) {
        self.tasks += other.tasks;
        self.successes += other.successes;
        self.impact.merge(&other.impact);
        self.ln_duration.merge(&other.ln_duration);
        self.cost.each.merge(&other.cost.each);
        self.cost.successes += other.cost.successes;
        self.cost.of_successes += other.cost.of_successes;
    }

    /// What is left without a part of it.
    #[must_use]
    pub fn without(&self, part: &Self) -> Self {
        Self {
            tasks: self.tasks.saturating_sub(part.tasks),
            successes: self.successes.saturating_sub(part.successes),
            impact: self.impact.without(&part.impact),
            ln_duration: self.ln_duration.without(&part.ln_duration),
            cost: Cost {
                each: self.cost.each.without(&part.cost.each),
                successes: self.cost.successes.saturating_sub(part.cost.successes),
                of_successes: self.cost.of_successes - part.cost.of_successes,
            },
        }
    }

    /// Its successes as a share.
    pub const fn share(&self) -> Share {
        Share::new(self.successes, self.tasks)
    }

    /// The geometric mean of the seconds that successful tasks took.
    pub fn typical_seconds(&self) -> Option<f64> {
        self.ln_duration.mean().map(f64::exp)
    }
}

impl Cost {
    /// What one success costs, failures included; none without successes.
    pub fn per_success(&self) -> Option<f64> {
        (self.successes > 0).then(|| self.each.sum / self.successes as f64)
    }

    /// The variance of one task's part in the logarithm of the cost per success, by the delta
    /// method: var(c)/c̄² + var(s)/s̄² − 2 cov(c, s)/(c̄ s̄).
    ///
    /// Source: W. G. Cochran, *Sampling Techniques* (1977), §6.4, the ratio of two means.
    pub fn ln_variance(&self) -> Option<f64> {
        let (n, mean) = (self.each.count as f64, self.each.mean()?);
        let share = self.successes as f64 / n;
        if self.successes == 0 || mean <= 0.0 {
            return None;
        }
        let unbiased = n / (n - 1.0);
        let of_cost = self.each.variance()? / (mean * mean);
        let of_share = unbiased * (1.0 - share) / share;
        let covariance = unbiased * (self.of_successes / n - mean * share);
        Some((of_cost + of_share - 2.0 * covariance / (mean * share)).max(0.0))
    }
}
