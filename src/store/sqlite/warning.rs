//! Early warnings, in SQLite.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rusqlite::{Connection, Row, named_params};

use super::{Sqlite, on};
use crate::{
    clock,
    domain::learn::warn::{
        Signal,
        score::{Fate, Score},
    },
    store::{
        Error, Identity, Merit, Notice, Prediction, Subject, WarningStore, Which,
        rows::{column_list, unsigned},
        warning::{PREDICTION_COLUMNS, fate, fate_columns, seconds},
    },
};

#[async_trait]
impl WarningStore for Sqlite {
    /// There is nobody else.
    async fn claim_watch(&self, _lease: Duration) -> Result<bool, Error> {
        Ok(true)
    }

    async fn warn(&self, notices: &[Notice], lasts: Duration) -> Result<(), Error> {
        let (me, notices, now_us) =
            (Arc::clone(&self.identity), notices.to_vec(), clock::wall_us());
        let until_us =
            now_us.saturating_add_unsigned(u64::try_from(lasts.as_micros()).unwrap_or(0));
        on(&self.writer, move |db| {
            let tx = db.transaction()?;
            for notice in &notices {
                warn(&tx, &me, notice, (now_us, until_us))?;
            }
            tx.commit()
        })
        .await
    }

    async fn predictions(&self, which: Which, limit: u32) -> Result<Vec<Prediction>, Error> {
        let (me, now_us) = (Arc::clone(&self.identity), clock::wall_us());
        on(&self.reader, move |db| {
            let (filter, since_us) = match which {
                Which::Active => ("active_until_us > :now and :since = 0", 0),
                Which::Shown => ("active_until_us > :now and not is_muted and :since = 0", 0),
                Which::Pending => ("resolved_at_us is null and :since = 0", 0),
                Which::Since(since_us) => ("made_at_us >= :since", since_us),
            };
            let mut select = db.prepare_cached(&format!(
                "select id, made_at_us, active_until_us, active_until_us > :now, {}
                from prediction where namespace = :namespace and {filter}
                order by made_at_us desc limit :limit",
                column_list(PREDICTION_COLUMNS)
            ))?;
            let params = named_params! {
                ":namespace": me.namespace, ":now": now_us, ":since": since_us, ":limit": limit,
            };
            let rows = select.query_map(params, prediction)?;
            rows.filter_map(Result::transpose).collect()
        })
        .await
    }

    async fn resolve(&self, id: i64, fate: Fate) -> Result<(), Error> {
        let Some((came_true, lead_s)) = fate_columns(fate) else { return Ok(()) };
        let (me, now_us) = (Arc::clone(&self.identity), clock::wall_us());
        on(&self.writer, move |db| {
            db.execute(
                "update prediction set resolved_at_us = ?3, came_true = ?4, lead_s = ?5
                where namespace = ?1 and id = ?2 and resolved_at_us is null",
                (&me.namespace, id, now_us, came_true, lead_s),
            )
        })
        .await?;
        Ok(())
    }

    async fn keep_score(&self, (signal, score): &Merit) -> Result<(), Error> {
        let (me, signal, score) = (Arc::clone(&self.identity), *signal, *score);
        let now_us = clock::wall_us();
        on(&self.writer, move |db| {
            db.execute(
                "insert or replace into prediction_score
                    (namespace, signal, scored_at_us, decided, precision, recall, brier, lead_s)
                values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (
                    &me.namespace,
                    signal.as_str(),
                    now_us,
                    i64::try_from(score.decided).unwrap_or(i64::MAX),
                    score.precision,
                    score.recall,
                    score.brier,
                    score.lead,
                ),
            )
        })
        .await?;
        Ok(())
    }

