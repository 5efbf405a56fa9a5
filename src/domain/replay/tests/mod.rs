//! Calls, written short, and what a replay makes of them.

mod properties;
mod rows;
mod scripts;

use std::time::Duration;

use super::{Call, Replay, Report, Rules, Sharing, Span};
use crate::{
    clock,
    domain::{
        breaker::Policy,
        outcome::{Outcome, Reason},
        task::TaskId,
    },
};

/// When the past begins, in microseconds since the Unix epoch.
const BEGIN_US: i64 = 1_795_348_800_000_000;

/// The second of a moment after the beginning.
const fn second(number: i64) -> i64 {
    BEGIN_US + number * 1_000_000
}

/// A call to `payments` that began then, took a tenth of a second and succeeded.
fn call(started_at_us: i64) -> Call {
    Call {
        id: TaskId::mint(started_at_us, 0),
        started_at_us,
        instance: "orders-1".into(),
        upstream: "payments".into(),
        route: "all".into(),
        is_idempotent: true,
        is_check: false,
        outcome: Outcome::Success,
        reason: None,
        status: Some(200),
        grpc_status: None,
        attempts: 1,
        log: Vec::new(),
        duration_us: 100_000,
        upstream_us: Some(100_000),
        first_byte_us: Some(100_000),
        weight: 1,
    }
}

/// The same with a reason why it did not succeed.
fn ended(started_at_us: i64, reason: Reason) -> Call {
    let is_answer = reason.as_str().starts_with("http_");
    let is_sent = reason != Reason::BreakerOpen;
    Call {
        outcome: reason.outcome(),
        reason: Some(reason),
        status: Some(reason.status().as_u16()),
        attempts: u32::from(is_sent),
        first_byte_us: is_answer.then_some(100_000),
        ..call(started_at_us)
    }
}

/// Replays calls of one hour under rules for `payments`.
fn replay_shared(policy: Policy, sharing: Sharing, calls: &[Call]) -> Report {
    replay_rules(
        Rules { circuits: [("payments".into(), policy)].into(), ..Rules::default() },
        sharing,
        calls,
    )
}

fn replay_rules(rules: Rules, sharing: Sharing, calls: &[Call]) -> Report {
    let span = Span { from_us: BEGIN_US, to_us: second(3_600) };
    let mut replay = Replay::new(rules, sharing, span, clock::now());
    calls.iter().for_each(|call| replay.feed(call));
    replay.finish()
}

fn replay(policy: Policy, calls: &[Call]) -> Report {
    replay_shared(policy, Sharing::PerInstance, calls)
}

/// So many failures in a row open the circuit for ten seconds; one success closes it at once.
fn after(failures: u32) -> Policy {
    Policy {
        consecutive_failures: failures.try_into().unwrap(),
        open_for: Duration::from_secs(10),
        close_after: std::num::NonZeroU32::MIN,
        ramp: Duration::ZERO,
        ..Policy::default()
    }
}
