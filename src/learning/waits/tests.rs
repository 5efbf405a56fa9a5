use std::{sync::Arc, time::Duration};

use http::Method;

use super::{Terms, Waits};
use crate::domain::{
    breaker::State,
    correlation::{CorrelationId, TraceId},
    learn::timeout::{Estimate, Mode, Policy},
    outcome::{Outcome, Reason, Verdict},
    task::{Attempt, Attempts, CallRecord, CallSite, TaskId},
};

const NOW_US: i64 = 1_795_348_800_000_000;

fn waits(configured: Duration) -> Waits {
    of_mode(configured, Mode::Observe)
}

fn of_mode(configured: Duration, mode: Mode) -> Waits {
    Waits::new([("music", Terms { configured, mode, policy: Policy::default() })])
}

/// A call that took so long, and ended for this reason.
fn call(ms: u64, reason: Option<Reason>) -> CallRecord {
    let mut attempts = Attempts::default();
    attempts.push(Attempt {
        instead: None,
        endpoint: Arc::from("music:80"),
        verdict: reason.map_or(Verdict::Success, Reason::verdict),
        reason,
        duration_us: ms * 1_000,
    });
    CallRecord {
        id: TaskId::from_u128(1),
        started_at_us: NOW_US - 1_000_000,
        correlation_id: CorrelationId::mint(1),
        trace_id: TraceId::from_u128(1),
        parent_id: None,
        site: Arc::new(CallSite { upstream: "music".into(), ..CallSite::default() }),
        endpoint: None,
        method: Method::GET,
        status: Some(200),
        grpc_status: None,
        outcome: reason.map_or(Outcome::Success, Reason::outcome),
        reason,
        attempts,
        breaker_state: State::Closed,
        duration_us: ms * 1_000,
        upstream_us: None,
        first_byte_us: None,
        deadline_ms: None,
        request_bytes: 0,
        response_bytes: 0,
        captured: None,
        weight: 1,
    }
}

/// So many minutes of these calls.
fn pass(waits: &Waits, minutes: u32, calls: &[CallRecord]) {
    for _ in 0..minutes {
        waits.saw(calls, NOW_US);
        waits.minute_over(|_, _| {});
    }
}

#[test]
fn before_anything_is_known_the_ceiling_is_told_and_that_it_is_not_known() {
    let waits = waits(Duration::from_secs(30));
    waits.minute_over(|_, _| {});
    let [known] = &*waits.known() else { panic!("one upstream") };
    assert_eq!((known.estimate, known.calls), (Estimate::TooFew, 0));
    assert_eq!(known.learned, Policy::default().ceiling);
}

#[test]
fn steady_calls_teach_a_wait_that_fits_them() {
    let waits = waits(Duration::from_secs(30));
    let calls: Vec<_> = (0..100).map(|at| call(80 + at % 20, None)).collect();
    // It falls by a tenth a minute.
    pass(&waits, 60, &calls);
    let [known] = &*waits.known() else { panic!("one upstream") };
    assert_eq!(known.learned, Policy::default().floor, "{known:?}");
    assert_eq!((known.calls, known.outlook.false_cuts), (6_000, 0));
}

#[test]
fn calls_that_were_cut_make_the_wait_longer_and_never_shorter() {
    let waits = waits(Duration::from_secs(1));
    let mut calls: Vec<_> = (0..95).map(|_| call(900, None)).collect();
    calls.extend((0..5).map(|_| call(1_000, Some(Reason::TimeoutFirstByte))));
    pass(&waits, 20, &calls);
    let [known] = &*waits.known() else { panic!("one upstream") };
    assert_eq!(known.estimate, Estimate::Hidden);
    assert_eq!(known.learned, Policy::default().ceiling);
}

#[test]
fn an_outage_and_old_rows_teach_nothing() {
    let waits = waits(Duration::from_secs(30));
    let mut half_open = call(20_000, None);
    half_open.breaker_state = State::HalfOpen;
    let mut old = call(20_000, None);
    old.started_at_us -= 3_600_000_000;
    let mut elsewhere = call(20_000, None);
    elsewhere.site = Arc::new(CallSite { upstream: "other".into(), ..CallSite::default() });
    let failed = call(1, Some(Reason::Http503));
    pass(&waits, 1, &[half_open, old, elsewhere, failed]);
    assert_eq!(waits.known()[0].calls, 0);
}

#[test]
fn only_where_it_may_widen_a_timeout_is_another_than_configured() {
    let mut calls: Vec<_> = (0..95).map(|_| call(900, None)).collect();
    calls.extend((0..5).map(|_| call(1_000, Some(Reason::TimeoutFirstByte))));
    for (mode, expected_s) in [(Mode::Observe, 1), (Mode::Widen, 60)] {
        let waits = of_mode(Duration::from_secs(1), mode);
        pass(&waits, 20, &calls);
        let mut applied = Vec::new();
        waits.minute_over(|upstream, wait| applied.push((upstream.to_owned(), wait)));
        assert_eq!(applied, [("music".to_owned(), Duration::from_secs(expected_s))]);
    }
    // It never makes a timeout shorter.
    let waits = of_mode(Duration::from_secs(30), Mode::Widen);
    pass(&waits, 60, &(0..100).map(|_| call(80, None)).collect::<Vec<_>>());
    assert_eq!(waits.known()[0].in_force, Duration::from_secs(30));
}

#[test]
fn a_wait_that_was_long_for_want_of_calls_is_not_what_calls_have_taught() {
    let waits = of_mode(Duration::from_secs(30), Mode::Widen);
    pass(&waits, 1, &[call(80, None)]);
    let calls: Vec<_> = (0..700).map(|at| call(80 + at % 20, None)).collect();
    pass(&waits, 1, &calls);
    let [known] = &*waits.known() else { panic!("one upstream") };
    assert_eq!((known.learned, known.in_force), (Policy::default().floor, Duration::from_secs(30)));
}

#[test]
fn a_day_takes_no_more_room_than_its_hours_and_is_forgotten_by_the_hour() {
    let waits = waits(Duration::from_secs(30));
    pass(&waits, 3 * 1_440, &[call(80, None)]);
    assert_eq!(waits.lock()["music"].day.len(), super::DAY);
    assert_eq!(waits.known()[0].calls, 1_440);
    pass(&waits, 1, &[]);
    assert_eq!(waits.known()[0].calls, 1_440 - 60);
    pass(&waits, 1_440, &[]);
    assert_eq!(waits.known()[0].calls, 0);
}
