//! Writing history into SQLite, and upkeep.

use std::{collections::BTreeMap, time::Duration};

use rusqlite::{
    Connection, ToSql, TransactionBehavior, params_from_iter,
    types::{ToSqlOutput, Value},
};
use serde_json::json;

use super::read;
use crate::{
    domain::{
        learn::rollup::{Rollup, RollupKey},
        task::{CallRecord, Origin, TaskId},
    },
    store::{
        Advance, Batch,
        rows::{
            Cell, MINUTE_US, ROLLUP_COLUMNS, SUM_CELLS, SumCell, TASK_COLUMNS, column_list,
            put_task, rollup_cells, rollup_of, signed, sum_cells, unsigned,
        },
    },
};

/// A batch that goes to another thread.
pub(super) struct OwnBatch {
    journal_id: String,
    origin: Origin,
    advances: Vec<Advance>,
    rows: Vec<CallRecord>,
    deltas: Vec<(RollupKey, Rollup)>,
}

impl From<&Batch<'_>> for OwnBatch {
    fn from(batch: &Batch<'_>) -> Self {
        Self {
            journal_id: batch.journal_id.to_owned(),
            origin: batch.origin.clone(),
            advances: batch.advances.to_vec(),
            rows: batch.rows.to_vec(),
            deltas: batch.deltas.to_vec(),
        }
    }
}

/// Writes a batch. False, and nothing is written, when a cursor is elsewhere.
pub(super) fn write(
    db: &mut Connection,
    batch: &OwnBatch,
    now_us: i64,
) -> Result<bool, rusqlite::Error> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for advance in &batch.advances {
        if !move_cursor(&tx, &batch.journal_id, *advance, now_us)? {
            return Ok(false);
        }
    }
    let mut insert =
        tx.prepare_cached(&insert_of("task_history", &TASK_COLUMNS.map(|(name, _)| name)))?;
    let mut cells = Vec::with_capacity(TASK_COLUMNS.len());
    for row in &batch.rows {
        put_task(row, &batch.origin, |cell| cells.push(cell));
        insert.execute(params_from_iter(cells.drain(..)))?;
    }
    drop(insert);
    for delta in &batch.deltas {
        insert_rollup(&tx, "delta", rollup_cells(delta, &batch.origin))?;
    }
    tx.commit()?;
    Ok(true)
}

/// Moves a cursor. False when it is elsewhere.
fn move_cursor(
    db: &Connection,
    journal_id: &str,
    Advance { worker, from, to }: Advance,
    now_us: i64,
) -> Result<bool, rusqlite::Error> {
    if from == 0 {
        let mut begin = db.prepare_cached(
            "insert into journal_cursor (journal_id, worker, position, committed_at)
            values (?1, ?2, 0, ?3) on conflict do nothing",
        )?;
        begin.execute((journal_id, worker, now_us))?;
    }
    let mut move_on = db.prepare_cached(
        "update journal_cursor set position = ?4, committed_at = ?5
        where journal_id = ?1 and worker = ?2 and position = ?3",
    )?;
    Ok(move_on.execute((journal_id, worker, signed(from), signed(to), now_us))? == 1)
}

