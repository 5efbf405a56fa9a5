//! `/api/v1/tasks`: rows of calls, newest first, by keyset paging.
//!
//! A cursor names the last row of its page, so a page stays where it is while new rows arrive. The
//! columns are those of the table in camelCase, with microseconds shown as milliseconds.

use std::sync::Arc;

use axum::extract::{Path, State, rejection::PathRejection};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Admin,
    query::{Asked, Pairs, Window, show_time},
    reply::{self, Answer, Fault},
};
use crate::{
    clock,
    domain::{correlation::CorrelationId, outcome::Outcome, task::TaskId},
    store::{StoredTask, TaskQuery},
};

/// Rows of a page unless the question says otherwise, and at most.
const ROWS: u32 = 50;
const MAX_ROWS: u32 = 500;

/// How far a row's time may be from the one in its id, which is cut to milliseconds.
const ID_SLACK_US: i64 = 5_000_000;

const NAMES: [&str; 10] = [
    "correlationId",
    "service",
    "upstream",
    "domain",
    "action",
    "outcome",
    "from",
    "to",
    "limit",
    "cursor",
];

/// A page of rows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tasks: Vec<Map<String, Value>>,
    /// Asks for the next page; null on the last one.
    next_cursor: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// `GET /api/v1/tasks`
pub(super) async fn list(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    let asked = Asked::read(pairs, &NAMES)?;
    let window = asked.window(clock::wall_us())?;
    let limit = asked.limit(ROWS, MAX_ROWS)?;
    // One row more than asked for tells whether there is a next page.
    let query = question(&asked, window, limit + 1)?;
    let mut rows = admin.read(admin.sources.history.tasks(&query)).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = rows.len() <= limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| !is_last);
    Ok(reply::data(Page {
        next_cursor: last.map(|row| write_cursor(row.started_at_us, row.id)),
        tasks: rows.into_iter().map(show).collect(),
        from: show_time(window.from_us),
        to: show_time(window.to_us),
    }))
}

/// `GET /api/v1/tasks/{id}`
pub(super) async fn one(
    State(admin): State<Arc<Admin>>,
    id: Result<Path<String>, PathRejection>,
    pairs: Pairs,
) -> Answer {
    Asked::read(pairs, &[])?;
    let text = id.map(|Path(text)| text).unwrap_or_default();
    let id = TaskId::parse(&text).ok_or_else(|| Fault::unreadable("id", "a task id, a UUID"))?;
    let at_us = i64::try_from(id.started_at_ms()).unwrap_or(i64::MAX).saturating_mul(1_000);
    let query = TaskQuery {
        id: Some(id),
        from_us: at_us.saturating_sub(ID_SLACK_US),
        to_us: at_us.saturating_add(ID_SLACK_US),
        limit: 1,
        ..TaskQuery::default()
    };
    let row = admin.read(admin.sources.history.tasks(&query)).await?.into_iter().next();
    row.map(|row| reply::data(show(row))).ok_or_else(|| Fault::NotFound(format!("task `{id}`")))
}

fn question(asked: &Asked, window: Window, limit: u32) -> Result<TaskQuery, Fault> {
    let text = |name| asked.text(name).map(str::to_owned);
    Ok(TaskQuery {
        id: None,
        correlation_id: asked.parsed("correlationId", "1 to 128 of [A-Za-z0-9._:-]", |text| {
            CorrelationId::keep(text.as_bytes()).map(|id| id.as_str().to_owned())
        })?,
        service: text("service"),
        upstream: text("upstream"),
        domain: text("domain"),
        action: text("action"),
        outcome: asked.parsed("outcome", &outcomes(), Outcome::parse)?,
        from_us: window.from_us,
        to_us: window.to_us,
        limit,
        after: asked.parsed("cursor", "the `nextCursor` of the page before", read_cursor)?,
    })
}

fn outcomes() -> String {
    let names: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
    format!("one of {}", names.join(", "))
}

fn write_cursor(at_us: i64, id: TaskId) -> String {
    format!("{at_us}.{id}")
}

fn read_cursor(text: &str) -> Option<(i64, TaskId)> {
    let (at_us, id) = text.split_once('.')?;
    let at_us = at_us.parse().ok().filter(|&at_us: &i64| at_us >= 0 && show_time(at_us).is_some());
    Some((at_us?, TaskId::parse(id)?))
}

/// A row in the words of the API.
fn show(row: StoredTask) -> Map<String, Value> {
    row.columns.into_iter().map(|(name, value)| show_column(name, value)).collect()
}

fn show_column(name: &str, value: Value) -> (String, Value) {
    if name == "started_at" {
        return ("startedAt".to_owned(), value.as_i64().and_then(show_time).into());
    }
    match name.strip_suffix("_us") {
        Some(stem) => (camel_case(stem) + "Ms", value.as_u64().map(ms).into()),
        None => (camel_case(name), value),
    }
}

/// Microseconds as milliseconds, the microseconds behind the point.
#[expect(clippy::cast_precision_loss, reason = "durations stay far below 2^52 µs")]
pub(super) fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{read_cursor, show_column, write_cursor};
    use crate::domain::task::TaskId;

    #[test]
    fn columns_are_shown_in_camel_case_with_milliseconds() {
        for (name, value, shown, as_value) in [
            ("failure_reason", json!("http_503"), "failureReason", json!("http_503")),
            ("duration_us", json!(1_234), "durationMs", json!(1.234)),
            ("upstream_us", Value::Null, "upstreamMs", Value::Null),
            ("deadline_ms", json!(30_000), "deadlineMs", json!(30_000)),
            ("started_at", json!(1_000_000), "startedAt", json!("1970-01-01T00:00:01Z")),
            ("weight", json!(1), "weight", json!(1)),
        ] {
            assert_eq!(show_column(name, value), (shown.to_owned(), as_value));
        }
    }

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let at = (1_800_000_000_000_123, TaskId::mint(1_800_000_000_000_123, 7));
        assert_eq!(read_cursor(&write_cursor(at.0, at.1)), Some(at));
        for bad in ["", ".", "1", "1.x", "x.00000000-0000-7000-8000-000000000000"] {
            assert_eq!(read_cursor(bad), None, "{bad}");
        }
        for no_time in [i64::MAX, i64::MIN, -1] {
            assert_eq!(read_cursor(&write_cursor(no_time, at.1)), None, "{no_time}");
        }
    }
}
