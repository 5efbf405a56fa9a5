//! Writing history: a batch in one transaction, and upkeep.

use std::{collections::BTreeSet, mem, pin::pin, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, future::join};
use tokio_postgres::{
    Client,
    error::{DbError, SqlState},
    types::Type,
};

use super::{Postgres, copy, cursor, literal, session::Lease, state::Param, tables::Tables};
use crate::{
    domain::{
        learn::rollup::{Rollup, RollupKey},
        task::{CallRecord, Origin},
    },
    store::{
        Batch, BoxError, Error,
        rows::{ROLLUP_COLUMNS, TASK_COLUMNS, column_list, rollup_cells},
    },
};

pub(super) async fn write(store: &Postgres, batch: &Batch<'_>) -> Result<(), Error> {
    let Batch { rows, deltas, origin, .. } = *batch;
    let statements = Statements {
        copy: (!rows.is_empty()).then(|| (copy_tasks(&store.tables), encode(store, batch))),
        // In one message, which the server gets whole or not at all: the cursor's row is never
        // locked by a transaction that waits for us.
        end: [
            insert_rollups(&store.tables, deltas, origin),
            cursor::moving(&store.tables, batch),
            "commit".to_owned(),
        ]
        .join("; "),
    };
    let lease = store.writer.lease().await?;
    let mut result = lease.within(WRITE_LIMIT, |db| apply(db, &statements)).await;
    if result.as_ref().is_err_and(is_missing_day) {
        result = match add_days(store, &lease, rows).await {
            Ok(()) => lease.within(WRITE_LIMIT, |db| apply(db, &statements)).await,
            Err(error) => Err(error),
        };
    }
    keep_room(store, statements);
    match result {
        Err(error) if cursor::is_elsewhere(&error) => Err(Error::CursorMoved),
        result => result,
    }
}

fn encode(store: &Postgres, batch: &Batch<'_>) -> Bytes {
    let mut room = store.room.lock().map(|mut room| mem::take(&mut *room)).unwrap_or_default();
    copy::encode(batch.rows, batch.origin, &mut room);
    room.into()
}

/// Keeps the room of a batch that was sent for the next one.
fn keep_room(store: &Postgres, statements: Statements) {
    let rows = statements.copy.map(|(_, rows)| rows).filter(Bytes::is_unique);
    if let (Some(rows), Ok(mut kept)) = (rows, store.room.lock())
        && rows.len() <= MAX_ROOM
    {
        *kept = rows.into();
    }
}

/// The statements of a batch, after its beginning.
struct Statements {
    /// The rows, when there are any.
    copy: Option<(String, Bytes)>,
    end: String,
}

/// Copies the rows, adds the rollups and moves the cursors, all in one transaction. Only within one
/// can a pooler be trusted to keep a COPY on one connection.
///
/// Statements are sent without waiting for the answers of those before them: where one fails, the
/// transaction has failed, and those behind it do nothing.
async fn apply(db: &Client, statements: &Statements) -> Result<(), tokio_postgres::Error> {
    let work = async {
        let Some((copy, rows)) = &statements.copy else {
            return db.batch_execute(&statements.end).await;
        };
        let mut sink = pin!(db.copy_in(copy).await?);
        sink.feed(rows.clone()).await?;
        let (copied, ended) = join(sink.as_mut().finish(), db.batch_execute(&statements.end)).await;
        copied.and(ended)
    };
    // Waited for, unlike the rest: behind one that failed, a COPY would stand on its own.
    db.batch_execute("begin").await?;
    let result = work.await;
    if result.is_err() && !db.is_closed() {
        db.batch_execute("rollback").await?;
    }
    result
}

fn copy_tasks(tables: &Tables) -> String {
    let columns = column_list(TASK_COLUMNS.iter().map(|(name, _)| *name));
    tables.name(format!("copy @task_history ({columns}) from stdin (format binary)"))
}

/// The statement that adds rollups. There are few of them to a batch: as text they take one trip.
fn insert_rollups(tables: &Tables, deltas: &[(RollupKey, Rollup)], origin: &Origin) -> String {
    if deltas.is_empty() {
        return String::new();
    }
    let into = tables.name("insert into @task_rollup");
    let mut statement = format!("{into} ({}) values ", column_list(ROLLUP_COLUMNS));
    for (at, delta) in deltas.iter().enumerate() {
        statement.push_str(if at == 0 { "(" } else { ", (" });
        literal::put_all(&mut statement, &rollup_cells(delta, origin));
        statement.push(')');
    }
    statement
}

/// Whether a row found no partition. No constraint of the table itself raises this.
fn is_missing_day(error: &Error) -> bool {
    error.of_the_server().map(DbError::code) == Some(&SqlState::CHECK_VIOLATION)
}

/// Makes room for the days of a batch.
async fn add_days(store: &Postgres, lease: &Lease<'_>, rows: &[CallRecord]) -> Result<(), Error> {
    let days: BTreeSet<i32> = rows.iter().map(|row| day_of(row.started_at_us)).collect();
    let days: Vec<i32> = days.into_iter().collect();
    let statement = store.tables.name(
        "select coalesce(bool_and(@fusebox_add_day(
            date '1970-01-01' + day, $2 * interval '1 second')), true) from unnest($1) as day",
    );
    let retention = store.retention_s.load(Ordering::Relaxed);
    let params: [Param<'_>; 2] = [(&days, Type::INT4_ARRAY), (&retention, Type::INT8)];
    let added = lease.within(UPKEEP_LIMIT, |db| db.query_typed_one(&statement, &params)).await?;
    if added.get(0) {
        return Ok(());
    }
    Err(Error::BadData(BoxError::from("a row began before the retention, or days ahead")))
}

/// A day as counted from 1970-01-01, UTC.
fn day_of(started_at_us: i64) -> i32 {
    i32::try_from(started_at_us.div_euclid(DAY_US)).unwrap_or(i32::MAX)
}

pub(super) async fn maintain(store: &Postgres) -> Result<(), Error> {
    let statement = store.tables.name("select @fusebox_maintain($1 * interval '1 second')");
    let retention = store.retention_s.load(Ordering::Relaxed);
    let params: [Param<'_>; 1] = [(&retention, Type::INT8)];
    loop {
        // Not on the writer's connection: rows need not wait for upkeep.
        let done = store.reads.query_within(UPKEEP_LIMIT, &statement, &params).await?;
        if !done.first().is_some_and(|row| row.get(0)) {
            return Ok(());
        }
    }
}

/// More room than this is not kept for the next batch.
const MAX_ROOM: usize = 4 << 20;
/// The microseconds of a day.
const DAY_US: i64 = 86_400_000_000;
/// How long a batch may take.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How long a piece of upkeep may take.
const UPKEEP_LIMIT: Duration = Duration::from_secs(30);
