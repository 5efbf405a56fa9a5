use std::{num::NonZeroU32, time::Duration};

use super::{FleetFacts, Sync, explain};
use crate::domain::{
    breaker::{Cause, Mode, Ordered, Policy, RateRule, SlowRule, Snapshot, State},
    order::{Reach, Signature},
    task::TaskId,
    units::Percent,
};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A circuit that never left closed.
pub(super) fn closed() -> Snapshot {
    Snapshot {
        state: State::Closed,
        mode: Mode::Auto,
        order: None,
        would_refuse: 0,
        failure_count: 0,
        retry_after: s(0),
        since: s(3_720),
        cause: None,
        opened_by: None,
        is_opened_here: false,
        reset: None,
        failure_rate: None,
        window_calls: 0,
        window_failures: 0,
        epoch: 0,
        step: 0,
        generation: 1,
    }
}

/// One that five failures in a row opened nineteen seconds ago.
pub(super) fn open() -> Snapshot {
    Snapshot {
        state: State::Open,
        failure_count: 5,
        retry_after: Duration::from_millis(40_300),
        since: s(19),
        cause: Some(Cause::ConsecutiveFailures),
        opened_by: Some(Cause::ConsecutiveFailures),
        is_opened_here: true,
        step: 1,
        ..closed()
    }
}

fn ordered(left: Option<Duration>) -> Option<Ordered> {
    let signature = Signature::new(Some("ann"), "the ledger is migrated").expect("signed");
    Some(Ordered { signature, age: s(300), left, reach: Reach::Fleet })
}

fn rules() -> Policy {
    let count = |count| NonZeroU32::new(count).expect("at least one");
    let rate =
        |percent| RateRule { over: Percent::of(percent), window: s(30), min_calls: count(20) };
    Policy {
        failure_rate: Some(rate(50)),
        slow_calls: Some(SlowRule { rate: rate(80), slower_than: Duration::from_millis(250) }),
        ..Policy::default()
    }
}

#[track_caller]
fn check(snapshot: &Snapshot, policy: &Policy, fleet: Option<&FleetFacts>, expect: &[&str]) {
    assert_eq!(explain(snapshot, policy, fleet, &[]), expect);
}

#[test]
fn a_closed_circuit_says_what_would_open_it() {
    check(
        &closed(),
        &rules(),
        None,
        &[
            "The circuit is closed: calls have passed for 1h 2m.",
            "5 failures in a row would open it.",
        ],
    );
    let failing = Snapshot { failure_count: 3, cause: Some(Cause::RampOver), ..closed() };
    check(
        &failing,
        &rules(),
        None,
        &[
            "The circuit is closed: calls have passed for 1h 2m.",
            "It had been open, came back, and carries all calls again.",
            "3 failures in a row so far; 2 more would open it.",
        ],
    );
}

#[test]
fn an_open_circuit_says_which_rule_opened_it_and_when_it_is_tried() {
    check(
        &open(),
        &rules(),
        None,
        &[
            "The circuit is open: calls have been refused for 19s.",
            "5 failures in a row opened it; the rule is 5.",
            "In 41s one call is tried; 2 successes in a row close it, a failure opens it again.",
        ],
    );
    let by_rate = Snapshot {
        cause: Some(Cause::FailureRate),
        opened_by: Some(Cause::FailureRate),
        failure_rate: Percent::from_basis_points(6_600),
        window_calls: 50,
        window_failures: 33,
        ..open()
    };
    assert_eq!(
        explain(&by_rate, &rules(), None, &[])[1],
        "33 of 50 calls failed, 66%, which opened it; the rule is more than 50% of at least 20 \
         calls within 30s, beyond chance."
    );
    let by_slowness = Snapshot { opened_by: Some(Cause::SlowCalls), ..by_rate };
    assert_eq!(
        explain(&by_slowness, &rules(), None, &[])[1],
        "Slow calls opened it: more than 80% took longer than 250ms within 30s, beyond chance."
    );
}

#[test]
fn an_outage_that_lasts_says_how_often_it_was_tried() {
    let again = Snapshot { cause: Some(Cause::ProbeFailed), step: 3, ..open() };
    check(
        &again,
        &rules(),
        None,
        &[
            "The circuit is open: calls have been refused for 19s.",
            "5 failures in a row opened it; the rule is 5.",
            "The last try to close it failed.",
            "It has opened 3 times in a row, so it stays open longer each time, up to 10m.",
            "In 41s one call is tried; 2 successes in a row close it, a failure opens it again.",
        ],
    );
}

#[test]
fn coming_back_says_how_far_it_is() {
    let half_open = Snapshot {
        state: State::HalfOpen,
        cause: Some(Cause::CheckSucceeded),
        since: s(2),
        retry_after: s(0),
        ..open()
    };
    check(
        &half_open,
        &rules(),
        None,
        &[
            "The circuit is half-open: one call at a time is tried, the others are refused, for 2s now.",
            "5 failures in a row opened it; the rule is 5.",
            "A health check succeeded, which ended the open time early.",
            "The next health check or call that may be repeated is the try, after 30s any call; 2 \
         successes in a row close it, a failure opens it again.",
        ],
    );
    let ramping = Snapshot {
        state: State::Ramping,
        cause: Some(Cause::ProbesSucceeded),
        since: s(4),
        ..half_open
    };
    check(
        &ramping,
        &rules(),
        None,
        &[
            "The circuit is closing: a growing share of the calls has passed for 4s.",
            "5 failures in a row opened it; the rule is 5.",
            "2 tries in a row succeeded.",
            "In 6s all calls pass, unless its rules open it again.",
        ],
    );
}

