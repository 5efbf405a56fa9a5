//! Reading history.

use std::{collections::HashMap, num::NonZeroU32};

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::{Row, types::Type as SqlType};
use uuid::Uuid;

use super::{Postgres, state::Param};
use crate::{
    domain::{
        learn::rollup::{Rollup, RollupKey},
        task::TaskId,
    },
    store::{
        BoxError, Error, RollupQuery, StoredTask, TaskQuery,
        rows::{MINUTE_US, SIDECAR, TASK_COLUMNS, Type, column_list, rollup_key, rollup_of},
        window::Cover,
    },
};

pub(super) async fn tasks(store: &Postgres, query: &TaskQuery) -> Result<Vec<StoredTask>, Error> {
    let columns: Vec<String> = TASK_COLUMNS.iter().map(as_read).collect();
    let statement = store.tables.name(format!(
        "select {}, {IDENTITY} from @task_history as history
        where namespace = $1 and started_at >= $2 and started_at < $3
            and ($4::uuid is null or id = $4)
            and ($5::text is null or correlation_id = $5)
            and ($6::text is null or service = $6)
            and ($7::text is null or upstream = $7)
            and ($8::text is null or domain = $8)
            and ($9::text is null or action = $9)
            and ($10::text is null or outcome = $10)
            and ($11::text is null or failure_reason = $11)
            and ($12::int4 is null or status between $12 and $13)
            and ($14::int4 is null or grpc_status = $14)
            and ($15::timestamptz is null or (started_at, id) < ($15, $16::uuid))
        order by started_at desc, id desc limit $17",
        column_list(columns.iter().map(String::as_str)),
    ));
    let (from, to) = query.window();
    let (from, to) = (timestamp(from)?, timestamp(to)?);
    let id = query.id.map(uuid);
    let outcome = query.outcome.map(|outcome| outcome.as_str());
    let reason = query.reason.map(|reason| reason.as_str());
    let lowest = query.status.map(|(lowest, _)| i32::from(lowest));
    let highest = query.status.map(|(_, highest)| i32::from(highest));
    let grpc_status = query.grpc_status.map(i32::from);
    let after_at = query.after.map(|(at_us, _)| timestamp(at_us)).transpose()?;
    let after_id = query.after.map(|(_, id)| uuid(id));
    let limit = i64::from(query.limit);
    let params: [Param<'_>; 17] = [
        (&store.identity.namespace, SqlType::TEXT),
        (&from, SqlType::TIMESTAMPTZ),
        (&to, SqlType::TIMESTAMPTZ),
        (&id, SqlType::UUID),
        (&query.correlation_id, SqlType::TEXT),
        (&query.service, SqlType::TEXT),
        (&query.upstream, SqlType::TEXT),
        (&query.domain, SqlType::TEXT),
        (&query.action, SqlType::TEXT),
        (&outcome, SqlType::TEXT),
        (&reason, SqlType::TEXT),
        (&lowest, SqlType::INT4),
        (&highest, SqlType::INT4),
        (&grpc_status, SqlType::INT4),
        (&after_at, SqlType::TIMESTAMPTZ),
        (&after_id, SqlType::UUID),
        (&limit, SqlType::INT8),
    ];
    let rows = store.reads.query(&statement, &params).await?;
    rows.iter().map(stored_task).collect::<Result<_, _>>().map_err(Error::from)
}

pub(super) async fn rollups(
    store: &Postgres,
    query: &RollupQuery,
) -> Result<Vec<(RollupKey, Rollup)>, Error> {
    let found = format!(
        "select (1000000 * extract(epoch from bucket))::bigint, {ROLLUP} from @task_rollup
        where namespace = $1 and bucket >= $6 and bucket < $7 and {FILTERS}"
    );
    let (from, to) = query.window();
    add_up(store, query, &found, &[from, to], |bucket| bucket).await
}

/// The days from their totals, the hours at either end from theirs, and the minutes at the edges and
/// what was not merged yet from the rollups: each call is in exactly one of these.
pub(super) async fn totals(
    store: &Postgres,
    query: &RollupQuery,
) -> Result<Vec<(RollupKey, Rollup)>, Error> {
    let cover = Cover::of(query.window());
    let found = format!(
        "select 0::bigint, {ROLLUP} from @task_total
        where namespace = $1 and {FILTERS} and resolution = 'day' and bucket >= $8 and bucket < $9
        union all select 0::bigint, {ROLLUP} from @task_total
        where namespace = $1 and {FILTERS} and resolution = 'hour'
            and bucket >= $7 and bucket < $10 and not (bucket >= $8 and bucket < $9)
        union all select 0::bigint, {ROLLUP} from @task_rollup
        where namespace = $1 and {FILTERS} and resolution = 'delta'
            and bucket >= $7 and bucket < $10
        union all select 0::bigint, {ROLLUP} from @task_rollup
        where namespace = $1 and {FILTERS} and bucket >= $6 and bucket < $7
        union all select 0::bigint, {ROLLUP} from @task_rollup
        where namespace = $1 and {FILTERS} and bucket >= $10 and bucket < $11"
    );
    let Cover { from, hours, days, days_end, hours_end, to } = cover;
    let moments = [from, hours, days, days_end, hours_end, to];
    add_up(store, query, &found, &moments, |_| from).await
}

