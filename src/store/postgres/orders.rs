//! Orders about shared breakers: beside the automatic state, so that their end returns to it.

use tokio_postgres::types::Type;

use super::{
    Postgres, listen,
    state::{LIMIT, Param, micros},
};
use crate::store::{Decree, Error, decree::detail, rows::signed};

/// The last order wins, unless it is one that was forgotten. It leaves an event under the epoch that it
/// finds; a reset that closes the circuit leaves that of the transition instead. Orders are numbered by
/// the table itself.
const DECREE: &str = "
    with clock as (select clock_timestamp() as now), made as (
        insert into @circuit_breaker_state as b (
            namespace, key, upstream, epoch, state, cause, changed_by,
            override, override_by, override_reason, override_until, override_number)
        select $1, $2, $3, 0, 'closed', 'override', $4, $5, $6, $7,
            coalesce(timestamptz 'epoch' + $13 * interval '1 microsecond',
                clock.now + $8 * interval '1 microsecond'),
            coalesce($12, $14 + 1)
        from clock
        on conflict (namespace, key) do update set
            override = excluded.override, override_by = excluded.override_by,
            override_reason = excluded.override_reason, override_until = excluded.override_until,
            override_number = coalesce($12,
                greatest($14, b.override_number) + 1),
            changed_at = clock_timestamp(), changed_by = excluded.changed_by
        where $12 is null or b.override_number < $12
        returning epoch, state
    ), event as (
        insert into @circuit_breaker_event (
            at, namespace, key, upstream, epoch, from_state, to_state, cause, instance, detail)
        select clock.now, $1, $2, $3, epoch, state, state, 'override', $4, $9 from made, clock
        where state = 'closed' or not $11
    )
    select pg_notify($10, left($2, 256)) from made";

pub(super) async fn decree(store: &Postgres, decree: &Decree) -> Result<(), Error> {
    let me = &store.identity;
    let (mode, ttl) = (decree.mode.map(|mode| mode.as_str()), decree.ttl.map(micros));
    // Who lifts an order stands in the event alone.
    let by = decree.mode.map(|_| &*decree.by);
    let reason = decree.mode.map(|_| &*decree.reason);
    let number = decree.forgotten.map(|lost| signed(lost.number));
    let until = decree.forgotten.and_then(|lost| lost.until_us);
    let params: [Param<'_>; 14] = [
        (&me.namespace, Type::TEXT),
        (&decree.key, Type::TEXT),
        (&decree.upstream, Type::TEXT),
        (&me.instance, Type::TEXT),
        (&mode, Type::TEXT),
        (&by, Type::TEXT),
        (&reason, Type::TEXT),
        (&ttl, Type::INT8),
        (&detail(decree), Type::JSONB),
        (&listen::channel(&me.namespace), Type::TEXT),
        (&decree.is_reset, Type::BOOL),
        (&number, Type::INT8),
        (&until, Type::INT8),
        (&signed(decree.known), Type::INT8),
    ];
    let statement = store.tables.name(DECREE);
    let lease = store.sync.lease().await?;
    lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    Ok(())
}