#[test]
fn an_order_says_who_why_and_until_when() {
    let forced =
        Snapshot { mode: Mode::ForcedOpen, state: State::Open, order: ordered(None), ..closed() };
    check(
        &forced,
        &rules(),
        None,
        &[
            "The circuit is forced open: every call is refused, for 1h 2m now.",
            "ann ordered this 5m ago: “the ledger is migrated”. It holds until somebody lifts it; \
         then it follows its rules again.",
        ],
    );
    let off = Snapshot { mode: Mode::Disabled, order: ordered(Some(s(3_300))), ..closed() };
    let configured = Policy { mode: Mode::Shadow, ..rules() };
    check(
        &off,
        &configured,
        None,
        &[
            "The circuit is disabled: every call passes and nothing is counted, for 1h 2m now.",
            "ann ordered this 5m ago: “the ledger is migrated”. It ends by itself in 55m; then it is \
         `shadow` again, as configured.",
        ],
    );
    let configured = Policy { mode: Mode::Disabled, ..rules() };
    let off = Snapshot { mode: Mode::Disabled, ..closed() };
    assert_eq!(
        explain(&off, &configured, None, &[])[1],
        "It is configured so, by `mode: disabled` or CIRCUIT_BREAKER_ENABLED=false; nobody ordered it."
    );
}

#[test]
fn an_order_says_for_whom_it_holds_and_that_nobody_signed_it() {
    let told = |by, reach| {
        let signature = Signature::new(by, "a drill").expect("signed");
        let order = Some(Ordered { signature, age: s(5), left: None, reach });
        let forced = Snapshot { mode: Mode::ForcedOpen, state: State::Open, order, ..closed() };
        explain(&forced, &rules(), None, &[])[1].clone()
    };
    assert!(
        told(None, Reach::Fleet)
            .starts_with("Somebody who gave no name ordered this 5s ago: “a drill”.")
    );
    assert!(
        told(Some("ann"), Reach::Here)
            .starts_with("ann ordered this on this instance alone 5s ago:")
    );
    assert!(told(Some("ann"), Reach::Untold).ends_with(
        "The store has not been told yet, so the others do not know; they hear of it when the store \
         is back."
    ));
}

#[test]
fn a_circuit_that_is_steered_does_not_speak_of_a_try() {
    for mode in [Mode::ForcedOpen, Mode::ForcedClosed, Mode::Disabled] {
        let steered = Snapshot { mode, order: ordered(Some(s(3_300))), ..open() };
        let told = explain(&steered, &rules(), None, &[]).join(" ");
        assert!(!told.contains("tried") && !told.contains("try"), "{told}");
    }
}

#[test]
fn shadow_says_what_it_would_have_done() {
    let policy = Policy { mode: Mode::Shadow, ..rules() };
    let shadow = Snapshot { mode: Mode::Shadow, would_refuse: 41, ..open() };
    check(
        &shadow,
        &policy,
        None,
        &[
            "The circuit is in shadow: every call passes; by its rules it would have been open for 19s.",
            "It is configured so, by `mode: shadow`; nobody ordered it.",
            "5 failures in a row opened it; the rule is 5.",
            "In shadow it would have refused 41 calls since this instance started.",
            "In 41s one call is tried; 2 successes in a row close it, a failure opens it again.",
        ],
    );
}

#[test]
fn calls_that_opened_it_are_named_as_long_as_it_is_not_closed() {
    let calls: Vec<_> = (1..=4).map(TaskId::from_u128).collect();
    let told = explain(&open(), &rules(), None, &calls);
    assert_eq!(
        told[2],
        "For example tasks 00000000-0000-0000-0000-000000000004, \
         00000000-0000-0000-0000-000000000003, 00000000-0000-0000-0000-000000000002."
    );
    assert!(explain(&open(), &rules(), None, &calls[..1])[2].starts_with("For example task 0000"));
    let told = explain(&closed(), &rules(), None, &calls);
    assert!(!told.iter().any(|text| text.contains("For example")), "{told:?}");
}

#[test]
fn every_state_cause_and_mode_is_told_in_whole_sentences() {
    let facts = FleetFacts { sync: Sync::Listening, live: 3, ..FleetFacts::default() };
    let causes = || Cause::ALL.into_iter().map(Some).chain([None]);
    for mode in Mode::ALL {
        for state in State::ALL {
            for (cause, opened_by) in causes().flat_map(|a| causes().map(move |b| (a, b))) {
                let snapshot = Snapshot { mode, state, cause, opened_by, ..open() };
                for fleet in [None, Some(&facts)] {
                    let told = explain(&snapshot, &rules(), fleet, &[]);
                    let whole = |text: &String| {
                        text.ends_with('.') && text.starts_with(|c: char| !c.is_lowercase())
                    };
                    assert!(told.iter().all(whole), "{told:?}");
                    assert!(!told.iter().any(|text| text.contains("  ")), "{told:?}");
                    let says_what_next = told.len() >= 2;
                    assert!(says_what_next, "{mode:?} {state:?} {cause:?}: {told:?}");
                }
            }
        }
    }
}
