//! What is learned from, in SQLite.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{Connection, Row, named_params, params_from_iter, types::Value as Cell};

use super::{Sqlite, on, why};
use crate::{
    clock,
    domain::{
        learn::{evidence::Day, lesson::LONGEST_INCIDENT, warn::Signal},
        outcome::Outcome,
        task::TaskId,
    },
    store::{
        Counted, DayCell, Error, Identity, LearningStore, Lesson, LessonQuery, OperationName,
        WhyQuery,
        learning::{
            CLAIM, COUNTS, DAY_US, SUMS, Sums, WEIGHTS, cell_columns, lessons_only, setting_json,
            setting_of, span_of, weight_of,
        },
        rows::{column_list, unsigned},
    },
};

#[async_trait]
impl LearningStore for Sqlite {
    async fn lessons(&self, query: &LessonQuery) -> Result<Vec<Lesson>, Error> {
        let (me, query) = (Arc::clone(&self.identity), query.clone());
        on(&self.reader, move |db| lessons(db, &me, &query)).await
    }

    async fn claim_day(&self, day: Day) -> Result<bool, Error> {
        let (me, now_us) = (Arc::clone(&self.identity), clock::wall_us());
        let claim = i64::try_from(CLAIM.as_micros()).unwrap_or(i64::MAX);
        let kept_us = self.retention_us.load(Ordering::Relaxed);
        // What is left of a day whose first rows have expired is not put in the place of all of it.
        let is_whole = span_of(day).0 >= now_us.saturating_sub(kept_us);
        let claimed = on(&self.writer, move |db| {
            db.execute(
                "insert into task_learning_day (namespace, day, claimed_at_us) values (?1, ?2, ?3)
                on conflict (namespace, day) do update set claimed_at_us = excluded.claimed_at_us
                    where claimed_at_us < ?3 - ?4 and (added_at_us is null
                        or (?6 and added_at_us < ?3 - ?5 and added_at_us < (day + 3) * ?5))",
                (&me.namespace, day, now_us, claim, DAY_US, is_whole),
            )
        })
        .await?;
        Ok(claimed > 0)
    }

    /// Nobody else is there to claim it.
    async fn keep_day(&self, _day: Day) -> Result<(), Error> {
        Ok(())
    }

    async fn learn(&self, of: &OperationName, day: Day, cells: &[DayCell]) -> Result<(), Error> {
        let (me, of, cells) = (Arc::clone(&self.identity), of.clone(), cells.to_vec());
        on(&self.writer, move |db| learn(db, &me, &of, (day, &cells))).await
    }

    async fn day_is_learned(&self, day: Day, tasks: u64) -> Result<(), Error> {
        let (me, now_us) = (Arc::clone(&self.identity), clock::wall_us());
        let tasks = i64::try_from(tasks).unwrap_or(i64::MAX);
        on(&self.writer, move |db| {
            db.execute(
                "insert into task_learning_day (namespace, day, tasks, claimed_at_us, added_at_us)
                values (?1, ?2, ?3, ?4, ?4)
                on conflict (namespace, day) do update
                    set tasks = excluded.tasks, added_at_us = excluded.added_at_us",
                (&me.namespace, day, tasks, now_us),
            )
        })
        .await?;
        Ok(())
    }

    async fn learned_at(&self) -> Result<i64, Error> {
        let me = Arc::clone(&self.identity);
        on(&self.reader, move |db| {
            let select = "select coalesce(max(added_at_us), 0) from task_learning_day
                where namespace = ?1";
            db.query_row(select, [&me.namespace], |row| row.get(0))
        })
        .await
    }

    async fn cells(&self, operation: &OperationName, from: Day) -> Result<Vec<DayCell>, Error> {
        let (me, operation) = (Arc::clone(&self.identity), operation.clone());
        on(&self.reader, move |db| {
            let mut select = db.prepare_cached(&format!(
                "select day, stratum, parameters, {}, is_part from task_parameter_day
                where namespace = ?1 and domain = ?2 and action = ?3 and day >= ?4",
                cell_columns()
            ))?;
            let OperationName { domain, action } = &operation;
            select.query_map((&me.namespace, domain, action, from), day_cell)?.collect()
        })
        .await
    }

    async fn operations(&self, from: Day) -> Result<Vec<(OperationName, u64)>, Error> {
        let me = Arc::clone(&self.identity);
        on(&self.reader, move |db| {
            let mut select = db.prepare_cached(
                "select domain, action, sum(tasks) from task_parameter_day
                where namespace = ?1 and day >= ?2 and (not is_part or parameters = '{}')
                group by domain, action order by domain, action",
            )?;
            let operation = |row: &Row<'_>| {
                let (domain, action) = (row.get(0)?, row.get(1)?);
                Ok((OperationName { domain, action }, unsigned(row.get(2)?)))
            };
            select.query_map((&me.namespace, from), operation)?.collect()
        })
        .await
    }

    async fn why(&self, query: &WhyQuery) -> Result<Counted, Error> {
        let (me, query) = (Arc::clone(&self.identity), query.clone());
        on(&self.reader, move |db| why::count(db, &me, &query)).await
    }

    async fn forget_days(&self, before: Day) -> Result<(), Error> {
        let me = Arc::clone(&self.identity);
        on(&self.writer, move |db| {
            let tx = db.transaction()?;
            for table in ["task_parameter_day", "task_learning_day"] {
                let delete = format!("delete from {table} where namespace = ?1 and day < ?2");
                tx.execute(&delete, (&me.namespace, before))?;
            }
            tx.commit()
        })
        .await
    }
}

