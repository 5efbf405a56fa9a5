use super::report;
use crate::{
    cli::{replay::findings::Findings, screen::Screen},
    domain::{
        breaker::{Cause, Mode},
        replay::{Divergence, Doubts, OfRoute, Refused, Report, Sharing, Span, Summary, Trip, Why},
        task::TaskId,
    },
    store::Opening,
};
use std::{collections::BTreeMap, time::Duration};

const AT_US: i64 = 1_795_348_800_000_000;

fn findings() -> Findings {
    let task_id = TaskId::from_u128(1);
    let refused = Refused { saved: 2, wrongly: 1, undecided: 0 };
    let trip = Trip {
        at_us: AT_US,
        upstream: "payments".into(),
        instance: "".into(),
        cause: Cause::FailureRate,
        failure_count: 3,
        window_calls: 20,
        window_failures: 15,
        task_id,
        probes_failed: 0,
        carried_again_us: Some(AT_US + 2_200_000),
        refused,
        refused_by_both: 4,
    };
    let (why, at_us) = (Why::RefusedWhatPassed, AT_US + 1);
    let divergence = Some(Divergence { at_us, why, task_id, instance: "orders-1".into() });
    let summary = Summary {
        mode: Mode::Auto,
        circuits: 1,
        calls: 90,
        refused,
        really_refused: 6,
        refused_by_both: 4,
        divergence,
    };
    let upstreams = [("payments".into(), summary), ("stock".into(), Summary::default())].into();
    let doubts = Doubts { folded_rows: 2, folded_calls: 9, retried: 1, ..Doubts::default() };
    let span = Span { from_us: AT_US - 60_000_000, to_us: AT_US + 60_000_000 };
    let report = Report { span, rows: 83, upstreams, trips: vec![trip], trips_left_out: 0, doubts };
    let opening = |at_us| Opening {
        at_us,
        upstream: "payments".into(),
        instance: "orders-1".into(),
        cause: "consecutive_failures".into(),
        calls: vec![TaskId::from_u128(2)],
    };
    Findings {
        report,
        sharing: Sharing::OneForAll,
        of_routes: Vec::new(),
        openings: vec![opening(AT_US - 300_000), opening(AT_US + 50_000_000)],
        sums: BTreeMap::from([("payments".to_owned(), 95)]),
        unread: 0,
        took: Duration::ZERO,
    }
}

#[test]
fn trips_what_really_happened_and_what_is_not_known_stand_below_each_other() {
    let expected = "\
OPENED (UTC)        UPSTREAM  CAUSE            OPEN FOR  REFUSED  SAVED  WRONGLY  REALLY  EXACT  INSTANCE
11-22 12:00:00.000  payments  15 of 20 failed      2.2s        3      2        1  -300ms  yes    all

1 trip in 90 calls (83 rows) from 2026-11-22T11:59:00Z to 2026-11-22T12:01:00Z, one circuit for all instances

payments: 90 calls, 1 circuit
  the rules would have refused 3 that went through: 2 failed (saved), 1 succeeded
  (wrongly refused), 0 neither
  in truth 6 calls were refused: 4 by these rules too, and how the other 2 would
  have ended nobody knows
  the store was told of 2 openings, 1 of them without a trip
  exact until 2026-11-22T12:00:00.000001Z; then the rules refuse a call that went through
  (task 00000000-0000-0000-0000-000000000001), and all that follows is a guess

stock: no calls

what the rows do not say:
  at least 5 calls that began in this time and have no row any more
  2 rows that stand for several calls, taken to have come at once
  1 call of several attempts, the waits between which are not stored
";
    assert_eq!(report(&findings(), Screen::PLAIN), expected);
}

#[test]
fn an_opening_that_the_store_heard_of_late_is_found_by_the_call_behind_it() {
    let mut findings = findings();
    findings.openings[1].calls = vec![TaskId::from_u128(2), TaskId::from_u128(1)];
    let text = report(&findings, Screen::PLAIN);
    assert!(text.contains("  +50.0s  "), "{text}");
    assert!(text.contains("told of 2 openings, 0 of them without a trip"), "{text}");
    findings.openings[1].upstream = "stock".to_owned();
    assert!(report(&findings, Screen::PLAIN).contains("  -300ms  "));
}

#[test]
fn a_mode_that_is_tried_otherwise_or_makes_no_trips_is_told() {
    for (mode, says) in [
        (Mode::Shadow, "1 circuit\n  configured as `shadow`, tried as `auto`\n"),
        (Mode::Disabled, "1 circuit\n  disabled by the configuration: it never trips\n"),
    ] {
        let mut findings = findings();
        for summary in findings.report.upstreams.values_mut() {
            summary.mode = mode;
        }
        let text = report(&findings, Screen::PLAIN);
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn calls_are_missed_by_upstream_whichever_circuit_met_them() {
    let mut findings = findings();
    let charges = Summary { calls: 3, ..Summary::default() };
    findings.report.upstreams.insert("payments/charges".into(), charges);
    findings.of_routes.push(OfRoute {
        upstream: "payments".into(),
        route: "charges".into(),
        circuit: "payments/charges".into(),
    });
    assert_eq!(findings.missing(), 95 - 90 - 3);
}

#[test]
fn the_table_fits_the_screen() {
    for width in 20..120 {
        let text = report(&findings(), Screen { width: Some(width), colours: false });
        let widest = text.lines().take(2).map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= width), "{width}: {widest:?}");
    }
}
