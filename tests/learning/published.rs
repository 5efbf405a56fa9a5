//! Formulas against examples that were printed with them.

use fusebox::domain::learn::{
    formula::{
        discovery::benjamini_hochberg,
        fisher,
        share::{Share, difference},
        strata::{self, Within, adjusted},
    },
    interval::Z_95,
};

fn near(found: f64, printed: f64, digits: i32) -> bool {
    (found - printed).abs() <= 0.5001 * 10_f64.powi(-digits)
}

/// Newcombe (1998), Table II, method 10.
#[test]
fn differences_of_shares_are_as_newcombe_printed_them() {
    for ((a, n, b, m), low, high) in [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((5, 56, 0, 29), -0.0381, 0.1926),
    ] {
        let interval = difference(Share::new(a, n), Share::new(b, m), Z_95);
        assert!(near(interval.low, low, 4) && near(interval.high, high, 4), "{interval:?}");
    }
}

/// Fisher's lady tasting tea: three of four cups of each kind told right.
#[test]
fn tasting_tea_is_no_proof() {
    let p = fisher::p_value(Share::new(3, 4), Share::new(1, 4));
    assert!(near(p, 34.0 / 70.0, 9), "{p}");
}

/// Benjamini & Hochberg (1995), §4.1: fifteen tests, of which four are significant at 5 %.
#[test]
fn of_fifteen_tests_four_are_discoveries() {
    let p_values = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
        0.5719, 0.6528, 0.7590, 1.0,
    ];
    let discoveries = benjamini_hochberg(&p_values).iter().filter(|q| **q <= 0.05).count();
    assert_eq!(discoveries, 4);
}

/// Admissions to Berkeley in 1973 (Bickel et al., Science 187, 1975), men and women by department:
/// men were admitted far more often, and in no department were they. The statistic 1.5246 with p = 0.2169
/// is printed in the manual of SAS, PROC FREQ.
#[test]
fn berkeley_admitted_men_more_often_but_not_within_departments() {
    let departments = [
        ((512, 825), (89, 108)),
        ((353, 560), (17, 25)),
        ((120, 325), (202, 593)),
        ((138, 417), (131, 375)),
        ((53, 191), (94, 393)),
        ((22, 373), (24, 341)),
    ]
    .map(|((a, n), (b, m))| (Share::new(a, n), Share::new(b, m)));
    let all = |side: fn(&(Share, Share)) -> Share| {
        departments.iter().map(side).fold(Share::default(), Share::plus)
    };
    let raw = all(|pair| pair.0).rate() - all(|pair| pair.1).rate();
    let within = departments.map(|(men, women)| Within::of_shares(men, women));
    let adjusted = adjusted(&within).expect("departments overlap");
    assert!(raw > 0.14 && adjusted.difference < 0.0, "{raw} {adjusted:?}");
    assert!(near(strata::p_value(&departments), 0.2169, 4), "{}", strata::p_value(&departments));
}
