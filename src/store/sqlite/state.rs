//! Breakers in SQLite, timed by the host's clock.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, named_params};

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
        BreakerEvent, Heard, Identity, Oddities, Said, StoredBreaker,
        rows::{signed, unsigned},
        words::put_opening,
    },
};

/// What is known of breakers beyond their rows: rounds, votes and leases, which do not outlive the
/// process that they are about.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// By key.
    known: Mutex<HashMap<String, Entry>>,
    /// What rows said that this version does not know.
    oddities: Oddities,
}

impl Entries {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The columns of an [`Entry`].
const BREAKER: &str = "
    select key, epoch, state, cause, step, failure_count, by_connection, opened_at_us,
        open_until_us, ramp_started_at_us, changed_at_us
    from circuit_breaker_state where namespace = :namespace";

pub(super) fn breakers(
    db: &Connection,
    me: &Identity,
    entries: &Entries,
    (changed_within, now_us): (Duration, i64),
) -> Result<Vec<StoredBreaker>, rusqlite::Error> {
    let statement = format!(
        "{BREAKER} and (state <> 'closed' or override is not null or changed_at_us > :since)"
    );
    let mut statement = db.prepare_cached(&statement)?;
    let since = now_us.saturating_sub(micros(changed_within));
    let rows = statement
        .query_map(named_params! { ":namespace": me.namespace, ":since": since }, |row| {
            entry(&entries.oddities, row)
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let entries = entries.lock();
    let stored = |(key, entry): (String, Entry)| {
        let row = known(&entries, &key, Some(entry)).unwrap_or_default().row(&me.instance, now_us);
        let order = orders::of(db, me, &key, now_us)?;
        Ok(StoredBreaker { key, row, order, orders: 0 })
    };
    rows.into_iter().flatten().map(stored).collect()
}

/// Writes the durable part of an entry.
const SAVE: &str = "
    insert into circuit_breaker_state (
        namespace, key, upstream, epoch, state, cause, step, failure_count, by_connection,
        opened_at_us, open_until_us, ramp_started_at_us, changed_at_us, changed_by)
    values (:namespace, :key, :upstream, :epoch, :state, :cause, :step, :failure_count,
        :by_connection, :opened_at, :open_until, :ramp_started_at, :entered_at, :instance)
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
    entries: &Entries,
    (said, now_us): (&Said, i64),
) -> Result<Heard, rusqlite::Error> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let params = named_params! { ":namespace": me.namespace, ":key": said.key };
    let read = |row: &Row<'_>| entry(&entries.oddities, row);
    let stored = tx.query_row(&format!("{BREAKER} and key = :key"), params, read).optional()?;
    let mut entries = entries.lock();
    let stored = stored.flatten().map(|(_, entry)| entry);
    let before = known(&entries, &said.key, stored);
    let before = before.unwrap_or_else(|| Entry::new(said.epoch));
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
    if is_done {
        entries.insert(said.key.clone(), after);
    }
    let order = orders::of(db, me, &said.key, now_us)?;
    let stored = StoredBreaker { key: said.key.clone(), row, order, orders: 0 };
    Ok(Heard { is_done, row: Some(stored) })
}

/// A stored entry with what is known of it beyond its row.
fn known(entries: &HashMap<String, Entry>, key: &str, stored: Option<Entry>) -> Option<Entry> {
    let is_it = |entry: &&Entry| stored.as_ref().is_none_or(|stored| stored.epoch == entry.epoch);
    entries.get(key).filter(is_it).cloned().or(stored)
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
        ":entered_at": entry.entered_at.unwrap_or(now_us),
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
    detail["taskIds"] = said.calls();
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
    entries: &Entries,
    (key, limit): (&str, u32),
) -> Result<Vec<BreakerEvent>, rusqlite::Error> {
    let mut statement = db.prepare_cached(
        "select at_us, epoch, from_state, to_state, cause, instance, detail
        from circuit_breaker_event where namespace = ?1 and key = ?2 order by id desc limit ?3",
    )?;
    let rows = statement
        .query_map((&me.namespace, key, limit), |row| breaker_event(&entries.oddities, key, row))?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

pub(super) fn last_events(
    db: &Connection,
    me: &Identity,
    entries: &Entries,
    limit: u32,
) -> Result<Vec<(String, BreakerEvent)>, rusqlite::Error> {
    let mut statement = db.prepare_cached(
        "select at_us, epoch, from_state, to_state, cause, instance, detail, key
        from circuit_breaker_event where namespace = ?1 order by id desc limit ?2",
    )?;
    let rows = statement.query_map((&me.namespace, limit), |row| {
        let key: String = row.get(7)?;
        Ok(breaker_event(&entries.oddities, &key, row)?.map(|event| (key, event)))
    })?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The durable part of an entry. None for a state that a newer version has made up: it is not ours
/// to act on.
fn entry(oddities: &Oddities, row: &Row<'_>) -> Result<Option<(String, Entry)>, rusqlite::Error> {
    let key: String = row.get(0)?;
    let state = oddities.read("state", &key, row.get_ref(2)?.as_str()?, State::parse);
    let Some(state) = state else { return Ok(None) };
    let cause = oddities.read("cause", &key, row.get_ref(3)?.as_str()?, Cause::parse);
    let (from, until): (Option<i64>, Option<i64>) = (row.get(7)?, row.get(8)?);
    let epoch = unsigned(row.get(1)?);
    let changed_at: i64 = row.get(10)?;
    let entry = Entry {
        epoch,
        entered_at: (epoch > 0).then_some(changed_at),
        state,
        cause: cause.unwrap_or(Cause::Fleet),
        step: row.get(4)?,
        failure_count: row.get(5)?,
        by_connection: row.get(6)?,
        opened: from.zip(until).map(|(from, until)| Span { from, until }),
        ramp_started_at: row.get(9)?,
        ..Entry::default()
    };
    Ok(Some((key, entry)))
}

fn breaker_event(
    oddities: &Oddities,
    key: &str,
    row: &Row<'_>,
) -> Result<Option<BreakerEvent>, rusqlite::Error> {
    let state = |at: usize| -> Result<_, rusqlite::Error> {
        Ok(oddities.read("state", key, row.get_ref(at)?.as_str()?, State::parse))
    };
    let (Some(from), Some(to)) = (state(2)?, state(3)?) else { return Ok(None) };
    let cause = oddities.read("cause", key, row.get_ref(4)?.as_str()?, Cause::parse);
    let detail: String = row.get(6)?;
    Ok(Some(BreakerEvent {
        at_us: row.get(0)?,
        epoch: unsigned(row.get(1)?),
        from,
        to,
        cause: cause.unwrap_or(Cause::Fleet),
        instance: row.get(5)?,
        detail: serde_json::from_str(&detail).unwrap_or_default(),
    }))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
