//! The columns of the two history tables, and a record laid out in them.
//!
//! The one place that knows the order of the columns: both stores write what [`put_task`] and
//! [`rollup_cells`] return and read what [`TASK_COLUMNS`] and [`ROLLUP_COLUMNS`] name.

use std::{fmt::Write, sync::Arc};

use serde_json::{Value, json};

use super::params;

use crate::domain::{
    correlation::TraceId,
    learn::{
        histogram::Histogram,
        rollup::{Rollup, RollupKey},
    },
    outcome::{Outcome, Reason},
    task::{Attempt, CallRecord, Origin},
};

/// What a column of `task_history` is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// Microseconds since the Unix epoch.
    Time,
    /// A UUID.
    Id,
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A fraction.
    Real,
    /// A JSON document.
    Json,
}

/// The columns of `task_history`, in order.
pub(super) const TASK_COLUMNS: [(&str, Type); 35] = [
    ("started_at", Type::Time),
    ("id", Type::Id),
    ("correlation_id", Type::Text),
    ("trace_id", Type::Text),
    ("parent_id", Type::Id),
    ("namespace", Type::Text),
    ("service", Type::Text),
    ("version", Type::Text),
    ("instance", Type::Text),
    ("listener", Type::Text),
    ("route", Type::Text),
    ("upstream", Type::Text),
    ("endpoint", Type::Text),
    ("domain", Type::Text),
    ("action", Type::Text),
    ("method", Type::Text),
    ("path", Type::Text),
    ("status", Type::Integer),
    ("grpc_status", Type::Integer),
    ("outcome", Type::Text),
    ("failure_reason", Type::Text),
    ("attempts", Type::Integer),
    ("attempt_log", Type::Json),
    ("breaker_state", Type::Text),
    ("duration_us", Type::Integer),
    ("upstream_us", Type::Integer),
    ("first_byte_us", Type::Integer),
    ("deadline_ms", Type::Integer),
    ("request_bytes", Type::Integer),
    ("response_bytes", Type::Integer),
    ("impact_score", Type::Real),
    ("cost", Type::Real),
    ("params", Type::Json),
    ("weight", Type::Integer),
    ("impact_source", Type::Text),
];

/// What a row is read with besides: who its instance was, as a document; null where nobody knows.
pub(super) const SIDECAR: &str = "sidecar";

/// The names of the columns that a row is read with, in order: those of `task_history` first.
pub fn task_columns() -> impl Iterator<Item = &'static str> {
    TASK_COLUMNS.iter().map(|(name, _)| *name).chain([SIDECAR])
}

/// The columns of `task_rollup`, in order. Its `resolution` has a default.
pub(super) const ROLLUP_COLUMNS: [&str; SUM_CELLS] = [
    "bucket",
    "namespace",
    "service",
    "upstream",
    "domain",
    "action",
    "outcome",
    "failure_reason",
    "calls",
    "stored",
    "attempts",
    "duration_us",
    "request_bytes",
    "response_bytes",
    "scored",
    "impact_micros",
    "priced",
    "cost_nanos",
    "bins",
    "bin_calls",
];

/// The cells of a row of [`ROLLUP_COLUMNS`].
pub(super) const SUM_CELLS: usize = 20;

/// One value on its way into a row of [`TASK_COLUMNS`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Time(i64),
    Id(u128),
    Trace(TraceId),
    Text(&'a str),
    /// A text that is known to be ASCII.
    Ascii(&'a [u8]),
    Json(String),
    Small(i16),
    Int(i32),
    Big(i64),
    Real(f32),
    Double(f64),
}

/// One value on its way into a row of [`ROLLUP_COLUMNS`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SumCell<'a> {
    Time(i64),
    Text(&'a str),
    Big(i64),
    Smalls(Vec<i16>),
    Bigs(Vec<i64>),
}

/// Hands out a call cell by cell, as a row of [`TASK_COLUMNS`].
///
/// Inlined, so that whoever writes cells as they come never has to find out which kind they are.
#[expect(clippy::inline_always, reason = "a third of what a row costs")]
#[inline(always)]
pub(super) fn put_task<'a>(call: &'a CallRecord, who: &'a Origin, mut put: impl FnMut(Cell<'a>)) {
    let site = &*call.site;
    put(Cell::Time(call.started_at_us));
    put(Cell::Id(call.id.as_u128()));
    put(Cell::Ascii(call.correlation_id.as_bytes()));
    put(Cell::Trace(call.trace_id));
    put(call.parent_id.map_or(Cell::Null, |id| Cell::Id(id.as_u128())));
    put(Cell::Text(&who.namespace));
    put(Cell::Text(&who.service));
    put(Cell::Text(&who.version));
    put(Cell::Text(&who.instance));
    put(Cell::Text(&site.listener));
    put(Cell::Text(&site.route));
    put(Cell::Text(&site.upstream));
    put(call.endpoint.as_deref().map_or(Cell::Null, Cell::Text));
    put(Cell::Text(&site.domain));
    put(Cell::Text(&site.action));
    put(Cell::Text(call.method.as_str()));
    put(Cell::Text(&site.path));
    put(call
        .status
        .map_or(Cell::Null, |code| Cell::Small(i16::try_from(code).unwrap_or(i16::MAX))));
    put(call.grpc_status.map_or(Cell::Null, |code| Cell::Small(code.into())));
    put(Cell::Text(call.outcome.as_str()));
    put(call.reason.map_or(Cell::Null, |reason| Cell::Text(reason.as_str())));
    put(Cell::Int(i32::try_from(call.attempts.len()).unwrap_or(i32::MAX)));
    put(attempt_log(&call.attempts, &site.upstream));
    put(Cell::Text(call.breaker_state.as_str()));
    put(big(call.duration_us));
    put(call.upstream_us.map_or(Cell::Null, big));
    put(call.first_byte_us.map_or(Cell::Null, big));
    put(call.deadline_ms.map_or(Cell::Null, big));
    put(big(call.request_bytes));
    put(big(call.response_bytes));
    let captured = call.captured.as_deref();
    let cost = captured.and_then(|known| known.cost_nano_usd);
    let known = captured.filter(|known| !known.params.is_empty());
    put(captured.and_then(|known| known.impact_score).map_or(Cell::Null, Cell::Real));
    put(cost.map_or(Cell::Null, |cost| Cell::Double(params::usd(cost))));
    put(known.map_or(Cell::Null, |known| Cell::Json(params::json(&known.params).to_string())));
    put(Cell::Int(i32::try_from(call.weight).unwrap_or(i32::MAX)));
    put(Cell::Null);
}

