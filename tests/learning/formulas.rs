//! Every closed formula against SciPy, statsmodels or mpmath: `tests/data/learning/make.py` wrote
//! what they say, and the versions are in the file.

use std::{fs, path::Path};

use fusebox::domain::learn::{
    formula::{
        discovery, fisher,
        moments::{Moments, Welch},
        ratio, sequence,
        share::{self, Share},
        shrink::Prior,
        strata::{self, Within},
        survival::Survival,
        tail, trend,
    },
    interval::{Interval, Z_95},
    why,
};
use serde_json::Value;

/// Relative, and absolute below 1 where the expected value is no probability.
const CLOSE: f64 = 1e-9;

/// Calls `ours` with the input of every case and compares what comes back, number by number.
fn check(formula: &str, ours: impl Fn(&Value) -> Vec<f64>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/learning/formulas.json");
    let text = fs::read_to_string(path).expect("the fixture is there");
    let all: Value = serde_json::from_str(&text).expect("the fixture is JSON");
    let cases = all[formula].as_array().expect("the formula has cases");
    assert!(cases.len() >= 4, "{formula}");
    for case in cases {
        let expected = numbers(&case["out"]);
        let found = ours(&case["in"]);
        assert_eq!(found.len(), expected.len(), "{formula}");
        for (found, expected) in found.iter().zip(&expected) {
            let scale =
                if formula_is_tail(formula) { expected.abs() } else { expected.abs().max(1e-3) };
            let apart = (found - expected).abs();
            let both_none = found.is_nan() && expected.is_nan();
            assert!(
                apart <= CLOSE * scale || apart < 1e-300 || both_none,
                "{formula}: {found} for {expected} of {}",
                case["in"]
            );
        }
    }
}

/// Tails keep their digits however small they are.
fn formula_is_tail(formula: &str) -> bool {
    matches!(formula, "normal_two_sided" | "chi_square" | "student_two_sided" | "fisher" | "mid_p")
}

fn numbers(value: &Value) -> Vec<f64> {
    let all = value.as_array().expect("a list").iter();
    all.map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()
}

fn number(value: &Value, at: usize) -> f64 {
    value[at].as_f64().expect("a number")
}

fn count(value: &Value) -> u64 {
    value.as_u64().expect("a count")
}

fn share_at(value: &Value, at: usize) -> Share {
    Share::new(count(&value[at]), count(&value[at + 1]))
}

fn pair(value: &Value) -> (Share, Share) {
    (share_at(value, 0), share_at(value, 2))
}

fn ends(interval: Interval) -> [f64; 2] {
    [interval.low, interval.high]
}

#[test]
fn wilson_is_that_of_statsmodels() {
    check("wilson", |given| ends(share_at(given, 0).wilson(Z_95)).to_vec());
}

#[test]
fn the_difference_of_shares_is_that_of_statsmodels() {
    check("newcombe", |given| {
        let (one, rest) = pair(given);
        ends(share::difference(one, rest, Z_95)).to_vec()
    });
}

#[test]
fn the_test_of_two_shares_is_that_of_statsmodels() {
    check("two_proportions", |given| {
        let (one, rest) = pair(given);
        let z = share::z_score(one, rest);
        vec![z, tail::normal_two_sided(z)]
    });
}

#[test]
fn fishers_exact_test_is_that_of_scipy() {
    check("fisher", |given| {
        let (one, rest) = pair(given);
        vec![fisher::p_value(one, rest)]
    });
}

#[test]
fn half_of_the_observed_table_is_left_out_as_scipy_has_it() {
    check("mid_p", |given| {
        let (one, rest) = pair(given);
        vec![fisher::mid_p_value(one, rest)]
    });
}

#[test]
fn the_risk_ratio_is_that_of_statsmodels() {
    check("risk_ratio", |given| {
        let (one, rest) = pair(given);
        let (ratio, interval) = ratio::risk_ratio(one, rest, Z_95);
        [&[ratio][..], &ends(interval)].concat()
    });
}

#[test]
fn tails_are_those_of_mpmath_and_scipy() {
    check("normal_two_sided", |given| vec![tail::normal_two_sided(number(given, 0))]);
    check("chi_square", |given| vec![tail::chi_square(number(given, 0))]);
    check("student_two_sided", |given| {
        vec![tail::student_two_sided(number(given, 0), number(given, 1))]
    });
    check("student_quantile", |given| {
        vec![tail::student_quantile(number(given, 0), number(given, 1))]
    });
}

#[test]
fn welchs_test_is_that_of_scipy() {
    check("welch", |given| {
        let moments = |sample: &Value| {
            let mut moments = Moments::default();
            numbers(sample).into_iter().for_each(|x| moments.record(x));
            moments
        };
        let welch = Welch::of(&moments(&given[0]), &moments(&given[1])).expect("both vary");
        let interval = ends(welch.interval(0.05));
        [&[welch.freedom, welch.p_value()][..], &interval].concat()
    });
}

#[test]
fn false_discoveries_are_those_of_scipy() {
    check("benjamini_hochberg", |given| discovery::benjamini_hochberg(&numbers(given)));
}

#[test]
fn strata_are_compared_as_statsmodels_does() {
    check("strata", |given| {
        let pairs: Vec<_> = given.as_array().expect("tables").iter().map(pair).collect();
        let within: Vec<_> = pairs.iter().map(|&(a, b)| Within::of_shares(a, b)).collect();
        let adjusted = strata::adjusted(&within).expect("every stratum is large enough");
        vec![strata::p_value(&pairs), adjusted.difference, adjusted.error]
    });
}

#[test]
fn confidence_sequences_are_as_published() {
    check("sequence", |given| {
        vec![sequence::half_width(count(&given[0]), number(given, 1), number(given, 2))]
    });
}

#[test]
fn shares_are_shrunk_as_published() {
    check("shrinkage", |given| {
        let groups: Vec<_> =
            given.as_array().expect("groups").iter().map(|group| share_at(group, 0)).collect();
        vec![Prior::of(&groups).expect("there are trials").shrink(groups[0])]
    });
}

#[test]
fn survival_is_that_of_statsmodels() {
    check("survival", |given| {
        let mut survival = Survival::default();
        for bin in given[0].as_array().expect("bins") {
            let at = i16::try_from(count(&bin[0])).expect("a small bin");
            survival.ended(at, number(bin, 1));
            survival.cut(at, number(bin, 2));
        }
        vec![survival.quantile(number(given, 1)).map_or(f64::NAN, f64::from)]
    });
}

#[test]
fn trends_are_those_of_scipy() {
    check("theil_sen", |given| {
        let points: Vec<_> = numbers(&given[0]).into_iter().zip(numbers(&given[1])).collect();
        let trend = trend::theil_sen(&points, Z_95).expect("there are points enough");
        [&[trend.slope][..], &ends(trend.interval)].concat()
    });
}

#[test]
fn divergence_is_that_of_scipy() {
    check("divergence", |given| {
        let values = given.as_array().expect("values").iter().enumerate();
        let shares = values.map(|(at, value)| (at.to_string().into(), share_at(value, 0)));
        vec![why::divergence(&shares.collect())]
    });
}
