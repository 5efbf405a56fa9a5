//! Shared breakers in Postgres. All times are the database's; what leaves it are durations.

use std::time::Duration;

use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};
use uuid::Uuid;

use super::{Postgres, listen};
use crate::{
    domain::breaker::{Cause, Shared, State},
    store::{
        BreakerEvent, Error, Move, Moved, StoredBreaker,
        rows::{signed, unsigned},
    },
};

/// The columns of a [`StoredBreaker`]. What is left of the open time is cut to what it was at
/// first, in case the clock of a new primary is behind.
const BREAKER: &str = "
    key, epoch, state, cause, step, failure_count, by_connection,
    coalesce(1000000 * extract(epoch from greatest(interval '0',
        least(open_until - clock_timestamp(), open_until - opened_at))), 0)::bigint,
    coalesce(1000000 * extract(epoch from greatest(interval '0',
        clock_timestamp() - ramp_started_at)), 0)::bigint
    from @circuit_breaker_state where namespace = $1";

pub(super) async fn breakers(
    store: &Postgres,
    closed_within: Duration,
) -> Result<Vec<StoredBreaker>, Error> {
    let statement = store.tables.name(format!(
        "select {BREAKER} and (state <> 'closed'
            or changed_at > clock_timestamp() - $2 * interval '1 microsecond')"
    ));
    let within = micros(closed_within);
    let params: [Param<'_>; 2] = [(&store.identity.namespace, Type::TEXT), (&within, Type::INT8)];
    let lease = store.sync.lease().await?;
    let rows = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    Ok(rows.iter().filter_map(stored_breaker).collect())
}

/// Compare-and-set on the epoch, the event and the hint to others, in one statement.
const MOVE: &str = "
    with made as (
        insert into @circuit_breaker_state as breaker (
            namespace, key, upstream, epoch, state, cause, step, failure_count, by_connection,
            opened_at, open_until, ramp_started_at, changed_at, changed_by)
        select $1, $2, $3, $4 + 1, $6, $7, $8, $9, $10,
            case when $6 = 'open' then clock.now end,
            case when $6 = 'open' then clock.now + $11 * interval '1 microsecond' end,
            case when $6 = 'ramping' then clock.now end,
            clock.now, $12
        from (select clock_timestamp() as now) clock
        where ($4 = 0 and $6 <> 'closed') or exists (
            select from @circuit_breaker_state where namespace = $1 and key = $2 and epoch = $4)
        on conflict (namespace, key) do update set
            upstream = excluded.upstream, epoch = excluded.epoch, state = excluded.state,
            cause = excluded.cause, step = excluded.step, failure_count = excluded.failure_count,
            by_connection = excluded.by_connection, opened_at = excluded.opened_at,
            open_until = excluded.open_until, ramp_started_at = excluded.ramp_started_at,
            changed_at = excluded.changed_at, changed_by = excluded.changed_by
        where breaker.epoch = $4
        returning epoch, changed_at
    ), event as (
        insert into @circuit_breaker_event (
            at, namespace, key, upstream, epoch, from_state, to_state, cause, instance, detail,
            task_ids)
        select changed_at, $1, $2, $3, epoch, $5, $6, $7, $12, $13, $14 from made
    )
    select epoch, pg_notify($15, left($2, 256)) from made";

pub(super) async fn transition(store: &Postgres, wanted: &Move) -> Result<Moved, Error> {
    let from_epoch = signed(wanted.from_epoch);
    let step = small(wanted.step);
    let failure_count = small(wanted.failure_count);
    let open_for = micros(wanted.open_for);
    let task_ids: Vec<Uuid> =
        wanted.task_ids.iter().map(|id| Uuid::from_u128(id.as_u128())).collect();
    let params: [Param<'_>; 15] = [
        (&store.identity.namespace, Type::TEXT),
        (&wanted.key, Type::TEXT),
        (&wanted.upstream, Type::TEXT),
        (&from_epoch, Type::INT8),
        (&wanted.from.as_str(), Type::TEXT),
        (&wanted.to.as_str(), Type::TEXT),
        (&wanted.cause.as_str(), Type::TEXT),
        (&step, Type::INT4),
        (&failure_count, Type::INT4),
        (&wanted.by_connection, Type::BOOL),
        (&open_for, Type::INT8),
        (&store.identity.instance, Type::TEXT),
        (&wanted.detail(), Type::JSONB),
        (&task_ids, Type::UUID_ARRAY),
        (&listen::channel(&store.identity.namespace), Type::TEXT),
    ];
    let statement = store.tables.name(MOVE);
    let lease = store.sync.lease().await?;
    let made = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    if let Some(row) = made.first() {
        return Ok(Moved::Made(unsigned(row.get(0))));
    }
    let current = store.tables.name(format!("select {BREAKER} and key = $2"));
    let rows = lease.within(LIMIT, |db| db.query_typed(&current, &params[..2])).await?;
    Ok(wanted.lost_to(rows.first().and_then(stored_breaker)))
}

