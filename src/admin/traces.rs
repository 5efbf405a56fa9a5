//! `/api/v1/traces/{correlationId}`: the calls of a correlation id as a tree.

use std::{collections::BTreeSet, sync::Arc};

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Admin,
    query::{Asked, Pairs, Segment},
    reply::{self, Answer, Fault},
    tasks::{CORRELATION_ID, ms, show},
};
use crate::{
    clock,
    domain::{
        correlation::CorrelationId,
        task::TaskId,
        trace::{Link, Placed, tree},
        waterfall::Scale,
    },
    store::{StoredTask, TaskQuery},
};

/// Calls of a trace that are told at most, the newest.
const CALLS: u32 = 500;

/// What `data` holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TraceJson {
    correlation_id: String,
    /// There are more calls than these.
    is_cut: bool,
    services: BTreeSet<String>,
    duration_ms: f64,
    /// Each before those that it caused.
    calls: Vec<CallJson>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallJson {
    /// How many calls are above it.
    depth: usize,
    /// `root`, `child`, `orphan` (what caused it has no row here) or `cycle`.
    standing: &'static str,
    /// From the start of the first call.
    offset_ms: f64,
    #[serde(flatten)]
    row: Map<String, Value>,
}

/// `GET /api/v1/traces/{correlationId}`
pub(super) async fn one(
    State(admin): State<Arc<Admin>>,
    Segment(text): Segment,
    pairs: Pairs,
) -> Answer {
    Asked::read(pairs, &[])?;
    let id = CorrelationId::keep(text.as_bytes());
    let id = id.ok_or_else(|| Fault::unreadable("correlationId", CORRELATION_ID))?;
    let now_us = clock::wall_us();
    let kept_us = i64::try_from(admin.retention().as_micros()).unwrap_or(i64::MAX);
    let query = TaskQuery {
        correlation_id: Some(id.as_str().to_owned()),
        from_us: now_us.saturating_sub(kept_us).max(0),
        to_us: now_us.saturating_add(1),
        limit: CALLS + 1,
        ..TaskQuery::default()
    };
    let mut rows = admin.questions.read(admin.sources.history.tasks(&query)).await?;
    if rows.is_empty() {
        return Err(Fault::NotFound(format!("call with the correlation id `{}`", id.as_str())));
    }
    let most = usize::try_from(CALLS).unwrap_or(usize::MAX);
    let is_cut = rows.len() > most;
    rows.truncate(most);
    Ok(reply::data(TraceJson::new(id.as_str().to_owned(), is_cut, rows)))
}

impl TraceJson {
    fn new(correlation_id: String, is_cut: bool, rows: Vec<StoredTask>) -> Self {
        let links: Vec<Link> = rows.iter().map(link).collect();
        let scale = Scale::of(rows.iter().map(|row| (row.started_at_us, duration_us(row))));
        let services = rows.iter().filter_map(|row| column(row, "service")?.as_str());
        let services = services.map(str::to_owned).collect();
        let mut rows: Vec<_> = rows.into_iter().map(Some).collect();
        let call = |Placed { at, depth, standing }: Placed| {
            let row = rows[at].take()?;
            let offset_ms = ms(scale.offset_us(row.started_at_us));
            Some(CallJson { depth, standing: standing.as_str(), offset_ms, row: show(row) })
        };
        Self {
            correlation_id,
            is_cut,
            services,
            duration_ms: ms(scale.length_us()),
            calls: tree(&links).into_iter().filter_map(call).collect(),
        }
    }
}

fn link(row: &StoredTask) -> Link {
    let parent = column(row, "parent_id").and_then(Value::as_str).and_then(TaskId::parse);
    Link { id: row.id, parent, started_us: row.started_at_us }
}

fn duration_us(row: &StoredTask) -> u64 {
    column(row, "duration_us").and_then(Value::as_u64).unwrap_or(0)
}

fn column<'a>(row: &'a StoredTask, name: &str) -> Option<&'a Value> {
    row.columns.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}
