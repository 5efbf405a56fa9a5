//! How fast rows get in, with all indexes and the rollups that belong to them.

use std::sync::Arc;

use fusebox::{
    clock,
    domain::{
        breaker::State,
        correlation::{CorrelationId, TraceId},
        learn::rollup::deltas,
        outcome::Outcome,
        task::{CallRecord, CallSite, Origin, TaskId},
    },
    store::{Advance, Batch, HistoryStore},
};
use http::Method;

use crate::{Result, lab::Lab};

const BATCH: usize = 1_000;
const BATCHES: u32 = 200;

pub(crate) async fn print(lab: &Lab) -> Result<()> {
    let (history, process) = (lab.instance("writer")?, process());
    let began = clock::now();
    let mut writing = std::time::Duration::ZERO;
    for number in 1..=BATCHES {
        let rows = calls(BATCH);
        let began = clock::now();
        write(&*history, &process, number, &rows).await?;
        writing += clock::now().duration_since(began);
    }
    let rows = f64::from(BATCHES) * 1_000.0;
    println!(
        "\n{:.0} rows a second, one writer, batches of {BATCH}, each committed to disk ({:.1} s)",
        rows / writing.as_secs_f64(),
        clock::now().duration_since(began).as_secs_f64(),
    );
    Ok(())
}

/// A process with a journal of its own.
pub(crate) fn process() -> Origin {
    Origin {
        namespace: "default".into(),
        service: "bench".into(),
        version: String::new(),
        instance: TaskId::mint(clock::wall_us(), fastrand::u128(..)).to_string(),
    }
}

/// Writes one batch as the history's writer does; batches are numbered from one.
pub(crate) async fn write(
    history: &dyn HistoryStore,
    origin: &Origin,
    number: u32,
    rows: &[CallRecord],
) -> Result<()> {
    let advances = [Advance { worker: 0, from: u64::from(number) - 1, to: u64::from(number) }];
    let deltas = deltas(&origin.service, rows, rows);
    let batch =
        Batch { journal_id: &origin.instance, origin, advances: &advances, rows, deltas: &deltas };
    Ok(history.write(&batch).await?)
}

/// Calls of thirty operations that begin now.
pub(crate) fn calls(count: usize) -> Vec<CallRecord> {
    let sites: Vec<Arc<CallSite>> = (0..30).map(|n| Arc::new(site(n))).collect();
    (0..count).map(|_| call(Arc::clone(&sites[fastrand::usize(..sites.len())]))).collect()
}

/// The operations that the table is full of.
fn site(number: usize) -> CallSite {
    const UPSTREAMS: [&str; 12] = [
        "payments",
        "music",
        "orders",
        "search",
        "catalogue",
        "mail",
        "users",
        "stock",
        "shipping",
        "reports",
        "sessions",
        "prices",
    ];
    const ACTIONS: [&str; 3] = ["create", "read-by-id", "list-recent"];
    let upstream: Box<str> = UPSTREAMS[number % UPSTREAMS.len()].into();
    CallSite {
        listener: "egress".into(),
        route: upstream.clone(),
        upstream: upstream.clone(),
        domain: upstream,
        action: ACTIONS[number / UPSTREAMS.len()].into(),
        path: "/calls/*".into(),
    }
}

fn call(site: Arc<CallSite>) -> CallRecord {
    let started_at_us = clock::wall_us();
    CallRecord {
        id: TaskId::mint(started_at_us, fastrand::u128(..)),
        started_at_us,
        correlation_id: CorrelationId::mint(fastrand::u64(..)),
        trace_id: TraceId::from_u128(fastrand::u128(..)),
        parent_id: None,
        site,
        endpoint: Some("upstream:8080".into()),
        method: Method::POST,
        status: Some(200),
        grpc_status: None,
        outcome: Outcome::Success,
        reason: None,
        attempts: std::iter::empty().collect(),
        breaker_state: State::Closed,
        duration_us: fastrand::u64(100..100_000),
        upstream_us: Some(90),
        first_byte_us: Some(80),
        deadline_ms: Some(60_000),
        request_bytes: fastrand::u64(..2_000),
        response_bytes: fastrand::u64(..20_000),
        captured: None,
        weight: 1,
    }
}
