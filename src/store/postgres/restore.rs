//! What the database has forgotten of a shared breaker, put back: a statement of its own, for it
//! makes the row where there is none.
//!
//! The rules are those of [`crate::domain::fleet::entry`]. What is read of the row beforehand does
//! not change within its epoch, and the epoch is compared when it is set.

use tokio_postgres::types::Type;

use super::{
    Postgres, listen,
    state::{LIMIT, Param, micros, small, stored},
};
use crate::{
    domain::fleet::memory::Known,
    store::{Error, Heard, Said, rows::signed},
};

/// `$6` to `$13` are what is known, `$14` since when.
const RESTORE: &str = "
    with clock as (select clock_timestamp() as now), found as (
        select clock.now, b.*, coalesce(b.state, 'closed') in ('open', 'half_open') as is_open,
            b.key is null or b.epoch = 0 or b.changed_at > clock.now
                or b.changed_at + $14 * interval '1 microsecond' <= clock.now as is_older
        from clock left join @circuit_breaker_state b on b.namespace = $1 and b.key = $2
    ), verdict as (
        select *, is_older and case $7
            when 'closed' then true when 'ramping' then is_open else is_open or $12 > 0 end as yields
        from found
        where (key is null or epoch = $3)
            and ($6 > $3 or ($6 = $3 and coalesce(state, 'closed') <> $7))
    ), told as (
        select *, case when yields and $7 <> 'half_open' then $7
            when yields or state = 'half_open' then 'open' else coalesce(state, 'closed') end as next
        from verdict
    ), made as (
        insert into @circuit_breaker_state as b (
            namespace, key, upstream, epoch, state, cause, step, failure_count, by_connection,
            opened_at, open_until, ramp_started_at, changed_at, changed_by)
        select $1, $2, $5,
            case when yields and $6 > $3 and next = $7 then $6 else $6 + 1 end, next,
            case when next = 'closed' and not (yields and $6 > $3 and $7 = 'closed') then 'ramp_over'
                when yields and $7 = 'half_open' then 'open_time_over' when yields then $8
                when state = 'half_open' then 'open_time_over' else coalesce(cause, 'ramp_over') end,
            case when yields then $9 else coalesce(step, 0) end,
            case when yields then $10 else coalesce(failure_count, 0) end,
            case when yields then $11 else coalesce(by_connection, false) end,
            case when not yields then opened_at when next = 'open' then now end,
            case when not yields then open_until
                when next = 'open' then now + $12 * interval '1 microsecond' end,
            case when not yields then ramp_started_at
                when next = 'ramping' then now - $13 * interval '1 microsecond' end,
            case when yields then now - $14 * interval '1 microsecond'
                else coalesce(changed_at, to_timestamp(0)) end,
            $4
        from told
        on conflict (namespace, key) do update set
            epoch = excluded.epoch, state = excluded.state, cause = excluded.cause,
            step = excluded.step, failure_count = excluded.failure_count,
            by_connection = excluded.by_connection, opened_at = excluded.opened_at,
            open_until = excluded.open_until, ramp_started_at = excluded.ramp_started_at,
            changed_at = excluded.changed_at, changed_by = excluded.changed_by,
            vote_from = null, vote_until = null, lease_id = null, lease_by = null,
            lease_from = null, lease_until = null, probe_failed_by = '{}', probe_failed_at = null
        where b.epoch = $3
        returning b.epoch, b.upstream, b.state, b.cause
    ), event as (
        insert into @circuit_breaker_event (
            at, namespace, key, upstream, epoch, from_state, to_state, cause, instance, detail)
        select clock.now, $1, $2, made.upstream, made.epoch, coalesce(found.state, 'closed'),
            made.state, made.cause, $4, $16
        from made, found, clock
    ), gone as (
        delete from @circuit_breaker_vote v using made where v.namespace = $1 and v.key = $2
    )
    select pg_notify($15, left($2, 256)) from made";

pub(super) async fn restore(
    store: &Postgres,
    said: &Said,
    Known { shared, age }: &Known,
) -> Result<Heard, Error> {
    let me = &store.identity;
    let [open_for, ramp_age, age] = [shared.open_for, shared.ramp_age, *age].map(micros);
    let params: [Param<'_>; 16] = [
        (&me.namespace, Type::TEXT),
        (&said.key, Type::TEXT),
        (&signed(said.epoch), Type::INT8),
        (&me.instance, Type::TEXT),
        (&said.upstream, Type::TEXT),
        (&signed(shared.epoch), Type::INT8),
        (&shared.state.as_str(), Type::TEXT),
        (&shared.cause.as_str(), Type::TEXT),
        (&small(shared.step), Type::INT4),
        (&small(shared.failure_count), Type::INT4),
        (&shared.by_connection, Type::BOOL),
        (&open_for, Type::INT8),
        (&ramp_age, Type::INT8),
        (&age, Type::INT8),
        (&listen::channel(&me.namespace), Type::TEXT),
        (&said.detail(), Type::JSONB),
    ];
    let statement = store.tables.name(RESTORE);
    let lease = store.sync.lease().await?;
    let done = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    let row = stored(store, &lease, &said.key).await?;
    Ok(Heard { is_done: !done.is_empty(), row })
}