    async fn scores(&self) -> Result<Vec<Merit>, Error> {
        let me = Arc::clone(&self.identity);
        on(&self.reader, move |db| {
            let mut select = db.prepare_cached(
                "select signal, decided, precision, recall, brier, lead_s from prediction_score
                where namespace = ?1 order by signal",
            )?;
            let rows = select.query_map([&me.namespace], scored)?;
            rows.filter_map(Result::transpose).collect()
        })
        .await
    }

    async fn openings(&self, since_us: i64, limit: u32) -> Result<Vec<(String, i64)>, Error> {
        let me = Arc::clone(&self.identity);
        on(&self.reader, move |db| {
            let mut select = db.prepare_cached(
                "select upstream, at_us from circuit_breaker_event
                where namespace = ?1 and at_us >= ?2 and to_state = 'open'
                    and from_state in ('closed', 'ramping')
                order by id desc limit ?3",
            )?;
            let opening = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            select.query_map((&me.namespace, since_us, limit), opening)?.collect()
        })
        .await
    }

    async fn forget_predictions(&self, before_us: i64) -> Result<(), Error> {
        let me = Arc::clone(&self.identity);
        on(&self.writer, move |db| {
            let delete = "delete from prediction where namespace = ?1 and made_at_us < ?2";
            db.execute(delete, (&me.namespace, before_us))
        })
        .await?;
        Ok(())
    }
}

/// Says it, or goes on saying it.
fn warn(
    db: &Connection,
    me: &Identity,
    notice: &Notice,
    (now_us, until_us): (i64, i64),
) -> Result<(), rusqlite::Error> {
    let Subject { upstream, domain, action } = &notice.subject;
    let signal = notice.signal.as_str();
    let known = db.execute(
        "update prediction set active_until_us = ?6
        where namespace = ?1 and signal = ?2 and upstream = ?3 and domain = ?4 and action = ?5
            and active_until_us > ?7",
        (&me.namespace, signal, upstream, domain, action, until_us, now_us),
    )?;
    if known > 0 {
        return Ok(());
    }
    db.execute(
        "insert into prediction (namespace, made_at_us, active_until_us, signal, upstream, domain,
            action, claim, detail, bar, horizon_s, probability, is_muted, instance)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        (
            &me.namespace,
            now_us,
            until_us,
            signal,
            upstream,
            domain,
            action,
            &notice.claim,
            notice.detail.to_string(),
            notice.bar,
            seconds(notice.horizon),
            notice.probability,
            notice.is_muted,
            &me.instance,
        ),
    )?;
    Ok(())
}

/// None for a signal that a newer version has made up.
fn prediction(row: &Row<'_>) -> Result<Option<Prediction>, rusqlite::Error> {
    let (signal, detail): (String, String) = (row.get(4)?, row.get(9)?);
    let Some(signal) = Signal::parse(&signal) else { return Ok(None) };
    let notice = Notice {
        signal,
        subject: Subject { upstream: row.get(5)?, domain: row.get(6)?, action: row.get(7)? },
        claim: row.get(8)?,
        detail: serde_json::from_str(&detail).unwrap_or_default(),
        bar: row.get(10)?,
        horizon: Duration::from_secs(unsigned(row.get(11)?)),
        probability: row.get(12)?,
        is_muted: row.get(13)?,
    };
    Ok(Some(Prediction {
        id: row.get(0)?,
        made_at_us: row.get(1)?,
        active_until_us: row.get(2)?,
        is_active: row.get(3)?,
        notice,
        fate: fate(row.get(14)?, row.get(15)?),
    }))
}

fn scored(row: &Row<'_>) -> Result<Option<Merit>, rusqlite::Error> {
    let signal: String = row.get(0)?;
    let Some(signal) = Signal::parse(&signal) else { return Ok(None) };
    let score = Score {
        decided: usize::try_from(row.get::<_, i64>(1)?).unwrap_or_default(),
        precision: row.get(2)?,
        recall: row.get(3)?,
        brier: row.get(4)?,
        lead: row.get(5)?,
    };
    Ok(Some((signal, score)))
}
