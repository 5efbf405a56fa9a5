//! Whether an effect is one of the setting, or of those who use it.
//!
//! Suppose the callers with easy tasks prefer one value. Then it looks good over all tasks and may
//! be bad for everyone (Simpson's paradox). So each effect is compared again among like: within
//! strata, which are whatever the store keeps apart.

use crate::domain::learn::{cell::Cell, contrast::Goal, formula::strata};

/// Below this share of the tasks in strata that hold enough of both groups, there is nothing to
/// compare.
const OVERLAP: f64 = 0.5;

/// An effect of which less than this is left within strata is not the one that it looked like.
const KEPT: f64 = 0.5;

/// What becomes of an effect within strata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Confounding {
    /// It stays.
    Consistent,
    /// Less than half of it is left.
    Attenuated,
    /// It turns round.
    Reversed,
    /// The strata that use the setting hardly do without, so it cannot be told.
    NoOverlap,
}

impl Confounding {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consistent => "consistent",
            Self::Attenuated => "attenuated",
            Self::Reversed => "reversed",
            Self::NoOverlap => "no_overlap",
        }
    }

    /// Whether the effect may be recommended, if what is left of it is worth having.
    pub const fn is_passable(self) -> bool {
        matches!(self, Self::Consistent | Self::Attenuated)
    }
}

/// An effect within strata.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adjustment {
    /// What became of it.
    pub verdict: Confounding,
    /// The difference within strata.
    pub difference: f64,
    /// How likely it is by chance.
    pub p_value: f64,
    /// The strata that hold enough of both groups.
    pub strata: usize,
}

/// Compares pairs (group, rest) within strata; `raw` is the difference without them.
pub(super) fn adjust(goal: Goal, pairs: &[(Cell, Cell)], raw: f64) -> Adjustment {
    let within: Vec<_> = pairs.iter().map(|(one, rest)| goal.within(one, rest)).collect();
    let Some(adjusted) = strata::adjusted(&within) else {
        return Adjustment {
            verdict: Confounding::NoOverlap,
            difference: 0.0,
            p_value: 1.0,
            strata: 0,
        };
    };
    let verdict = if adjusted.kept < OVERLAP {
        Confounding::NoOverlap
    } else if adjusted.difference * raw < 0.0 {
        Confounding::Reversed
    } else if adjusted.difference.abs() < KEPT * raw.abs() {
        Confounding::Attenuated
    } else {
        Confounding::Consistent
    };
    Adjustment {
        verdict,
        difference: adjusted.difference,
        p_value: goal.stratified_p_value(pairs),
        strata: adjusted.strata,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Confounding, adjust};
    use crate::domain::learn::{
        cell::{Cell, Observation},
        contrast::Goal,
    };

    fn cell(tasks: u32) -> Cell {
        let mut cell = Cell::default();
        for at in 0..tasks {
            cell.record(&Observation {
                succeeded: at % 5 > 0,
                duration: Duration::from_millis(900 + u64::from(at % 7)),
                impact: Some(f64::from(at % 7)),
                cost: Some(f64::from(1 + at % 3)),
            });
        }
        cell
    }

    #[test]
    fn whoever_is_hardly_used_beside_others_cannot_be_told_apart_from_who_uses_it() {
        // One caller uses it always, another never, and a third now and then.
        let pairs = [(cell(200), cell(0)), (cell(0), cell(200)), (cell(20), cell(20))];
        for goal in Goal::ALL {
            let verdict = adjust(goal, &pairs, 0.1).verdict;
            assert_eq!(verdict, Confounding::NoOverlap, "{goal:?}");
            let overlapping = [(cell(0), cell(1)), (cell(100), cell(100))];
            let verdict = adjust(goal, &overlapping, 0.1).verdict;
            assert_ne!(verdict, Confounding::NoOverlap, "{goal:?}");
        }
    }
}
