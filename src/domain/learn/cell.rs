//! A cell: what is left of some tasks when they are added up for learning.
//!
//! Everything in it is a count or a sum, so cells add up in any order and in any portions, and a
//! group's rest is the whole without it.

use std::time::Duration;

use super::formula::{moments::Moments, share::Share, weighed::Weighed};

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
    /// The sum of the squares of how many each stands for: as many, where each stands for itself.
    pub weight_squares: u64,
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
        self.record_weighed(task, 1);
    }

    /// Adds one task that stands for so many: the others were left out where rows are thinned.
    pub fn record_weighed(&mut self, task: &Observation, weight: u32) {
        let tasks = u64::from(weight);
        self.tasks += tasks;
        self.weight_squares += tasks.pow(2);
        if task.succeeded {
            self.successes += tasks;
            let ln_duration = task.duration.as_secs_f64().max(1e-6).ln();
            self.ln_duration.record_weighed(ln_duration, weight);
        }
        if let Some(impact) = task.impact {
            self.impact.record_weighed(impact, weight);
        }
        if let Some(cost) = task.cost {
            self.cost.each.record_weighed(cost, weight);
            if task.succeeded {
                self.cost.successes += tasks;
                self.cost.of_successes += f64::from(weight) * cost;
            }
        }
    }

    /// Adds the tasks of another.
    pub fn merge(&mut self, other: &Self) {
        self.tasks += other.tasks;
        self.weight_squares += other.weight_squares;
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
            weight_squares: self.weight_squares.saturating_sub(part.weight_squares),
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

    /// Its successes as the share of as many tasks, each standing for itself, as would tell as much.
    pub fn effective_share(&self) -> Share {
        // Every success has a duration.
        let hit_squares = self.ln_duration.weight_squares;
        Weighed { share: self.share(), hit_squares, squares: self.weight_squares }.effective()
    }

    /// As many tasks, each standing for itself, as would tell as much.
    pub fn effective_tasks(&self) -> u64 {
        self.effective_share().trials
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Cell, Observation};
    use crate::domain::learn::{contrast::Goal, formula::share::Share};

    fn task(succeeded: bool) -> Observation {
        let (duration, impact, cost) = (Duration::from_secs(1), Some(50.0), Some(0.5));
        Observation { succeeded, duration, impact, cost }
    }

    /// So many failures, and rows of successes that stand for so many each.
    fn cell(failures: u32, rows: u32, weight: u32) -> Cell {
        let mut cell = Cell::default();
        (0..failures).for_each(|_| cell.record(&task(false)));
        (0..rows).for_each(|_| cell.record_weighed(&task(true), weight));
        cell
    }

    #[test]
    fn tasks_that_stand_for_themselves_weigh_as_many_as_they_are() {
        let cell = cell(7, 90, 1);
        assert_eq!(cell.effective_share(), Share::new(90, 97));
        assert_eq!(cell.impact.effective(), cell.impact);
    }

    #[test]
    fn rows_that_stand_for_many_give_their_rates_and_no_more_evidence_than_they_are() {
        let thinned = cell(100, 90, 10);
        assert_eq!(thinned.share(), Share::new(900, 1_000));
        // As sure as the logarithm of the odds is by 100 failures and 90 rows of successes.
        let told = thinned.effective_share();
        let error = |n: f64, p: f64| 1.0 / (n * p) + 1.0 / (n * (1.0 - p));
        let ratio = error(told.trials as f64, 0.9) / (1.0 / 100.0 + 1.0 / 90.0);
        assert!((ratio - 1.0).abs() < 0.01, "{told:?}");
        assert_eq!(cell(0, 90, 10).effective_share(), Share::new(90, 90));
        assert_eq!(thinned.ln_duration.effective().count, 90);
        assert_eq!(thinned.cost.each.effective().count, 110, "(100 + 900)² over 100 + 9000");
    }

    #[test]
    fn a_difference_that_few_rows_make_is_not_surer_for_what_they_stand_for() {
        let (one, rest) = (cell(400, 16, 100), cell(400, 8, 100));
        let contrast = Goal::Success.contrast(&one, &rest).unwrap();
        let (seen, others) = (cell(400, 16, 1), cell(400, 8, 1));
        let by_rows = Goal::Success.contrast(&seen, &others).unwrap();
        assert!(contrast.p_value > 0.05, "{contrast:?}");
        assert!((contrast.p_value / by_rows.p_value - 1.0).abs() < 0.5, "{contrast:?} {by_rows:?}");
        assert!((contrast.difference - (0.8 - 2.0 / 3.0)).abs() < 1e-12);
        assert!(contrast.interval.holds(0.0) && contrast.interval.holds(contrast.difference));
    }

    #[test]
    fn what_is_left_without_a_part_weighs_what_it_did() {
        let mut both = cell(3, 20, 5);
        let part = cell(2, 8, 3);
        both.merge(&part);
        let left = both.without(&part);
        assert_eq!(left.effective_share(), cell(3, 20, 5).effective_share());
        assert_eq!(left.impact.weight_squares, 3 + 20 * 25);
    }
}
