//! `/api/v1/tasks`: rows of calls, newest first, by keyset paging.
//!
//! A page says how complete its window is, and how to ask for the next one. The columns are those
//! of the table in camelCase, with microseconds shown as milliseconds.

use std::{sync::Arc, time::Duration};

use axum::extract::State;
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Admin,
    cursor::Cursor,
    export::Format,
    query::{Asked, Pairs, Segment},
    questions::Questions,
    reply::{self, Answer, Fault},
    rollups::{Completeness, completeness, minutes},
    rows,
    window::{Reach, Window, show_time},
};
use crate::{
    clock,
    config::suggest::did_you_mean,
    domain::{
        correlation::CorrelationId,
        grpc::Code,
        outcome::{Outcome, Reason},
        task::TaskId,
    },
    store::{RollupQuery, StoredTask, TaskQuery},
};

/// Rows of a page unless the question says otherwise, and at most.
const ROWS: u32 = 50;
pub(super) const MAX_ROWS: u32 = 500;

/// How far a row's time may be from the one in its id, which is cut to milliseconds.
const ID_SLACK_US: i64 = 5_000_000;

const NAMES: [&str; 14] = [
    "correlationId",
    "service",
    "upstream",
    "domain",
    "action",
    "outcome",
    "reason",
    "status",
    "grpcStatus",
    "from",
    "to",
    "limit",
    "cursor",
    "format",
];

pub(super) const CORRELATION_ID: &str =
    "1 to 128 of [A-Za-z0-9._:-] that are no token, key or card number";
const STATUS: &str = "a status such as 503, or a class such as 5xx";
const GRPC_STATUS: &str = "a gRPC code such as 14 or UNAVAILABLE";
const CURSOR: &str = "the `nextCursor` of a page of the same question";

/// A page of rows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    tasks: Vec<Map<String, Value>>,
    /// Asks for the next page; null on the last one.
    next_cursor: Option<String>,
    from: Option<String>,
    to: Option<String>,
    /// Of the whole window, to the minute. Null too when only some calls of a rollup are asked for.
    completeness: Completeness,
}

/// `GET /api/v1/tasks`
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Answer {
    let asked = Asked::read(pairs, &NAMES)?;
    let format = Format::read(&asked, &headers)?;
    if format != Format::Json {
        return rows::export(&admin, &asked, format).await;
    }
    page(&admin.questions, &asked, admin.retention()).await.map(reply::data)
}

/// The page that is asked for. Rows are kept for `retention`.
pub(super) async fn page(
    questions: &Questions,
    asked: &Asked,
    retention: Duration,
) -> Result<Page, Fault> {
    let limit = asked.limit(ROWS, MAX_ROWS)?;
    let now_us = clock::wall_us();
    let mut window = window(asked, retention, now_us)?;
    let filters = asked.without(&["cursor", "limit", "format"]);
    let cursor = asked.parsed("cursor", CURSOR, |text| Cursor::read(text, &filters))?;
    window = cursor.map_or(window, |cursor| cursor.window);
    // One row more than asked for tells whether there is a next page.
    let query = TaskQuery {
        limit: limit + 1,
        after: cursor.map(|cursor| cursor.after),
        ..question(asked, window)?
    };
    let mut rows = questions.read(questions.history.tasks(&query)).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = rows.len() <= limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| !is_last);
    let next = last.map(|row| Cursor { window, after: (row.started_at_us, row.id) });
    Ok(Page {
        next_cursor: next.map(|next| next.write(&filters)),
        tasks: rows.into_iter().map(show).collect(),
        from: show_time(window.from_us),
        to: show_time(window.to_us),
        completeness: completeness_of(questions, query, window).await?,
    })
}

/// Unknown for filters that rollups do not have.
async fn completeness_of(
    questions: &Questions,
    query: TaskQuery,
    window: Window,
) -> Result<Completeness, Fault> {
    let are_summed =
        query.correlation_id.is_none() && query.status.is_none() && query.grpc_status.is_none();
    if !are_summed {
        return Ok(Completeness::default());
    }
    let (from_minute, to_minute) = minutes(window);
    let rollups = RollupQuery {
        service: query.service,
        upstream: query.upstream,
        domain: query.domain,
        action: query.action,
        from_minute,
        to_minute,
    };
    let ends = (query.outcome, query.reason);
    completeness(questions, &rollups, ends).await
}

