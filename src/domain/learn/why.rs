//! Why calls fail: what sets the failures apart.
//!
//! Failures are counted by the values of every attribute there is: parameters, instance, version,
//! upstream, hour. Attributes come in the order in which failures differ from successes; within
//! one, each value says how many times likelier failures are with it, and what part of all failures
//! it explains. Absence of a value is a value.

use std::collections::BTreeMap;

use super::{
    formula::{
        discovery::benjamini_hochberg,
        ratio::{attributable, risk_ratio},
        share::{self, Share},
        weighed::Weighed,
    },
    interval::{Interval, Z_95},
};

/// What each value is given in advance, so that none is impossible.
const SMOOTHING: f64 = 1e-3;

/// Failures by attribute and value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failures {
    attributes: BTreeMap<Box<str>, BTreeMap<Box<str>, Weighed>>,
}

/// An attribute and its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Its name.
    pub name: Box<str>,
    /// How differently failures and successes are spread over its values: 0 where they are alike.
    pub divergence: f64,
    /// Its values; the one that explains most failures first.
    pub values: Vec<Value>,
}

/// A value of an attribute, beside all others.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// The value.
    pub value: Box<str>,
    /// Failures of the calls with it.
    pub failures: Share,
    /// How many times likelier failures are than with any other value.
    pub risk_ratio: f64,
    /// Its 95 % interval.
    pub interval: Interval,
    /// The share of all failures that would be gone if calls with it failed like the others.
    pub explains: f64,
    /// The share of false findings that one accepts with it.
    pub q_value: f64,
}

/// How much chance alone is excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Significance {
    /// Below one in fifty.
    Low,
    /// Below one in a thousand.
    Medium,
    /// Below one in a million.
    High,
}

impl Significance {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl Value {
    /// Whether failures are likelier with it, beyond chance.
    pub fn significance(&self) -> Option<Significance> {
        match self.q_value {
            _ if self.risk_ratio <= 1.0 => None,
            q if q < 1e-6 => Some(Significance::High),
            q if q < 1e-3 => Some(Significance::Medium),
            q if q < 0.02 => Some(Significance::Low),
            _ => None,
        }
    }
}

impl Failures {
    /// Adds the failures among calls with this value. Every call is to be added once under every
    /// attribute.
    pub fn add(&mut self, attribute: &str, value: &str, failures: impl Into<Weighed>) {
        let values = self.attributes.entry(attribute.into()).or_default();
        let sum = values.entry(value.into()).or_default();
        *sum = sum.plus(failures.into());
    }

