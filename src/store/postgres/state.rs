//! Shared breakers in Postgres. All times are the database's; what leaves it are durations.

use std::time::Duration;

use tokio_postgres::{
    Row as PgRow,
    types::{ToSql, Type},
};
use uuid::Uuid;

use super::{Postgres, session::Lease};
use crate::{
    domain::{
        breaker::{Cause, Mode, State},
        fleet::{
            electorate::Electorate,
            row::{Doubt, Hold, Round, Row},
        },
    },
    store::{BreakerEvent, Error, Presence, StoredBreaker, StoredOrder, rows::unsigned},
};

/// The columns of a [`StoredBreaker`]. A span that begins later than now is over: then the clock was
/// set back.
const BREAKER: &str = "
    key, epoch, state, cause, step, failure_count, by_connection,
    case when opened_at <= now then greatest(0, (1000000 * extract(epoch from open_until - now))::bigint)
        else 0 end,
    case when ramp_started_at > now then 9000000000000000
        else coalesce((1000000 * extract(epoch from now - ramp_started_at))::bigint, 0) end,
    vote_round,
    case when vote_from <= now then (1000000 * extract(epoch from vote_until - now))::bigint end,
    electorate, electorate_below, lease_id, lease_by,
    case when lease_from <= now then (1000000 * extract(epoch from lease_until - now))::bigint end,
    probe_failed_by[1],
    case when probe_failed_at > now then 9000000000000000
        else (1000000 * extract(epoch from now - probe_failed_at))::bigint end,
    case when override_until is null or override_until > now then override end,
    coalesce(override_by, ''), coalesce(override_reason, ''),
    case when isfinite(override_until)
        then (1000000 * extract(epoch from override_until - now))::bigint end,
    case when isfinite(override_until)
        then (1000000 * extract(epoch from override_until))::bigint end
    from (select *, clock_timestamp() as now from @circuit_breaker_state where namespace = $1) b";

pub(super) async fn breakers(
    store: &Postgres,
    closed_within: Duration,
) -> Result<Vec<StoredBreaker>, Error> {
    let statement = store.tables.name(format!(
        "select {BREAKER} where state <> 'closed' or vote_until is not null or override is not null
            or changed_at > clock_timestamp() - $2 * interval '1 microsecond'"
    ));
    let within = micros(closed_within);
    let params: [Param<'_>; 2] = [(&store.identity.namespace, Type::TEXT), (&within, Type::INT8)];
    let lease = store.sync.lease().await?;
    let rows = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    Ok(rows.iter().filter_map(|row| stored_breaker(store, row)).collect())
}

/// One of them.
pub(super) async fn stored(
    store: &Postgres,
    lease: &Lease<'_>,
    key: &str,
) -> Result<Option<StoredBreaker>, Error> {
    let statement = store.tables.name(format!("select {BREAKER} where key = $2"));
    let params: [Param<'_>; 2] = [(&store.identity.namespace, Type::TEXT), (&key, Type::TEXT)];
    let rows = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    Ok(rows.first().and_then(|row| stored_breaker(store, row)))
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
            namespace, instance, service, version, journal_id, display_name, alive_until,
            breaker_keys, ballot)
        values ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7 * interval '1 microsecond', $8, $9)
        on conflict (namespace, instance) do update set
            seen_at = clock_timestamp(), alive_until = excluded.alive_until,
            breaker_keys = excluded.breaker_keys, ballot = excluded.ballot
    )
    select 1 + count(*) from @sidecar_instance
    where namespace = $1 and instance <> $2 and alive_until > clock_timestamp()";

pub(super) async fn heartbeat(store: &Postgres, presence: &Presence) -> Result<u32, Error> {
    let me = &store.identity;
    let (ttl, ballot) = (micros(presence.ttl), i64::from(presence.ballot));
    let params: [Param<'_>; 9] = [
        (&me.namespace, Type::TEXT),
        (&me.instance, Type::TEXT),
        (&me.service, Type::TEXT),
        (&me.version, Type::TEXT),
        (&me.journal_id, Type::TEXT),
        (&me.display_name, Type::TEXT),
        (&ttl, Type::INT8),
        (&presence.keys, Type::TEXT_ARRAY),
        (&ballot, Type::INT8),
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
fn stored_breaker(store: &Postgres, row: &PgRow) -> Option<StoredBreaker> {
    let cause: &str = row.get(3);
    let left = |column: usize| row.get::<_, Option<i64>>(column).filter(|left| *left > 0).map(span);
    let is_me = |name: Option<&str>| name == Some(&store.identity.instance);
    let electorate = Electorate {
        size: row.get::<_, Option<i32>>(11).map_or(0, count),
        below: row.get::<_, Option<i64>>(12).map_or(0, unsigned),
    };
    let number = row.get::<_, Option<i64>>(9).map_or(0, unsigned);
    let lease = row.get::<_, Option<Uuid>>(13).map_or(0, |lease| lease.as_u128());
    let (is_mine, doubter): (bool, Option<&str>) = (is_me(row.get(14)), row.get(16));
    let fleet = Row {
        epoch: unsigned(row.get(1)),
        state: State::parse(row.get(2))?,
        cause: Cause::parse(cause).unwrap_or(Cause::Fleet),
        step: count(row.get(4)),
        failure_count: count(row.get(5)),
        by_connection: row.get(6),
        open_for: left(7).unwrap_or_default(),
        ramp_age: left(8).unwrap_or_default(),
        electorate: electorate.size,
        round: left(10).map(|left| Round { number, left, electorate }),
        hold: left(15).map(|left| Hold { lease, is_mine, left }),
        doubt: doubter
            .map(|name| Doubt { is_mine: is_me(Some(name)), age: left(17).unwrap_or_default() }),
    };
    // A mode that a newer version has made up is not ours to obey.
    let mode = row.get::<_, Option<&str>>(18).and_then(Mode::parse);
    let order = mode.map(|mode| StoredOrder {
        mode,
        by: row.get(19),
        reason: row.get(20),
        left: row.get::<_, Option<i64>>(21).map(span),
        until_us: row.get(22),
    });
    Some(StoredBreaker { key: row.get(0), row: fleet, order })
}

fn breaker_event(row: &PgRow) -> Option<BreakerEvent> {
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

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn span(micros: i64) -> Duration {
    Duration::from_micros(unsigned(micros))
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// How long a statement on shared state may take.
pub(super) const LIMIT: Duration = Duration::from_secs(2);
