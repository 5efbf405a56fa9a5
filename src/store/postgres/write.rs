//! Writing history: a batch in one transaction, and upkeep.

use std::{collections::BTreeSet, pin::pin, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::{Client, error::SqlState, types::Type};

use super::{Postgres, copy, session::Lease, state::Param, tables::Tables};
use crate::{
    domain::{
        learn::rollup::{Rollup, RollupKey},
        task::CallRecord,
    },
    store::{
        BoxError, Error,
        rows::{ROLLUP_COLUMNS, TASK_COLUMNS, column_list, rollup_cells, task_cells},
    },
};

pub(super) async fn write(
    store: &Postgres,
    rows: &[CallRecord],
    deltas: &[(RollupKey, Rollup)],
) -> Result<(), Error> {
    let me = &store.identity;
    let batch = [
        (copy_tasks(&store.tables), copy::encode(rows.iter().map(|row| task_cells(row, me)))),
        (copy_rollups(&store.tables), copy::encode(deltas.iter().map(|d| rollup_cells(d, me)))),
    ];
    let lease = store.writer.lease().await?;
    match lease.within(WRITE_LIMIT, |db| apply(db, &batch)).await {
        Err(error) if is_missing_day(&error) => {
            add_days(store, &lease, rows).await?;
            lease.within(WRITE_LIMIT, |db| apply(db, &batch)).await
        }
        result => result,
    }
}

/// Copies each table's rows, all in one transaction. Only within one can a pooler be trusted to
/// keep a COPY on one connection.
async fn apply(db: &Client, batch: &[(String, Bytes)]) -> Result<(), tokio_postgres::Error> {
    db.batch_execute("begin").await?;
    let result = async {
        for (statement, rows) in batch {
            let mut sink = pin!(db.copy_in(statement).await?);
            sink.feed(rows.clone()).await?;
            sink.as_mut().finish().await?;
        }
        db.batch_execute("commit").await
    };
    let result = result.await;
    if result.is_err() && !db.is_closed() {
        db.batch_execute("rollback").await?;
    }
    result
}

fn copy_tasks(tables: &Tables) -> String {
    let columns = column_list(TASK_COLUMNS.iter().map(|(name, _)| *name));
    tables.name(format!("copy @task_history ({columns}) from stdin (format binary)"))
}

fn copy_rollups(tables: &Tables) -> String {
    let columns = column_list(ROLLUP_COLUMNS);
    tables.name(format!("copy @task_rollup ({columns}) from stdin (format binary)"))
}

/// Whether a row found no partition. No constraint of the table itself raises this.
fn is_missing_day(error: &Error) -> bool {
    let Error::BadData(cause) = error else { return false };
    let cause = cause.downcast_ref::<tokio_postgres::Error>();
    cause.and_then(tokio_postgres::Error::code) == Some(&SqlState::CHECK_VIOLATION)
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
    // Not on the writer's connection: rows need not wait for upkeep.
    store.reads.query_within(UPKEEP_LIMIT, &statement, &params).await?;
    Ok(())
}

/// The microseconds of a day.
const DAY_US: i64 = 86_400_000_000;
/// How long a batch may take.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How long upkeep may take.
const UPKEEP_LIMIT: Duration = Duration::from_secs(30);
