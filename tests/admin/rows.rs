//! The rows that the made-up instance has written.

use std::sync::Arc;

use fusebox::{
    domain::{
        learn::rollup::{Rollup, RollupKey},
        outcome::{Outcome, Reason},
    },
    store::StoredTask,
};
use serde_json::json;

use crate::sample::{NOON_US, row_id};

/// One of ten, newest first.
pub(crate) fn row(at: i64) -> StoredTask {
    let (started_at_us, id) = (NOON_US - at * 1_000_000, row_id(at));
    let (outcome, reason, status) = match at % 4 {
        0 => ("refused", json!("breaker_open"), json!(503)),
        1 => ("failure", json!("http_503"), json!(503)),
        _ => ("success", json!(null), json!(200)),
    };
    let columns = vec![
        ("started_at", json!(started_at_us)),
        ("id", json!(id.to_string())),
        ("correlation_id", json!(format!("req-00000000000000{at:02x}"))),
        ("upstream", json!("payments")),
        ("method", json!("POST")),
        ("path", json!("/v1/charges")),
        ("status", status),
        ("outcome", json!(outcome)),
        ("failure_reason", reason),
        ("attempts", json!(1)),
        ("duration_us", json!(12_345 + at)),
        ("weight", json!(1)),
    ];
    StoredTask { columns, started_at_us, id }
}

/// What a minute of them comes to.
pub(crate) fn rollups() -> Vec<(RollupKey, Rollup)> {
    let of = |action: &str, reason: Option<Reason>, count: u64, each_us: u64| {
        let key = RollupKey {
            minute: NOON_US / 60_000_000,
            service: Arc::from("orders"),
            upstream: "payments".into(),
            domain: "payments".into(),
            action: action.into(),
            outcome: reason.map_or(Outcome::Success, Reason::outcome),
            reason,
        };
        let stored = if reason == Some(Reason::BreakerOpen) { 1 } else { count };
        let mut rollup =
            Rollup { count, stored, duration_us: count * each_us, ..Rollup::default() };
        rollup.durations.record_many(each_us, count);
        (key, rollup)
    };
    vec![
        of("charge", None, 90, 10_000),
        of("charge", Some(Reason::Http503), 6, 50_000),
        of("charge", Some(Reason::BreakerOpen), 4, 0),
        of("refund", None, 300, 20_000),
    ]
}
