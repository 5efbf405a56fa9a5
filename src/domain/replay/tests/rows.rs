//! What a row tells of its attempts.

use super::{after, call, ended, second};
use crate::domain::{
    breaker::Policy,
    outcome::{Reason, Verdict},
    replay::{
        Call,
        tries::{Try, carried},
    },
};
use http::StatusCode;

/// The only attempt of a call.
fn only(call: &Call, policy: &Policy) -> Try {
    let mut carried = carried(call, &call.upstream, call.started_at_us, |_| Some(policy));
    assert_eq!(carried.tries.len(), 1);
    carried.tries.remove(0)
}

#[test]
fn the_statuses_that_the_rules_count_decide_where_the_row_tells_the_status() {
    let teapots = Policy { failure_statuses: vec![StatusCode::IM_A_TEAPOT], ..after(1) };
    let at = second(0);
    let teapot = Call { status: Some(418), ..call(at) };
    for (call, policy, verdict) in [
        (&ended(at, Reason::Http503), &after(1), Verdict::Failure),
        (&ended(at, Reason::Http503), &teapots, Verdict::Success),
        (&teapot, &after(1), Verdict::Success),
        (&teapot, &teapots, Verdict::Failure),
        (&ended(at, Reason::Http429), &teapots, Verdict::Overload),
        (&ended(at, Reason::ConnectRefused), &teapots, Verdict::Failure),
        (&ended(at, Reason::CallerDeadline), &teapots, Verdict::Neutral),
        (&Call { grpc_status: Some(14), ..call(at) }, &after(1), Verdict::Failure),
        (&Call { grpc_status: Some(5), ..call(at) }, &after(1), Verdict::Success),
    ] {
        assert_eq!(only(call, policy).verdict, verdict, "{call:?}");
    }
}

#[test]
fn an_attempt_is_judged_at_its_head_and_ends_with_its_body() {
    let at = second(0);
    let tried = only(
        &Call {
            duration_us: 900_000,
            upstream_us: Some(800_000),
            first_byte_us: Some(300_000),
            ..call(at)
        },
        &after(1),
    );
    let moments = [tried.began_us, tried.judged_us, tried.ended_us].map(|us| us - at);
    assert_eq!(moments, [100_000, 300_000, 900_000]);
    let reset = Call {
        reason: Some(Reason::ResetMidBody),
        outcome: Reason::ResetMidBody.outcome(),
        ..call(at)
    };
    assert!(only(&reset, &after(1)).dies, "a success that died");
    let failed = only(&Call { status: Some(500), ..reset }, &after(1));
    assert_eq!((failed.verdict, failed.dies), (Verdict::Failure, false), "it had failed before");
}

#[test]
fn times_that_cannot_be_are_put_in_order() {
    let at = second(0);
    let odd = Call {
        duration_us: 10,
        upstream_us: Some(u64::MAX),
        first_byte_us: Some(u64::MAX),
        ..call(at)
    };
    let tried = only(&odd, &after(1));
    assert!(at <= tried.began_us && tried.began_us <= tried.judged_us, "{tried:?}");
    assert!(tried.judged_us <= tried.ended_us, "{tried:?}");
}