fn lessons(
    db: &Connection,
    me: &Identity,
    query: &LessonQuery,
) -> Result<Vec<Lesson>, rusqlite::Error> {
    let mut select = db.prepare_cached(&format!(
        "select started_at, id, domain, action, service, outcome, duration_us, params,
            impact_score, cost, weight
        from task_history t
        where namespace = :namespace and started_at >= :from and started_at < :to and {}
            and (:after_id is null or (started_at, id) > (:from, :after_id))
            and not exists (select 1 from prediction p
                where p.namespace = :namespace and p.signal = :signal and not p.is_muted
                    and p.active_until_us > :from and p.domain = t.domain and p.action = t.action
                    and p.upstream = t.upstream and t.started_at < p.active_until_us
                    and t.started_at < p.made_at_us + :longest
                    and t.started_at >= min(p.made_at_us, coalesce(
                        1000000 * json_extract(p.detail, '$.sinceSeconds'), p.made_at_us)))
        order by started_at, id limit :limit",
        lessons_only()
    ))?;
    let (from, to) = span_of(query.day);
    let params = named_params! {
        ":namespace": me.namespace,
        ":from": query.after.map_or(from, |(at_us, _)| at_us),
        ":to": to,
        ":after_id": query.after.map(|(_, id)| id.to_string()),
        ":limit": query.limit,
        ":signal": Signal::Failures.as_str(),
        ":longest": i64::try_from(LONGEST_INCIDENT.as_micros()).unwrap_or(i64::MAX),
    };
    select.query_map(params, lesson)?.collect()
}

fn lesson(row: &Row<'_>) -> Result<Lesson, rusqlite::Error> {
    let (id, outcome, parameters): (String, String, String) =
        (row.get(1)?, row.get(5)?, row.get(7)?);
    Ok(Lesson {
        started_at_us: row.get(0)?,
        id: TaskId::parse(&id).unwrap_or(TaskId::from_u128(0)),
        operation: OperationName { domain: row.get(2)?, action: row.get(3)? },
        service: row.get(4)?,
        succeeded: outcome == Outcome::Success.as_str(),
        duration: Duration::from_micros(unsigned(row.get(6)?)),
        parameters: serde_json::from_str(&parameters).unwrap_or_default(),
        impact: row.get(8)?,
        cost: row.get(9)?,
        weight: weight_of(row.get(10)?),
    })
}

fn learn(
    db: &mut Connection,
    me: &Identity,
    of: &OperationName,
    (day, cells): (Day, &[DayCell]),
) -> Result<(), rusqlite::Error> {
    let tx = db.transaction()?;
    tx.execute(
        "delete from task_parameter_day
        where namespace = ?1 and domain = ?2 and action = ?3 and day = ?4",
        (&me.namespace, &of.domain, &of.action, day),
    )?;
    let mut insert = tx.prepare(&format!(
        "insert into task_parameter_day
            (namespace, domain, action, day, stratum, parameters, {}, {}, {}, is_part)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        column_list(COUNTS),
        column_list(WEIGHTS.map(|(own, _)| own)),
        column_list(SUMS)
    ))?;
    for DayCell { stratum, setting, is_part, cell, .. } in cells {
        let text = |text: &str| Cell::from(text.to_owned());
        let Sums { counts, weights, sums } = Sums::from(cell);
        let named = [text(&me.namespace), text(&of.domain), text(&of.action), Cell::from(day)];
        let keyed = [text(stratum), text(&setting_json(setting).to_string())];
        let cells = named.into_iter().chain(keyed);
        let cells = cells.chain(counts.map(Cell::from)).chain(weights.map(Cell::from));
        let cells = cells.chain(sums.map(Cell::from)).chain([Cell::from(*is_part)]);
        insert.execute(params_from_iter(cells))?;
    }
    drop(insert);
    tx.commit()
}

fn day_cell(row: &Row<'_>) -> Result<DayCell, rusqlite::Error> {
    let mut sums = Sums { counts: [0; 6], weights: [0; 4], sums: [0.0; 7] };
    for (at, count) in (3..).zip(sums.counts.iter_mut().chain(&mut sums.weights)) {
        *count = row.get(at)?;
    }
    for (at, sum) in (13..).zip(&mut sums.sums) {
        *sum = row.get(at)?;
    }
    let parameters: String = row.get(2)?;
    Ok(DayCell {
        day: row.get(0)?,
        stratum: row.get(1)?,
        setting: setting_of(&serde_json::from_str(&parameters).unwrap_or_default()),
        is_part: row.get(20)?,
        cell: sums.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{DAY_US, Day, Identity, LearningStore, Sqlite, clock};
    use crate::store::HistoryStore;

    #[tokio::test]
    async fn a_day_of_which_rows_have_expired_is_not_added_up_again() {
        let dir = std::env::temp_dir().join(format!("fusebox-days-{}", fastrand::u128(..)));
        let text = String::from;
        let store = Sqlite::open(
            &dir,
            Identity {
                namespace: text("test"),
                service: text("beats"),
                version: text("1"),
                instance: text("me"),
                journal_id: text("j"),
                display_name: text("me"),
                host: text("here"),
                zone: None,
                found: Arc::default(),
            },
        );
        let store = store.unwrap();
        let today = Day::try_from(clock::wall_us() / DAY_US).unwrap();
        for (day, retention_h, again) in [(today - 1, 24, false), (today - 2, 96, true)] {
            store.maintain(Duration::from_secs(3_600 * retention_h)).await.unwrap();
            assert!(store.claim_day(day).await.unwrap(), "it was never added up");
            store.day_is_learned(day, 5).await.unwrap();
            // A day passes.
            let past = "update task_learning_day set claimed_at_us = claimed_at_us - 90000000000,
                added_at_us = added_at_us - 90000000000";
            store.writer.lock().await.execute(past, ()).unwrap();
            assert_eq!(store.claim_day(day).await.unwrap(), again, "{retention_h} h");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
