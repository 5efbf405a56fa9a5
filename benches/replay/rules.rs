//! The rules alone: calls made up as they are fed.

use std::sync::Arc;

use fusebox::{
    clock,
    domain::{
        breaker::Policy,
        outcome::{Outcome, Reason},
        replay::{Call, Replay, Rules, Sharing, Span},
        task::TaskId,
    },
};

/// Between the beginnings of two calls.
const GAP_US: i64 = 3_000;

pub(crate) fn measure(rows: u32) {
    let names: Vec<Arc<str>> = (0..20).map(|at| format!("orders-{at}").into()).collect();
    let upstream: Arc<str> = "payments".into();
    let span = Span { from_us: 0, to_us: i64::from(rows) * GAP_US };
    let circuits = [(Arc::clone(&upstream), Policy::default())].into();
    let rules = Rules { circuits, ..Rules::default() };
    let began = clock::now();
    let mut replay = Replay::new(rules, Sharing::PerInstance, span, began);
    for number in 0..rows {
        let instance = Arc::clone(&names[number as usize % names.len()]);
        replay.feed(&call(number, rows, instance, Arc::clone(&upstream)));
    }
    let report = replay.finish();
    let seconds = clock::now().duration_since(began).as_secs_f64();
    assert!(!report.trips.is_empty(), "an outage opens circuits");
    crate::line("the rules alone", rows, seconds, None);
}

fn call(number: u32, rows: u32, instance: Arc<str>, upstream: Arc<str>) -> Call {
    let is_outage = number % (rows / 10) < rows / 1_000;
    let reason = (is_outage || number % 100 == 7).then_some(Reason::Http503);
    let started_at_us = i64::from(number) * GAP_US;
    Call {
        id: TaskId::mint(started_at_us, u128::from(number)),
        started_at_us,
        instance,
        upstream,
        route: "all".into(),
        is_idempotent: true,
        is_check: false,
        outcome: reason.map_or(Outcome::Success, Reason::outcome),
        reason,
        status: Some(reason.map_or(200, |reason| reason.status().as_u16())),
        grpc_status: None,
        attempts: 1,
        log: Vec::new(),
        duration_us: 20_000,
        upstream_us: Some(19_000),
        first_byte_us: Some(18_000),
        weight: 1,
    }
}