/// The attempts as JSON; nothing when there was one at the call's own upstream, for the row itself
/// says it all.
fn attempt_log(attempts: &[Attempt], upstream: &str) -> Cell<'static> {
    if attempts.len() < 2 && attempts.iter().all(|attempt| attempt.instead.is_none()) {
        return Cell::Null;
    }
    let entries = attempts.iter().map(|attempt| {
        json!({
            "upstream": attempt.instead.as_deref().unwrap_or(upstream),
            "endpoint": &*attempt.endpoint,
            "verdict": attempt.verdict.as_str(),
            "reason": attempt.reason.map(Reason::as_str),
            "durationUs": attempt.duration_us,
        })
    });
    Cell::Json(Value::Array(entries.collect()).to_string())
}

/// A rollup as a row of [`ROLLUP_COLUMNS`].
pub(super) fn rollup_cells<'a>(
    (key, rollup): &'a (RollupKey, Rollup),
    who: &'a Origin,
) -> [SumCell<'a>; SUM_CELLS] {
    let service = if key.service.is_empty() { &who.service } else { &*key.service };
    let texts: [&str; 7] = [
        &who.namespace,
        service,
        &key.upstream,
        &key.domain,
        &key.action,
        key.outcome.as_str(),
        key.reason.map_or("", Reason::as_str),
    ];
    sum_cells(key.minute.saturating_mul(MINUTE_US), texts, rollup)
}

/// A sum as a row of [`ROLLUP_COLUMNS`], from its texts in their order.
pub(super) fn sum_cells<'a>(
    bucket_us: i64,
    texts: [&'a str; 7],
    sum: &Rollup,
) -> [SumCell<'a>; SUM_CELLS] {
    let [namespace, service, upstream, domain, action, outcome, reason] = texts.map(SumCell::Text);
    let (bins, calls) = sum.durations.bins().map(|(bin, calls)| (bin, signed(calls))).unzip();
    [
        SumCell::Time(bucket_us),
        namespace,
        service,
        upstream,
        domain,
        action,
        outcome,
        reason,
        SumCell::Big(signed(sum.count)),
        SumCell::Big(signed(sum.stored)),
        SumCell::Big(signed(sum.attempts)),
        SumCell::Big(signed(sum.duration_us)),
        SumCell::Big(signed(sum.request_bytes)),
        SumCell::Big(signed(sum.response_bytes)),
        SumCell::Big(signed(sum.scored)),
        SumCell::Big(sum.impact_micros),
        SumCell::Big(signed(sum.priced)),
        SumCell::Big(signed(sum.cost_nanos)),
        SumCell::Smalls(bins),
        SumCell::Bigs(calls),
    ]
}

/// The texts of a rollup's row: service, upstream, domain, action, outcome and reason.
pub(super) type RollupTexts<'a> = [&'a str; 6];

/// The numbers of a rollup's row, from `calls` to `cost_nanos`.
pub(super) type RollupCounts = [i64; 10];

/// The key of a rollup's row. None for an outcome that a newer version has made up; a reason that
/// is not known is dropped.
pub(super) fn rollup_key(bucket_us: i64, texts: RollupTexts<'_>) -> Option<RollupKey> {
    let [service, upstream, domain, action, outcome, reason] = texts;
    Some(RollupKey {
        minute: bucket_us.div_euclid(MINUTE_US),
        service: Arc::from(service),
        upstream: upstream.into(),
        domain: domain.into(),
        action: action.into(),
        outcome: Outcome::parse(outcome)?,
        reason: Reason::parse(reason),
    })
}

/// The rollup of a row.
pub(super) fn rollup_of(counts: RollupCounts, bins: &[i16], bin_calls: &[i64]) -> Rollup {
    let [_, _, _, _, _, _, _, impact_micros, _, _] = counts;
    let [
        count,
        stored,
        attempts,
        duration_us,
        request_bytes,
        response_bytes,
        scored,
        _,
        priced,
        cost,
    ] = counts.map(unsigned);
    let calls = bin_calls.iter().copied().map(unsigned);
    Rollup {
        count,
        stored,
        attempts,
        duration_us,
        request_bytes,
        response_bytes,
        scored,
        impact_micros,
        priced,
        cost_nanos: cost,
        durations: Histogram::from_bins(bins.iter().copied().zip(calls)),
    }
}

/// The names of columns for a statement, separated by commas.
pub(super) fn column_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut list = String::new();
    for name in names {
        let comma = if list.is_empty() { "" } else { ", " };
        write!(list, "{comma}{name}").ok();
    }
    list
}

/// A number for a column. Postgres has no unsigned ones.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from a column; none of ours is negative.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn big(number: u64) -> Cell<'static> {
    Cell::Big(signed(number))
}

/// The microseconds of a minute.
pub(super) const MINUTE_US: i64 = 60_000_000;