/// `GET /api/v1/tasks/{id}`
pub(super) async fn one(
    State(admin): State<Arc<Admin>>,
    Segment(text): Segment,
    pairs: Pairs,
) -> Answer {
    Asked::read(pairs, &[])?;
    let id = TaskId::parse(&text).ok_or_else(|| Fault::unreadable("id", "a task id, a UUID"))?;
    let at_us = i64::try_from(id.started_at_ms()).unwrap_or(i64::MAX).saturating_mul(1_000);
    let query = TaskQuery {
        id: Some(id),
        from_us: at_us.saturating_sub(ID_SLACK_US),
        to_us: at_us.saturating_add(ID_SLACK_US),
        limit: 1,
        ..TaskQuery::default()
    };
    let row = admin.questions.read(admin.sources.history.tasks(&query)).await?.into_iter().next();
    row.map(|row| reply::data(show(row))).ok_or_else(|| Fault::NotFound(format!("task `{id}`")))
}

/// Everything that is kept of one correlation id, else a window.
pub(super) fn window(asked: &Asked, retention: Duration, now_us: i64) -> Result<Window, Fault> {
    let of_one = asked.text("correlationId").is_some();
    Window::read(asked, if of_one { Reach::whole(retention) } else { Reach::SCAN }, now_us)
}

/// Reads the question of a query string with these [`NAMES`].
pub(super) fn read(pairs: Pairs) -> Result<Asked, Fault> {
    Asked::read(pairs, &NAMES)
}

pub(super) fn question(asked: &Asked, window: Window) -> Result<TaskQuery, Fault> {
    Ok(TaskQuery {
        correlation_id: asked.parsed("correlationId", CORRELATION_ID, |text| {
            CorrelationId::keep(text.as_bytes()).map(|id| id.as_str().to_owned())
        })?,
        service: asked.owned("service"),
        upstream: asked.owned("upstream"),
        domain: asked.owned("domain"),
        action: asked.owned("action"),
        outcome: one_of(asked, "outcome", &Outcome::ALL, Outcome::as_str)?,
        reason: one_of(asked, "reason", Reason::ALL, Reason::as_str)?,
        status: asked.parsed("status", STATUS, read_status)?,
        grpc_status: asked
            .parsed("grpcStatus", GRPC_STATUS, |text| Code::parse(text).map(Code::number))?,
        from_us: window.from_us,
        to_us: window.to_us,
        ..TaskQuery::default()
    })
}

/// A value of a fixed vocabulary.
fn one_of<T: Copy>(
    asked: &Asked,
    name: &str,
    all: &[T],
    show: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Fault> {
    let Some(text) = asked.text(name) else { return Ok(None) };
    let names: Vec<&str> = all.iter().map(|&value| show(value)).collect();
    let found = names.iter().position(|known| *known == text).map(|at| all[at]);
    found.map(Some).ok_or_else(|| {
        let near = did_you_mean(text, names.iter().copied());
        Fault::unreadable(name, format_args!("one of {}{near}", names.join(", ")))
    })
}

/// A status, or a class such as `5xx`, as its first and last status.
fn read_status(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_number)
    };
    if let Some(class) = text.strip_suffix("xx") {
        let class = number(class).filter(|class| (1..=5).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    let status = number(text).filter(|status| (100..=999).contains(status))?;
    Some((status, status))
}

/// A row in the words of the API.
pub(super) fn show(row: StoredTask) -> Map<String, Value> {
    row.columns.into_iter().map(|(name, value)| show_column(name, value)).collect()
}

pub(super) fn show_column(name: &str, value: Value) -> (String, Value) {
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

    use super::{read_status, show_column};

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
    fn a_status_is_one_or_a_class_of_them() {
        for (text, range) in [
            ("503", Some((503, 503))),
            ("5xx", Some((500, 599))),
            ("1xx", Some((100, 199))),
            ("99", None),
            ("6xx", None),
            ("xx", None),
            ("+503", None),
            ("5XX", None),
            ("70000", None),
        ] {
            assert_eq!(read_status(text), range, "{text}");
        }
    }
}