pub(super) async fn events(
    store: &Postgres,
    key: &str,
    limit: u32,
) -> Result<Vec<BreakerEvent>, Error> {
    let statement = store.tables.name(
        "select (1000000 * extract(epoch from at))::bigint, epoch, from_state, to_state, cause,
            instance, detail || jsonb_build_object('taskIds', task_ids)
        from @circuit_breaker_event where namespace = $1 and key = $2
        order by id desc limit $3",
    );
    let limit = i64::from(limit);
    let params: [Param<'_>; 3] =
        [(&store.identity.namespace, Type::TEXT), (&key, Type::TEXT), (&limit, Type::INT8)];
    let rows = store.reads.query(&statement, &params).await?;
    Ok(rows.iter().filter_map(breaker_event).collect())
}

/// The count reads the table as it was before the statement, so this instance is added.
const HEARTBEAT: &str = "
    with me as (
        insert into @sidecar_instance (
            namespace, instance, service, version, journal_id, display_name, alive_until)
        values ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7 * interval '1 microsecond')
        on conflict (namespace, instance) do update set
            seen_at = clock_timestamp(), alive_until = excluded.alive_until
    )
    select 1 + count(*) from @sidecar_instance
    where namespace = $1 and instance <> $2 and alive_until > clock_timestamp()";

pub(super) async fn heartbeat(store: &Postgres, ttl: Duration) -> Result<u32, Error> {
    let me = &store.identity;
    let ttl = micros(ttl);
    let params: [Param<'_>; 7] = [
        (&me.namespace, Type::TEXT),
        (&me.instance, Type::TEXT),
        (&me.service, Type::TEXT),
        (&me.version, Type::TEXT),
        (&me.journal_id, Type::TEXT),
        (&me.display_name, Type::TEXT),
        (&ttl, Type::INT8),
    ];
    let statement = store.tables.name(HEARTBEAT);
    let lease = store.sync.lease().await?;
    let rows = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    let alive: i64 = rows.first().map_or(1, |row| row.get(0));
    Ok(u32::try_from(alive).unwrap_or(u32::MAX))
}

/// A value and the type that it is sent as, so that nothing needs to be prepared.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// None for a state that a newer version has made up: it is not ours to act on.
fn stored_breaker(row: &Row) -> Option<StoredBreaker> {
    let cause: &str = row.get(3);
    let shared = Shared {
        epoch: unsigned(row.get(1)),
        state: State::parse(row.get(2))?,
        cause: Cause::parse(cause).unwrap_or(Cause::Fleet),
        step: count(row.get(4)),
        failure_count: count(row.get(5)),
        by_connection: row.get(6),
        open_for: Duration::from_micros(unsigned(row.get(7))),
        ramp_age: Duration::from_micros(unsigned(row.get(8))),
    };
    Some(StoredBreaker { key: row.get(0), shared })
}

fn breaker_event(row: &Row) -> Option<BreakerEvent> {
    let cause: &str = row.get(4);
    Some(BreakerEvent {
        at_us: row.get(0),
        epoch: unsigned(row.get(1)),
        from: State::parse(row.get(2))?,
        to: State::parse(row.get(3))?,
        cause: Cause::parse(cause).unwrap_or(Cause::Fleet),
        instance: row.get(5),
        detail: row.get(6),
    })
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// How long a statement on shared state may take.
pub(super) const LIMIT: Duration = Duration::from_secs(2);
