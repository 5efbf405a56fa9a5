//! Orders about breakers in SQLite: remembered across a restart.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, named_params};

use crate::{
    domain::breaker::Mode,
    store::{
        Decree, Identity, StoredOrder,
        decree::detail,
        rows::{signed, unsigned},
    },
};

/// Gives an order or lifts it. It leaves an event under the epoch that it finds.
pub(super) fn decree(
    db: &mut Connection,
    me: &Identity,
    decree: &Decree,
    now_us: i64,
) -> Result<(), rusqlite::Error> {
    let tx = db.transaction()?;
    let ttl_us = decree.ttl.map(|ttl| i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX / 4));
    let (epoch, state): (i64, String) = tx.query_row(
        "insert into circuit_breaker_state (
            namespace, key, upstream, epoch, state, cause, changed_at_us, changed_by,
            override, override_by, override_reason, override_until_us)
        values (:namespace, :key, :upstream, 0, 'closed', 'override', :now, :instance,
            :mode, :by, :reason, :until)
        on conflict (namespace, key) do update set
            override = excluded.override, override_by = excluded.override_by,
            override_reason = excluded.override_reason,
            override_until_us = excluded.override_until_us,
            changed_at_us = excluded.changed_at_us, changed_by = excluded.changed_by
        returning epoch, state",
        named_params! {
            ":namespace": me.namespace,
            ":key": decree.key,
            ":upstream": decree.upstream,
            ":now": now_us,
            ":instance": me.instance,
            ":mode": decree.mode.map(Mode::as_str),
            ":by": decree.mode.map(|_| &decree.by),
            ":reason": decree.mode.map(|_| &decree.reason),
            ":until": ttl_us.map(|ttl| now_us.saturating_add(ttl)),
        },
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    // A reset that closes the circuit leaves the event of that transition.
    if decree.is_reset && state != "closed" {
        return tx.commit();
    }
    tx.execute(
        "insert into circuit_breaker_event (
            at_us, namespace, key, upstream, epoch, from_state, to_state, cause, instance, detail)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?6, 'override', ?7, ?8)",
        (
            now_us,
            &me.namespace,
            &decree.key,
            &decree.upstream,
            signed(unsigned(epoch)),
            state,
            &me.instance,
            detail(decree).to_string(),
        ),
    )?;
    tx.commit()
}

/// The order that is in force.
pub(super) fn of(
    db: &Connection,
    me: &Identity,
    key: &str,
    now_us: i64,
) -> Result<Option<StoredOrder>, rusqlite::Error> {
    let mut statement = db.prepare_cached(
        "select override, coalesce(override_by, ''), coalesce(override_reason, ''),
            override_until_us
        from circuit_breaker_state where namespace = ?1 and key = ?2 and override is not null
            and (override_until_us is null or override_until_us > ?3)",
    )?;
    let found = statement.query_row((&me.namespace, key, now_us), |row| {
        let until_us: Option<i64> = row.get(3)?;
        let left = until_us.map(|until| Duration::from_micros(unsigned(until - now_us)));
        let mode = Mode::parse(row.get_ref(0)?.as_str()?);
        let (by, reason) = (row.get(1)?, row.get(2)?);
        Ok(mode.map(|mode| StoredOrder { mode, by, reason, left, until_us }))
    });
    Ok(found.optional()?.flatten())
}
