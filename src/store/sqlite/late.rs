//! What comes after a row or again: late scores, and reports that came before.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, named_params};

use super::history::insert_rollup;
use crate::{
    domain::{
        learn::rollup::{Rollup, impact_micros},
        report::{LateScore, Scored},
        task::TaskId,
    },
    store::{
        Identity, TaskQuery,
        rows::{MINUTE_US, sum_cells},
    },
};

/// A row that is scored.
struct Found {
    started_at: i64,
    /// From `service` to `failure_reason`.
    texts: [String; 6],
    score: Option<f32>,
    source: Option<String>,
}

/// Writes a late score into its row and what that changes into the sums, in one transaction.
pub(super) fn score(
    db: &mut Connection,
    me: &Identity,
    late: &LateScore,
) -> Result<Scored, rusqlite::Error> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(found) = find(&tx, me, late.id)? else { return Ok(Scored::Unknown) };
    let new = impact_micros(late.score);
    let change = new - found.score.map_or(0, impact_micros);
    if found.score.is_some() && change == 0 && found.source.as_deref() == Some(&late.source) {
        return Ok(Scored::Same);
    }
    tx.execute(
        "update task_history set impact_score = :score, impact_source = :source
        where namespace = :namespace and started_at = :at and id = :id",
        named_params! {
            ":score": late.score,
            ":source": late.source,
            ":namespace": me.namespace,
            ":at": found.started_at,
            ":id": late.id.to_string(),
        },
    )?;
    if found.score.is_none() || change != 0 {
        let scored = u64::from(found.score.is_none());
        let correction = Rollup { scored, impact_micros: change, ..Rollup::default() };
        let [service, upstream, domain, action, outcome, reason] =
            found.texts.each_ref().map(String::as_str);
        let texts = [&*me.namespace, service, upstream, domain, action, outcome, reason];
        let bucket = found.started_at - found.started_at.rem_euclid(MINUTE_US);
        insert_rollup(&tx, "delta", sum_cells(bucket, texts, &correction))?;
    }
    tx.commit()?;
    Ok(Scored::Changed)
}

fn find(db: &Connection, me: &Identity, id: TaskId) -> Result<Option<Found>, rusqlite::Error> {
    let (from, to) = TaskQuery { id: Some(id), ..TaskQuery::default() }.window();
    let mut select = db.prepare_cached(
        "select started_at, service, upstream, domain, action, outcome,
            coalesce(failure_reason, ''), impact_score, impact_source
        from task_history
        where namespace = :namespace and started_at >= :from and started_at < :to and id = :id",
    )?;
    let params = named_params! {
        ":namespace": me.namespace,
        ":from": from,
        ":to": to,
        ":id": id.to_string(),
    };
    let found = |row: &rusqlite::Row<'_>| {
        let mut texts: [String; 6] = Default::default();
        for (at, text) in (1..).zip(&mut texts) {
            *text = row.get(at)?;
        }
        Ok(Found { started_at: row.get(0)?, texts, score: row.get(7)?, source: row.get(8)? })
    };
    select.query_row(params, found).optional()
}

/// Which of these rows, by their time and id, are there.
pub(super) fn known(
    db: &Connection,
    me: &Identity,
    rows: &[(i64, TaskId)],
) -> Result<HashSet<TaskId>, rusqlite::Error> {
    let mut select = db.prepare_cached(
        "select 1 from task_history where namespace = ?1 and started_at = ?2 and id = ?3",
    )?;
    let mut known = HashSet::new();
    for (at_us, id) in rows {
        if select.exists((&me.namespace, at_us, id.to_string()))? {
            known.insert(*id);
        }
    }
    Ok(known)
}
