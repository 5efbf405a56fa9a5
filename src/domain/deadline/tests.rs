//! Whose deadline comes first, and what is told of it.

use super::{Deadline, EXPECTED_MS, Told};
use crate::{
    clock,
    domain::{
        grpc::{GRPC_TIMEOUT, read_timeout},
        outcome::{Reason, Verdict},
    },
};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// Of a call with these values, of which an empty one is not there.
fn deadline(began: Instant, grpc: &str, expected: &str) -> Deadline {
    let given = |text| Some(str::as_bytes(text)).filter(|text| !text.is_empty());
    let told = (Told::grpc(given(grpc), false), Told::expected_ms(given(expected), false));
    Deadline::new(60 * SECOND, began, told.0, told.1)
}

#[test]
fn the_shorter_deadline_counts_and_is_told_by_its_owner() {
    let began = clock::now();
    for (grpc, expected, seconds, reason) in [
        ("", "", 60, Reason::TimeoutTotal),
        ("5S", "", 5, Reason::CallerDeadline),
        ("", "5000", 5, Reason::CallerDeadline),
        ("5S", "3000", 3, Reason::CallerDeadline),
        ("2H", "", 60, Reason::TimeoutTotal),
        ("60S", "", 60, Reason::TimeoutTotal),
        ("99999999H", "9999999999", 60, Reason::TimeoutTotal),
        ("-1S", "", 60, Reason::TimeoutTotal),
        ("", "0", 60, Reason::TimeoutTotal),
    ] {
        let deadline = deadline(began, grpc, expected);
        let found = (deadline.at() - began, deadline.reason());
        assert_eq!(found, (seconds * SECOND, reason), "{grpc:?} {expected:?}");
        assert_eq!(deadline.total_ms(), u64::from(seconds) * 1_000);
    }
    assert_eq!(Reason::CallerDeadline.verdict(), Verdict::Neutral);
}

#[test]
fn values_that_make_no_sense_count_for_nothing_and_are_dropped() {
    let no_number: [&[u8]; 8] = [b"", b"-1", b"+1", b"1.5", b" 1", b"5s", b"99999999999", b"\xff"];
    for value in no_number {
        assert_eq!(Told::expected_ms(Some(value), false), Told::Nonsense, "{value:?}");
        assert_eq!(Told::grpc(Some(value), false), Told::Nonsense, "{value:?}");
    }
    for told in [Told::grpc, Told::expected_ms] {
        assert_eq!(told(None, false), Told::Nothing);
    }
    assert_eq!(Told::grpc(Some(b"1S"), true), Told::Nonsense, "it is there twice");
    assert_eq!(Told::expected_ms(Some(b"1000"), true), Told::Nonsense, "it is there twice");
    let mut fields = HeaderMap::new();
    for name in [GRPC_TIMEOUT, EXPECTED_MS] {
        fields.append(&name, HeaderValue::from_static("-1"));
        fields.append(name, HeaderValue::from_static("1"));
    }
    let began = clock::now();
    Deadline::new(SECOND, began, Told::Nonsense, Told::Nonsense).tell(&mut fields, began);
    assert!(fields.is_empty(), "{fields:?}");
}

#[test]
fn a_deadline_that_has_passed_needs_no_call() {
    let began = clock::now();
    let passed = deadline(began, "0m", "");
    assert_eq!(passed.expired(began), Some(Reason::CallerDeadline));
    let short = deadline(began, "1S", "");
    assert_eq!(short.expired(began), None);
    assert_eq!(short.expired(began + SECOND), Some(Reason::CallerDeadline));
    assert_eq!(deadline(began, "", "").expired(began + 60 * SECOND), Some(Reason::TimeoutTotal));
}

#[test]
fn those_asked_in_turn_share_the_time_of_the_first_and_are_not_blamed_for_what_others_used() {
    let began = clock::now();
    let first = deadline(began, "", "");
    assert_eq!(first.verdict(Reason::TimeoutTotal), Verdict::Failure);
    let early = first.in_turn(20 * SECOND, began + 30 * SECOND);
    assert_eq!(early.at(), began + 50 * SECOND, "its own");
    assert_eq!(early.verdict(Reason::TimeoutTotal), Verdict::Failure);
    let late = first.in_turn(20 * SECOND, began + 50 * SECOND);
    assert_eq!((late.at(), late.reason()), (first.at(), Reason::TimeoutTotal), "the rest");
    assert_eq!(late.verdict(Reason::TimeoutTotal), Verdict::Neutral);
    assert_eq!(late.verdict(Reason::TimeoutFirstByte), Verdict::Failure);
    assert_eq!(late.total_ms(), first.total_ms());
}

#[test]
fn an_attempt_ends_with_its_own_timeout_or_with_the_call() {
    let began = clock::now();
    let five = deadline(began, "5S", "");
    let end = began + 5 * SECOND;
    assert_eq!(five.attempt(None, began), (end, Reason::CallerDeadline));
    assert_eq!(five.attempt(Some(SECOND), began), (began + SECOND, Reason::TimeoutAttempt));
    let late = began + 9 * SECOND / 2;
    assert_eq!(five.attempt(Some(SECOND), late), (end, Reason::CallerDeadline));
    assert_eq!(five.attempt(Some(Duration::MAX), began), (end, Reason::CallerDeadline));
}

#[test]
fn who_stands_in_has_a_time_of_its_own_within_the_callers() {
    let began = clock::now();
    let late = began + 60 * SECOND;
    let alone = deadline(began, "", "").instead(2 * SECOND, late);
    assert_eq!((alone.at(), alone.reason()), (late + 2 * SECOND, Reason::TimeoutTotal));
    let told = deadline(began, "", "61000").instead(2 * SECOND, late);
    assert_eq!((told.at(), told.reason()), (late + SECOND, Reason::CallerDeadline));
}

