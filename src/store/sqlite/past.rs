//! Reading history from its beginning, from SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row, named_params};

use super::{Sqlite, on};
use crate::{
    domain::{replay::Span, task::TaskId},
    store::{
        Error, Identity, Opening, PastPage, PastQuery, PastStore,
        past::{MAX_OPENINGS, PAST_COLUMNS, PastRow, Reading},
        rows::column_list,
    },
};

#[async_trait]
impl PastStore for Sqlite {
    async fn calls(&self, query: &PastQuery) -> Result<PastPage, Error> {
        let (me, query) = (Arc::clone(&self.identity), query.clone());
        on(&self.reader, move |db| calls(db, &me, &query)).await
    }

    async fn openings(&self, span: Span, upstream: Option<&str>) -> Result<Vec<Opening>, Error> {
        let (me, upstream) = (Arc::clone(&self.identity), upstream.map(str::to_owned));
        on(&self.reader, move |db| openings(db, &me, span, upstream.as_deref())).await
    }
}

fn calls(db: &Connection, me: &Identity, query: &PastQuery) -> Result<PastPage, rusqlite::Error> {
    let mut statement = db.prepare_cached(&format!(
        "select started_at, id, {} from task_history
        where namespace = :namespace and started_at >= :from and started_at < :to
            and (:upstream is null or upstream = :upstream or attempt_log is not null)
            and (:after_at is null or (started_at, id) > (:after_at, :after_id))
        order by started_at, id limit :limit",
        column_list(PAST_COLUMNS)
    ))?;
    let mut rows = statement.query(named_params! {
        ":namespace": me.namespace,
        ":from": query.after.map_or(query.span.from_us, |(at_us, _)| at_us),
        ":to": query.span.to_us,
        ":upstream": query.upstream,
        ":after_at": query.after.map(|(at_us, _)| at_us),
        ":after_id": query.after.map(|(_, id)| id.to_string()),
        ":limit": query.limit,
    })?;
    let mut reading = Reading::new(query.limit);
    while let Some(row) = rows.next()? {
        reading.take(past_row(row)?);
    }
    Ok(reading.finish())
}

fn openings(
    db: &Connection,
    me: &Identity,
    span: Span,
    upstream: Option<&str>,
) -> Result<Vec<Opening>, rusqlite::Error> {
    let mut statement = db.prepare_cached(
        "select at_us, upstream, instance, cause, detail ->> 'taskIds' from circuit_breaker_event
        where namespace = :namespace and at_us >= :from and at_us < :to and to_state = 'open'
            and from_state in ('closed', 'ramping')
            and (:upstream is null or instr(upstream || '/', :upstream || '/') = 1)
        order by id limit :limit",
    )?;
    let params = named_params! {
        ":namespace": me.namespace,
        ":from": span.from_us,
        ":to": span.to_us,
        ":upstream": upstream,
        ":limit": MAX_OPENINGS,
    };
    let opening = |row: &Row<'_>| {
        Ok(Opening {
            at_us: row.get(0)?,
            upstream: row.get(1)?,
            instance: row.get(2)?,
            cause: row.get(3)?,
            calls: row.get_ref(4)?.as_str_or_null()?.map(task_ids).unwrap_or_default(),
        })
    };
    statement.query_map(params, opening)?.collect()
}

/// The ids of calls in an array of them; none where it is none.
fn task_ids(json: &str) -> Vec<TaskId> {
    let ids: Vec<&str> = serde_json::from_str(json).unwrap_or_default();
    ids.into_iter().filter_map(TaskId::parse).collect()
}

fn past_row<'a>(row: &'a Row<'_>) -> Result<PastRow<'a>, rusqlite::Error> {
    let mut texts = [""; 7];
    for (at, text) in (2..).zip(&mut texts) {
        *text = row.get_ref(at)?.as_str()?;
    }
    let log = row.get_ref(13)?.as_str_or_null()?;
    Ok(PastRow {
        started_at_us: row.get(0)?,
        id: TaskId::parse(row.get_ref(1)?.as_str()?).unwrap_or(TaskId::from_u128(0)),
        texts,
        reason: row.get_ref(9)?.as_str_or_null()?,
        status: row.get(10)?,
        grpc_status: row.get(11)?,
        attempts: row.get(12)?,
        log: log.and_then(|log| serde_json::from_str(log).ok()),
        duration_us: row.get(14)?,
        upstream_us: row.get(15)?,
        first_byte_us: row.get(16)?,
        weight: row.get(17)?,
    })
}