    /// What sets failures apart: all attributes with more than one value, the most telling first.
    pub fn explain(&self) -> Vec<Attribute> {
        let telling = self.attributes.iter().filter(|(_, values)| values.len() > 1);
        let mut explained: Vec<Attribute> = telling
            .map(|(name, values)| Attribute {
                name: name.clone(),
                divergence: divergence(&shares(values)),
                values: compare(values),
            })
            .collect();
        let mut all: Vec<&mut Value> = explained.iter_mut().flat_map(|a| &mut a.values).collect();
        let p_values: Vec<f64> = all.iter().map(|value| value.q_value).collect();
        for (value, q_value) in all.iter_mut().zip(benjamini_hochberg(&p_values)) {
            value.q_value = q_value;
        }
        explained.sort_by(|a, b| b.divergence.total_cmp(&a.divergence));
        explained
    }
}

/// What each stands for.
fn shares(values: &BTreeMap<Box<str>, Weighed>) -> BTreeMap<Box<str>, Share> {
    values.iter().map(|(value, of)| (value.clone(), of.share)).collect()
}

/// Each value beside the others; its p-value still stands where the q-value is to be.
fn compare(values: &BTreeMap<Box<str>, Weighed>) -> Vec<Value> {
    let all = values.values().copied().fold(Weighed::default(), Weighed::plus);
    let mut compared: Vec<Value> = values
        .iter()
        .map(|(value, &failures)| {
            let rest = all.without(failures);
            let (seen, others) = (failures.share, rest.share);
            let (told, of_others) = (failures.effective(), rest.effective());
            let (ratio, _) = risk_ratio(seen, others, Z_95);
            let (of_told, interval) = risk_ratio(told, of_others, Z_95);
            // What is told is of whole numbers, and so not quite what was seen.
            let part = if of_told > 0.0 { ratio / of_told } else { 1.0 };
            Value {
                value: value.clone(),
                failures: seen,
                risk_ratio: ratio,
                interval: Interval { low: part * interval.low, high: part * interval.high },
                explains: attributable(seen, others).unwrap_or_default(),
                q_value: share::p_value(told, of_others),
            }
        })
        .collect();
    compared.sort_by(|a, b| b.explains.total_cmp(&a.explains));
    compared
}

/// The divergence of the failures' values from those of the successes, Σ P ln(P/Q) with P of the
/// successes and Q of the failures, both smoothed.
///
/// Source: S. Kullback & R. A. Leibler, *On information and sufficiency*, Annals of Mathematical
/// Statistics 22 (1951), with additive smoothing.
pub fn divergence(values: &BTreeMap<Box<str>, Share>) -> f64 {
    let all = values.values().copied().fold(Share::default(), Share::plus);
    let room = SMOOTHING * values.len() as f64;
    let successes = (all.trials - all.hits) as f64 + room;
    let failures = all.hits as f64 + room;
    values
        .values()
        .map(|share| {
            let p = ((share.trials - share.hits) as f64 + SMOOTHING) / successes;
            let q = (share.hits as f64 + SMOOTHING) / failures;
            p * (p / q).ln()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{Failures, Significance};
    use crate::domain::learn::formula::{share::Share, weighed::Weighed};

    /// Three instances, of which one fails often; two versions that do not matter.
    fn sample() -> Failures {
        let mut failures = Failures::default();
        for (instance, failed) in [("i-1", 10), ("i-2", 12), ("i-3", 118)] {
            failures.add("instance", instance, Share::new(failed, 1_000));
        }
        failures.add("version", "1.0", Share::new(71, 1_500));
        failures.add("version", "1.1", Share::new(69, 1_500));
        failures.add("region", "eu", Share::new(140, 3_000));
        failures
    }

    #[test]
    fn the_attribute_that_sets_failures_apart_comes_first() {
        let explained = sample().explain();
        let names: Vec<&str> = explained.iter().map(|attribute| &*attribute.name).collect();
        assert_eq!(names, ["instance", "version"], "a single value tells nothing");
    }

    #[test]
    fn the_guilty_value_is_named_with_what_it_explains() {
        let explained = sample().explain();
        let guilty = &explained[0].values[0];
        assert_eq!((&*guilty.value, guilty.significance()), ("i-3", Some(Significance::High)));
        assert!((guilty.risk_ratio - 0.118 / 0.011).abs() < 1e-9);
        assert!((guilty.explains - 107.0 / 140.0).abs() < 1e-9, "{}", guilty.explains);
        let others = explained.iter().flat_map(|attribute| &attribute.values).skip(1);
        assert!(others.into_iter().all(|value| value.significance().is_none()));
    }

    #[test]
    fn rows_that_stand_for_many_are_no_more_evidence_than_they_are() {
        let explained = |weight| {
            let mut failures = Failures::default();
            for (instance, rows, failed) in [("i-1", 16, 400), ("i-2", 8, 400)] {
                for _ in 0..rows {
                    failures.add("instance", instance, Weighed::one(false, weight));
                }
                failures.add("instance", instance, Share::new(failed, failed));
            }
            failures.explain()[0].values[0].clone()
        };
        let (by_rows, thinned) = (explained(1), explained(100));
        assert_eq!((thinned.failures.hits, thinned.failures.trials), (400, 1_200));
        assert_eq!((by_rows.significance(), thinned.significance()), (None, None), "{thinned:?}");
        assert!((thinned.q_value / by_rows.q_value - 1.0).abs() < 0.5, "{by_rows:?} {thinned:?}");
        assert!(thinned.interval.holds(1.0) && thinned.interval.holds(thinned.risk_ratio));
    }

    #[test]
    fn without_failures_nothing_is_explained() {
        let mut failures = Failures::default();
        failures.add("instance", "i-1", Share::new(0, 10));
        failures.add("instance", "i-2", Share::new(0, 1_000));
        let explained = failures.explain();
        assert!(explained[0].values.iter().all(|value| value.significance().is_none()));
        assert!(explained[0].values.iter().all(|value| value.explains.abs() < 1e-12));
    }
}