#[test]
fn an_upstream_is_told_what_is_left_and_nothing_that_its_caller_did_not_say() {
    let began = clock::now();
    let told = |grpc, expected, passed| {
        let mut fields = HeaderMap::new();
        deadline(began, grpc, expected).tell(&mut fields, began + passed);
        let text = |name| fields.get(name).map(|value| value.to_str().unwrap().to_owned());
        (text(GRPC_TIMEOUT), text(EXPECTED_MS))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(told("", "", SECOND), (None, None));
    assert_eq!(told("5S", "", SECOND), (some("4000000u"), None));
    assert_eq!(told("", "5000", SECOND), (None, some("4000")));
    // A stream may go on for longer than our wait for its head.
    assert_eq!(told("1H", "", SECOND), (some("3599000m"), None));
    assert_eq!(told("5S", "5000", 9 * SECOND), (some("1000000n"), some("1")));
}

#[test]
fn too_late_for_the_caller_is_not_the_upstreams_fault() {
    let began = clock::now();
    let five = deadline(began, "5S", "");
    let exceeded = Reason::GrpcDeadlineExceeded;
    let almost = began + 5 * SECOND - Duration::from_millis(5);
    assert_eq!(five.blame(exceeded, almost), Reason::CallerDeadline);
    assert_eq!(five.blame(Reason::Http504, almost), Reason::CallerDeadline);
    assert_eq!(five.blame(Reason::GrpcUnavailable, almost), Reason::GrpcUnavailable);
    assert_eq!(five.blame(exceeded, began + SECOND), exceeded, "its own haste");
    let silent = deadline(began, "", "");
    assert_eq!(silent.blame(exceeded, began + 60 * SECOND), exceeded, "our deadline");
    // A stream outlives our wait, and ends with its caller's deadline.
    let stream = deadline(began, "10M", "");
    assert_eq!(stream.blame(exceeded, began + 600 * SECOND), Reason::CallerDeadline);
}

#[test]
fn a_wait_for_room_that_outlasts_the_caller_ends_with_its_deadline() {
    let began = clock::now();
    let five = deadline(began, "", "5000");
    let full = Reason::QueueTimeout;
    assert_eq!(five.waited(full, began + SECOND), full);
    assert_eq!(five.waited(full, began + 5 * SECOND), Reason::CallerDeadline);
    assert_eq!(deadline(began, "", "").waited(full, began + 60 * SECOND), full);
}

fn some_told() -> impl Strategy<Value = Told> {
    let within = (0_u64..400_000_000_000_000).prop_map(Duration::from_millis);
    prop_oneof![Just(Told::Nothing), Just(Told::Nonsense), within.prop_map(Told::Within)]
}

proptest! {
    #[test]
    fn nobody_waits_longer_than_anybody_said(total_ms in 1_u64..100_000_000, grpc in some_told(), expected in some_told(), limit_ms in any::<Option<u32>>(), passed_ms in 0_u64..1_000_000) {
        let began = clock::now();
        let total = Duration::from_millis(total_ms);
        let deadline = Deadline::new(total, began, grpc, expected);
        let shorter = |told: &Told| matches!(told, Told::Within(time) if *time < total);
        let is_callers = [grpc, expected].iter().any(shorter);
        assert_eq!(deadline.reason() == Reason::CallerDeadline, is_callers);
        assert!(deadline.at() <= began + total);
        for told in [grpc, expected] {
            if let Told::Within(time) = told {
                assert!(deadline.at() - began <= time);
            }
        }
        let now = began + Duration::from_millis(passed_ms);
        let limit = limit_ms.map(|ms| Duration::from_millis(ms.into()));
        let (end, reason) = deadline.attempt(limit, now);
        assert!(end <= deadline.at());
        assert!(limit.is_none_or(|limit| end <= now + limit));
        assert_eq!(reason == Reason::TimeoutAttempt, end < deadline.at());
    }

    #[test]
    fn an_upstream_is_never_told_more_than_is_left_and_always_something(grpc in some_told(), expected in some_told(), passed_ms in 0_u64..10_000_000) {
        let began = clock::now();
        let passed = Duration::from_millis(passed_ms);
        let mut fields = HeaderMap::new();
        Deadline::new(SECOND, began, grpc, expected).tell(&mut fields, began + passed);
        let grpc_told = fields.get(GRPC_TIMEOUT).map(|v| read_timeout(v.as_bytes()).unwrap());
        let expected_told = fields.get(EXPECTED_MS).map(|value| {
            Duration::from_millis(value.to_str().unwrap().parse().unwrap())
        });
        for (told, sent) in [(grpc, grpc_told), (expected, expected_told)] {
            match (told, sent) {
                (Told::Within(time), Some(sent)) => {
                    let left = time.saturating_sub(passed).max(Duration::from_millis(1));
                    assert!(sent <= left && !sent.is_zero(), "{sent:?} of {left:?}");
                }
                (Told::Nothing | Told::Nonsense, None) => {}
                mixed => panic!("{mixed:?}"),
            }
        }
    }

    #[test]
    fn any_field_is_read(value in proptest::collection::vec(any::<u8>(), 0..20), is_repeated: bool) {
        for told in [Told::grpc(Some(&value), is_repeated), Told::expected_ms(Some(&value), is_repeated)] {
            assert_ne!(told, Told::Nothing);
            assert!(!is_repeated || told == Told::Nonsense);
        }
    }
}
