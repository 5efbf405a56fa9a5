//! The gates, one by one, on evidence without noise.

use std::time::Duration;

use super::{Effect, Policy, Report, Status, recommend};
use crate::domain::learn::{
    cell::{Cell, Observation},
    contrast::Goal,
    evidence::{Day, Evidence},
    setting::{Bin, Setting},
};

/// Tasks of each day: their parameters, how many of how many succeed, and the seconds they take.
type Tasks<'a> = (&'a [(&'a str, &'a str)], u32, u32, u64);

fn setting(parameters: &[(&str, &str)]) -> Setting {
    Setting::new(parameters.iter().map(|&(name, word)| (name, Bin::text(word))))
}

fn add(evidence: &mut Evidence, days: std::ops::RangeInclusive<Day>, tasks: &[Tasks<'_>]) {
    for day in days {
        for &(parameters, successes, all, seconds) in tasks {
            let mut cell = Cell::default();
            for task in 0..all {
                // A little spread, for a duration that never varies cannot be compared.
                let spread = Duration::from_millis(u64::from(task % 7));
                cell.record(&Observation {
                    succeeded: task < successes,
                    duration: Duration::from_secs(seconds) + spread,
                    impact: None,
                    cost: None,
                });
            }
            for setting in setting(parameters).counted() {
                evidence.add(day, "", &setting, &cell);
            }
        }
    }
}

fn look(evidence: &Evidence, last: Day) -> Report {
    recommend(evidence, last, &Policy::default())
}

fn advised(report: &Report) -> Option<String> {
    let advice = report.advice.as_ref()?;
    Some(advice.setting.iter().map(|(name, bin)| format!("{name}={bin} ")).collect())
}

/// Jazz works, rock does less often.
const GENRES: [Tasks<'_>; 2] =
    [(&[("genre", "jazz")], 95, 100, 1), (&[("genre", "rock")], 70, 100, 1)];

#[test]
fn below_two_hundred_tasks_nothing_is_said() {
    let mut evidence = Evidence::default();
    add(
        &mut evidence,
        1..=1,
        &[(&[("genre", "jazz")], 99, 99, 1), (&[("genre", "rock")], 0, 100, 1)],
    );
    let report = look(&evidence, 1);
    assert_eq!(
        (report.total.tasks, report.needed, report.status()),
        (199, 200, Status::Collecting)
    );
    assert!(report.findings.is_empty());
}

#[test]
fn what_passes_on_three_days_is_recommended() {
    let mut evidence = Evidence::default();
    add(&mut evidence, 1..=30, &GENRES);
    let first = (1..=30).find(|&day| look(&evidence, day).advice.is_some());
    let since = (1..=30).find(|&day| {
        look(&evidence, day).findings.iter().any(|f| f.effect == Some(Effect::Better))
    });
    assert_eq!(first, since.map(|day| day + 2));
    let report = look(&evidence, 30);
    assert_eq!(advised(&report).as_deref(), Some("genre=jazz "));
    assert_eq!(report.status(), Status::Confirmed);
    let rock = report.findings.iter().find(|f| f.effect == Some(Effect::Worse)).unwrap();
    assert_eq!(rock.setting, setting(&[("genre", "rock")]));
    let expected = report.advice.unwrap().expected_success;
    assert!((0.9..0.95).contains(&expected), "drawn towards the others: {expected}");
}

#[test]
fn what_nobody_uses_any_more_is_not_recommended() {
    let mut evidence = Evidence::default();
    add(&mut evidence, 1..=10, &GENRES);
    add(&mut evidence, 11..=28, &GENRES[1..]);
    assert!(look(&evidence, 12).advice.is_some());
    assert_eq!(look(&evidence, 28).advice, None);
}

#[test]
fn what_harms_another_goal_is_not_recommended() {
    let mut evidence = Evidence::default();
    let slow = [(&[("genre", "jazz")][..], 95, 100, 9), GENRES[1]];
    add(&mut evidence, 1..=30, &slow);
    let report = look(&evidence, 30);
    assert_eq!(report.advice, None);
    let jazz = setting(&[("genre", "jazz")]);
    let jazz = report.findings.iter().find(|finding| finding.setting == jazz).unwrap();
    assert_eq!(jazz.harms, Some(Goal::Duration));
}

#[test]
fn nobody_is_told_to_use_what_is_not_told_apart() {
    let mut evidence = Evidence::default();
    for day in 1..=30 {
        for (bin, successes) in [(Bin::Other, 95), (Bin::text("rock"), 70)] {
            let mut cell = Cell::default();
            for task in 0..100 {
                cell.record(&Observation {
                    succeeded: task < successes,
                    duration: Duration::from_millis(1_000 + task % 7),
                    impact: None,
                    cost: None,
                });
            }
            let setting = Setting::new([("genre", bin)]);
            setting.counted().iter().for_each(|setting| evidence.add(day, "", setting, &cell));
        }
    }
    let report = look(&evidence, 30);
    assert!(report.findings.iter().any(|finding| finding.effect == Some(Effect::Better)));
    assert_eq!(report.advice, None);
}

#[test]
fn a_combination_that_was_seen_working_comes_first() {
    let mut evidence = Evidence::default();
    add(
        &mut evidence,
        1..=30,
        &[
            (&[("genre", "jazz"), ("model", "a")], 48, 50, 1),
            (&[("genre", "jazz"), ("model", "b")], 35, 50, 1),
            (&[("genre", "rock"), ("model", "a")], 36, 50, 1),
            (&[("genre", "rock"), ("model", "b")], 36, 50, 1),
        ],
    );
    let report = look(&evidence, 30);
    assert_eq!(advised(&report).as_deref(), Some("genre=jazz model=a "));
    let advice = report.advice.unwrap();
    assert_eq!((advice.seen.tasks, advice.untested_combination), (1_500, false));
}

/// Fifty versions, so that no combination has enough tasks; jazz and model a are good, and are
/// used together as often as `together` says.
fn sparse(together: u32, successes: u32) -> Report {
    let versions: Vec<String> = (0..50).map(|version| format!("v{version}")).collect();
    let mut evidence = Evidence::default();
    for (day, version) in (1..).zip(&versions).take(50) {
        let day = day % 30 + 1;
        let with =
            |genre, model| [("genre", genre), ("model", model), ("version", version.as_str())];
        let (ja, jb) = (with("jazz", "a"), with("jazz", "b"));
        let (ra, rb) = (with("rock", "a"), with("rock", "b"));
        add(
            &mut evidence,
            day..=day,
            &[(&ja, successes, together, 1), (&jb, 24, 25, 1), (&ra, 24, 25, 1), (&rb, 12, 25, 1)],
        );
    }
    look(&evidence, 30)
}

#[test]
fn good_values_that_were_never_seen_together_are_marked() {
    let report = sparse(0, 0);
    assert_eq!(advised(&report).as_deref(), Some("genre=jazz model=a "));
    assert!(report.advice.unwrap().untested_combination);
}

#[test]
fn good_values_that_fail_together_are_not_composed() {
    let report = sparse(4, 0);
    let advice = report.advice.unwrap();
    assert_eq!((advice.setting.len(), advice.untested_combination), (1, false));
}
