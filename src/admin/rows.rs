//! Rows for other programs: page after page, each asked for when the one before was taken.

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::{
    Admin,
    export::Format,
    query::Asked,
    reply::Fault,
    tasks::{MAX_ROWS, question, show, show_column, window},
};
use crate::{
    clock,
    store::{TaskQuery, task_columns},
};

/// Rows of an export unless it says otherwise, and at most.
const ROWS: u32 = 10_000;
const MOST_ROWS: u32 = 100_000;

/// An export under way.
struct Export {
    admin: Arc<Admin>,
    format: Format,
    columns: Vec<String>,
    query: TaskQuery,
    left: u32,
}

/// Answers with the newest rows that are asked for, as lines. A store that is away says so instead;
/// once the first page is there, an answer that it cannot go on with breaks off.
pub(super) async fn export(
    admin: &Arc<Admin>,
    asked: &Asked,
    format: Format,
) -> Result<Response, Fault> {
    if asked.text("cursor").is_some() {
        let message = "`cursor` belongs to pages of JSON: an export has no pages";
        return Err(Fault::BadRequest(message.to_owned()));
    }
    let left = asked.limit(ROWS, MOST_ROWS)?;
    let window = window(asked, admin.retention(), clock::wall_us())?;
    let columns: Vec<String> =
        task_columns().map(|name| show_column(name, Value::Null).0).collect();
    let export = Export {
        admin: Arc::clone(admin),
        format,
        columns: columns.clone(),
        query: question(asked, window)?,
        left,
    };
    let (first, rest) = match export.next().await {
        Some((first, rest)) => (Some(first?), rest),
        None => (None, None),
    };
    let others = stream::unfold(rest, async |export| export?.next().await);
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    Ok(format.response(&names, stream::iter(first.map(Ok)).chain(others)))
}

impl Export {
    /// The next page as lines, and what comes after it. After a fault nothing does.
    async fn next(mut self) -> Option<(Result<Bytes, Fault>, Option<Self>)> {
        self.query.limit = self.left.min(MAX_ROWS);
        if self.query.limit == 0 {
            return None;
        }
        let questions = &self.admin.questions;
        let rows = match questions.read(questions.history.tasks(&self.query)).await {
            Ok(rows) => rows,
            Err(fault) => return Some((Err(fault), None)),
        };
        let last = rows.last()?;
        self.query.after = Some((last.started_at_us, last.id));
        let found = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        self.left = if found < self.query.limit { 0 } else { self.left - found };
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        let records: Vec<_> = rows.into_iter().map(show).collect();
        let lines = self.format.lines(&columns, &records);
        Some((Ok(lines), Some(self)))
    }
}
