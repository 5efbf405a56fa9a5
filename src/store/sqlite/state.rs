//! Breakers in SQLite, timed by the host's clock.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, named_params};
use serde_json::Value;

use crate::{
    domain::breaker::{Cause, Shared, State},
    store::{
        BreakerEvent, Identity, Move, Moved, StoredBreaker,
        rows::{signed, unsigned},
    },
};

/// The columns of a [`StoredBreaker`]. What is left of the open time is cut to what it was at
/// first, in case the clock was set back.
const BREAKER: &str = "
    select key, epoch, state, cause, step, failure_count, by_connection,
        coalesce(max(0, min(open_until_us - :now, open_until_us - opened_at_us)), 0),
        coalesce(max(0, :now - ramp_started_at_us), 0)
    from circuit_breaker_state where namespace = :namespace";

pub(super) fn breakers(
    db: &Connection,
    me: &Identity,
    closed_within: Duration,
    now_us: i64,
) -> Result<Vec<StoredBreaker>, rusqlite::Error> {
    let statement = format!("{BREAKER} and (state <> 'closed' or changed_at_us > :since)");
    let mut statement = db.prepare_cached(&statement)?;
    let since = now_us.saturating_sub(micros(closed_within));
    let params = named_params! { ":namespace": me.namespace, ":now": now_us, ":since": since };
    let rows = statement.query_map(params, stored_breaker)?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The compare-and-set. No row is epoch zero.
const MOVE: &str = "
    insert into circuit_breaker_state as breaker (
        namespace, key, upstream, epoch, state, cause, step, failure_count, by_connection,
        opened_at_us, open_until_us, ramp_started_at_us, changed_at_us, changed_by)
    select :namespace, :key, :upstream, :epoch + 1, :to, :cause, :step, :failure_count,
        :by_connection,
        case :to when 'open' then :now end, case :to when 'open' then :now + :open_for end,
        case :to when 'ramping' then :now end, :now, :instance
    where (:epoch = 0 and :to <> 'closed') or exists (
        select 1 from circuit_breaker_state
        where namespace = :namespace and key = :key and epoch = :epoch)
    on conflict (namespace, key) do update set
        upstream = excluded.upstream, epoch = excluded.epoch, state = excluded.state,
        cause = excluded.cause, step = excluded.step, failure_count = excluded.failure_count,
        by_connection = excluded.by_connection, opened_at_us = excluded.opened_at_us,
        open_until_us = excluded.open_until_us,
        ramp_started_at_us = excluded.ramp_started_at_us,
        changed_at_us = excluded.changed_at_us, changed_by = excluded.changed_by
    where breaker.epoch = :epoch
    returning epoch";

pub(super) fn transition(
    db: &mut Connection,
    me: &Identity,
    wanted: &Move,
    now_us: i64,
) -> Result<Moved, rusqlite::Error> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let params = named_params! {
        ":namespace": me.namespace,
        ":key": wanted.key,
        ":upstream": wanted.upstream,
        ":epoch": signed(wanted.from_epoch),
        ":to": wanted.to.as_str(),
        ":cause": wanted.cause.as_str(),
        ":step": wanted.step,
        ":failure_count": wanted.failure_count,
        ":by_connection": wanted.by_connection,
        ":open_for": micros(wanted.open_for),
        ":now": now_us,
        ":instance": me.instance,
    };
    let made: Option<i64> =
        tx.prepare_cached(MOVE)?.query_row(params, |row| row.get(0)).optional()?;
    let Some(epoch) = made else {
        let params =
            named_params! { ":namespace": me.namespace, ":now": now_us, ":key": wanted.key };
        let statement = format!("{BREAKER} and key = :key");
        let current = tx.query_row(&statement, params, stored_breaker).optional()?;
        return Ok(wanted.lost_to(current.flatten()));
    };
    record(&tx, me, wanted, epoch, now_us)?;
    tx.commit()?;
    Ok(Moved::Made(unsigned(epoch)))
}

/// Writes the event of a move.
fn record(
    db: &Connection,
    me: &Identity,
    wanted: &Move,
    epoch: i64,
    now_us: i64,
) -> Result<(), rusqlite::Error> {
    let mut detail = wanted.detail();
    let task_ids = wanted.task_ids.iter().map(|id| Value::from(id.to_string()));
    detail["taskIds"] = task_ids.collect();
    db.execute(
        "insert into circuit_breaker_event (
            at_us, namespace, key, upstream, epoch, from_state, to_state, cause, instance, detail)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        (
            now_us,
            &me.namespace,
            &wanted.key,
            &wanted.upstream,
            epoch,
            wanted.from.as_str(),
            wanted.to.as_str(),
            wanted.cause.as_str(),
            &me.instance,
            detail.to_string(),
        ),
    )?;
    Ok(())
}

pub(super) fn events(
    db: &Connection,
    me: &Identity,
    key: &str,
    limit: u32,
) -> Result<Vec<BreakerEvent>, rusqlite::Error> {
    let mut statement = db.prepare_cached(
        "select at_us, epoch, from_state, to_state, cause, instance, detail
        from circuit_breaker_event where namespace = ?1 and key = ?2 order by id desc limit ?3",
    )?;
    let rows = statement.query_map((&me.namespace, key, limit), breaker_event)?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// None for a state that a newer version has made up: it is not ours to act on.
fn stored_breaker(row: &Row<'_>) -> Result<Option<StoredBreaker>, rusqlite::Error> {
    let Some(state) = State::parse(row.get_ref(2)?.as_str()?) else { return Ok(None) };
    let shared = Shared {
        epoch: unsigned(row.get(1)?),
        state,
        cause: Cause::parse(row.get_ref(3)?.as_str()?).unwrap_or(Cause::Fleet),
        step: row.get(4)?,
        failure_count: row.get(5)?,
        by_connection: row.get(6)?,
        open_for: Duration::from_micros(unsigned(row.get(7)?)),
        ramp_age: Duration::from_micros(unsigned(row.get(8)?)),
    };
    Ok(Some(StoredBreaker { key: row.get(0)?, shared }))
}

fn breaker_event(row: &Row<'_>) -> Result<Option<BreakerEvent>, rusqlite::Error> {
    let states = (State::parse(row.get_ref(2)?.as_str()?), State::parse(row.get_ref(3)?.as_str()?));
    let (Some(from), Some(to)) = states else { return Ok(None) };
    let detail: String = row.get(6)?;
    Ok(Some(BreakerEvent {
        at_us: row.get(0)?,
        epoch: unsigned(row.get(1)?),
        from,
        to,
        cause: Cause::parse(row.get_ref(4)?.as_str()?).unwrap_or(Cause::Fleet),
        instance: row.get(5)?,
        detail: serde_json::from_str(&detail).unwrap_or_default(),
    }))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
