//! "3.2 deviations above the same hour of the last weeks."

use super::latency::Usual;
use crate::domain::learn::formula::trend::median;

/// Weeks without which an hour has no habit.
const WEEKS: usize = 3;

/// Each with its hour and the two around it.
const HOURS: usize = 3;

/// The least relative spread that an hour is given: so few values can agree by chance.
const LEAST_SPREAD: f64 = 0.05;

/// A deviation that is worth a warning.
pub const UNUSUAL: f64 = 6.0;

/// How many robust standard scores the calls of an hour lie above the same hour of earlier weeks.
/// `earlier` are those of that hour and of its neighbours, of at least three weeks with calls. None
/// where there are fewer.
///
/// Calls that come by themselves vary by the root of their number, however alike a few hours were:
/// of their logarithm the spread is one over that (the Poisson distribution, by the delta method).
pub fn deviation(now: f64, earlier: &[f64]) -> Option<f64> {
    let logs: Vec<f64> = earlier.iter().filter(|x| **x > 0.0).map(|x| x.ln()).collect();
    let enough = logs.len() >= WEEKS * HOURS && now > 0.0;
    let chance = (-0.5 * median(logs.iter().copied())?).exp();
    let usual = Usual::of(&logs, LEAST_SPREAD.max(chance)).filter(|_| enough)?;
    Some(usual.score(now.ln()))
}

#[cfg(test)]
mod tests {
    use super::{UNUSUAL, deviation};

    const MONDAYS: [f64; 9] = [100.0, 104.0, 98.0, 101.0, 96.0, 103.0, 99.0, 102.0, 97.0];

    #[test]
    fn an_hour_like_the_others_is_usual_and_one_far_above_is_not() {
        assert!(deviation(105.0, &MONDAYS).unwrap().abs() < 2.0);
        assert!(deviation(200.0, &MONDAYS).unwrap() > UNUSUAL);
    }

    #[test]
    fn a_few_calls_more_than_a_few_are_chance() {
        assert!(deviation(6.0, &[2.0; 12]).unwrap() < 2.0);
        assert!(deviation(25.0, &[10.0; 12]).unwrap() < UNUSUAL);
        assert!(deviation(300.0, &[10.0; 12]).unwrap() > UNUSUAL);
    }

    #[test]
    fn two_weeks_are_no_habit() {
        assert_eq!(deviation(200.0, &MONDAYS[..6]), None);
    }
}
