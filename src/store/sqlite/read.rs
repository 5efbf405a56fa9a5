//! Reading history from SQLite.

use std::collections::HashMap;

use rusqlite::{Connection, Row, named_params, types::ValueRef};
use serde_json::Value;

use crate::{
    domain::{
        learn::rollup::{Rollup, RollupKey},
        task::TaskId,
    },
    store::{
        Identity, RollupQuery, StoredTask, TaskQuery,
        rows::{
            ROLLUP_COLUMNS, RollupCounts, SIDECAR, TASK_COLUMNS, Type, column_list, rollup_key,
            rollup_of,
        },
    },
};

pub(super) fn tasks(
    db: &Connection,
    me: &Identity,
    query: &TaskQuery,
) -> Result<Vec<StoredTask>, rusqlite::Error> {
    let mut statement = db.prepare_cached(&format!(
        "select {}, {IDENTITY} from task_history as history
        where namespace = :namespace and started_at >= :from and started_at < :to
            and (:id is null or id = :id)
            and (:correlation_id is null or correlation_id = :correlation_id)
            and (:service is null or service = :service)
            and (:upstream is null or upstream = :upstream)
            and (:domain is null or domain = :domain)
            and (:action is null or action = :action)
            and (:outcome is null or outcome = :outcome)
            and (:reason is null or failure_reason = :reason)
            and (:lowest is null or status between :lowest and :highest)
            and (:grpc_status is null or grpc_status = :grpc_status)
            and (:after_at is null or (started_at, id) < (:after_at, :after_id))
        order by started_at desc, id desc limit :limit",
        column_list(TASK_COLUMNS.iter().map(|(name, _)| *name))
    ))?;
    let (from, to) = query.window();
    let params = named_params! {
        ":namespace": me.namespace,
        ":from": from,
        ":to": to,
        ":id": query.id.map(|id| id.to_string()),
        ":correlation_id": query.correlation_id,
        ":service": query.service,
        ":upstream": query.upstream,
        ":domain": query.domain,
        ":action": query.action,
        ":outcome": query.outcome.map(|outcome| outcome.as_str()),
        ":reason": query.reason.map(|reason| reason.as_str()),
        ":lowest": query.status.map(|(lowest, _)| lowest),
        ":highest": query.status.map(|(_, highest)| highest),
        ":grpc_status": query.grpc_status,
        ":after_at": query.after.map(|(at_us, _)| at_us),
        ":after_id": query.after.map(|(_, id)| id.to_string()),
        ":limit": query.limit,
    };
    statement.query_map(params, stored_task)?.collect()
}

/// Who the instance of a row was. Looked up for the rows of a page alone.
const IDENTITY: &str = "(
    select json_patch('{}', json_object('name', nullif(i.display_name, ''), 'host', i.host,
        'zone', i.zone, 'cluster', i.cluster, 'task', i.task, 'definition', i.definition))
    from sidecar_identity i
    where i.namespace = history.namespace and i.instance = history.instance)";

pub(super) fn rollups(
    db: &Connection,
    me: &Identity,
    query: &RollupQuery,
) -> Result<Vec<(RollupKey, Rollup)>, rusqlite::Error> {
    add_up(db, me, query, |bucket| bucket)
}

/// One instance has few rollups, so that they are added up as they are.
pub(super) fn totals(
    db: &Connection,
    me: &Identity,
    query: &RollupQuery,
) -> Result<Vec<(RollupKey, Rollup)>, rusqlite::Error> {
    let (from, _) = query.window();
    add_up(db, me, query, |_| from)
}

fn add_up(
    db: &Connection,
    me: &Identity,
    query: &RollupQuery,
    stands_at: impl Fn(i64) -> i64,
) -> Result<Vec<(RollupKey, Rollup)>, rusqlite::Error> {
    let mut statement = db.prepare_cached(&format!(
        "select {} from task_rollup
        where namespace = :namespace and bucket >= :from and bucket < :to
            and (:service is null or service = :service)
            and (:upstream is null or upstream = :upstream)
            and (:domain is null or domain = :domain)
            and (:action is null or action = :action)",
        column_list(ROLLUP_COLUMNS)
    ))?;
    let (from, to) = query.window();
    let mut rows = statement.query(named_params! {
        ":namespace": me.namespace,
        ":from": from,
        ":to": to,
        ":service": query.service,
        ":upstream": query.upstream,
        ":domain": query.domain,
        ":action": query.action,
    })?;
    let mut sums: HashMap<RollupKey, Rollup> = HashMap::new();
    while let Some(row) = rows.next()? {
        let found = rollup_row(row)?;
        let [_, texts @ ..] = found.texts.each_ref().map(String::as_str);
        if let Some(key) = rollup_key(stands_at(found.bucket), texts) {
            let rollup = rollup_of(found.counts, &found.bins, &found.bin_calls);
            sums.entry(key).or_default().merge(&rollup);
        }
    }
    Ok(sums.into_iter().collect())
}

/// The texts of a rollup, from `namespace` to `failure_reason`.
pub(super) type Texts = [String; 7];

/// A row of [`ROLLUP_COLUMNS`] as it is stored.
pub(super) struct RollupRow {
    pub(super) bucket: i64,
    pub(super) texts: Texts,
    pub(super) counts: RollupCounts,
    pub(super) bins: Vec<i16>,
    pub(super) bin_calls: Vec<i64>,
}

pub(super) fn rollup_row(row: &Row<'_>) -> Result<RollupRow, rusqlite::Error> {
    let mut texts = Texts::default();
    for (at, text) in (1..).zip(&mut texts) {
        *text = row.get(at)?;
    }
    let mut counts = RollupCounts::default();
    for (at, count) in (8..).zip(&mut counts) {
        *count = row.get(at)?;
    }
    Ok(RollupRow {
        bucket: row.get(0)?,
        texts,
        counts,
        bins: serde_json::from_str(row.get_ref(18)?.as_str()?).unwrap_or_default(),
        bin_calls: serde_json::from_str(row.get_ref(19)?.as_str()?).unwrap_or_default(),
    })
}

fn stored_task(row: &Row<'_>) -> Result<StoredTask, rusqlite::Error> {
    let kinds = TASK_COLUMNS.into_iter().chain([(SIDECAR, Type::Json)]);
    let columns = kinds.enumerate().map(|(at, (name, kind))| {
        let value = match row.get_ref(at)? {
            ValueRef::Integer(number) => Value::from(number),
            ValueRef::Real(number) => Value::from(number),
            ValueRef::Text(text) if kind == Type::Json => {
                serde_json::from_slice(text).unwrap_or_default()
            }
            ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
            ValueRef::Null | ValueRef::Blob(_) => Value::Null,
        };
        Ok((name, value))
    });
    let columns = columns.collect::<Result<_, rusqlite::Error>>()?;
    let id = TaskId::parse(row.get_ref(1)?.as_str()?).unwrap_or(TaskId::from_u128(0));
    Ok(StoredTask { columns, started_at_us: row.get(0)?, id })
}