/// Where the cursors of a journal are.
pub(super) fn cursors(
    db: &Connection,
    journal_id: &str,
) -> Result<BTreeMap<u32, u64>, rusqlite::Error> {
    let mut select =
        db.prepare_cached("select worker, position from journal_cursor where journal_id = ?1")?;
    let rows = select.query_map([journal_id], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
    rows.collect()
}

pub(super) fn insert_rollup(
    db: &Connection,
    resolution: &str,
    cells: [SumCell<'_>; SUM_CELLS],
) -> Result<(), rusqlite::Error> {
    let mut columns = ROLLUP_COLUMNS.to_vec();
    columns.push("resolution");
    let mut insert = db.prepare_cached(&insert_of("task_rollup", &columns))?;
    insert.execute(params_from_iter(cells.into_iter().chain([SumCell::Text(resolution)])))?;
    Ok(())
}

fn insert_of(table: &str, columns: &[&str]) -> String {
    let marks = column_list(columns.iter().map(|_| "?"));
    format!("insert into {table} ({}) values ({marks})", column_list(columns.iter().copied()))
}

/// Removes some rows that are past retention. True when there may be more.
pub(super) fn expire(
    db: &Connection,
    retention: Duration,
    now_us: i64,
) -> Result<bool, rusqlite::Error> {
    let kept = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
    let removed = db.execute(
        "delete from task_history where rowid in (
            select rowid from task_history where started_at < ?1 limit ?2)",
        (now_us.saturating_sub(kept), i64::try_from(LOT).unwrap_or(i64::MAX)),
    )?;
    Ok(removed >= LOT)
}

/// Merges rollups: deltas to minutes, minutes to hours, hours to days. Forgets what is old, but not
/// the cursors of our own journal, for what they stand for may lie there still.
pub(super) fn merge(
    db: &mut Connection,
    own_journal: &str,
    now_us: i64,
) -> Result<(), rusqlite::Error> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &STEPS {
        let width = step.minutes * MINUTE_US;
        let before = now_us.saturating_sub(step.after_minutes * MINUTE_US);
        merge_step(&tx, step, before - before.rem_euclid(width), width)?;
    }
    let oldest = now_us.saturating_sub(KEPT_DAYS * 24 * 60 * MINUTE_US);
    tx.execute("delete from circuit_breaker_event where at_us < ?1", [oldest])?;
    tx.execute(
        "delete from journal_cursor where committed_at < ?1 and journal_id <> ?2",
        (oldest, own_journal),
    )?;
    tx.commit()
}

/// One step of merging.
struct Step {
    source: &'static str,
    target: &'static str,
    /// How much the target covers.
    minutes: i64,
    /// How old the source must be.
    after_minutes: i64,
}

const STEPS: [Step; 3] = [
    Step { source: "delta", target: "minute", minutes: 1, after_minutes: 3 },
    Step { source: "minute", target: "hour", minutes: 60, after_minutes: 48 * 60 },
    Step { source: "hour", target: "day", minutes: 24 * 60, after_minutes: 90 * 24 * 60 },
];

/// Works on the texts as they are stored, so that what a newer version wrote is merged as well.
fn merge_step(
    db: &Connection,
    step: &Step,
    before: i64,
    width: i64,
) -> Result<(), rusqlite::Error> {
    let mut sums: BTreeMap<(i64, read::Texts), Rollup> = BTreeMap::new();
    let mut source = db.prepare_cached(&format!(
        "select {} from task_rollup where resolution = ?1 and bucket < ?2",
        column_list(ROLLUP_COLUMNS)
    ))?;
    let mut rows = source.query((step.source, before))?;
    while let Some(row) = rows.next()? {
        let found = read::rollup_row(row)?;
        let bucket = found.bucket - found.bucket.rem_euclid(width);
        let rollup = rollup_of(found.counts, &found.bins, &found.bin_calls);
        sums.entry((bucket, found.texts)).or_default().merge(&rollup);
    }
    db.execute(
        "delete from task_rollup where resolution = ?1 and bucket < ?2",
        (step.source, before),
    )?;
    for ((bucket, texts), sum) in &sums {
        let texts = texts.each_ref().map(String::as_str);
        insert_rollup(db, step.target, sum_cells(*bucket, texts, sum))?;
    }
    Ok(())
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let owned = match self {
            Self::Text(text) => return text.to_sql(),
            Self::Ascii(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
            Self::Json(text) => return text.to_sql(),
            Self::Null => Value::Null,
            Self::Id(bits) => Value::Text(TaskId::from_u128(*bits).to_string()),
            Self::Trace(id) => Value::Text(id.to_string()),
            Self::Small(number) => Value::Integer(i64::from(*number)),
            Self::Int(number) => Value::Integer(i64::from(*number)),
            Self::Time(number) | Self::Big(number) => Value::Integer(*number),
            Self::Real(number) => Value::Real(f64::from(*number)),
            Self::Double(number) => Value::Real(*number),
        };
        Ok(ToSqlOutput::Owned(owned))
    }
}

impl ToSql for SumCell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let owned = match self {
            Self::Text(text) => return text.to_sql(),
            Self::Time(number) | Self::Big(number) => Value::Integer(*number),
            Self::Smalls(numbers) => Value::Text(json!(numbers).to_string()),
            Self::Bigs(numbers) => Value::Text(json!(numbers).to_string()),
        };
        Ok(ToSqlOutput::Owned(owned))
    }
}

/// Rows that are removed at a time.
const LOT: usize = 5_000;
/// How long events, and cursors that no longer move, are kept, in days.
const KEPT_DAYS: i64 = 90;