/// Stretches of whole hours or days from the totals and what was not merged yet, shorter ones from
/// the rollups.
pub(super) async fn series(
    store: &Postgres,
    query: &RollupQuery,
    minutes: NonZeroU32,
) -> Result<Vec<(RollupKey, Rollup)>, Error> {
    let length = i64::from(minutes.get()) * MINUTE_US;
    let stands_at = |bucket: i64| bucket - bucket.rem_euclid(length);
    let source = match minutes.get() {
        day if day.is_multiple_of(24 * 60) => "day",
        hour if hour.is_multiple_of(60) => "hour",
        _ => "",
    };
    let microseconds = "(1000000 * extract(epoch from bucket))::bigint";
    let found = if source.is_empty() {
        format!(
            "select {microseconds}, {ROLLUP} from @task_rollup
            where namespace = $1 and bucket >= $6 and bucket < $7 and {FILTERS}"
        )
    } else {
        format!(
            "select {microseconds}, {ROLLUP} from @task_total where namespace = $1
                and resolution = '{source}' and bucket >= $6 and bucket < $7 and {FILTERS}
            union all select {microseconds}, {ROLLUP} from @task_rollup where namespace = $1
                and resolution = 'delta' and bucket >= $6 and bucket < $7 and {FILTERS}"
        )
    };
    let (from, to) = query.window();
    add_up(store, query, &found, &[from, to], stands_at).await
}

/// Who the instance of a row was. Looked up for the rows of a page alone.
const IDENTITY: &str = "(
    select jsonb_strip_nulls(jsonb_build_object('name', nullif(i.display_name, ''), 'host', i.host,
        'zone', i.zone, 'cluster', i.cluster, 'task', i.task, 'definition', i.definition))
    from @sidecar_identity i
    where i.namespace = history.namespace and i.instance = history.instance)";

/// A rollup's columns, after the first: its beginning.
const ROLLUP: &str = "service, upstream, domain, action, outcome, failure_reason,
    calls, stored, attempts, duration_us, request_bytes, response_bytes, scored, impact_micros,
    priced, cost_nanos, bins, bin_calls";

/// What may be asked of rollups besides their time.
const FILTERS: &str = "($2::text is null or service = $2) and ($3::text is null or upstream = $3)
    and ($4::text is null or domain = $4) and ($5::text is null or action = $5)";

/// Adds up what a statement finds, whose parameters are the namespace, the filters and some moments.
async fn add_up(
    store: &Postgres,
    query: &RollupQuery,
    statement: &str,
    moments: &[i64],
    stands_at: impl Fn(i64) -> i64 + Send + Sync,
) -> Result<Vec<(RollupKey, Rollup)>, Error> {
    let moments = moments.iter().map(|&at| timestamp(at)).collect::<Result<Vec<_>, _>>()?;
    let mut params: Vec<Param<'_>> = vec![
        (&store.identity.namespace, SqlType::TEXT),
        (&query.service, SqlType::TEXT),
        (&query.upstream, SqlType::TEXT),
        (&query.domain, SqlType::TEXT),
        (&query.action, SqlType::TEXT),
    ];
    params.extend(moments.iter().map(|at| -> Param<'_> { (at, SqlType::TIMESTAMPTZ) }));
    let mut sums: HashMap<RollupKey, Rollup> = HashMap::new();
    // There are many that were not merged yet, and of each key only the sum is kept.
    let add = |row: Row| {
        if let Some((key, rollup)) = stored_rollup(&row, &stands_at) {
            sums.entry(key).or_default().merge(&rollup);
        }
    };
    store.reads.for_each(&store.tables.name(statement), &params, add).await?;
    Ok(sums.into_iter().collect())
}

pub(super) async fn ping(store: &Postgres) -> Result<(), Error> {
    store.reads.query("select 1", &[]).await?;
    Ok(())
}

/// How a column is selected, so that it arrives as one of few types.
fn as_read((name, kind): &(&str, Type)) -> String {
    match kind {
        Type::Time => format!("(1000000 * extract(epoch from {name}))::bigint"),
        Type::Integer => format!("{name}::bigint"),
        Type::Real => format!("{name}::float8"),
        Type::Id | Type::Text | Type::Json => (*name).to_owned(),
    }
}

fn stored_task(row: &Row) -> Result<StoredTask, tokio_postgres::Error> {
    let mut columns = Vec::with_capacity(TASK_COLUMNS.len() + 1);
    for (at, &(name, kind)) in TASK_COLUMNS.iter().enumerate() {
        let value = match kind {
            Type::Time | Type::Integer => row.try_get::<_, Option<i64>>(at)?.map(Value::from),
            Type::Real => row.try_get::<_, Option<f64>>(at)?.map(Value::from),
            Type::Id => row.try_get::<_, Option<Uuid>>(at)?.map(|id| id.to_string().into()),
            Type::Text => row.try_get::<_, Option<String>>(at)?.map(Value::from),
            Type::Json => row.try_get::<_, Option<Value>>(at)?,
        };
        columns.push((name, value.unwrap_or(Value::Null)));
    }
    let sidecar: Option<Value> = row.try_get(TASK_COLUMNS.len())?;
    columns.push((SIDECAR, sidecar.unwrap_or(Value::Null)));
    let id: Uuid = row.try_get(1)?;
    let id = TaskId::from_u128(id.as_u128());
    Ok(StoredTask { columns, started_at_us: row.try_get(0)?, id })
}

fn stored_rollup(row: &Row, stands_at: impl Fn(i64) -> i64) -> Option<(RollupKey, Rollup)> {
    let texts = [1, 2, 3, 4, 5, 6].map(|at| row.get(at));
    let counts = [7, 8, 9, 10, 11, 12, 13, 14, 15, 16].map(|at| row.get(at));
    let (bins, bin_calls): (Vec<i16>, Vec<i64>) = (row.get(17), row.get(18));
    Some((rollup_key(stands_at(row.get(0)), texts)?, rollup_of(counts, &bins, &bin_calls)))
}

pub(super) fn timestamp(us: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(us).map_err(|error| Error::BadData(BoxError::from(error)))
}

pub(super) fn uuid(id: TaskId) -> Uuid {
    Uuid::from_u128(id.as_u128())
}
