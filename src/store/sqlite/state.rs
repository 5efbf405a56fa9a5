//! Breakers in SQLite, timed by the host's clock.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, named_params};
use serde_json::Value;

use super::orders;
use crate::{
    domain::{
        breaker::{Cause, State},
        fleet::{
            entry::{Entry, Span, Speaker},
            word::Word,
        },
    },
    store::{
        BreakerEvent, Heard, Identity, Said, StoredBreaker,
        rows::{signed, unsigned},
        words::put_opening,
    },
};

/// What is known of breakers beyond their rows: rounds, votes and leases, which do not outlive the
/// process that they are about.
pub(super) type Entries = HashMap<String, Entry>;

/// The columns of an [`Entry`].
const BREAKER: &str = "
    select key, epoch, state, cause, step, failure_count, by_connection, opened_at_us,
        open_until_us, ramp_started_at_us
    from circuit_breaker_state where namespace = :namespace";

pub(super) fn breakers(
    db: &Connection,
    me: &Identity,
    entries: &Mutex<Entries>,
    (closed_within, now_us): (Duration, i64),
) -> Result<Vec<StoredBreaker>, rusqlite::Error> {
    let statement = format!(
        "{BREAKER} and (state <> 'closed' or override is not null or changed_at_us > :since)"
    );
    let mut statement = db.prepare_cached(&statement)?;
    let since = now_us.saturating_sub(micros(closed_within));
    let rows = statement
        .query_map(named_params! { ":namespace": me.namespace, ":since": since }, entry)?
        .collect::<Result<Vec<_>, _>>()?;
    let entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
    let stored = |(key, entry): (String, Entry)| {
        let row = known(&entries, &key, entry).row(&me.instance, now_us);
        let order = orders::of(db, me, &key, now_us)?;
        Ok(StoredBreaker { key, row, order })
    };
    rows.into_iter().flatten().map(stored).collect()
}

/// Writes the durable part of an entry.
const SAVE: &str = "
    insert into circuit_breaker_state (
        namespace, key, upstream, epoch, state, cause, step, failure_count, by_connection,
        opened_at_us, open_until_us, ramp_started_at_us, changed_at_us, changed_by)
    values (:namespace, :key, :upstream, :epoch, :state, :cause, :step, :failure_count,
        :by_connection, :opened_at, :open_until, :ramp_started_at, :now, :instance)
    on conflict (namespace, key) do update set
        upstream = excluded.upstream, epoch = excluded.epoch, state = excluded.state,
        cause = excluded.cause, step = excluded.step, failure_count = excluded.failure_count,
        by_connection = excluded.by_connection, opened_at_us = excluded.opened_at_us,
        open_until_us = excluded.open_until_us,
        ramp_started_at_us = excluded.ramp_started_at_us,
        changed_at_us = excluded.changed_at_us, changed_by = excluded.changed_by";

pub(super) fn say(
    db: &mut Connection,
    me: &Identity,
    entries: &Mutex<Entries>,
    (said, now_us): (&Said, i64),
) -> Result<Heard, rusqlite::Error> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
    let params = named_params! { ":namespace": me.namespace, ":key": said.key };
    let stored = tx.query_row(&format!("{BREAKER} and key = :key"), params, entry).optional()?;
    let stored = stored.flatten().map(|(_, entry)| entry).unwrap_or_default();
    let before = known(&entries, &said.key, stored);
    let mut after = before.clone();
    // This is the only instance that there is.
    let by = Speaker { instance: &me.instance, members: &[0], now: now_us };
    let is_done = after.hear(said.epoch, &said.word, by);
    if after.epoch != before.epoch {
        save(&tx, me, said, &after, now_us)?;
        record(&tx, me, said, (&before, &after), now_us)?;
    }
    tx.commit()?;
    let row = after.row(&me.instance, now_us);
    entries.insert(said.key.clone(), after);
    let order = orders::of(db, me, &said.key, now_us)?;
    Ok(Heard { is_done, row: Some(StoredBreaker { key: said.key.clone(), row, order }) })
}

/// A stored entry with what is known of it beyond its row.
fn known(entries: &Entries, key: &str, stored: Entry) -> Entry {
    entries.get(key).filter(|entry| entry.epoch == stored.epoch).cloned().unwrap_or(stored)
}

fn save(
    db: &Connection,
    me: &Identity,
    said: &Said,
    entry: &Entry,
    now_us: i64,
) -> Result<(), rusqlite::Error> {
    let params = named_params! {
        ":namespace": me.namespace,
        ":key": said.key,
        ":upstream": said.upstream,
        ":epoch": signed(entry.epoch),
        ":state": entry.state.as_str(),
        ":cause": entry.cause.as_str(),
        ":step": entry.step,
        ":failure_count": entry.failure_count,
        ":by_connection": entry.by_connection,
        ":opened_at": entry.opened.map(|opened| opened.from),
        ":open_until": entry.opened.map(|opened| opened.until),
        ":ramp_started_at": entry.ramp_started_at,
        ":now": now_us,
        ":instance": me.instance,
    };
    db.prepare_cached(SAVE)?.execute(params)?;
    Ok(())
}

/// Writes the event of a transition.
fn record(
    db: &Connection,
    me: &Identity,
    said: &Said,
    (from, to): (&Entry, &Entry),
    now_us: i64,
) -> Result<(), rusqlite::Error> {
    let mut detail = said.detail();
    if let (Word::Trip { .. }, Some(round)) = (&said.word, &from.round) {
        put_opening(&mut detail, &round.opening);
    }
    let task_ids = said.task_ids.iter().map(|id| Value::from(id.to_string()));
    detail["taskIds"] = task_ids.collect();
    db.execute(
        "insert into circuit_breaker_event (
            at_us, namespace, key, upstream, epoch, from_state, to_state, cause, instance, detail)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        (
            now_us,
            &me.namespace,
            &said.key,
            &said.upstream,
            signed(to.epoch),
            from.state.as_str(),
            to.state.as_str(),
            to.cause.as_str(),
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

/// The durable part of an entry. None for a state that a newer version has made up: it is not ours
/// to act on.
fn entry(row: &Row<'_>) -> Result<Option<(String, Entry)>, rusqlite::Error> {
    let Some(state) = State::parse(row.get_ref(2)?.as_str()?) else { return Ok(None) };
    let (from, until): (Option<i64>, Option<i64>) = (row.get(7)?, row.get(8)?);
    let entry = Entry {
        epoch: unsigned(row.get(1)?),
        state,
        cause: Cause::parse(row.get_ref(3)?.as_str()?).unwrap_or(Cause::Fleet),
        step: row.get(4)?,
        failure_count: row.get(5)?,
        by_connection: row.get(6)?,
        opened: from.zip(until).map(|(from, until)| Span { from, until }),
        ramp_started_at: row.get(9)?,
        ..Entry::default()
    };
    Ok(Some((row.get(0)?, entry)))
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
