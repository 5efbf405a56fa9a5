//! What counts as better, and how two groups of tasks differ in it.

use super::{
    cell::Cell,
    formula::{
        bounded,
        moments::{Moments, Welch},
        share,
        strata::{self, Within},
        tail,
    },
    interval::{Interval, Z_95},
};

/// What is to be improved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Goal {
    /// The share of tasks that succeed: differences are of shares.
    Success,
    /// The mean impact: differences are of points.
    Impact,
    /// The duration of successful tasks: differences are of logarithms.
    Duration,
    /// The cost per success: differences are of logarithms.
    Cost,
}

/// A group beside the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    /// The group less the rest.
    pub difference: f64,
    /// Its 95 % interval.
    pub interval: Interval,
    /// How likely equal groups look at least this different.
    pub p_value: f64,
    /// Observations of the group, and the variance of one.
    pub one: (u64, f64),
    /// The same of the rest.
    pub rest: (u64, f64),
}

impl Goal {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Success, Self::Impact, Self::Duration, Self::Cost];

    /// The name in the configuration and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success_rate",
            Self::Impact => "impact",
            Self::Duration => "duration",
            Self::Cost => "cost_per_success",
        }
    }

    /// The goal with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|goal| goal.as_str() == name)
    }

    /// Whether a difference is one for the better.
    pub fn improves(self, difference: f64) -> bool {
        match self {
            Self::Success | Self::Impact => difference > 0.0,
            Self::Duration | Self::Cost => difference < 0.0,
        }
    }

    /// A group beside the rest; none where either has too few observations to vary.
    pub fn contrast(self, one: &Cell, rest: &Cell) -> Option<Contrast> {
        match self {
            Self::Success => of_shares(one, rest),
            Self::Impact => of_impacts(&one.impact.effective(), &rest.impact.effective()),
            Self::Duration => of_means(&one.ln_duration.effective(), &rest.ln_duration.effective()),
            Self::Cost => of_costs(one, rest),
        }
    }

    /// The same within one stratum. Where either group has too few observations to be compared, all
    /// that there are count for the rest, so that it is known how many could not be.
    pub fn within(self, one: &Cell, rest: &Cell) -> Within {
        self.comparison(one, rest).unwrap_or_else(|| {
            let observed = self.observations(one) + self.observations(rest);
            Within { one: 0, rest: observed, difference: 0.0, variance: 0.0 }
        })
    }

    fn observations(self, of: &Cell) -> u64 {
        match self {
            Self::Success => of.effective_tasks(),
            Self::Impact => of.impact.effective().count,
            Self::Duration => of.ln_duration.effective().count,
            Self::Cost => of.cost.each.effective().count,
        }
    }

    fn comparison(self, one: &Cell, rest: &Cell) -> Option<Within> {
        let [a, b] = match self {
            Self::Success => {
                let within = Within::of_shares(one.effective_share(), rest.effective_share());
                let difference = one.share().rate() - rest.share().rate();
                return Some(Within { difference, ..within });
            }
            Self::Impact => means(&one.impact.effective(), &rest.impact.effective())?,
            Self::Duration => means(&one.ln_duration.effective(), &rest.ln_duration.effective())?,
            Self::Cost => costs(one, rest)?,
        };
        Some(Within {
            one: a.count,
            rest: b.count,
            difference: a.mean - b.mean,
            variance: a.error() + b.error(),
        })
    }

    /// How likely equal groups look at least this different in pairs (group, rest) of strata.
    pub fn stratified_p_value(self, pairs: &[(Cell, Cell)]) -> f64 {
        if self == Self::Success {
            let shares = pairs.iter().map(|(a, b)| (a.effective_share(), b.effective_share()));
            let shares: Vec<_> = shares.collect();
            return strata::p_value(&shares);
        }
        let within: Vec<_> = pairs.iter().map(|(a, b)| self.within(a, b)).collect();
        strata::adjusted(&within)
            .filter(|adjusted| adjusted.error > 0.0)
            .map_or(1.0, |adjusted| tail::normal_two_sided(adjusted.difference / adjusted.error))
    }
}

fn of_shares(one: &Cell, rest: &Cell) -> Option<Contrast> {
    let (a, b) = (one.effective_share(), rest.effective_share());
    (a.trials > 0 && b.trials > 0).then(|| {
        let difference = one.share().rate() - rest.share().rate();
        // Effective shares are of whole numbers, and so not quite those that were seen.
        let shift = difference - (a.rate() - b.rate());
        let interval = share::difference(a, b, Z_95);
        Contrast {
            difference,
            interval: Interval { low: interval.low + shift, high: interval.high + shift },
            p_value: share::p_value(a, b),
            one: (a.trials, smoothed_variance(a)),
            rest: (b.trials, smoothed_variance(b)),
        }
    })
}

/// The variance of one trial, with a hit and a miss added so that it is never 0.
fn smoothed_variance(share: share::Share) -> f64 {
    share::Share::new(share.hits + 1, share.trials + 2).variance()
}

/// Impacts go from 0 to 100, so that what few of them can do by chance is known.
fn of_impacts(one: &Moments, rest: &Moments) -> Option<Contrast> {
    let contrast = of_means(one, rest)?;
    let p_value = contrast.p_value.max(bounded::p_value(one, rest, IMPACTS));
    Some(Contrast { p_value, ..contrast })
}

/// The least and the most that an impact can be.
const IMPACTS: (f64, f64) = (0.0, 100.0);

fn of_means(one: &Moments, rest: &Moments) -> Option<Contrast> {
    let [a, b] = means(one, rest)?;
    let welch = Welch::with((one, a.variance), (rest, b.variance))?;
    Some(Contrast {
        difference: welch.difference,
        interval: welch.interval(0.05),
        p_value: welch.p_value(),
        one: (a.count, a.variance),
        rest: (b.count, b.variance),
    })
}

fn of_costs(one: &Cell, rest: &Cell) -> Option<Contrast> {
    let [a, b] = costs(one, rest)?;
    let (difference, error) = (a.mean - b.mean, (a.error() + b.error()).sqrt());
    let spread = Z_95 * error;
    (error > 0.0).then(|| Contrast {
        difference,
        interval: Interval { low: difference - spread, high: difference + spread },
        p_value: tail::normal_two_sided(difference / error),
        one: (a.count, a.variance),
        rest: (b.count, b.variance),
    })
}

/// A group's mean, and the variance of one observation.
struct Group {
    count: u64,
    mean: f64,
    variance: f64,
}

impl Group {
    /// The square of the standard error of its mean.
    fn error(&self) -> f64 {
        self.variance / self.count as f64
    }
}

/// Few numbers may be alike by chance, and would seem to be sure of their mean. So each group varies
/// at least as all numbers do: if the groups are alike, that is the variance of both.
fn means(one: &Moments, rest: &Moments) -> Option<[Group; 2]> {
    let mut all = *one;
    all.merge(rest);
    let least = all.variance()?;
    let group = |of: &Moments| {
        Some(Group { count: of.count, mean: of.mean()?, variance: of.variance()?.max(least) })
    };
    Some([group(one)?, group(rest)?])
}

/// The same with logarithms of the cost per success.
fn costs(one: &Cell, rest: &Cell) -> Option<[Group; 2]> {
    let mut all = *one;
    all.merge(rest);
    let least = all.cost.ln_variance()?;
    let group = |of: &Cell| {
        let (mean, variance) = (of.cost.per_success()?.ln(), of.cost.ln_variance()?.max(least));
        Some(Group { count: of.cost.each.effective().count, mean, variance })
    };
    Some([group(one)?, group(rest)?])
}
