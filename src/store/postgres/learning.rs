//! What is learned from, in Postgres.

use std::{sync::atomic::Ordering, time::Duration};

use async_trait::async_trait;
use jiff::{Timestamp, ToSpan, civil::Date};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{
    Postgres, read,
    state::{Param, micros},
    why,
};
use crate::{
    domain::{
        learn::{evidence::Day, lesson::LONGEST_INCIDENT, warn::Signal},
        outcome::Outcome,
        task::TaskId,
    },
    store::{
        Counted, DayCell, Error, LearningStore, Lesson, LessonQuery, OperationName, WhyQuery,
        learning::{
            CLAIM, Sums, cell_columns, cells_json, lessons_only, setting_of, span_of, weight_of,
        },
        rows::unsigned,
    },
};

/// How long a statement may take: a day without parameters is looked through to its end.
const LIMIT: Duration = Duration::from_secs(120);

#[async_trait]
impl LearningStore for Postgres {
    async fn lessons(&self, query: &LessonQuery) -> Result<Vec<Lesson>, Error> {
        let statement = self.tables.name(format!(
            "select started_at, id, domain, action, service, outcome, duration_us, params,
                impact_score::float8, cost, weight
            from @task_history t
            where namespace = $1 and started_at >= $2 and started_at < $3 and {}
                and ($4::uuid is null or (started_at, id) > ($2, $4))
                and not exists (select from @prediction p
                    where p.namespace = $1 and p.signal = $6 and not p.is_muted
                        and p.active_until > $2 and p.domain = t.domain and p.action = t.action
                        and p.upstream = t.upstream and t.started_at < p.active_until
                        and t.started_at < p.made_at + $7 * interval '1 microsecond'
                        and t.started_at >= least(p.made_at,
                            to_timestamp((p.detail ->> 'sinceSeconds')::float8)))
            order by started_at, id limit $5",
            lessons_only()
        ));
        let (from, to) = span_of(query.day);
        let after_id = query.after.map(|(_, id)| read::uuid(id));
        let from = read::timestamp(query.after.map_or(from, |(at_us, _)| at_us))?;
        let (to, limit) = (read::timestamp(to)?, i64::from(query.limit));
        let (signal, longest) = (Signal::Failures.as_str(), micros(LONGEST_INCIDENT));
        let params: [Param<'_>; 7] = [
            (&self.identity.namespace, Type::TEXT),
            (&from, Type::TIMESTAMPTZ),
            (&to, Type::TIMESTAMPTZ),
            (&after_id, Type::UUID),
            (&limit, Type::INT8),
            (&signal, Type::TEXT),
            (&longest, Type::INT8),
        ];
        let rows = self.reads.query_within(LIMIT, &statement, &params).await?;
        rows.iter().map(lesson).collect::<Result<_, _>>().map_err(Error::from)
    }

    async fn claim_day(&self, day: Day) -> Result<bool, Error> {
        let statement = self.tables.name(
            "insert into @task_learning_day as d (namespace, day) values ($1, $2)
            on conflict (namespace, day) do update set claimed_at = clock_timestamp()
                where d.claimed_at < clock_timestamp() - $3 * interval '1 microsecond'
                    and (d.added_at is null or (d.added_at < clock_timestamp() - interval '1 day'
                        and d.added_at < (d.day + 3)::timestamp at time zone 'UTC'
                        and (d.day + 1)::timestamp at time zone 'UTC'
                            > clock_timestamp() - $4 * interval '1 second' + interval '1 hour'))
            returning 1",
        );
        let (day, claim) = (date_of(day)?, micros(CLAIM));
        // A day whose rows are about to go is not added up again.
        let retention = self.retention_s.load(Ordering::Relaxed);
        let params: [Param<'_>; 4] = [
            (&self.identity.namespace, Type::TEXT),
            (&day, Type::DATE),
            (&claim, Type::INT8),
            (&retention, Type::INT8),
        ];
        Ok(!self.reads.query(&statement, &params).await?.is_empty())
    }

    async fn keep_day(&self, day: Day) -> Result<(), Error> {
        let statement = self.tables.name(
            "update @task_learning_day set claimed_at = clock_timestamp()
            where namespace = $1 and day = $2",
        );
        let day = date_of(day)?;
        let params: [Param<'_>; 2] = [(&self.identity.namespace, Type::TEXT), (&day, Type::DATE)];
        self.reads.query(&statement, &params).await?;
        Ok(())
    }

    async fn learn(&self, of: &OperationName, day: Day, cells: &[DayCell]) -> Result<(), Error> {
        let statement = self.tables.name("select @fusebox_learn($1, $2, $3, $4, $5)");
        let (day, cells) = (date_of(day)?, cells_json(cells));
        let params: [Param<'_>; 5] = [
            (&self.identity.namespace, Type::TEXT),
            (&of.domain, Type::TEXT),
            (&of.action, Type::TEXT),
            (&day, Type::DATE),
            (&cells, Type::JSONB),
        ];
        self.reads.query_within(LIMIT, &statement, &params).await?;
        Ok(())
    }

    async fn day_is_learned(&self, day: Day, tasks: u64) -> Result<(), Error> {
        let statement = self.tables.name(
            "insert into @task_learning_day (namespace, day, tasks, added_at)
            values ($1, $2, $3, clock_timestamp())
            on conflict (namespace, day) do update
                set tasks = excluded.tasks, added_at = excluded.added_at",
        );
        let (day, tasks) = (date_of(day)?, i64::try_from(tasks).unwrap_or(i64::MAX));
        let params: [Param<'_>; 3] =
            [(&self.identity.namespace, Type::TEXT), (&day, Type::DATE), (&tasks, Type::INT8)];
        self.reads.query(&statement, &params).await?;
        Ok(())
    }

    async fn learned_at(&self) -> Result<i64, Error> {
        let statement = self.tables.name(
            "select coalesce((1000000 * extract(epoch from max(added_at)))::bigint, 0)
            from @task_learning_day where namespace = $1",
        );
        let params: [Param<'_>; 1] = [(&self.identity.namespace, Type::TEXT)];
        let rows = self.reads.query(&statement, &params).await?;
        rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(Error::from)
    }

    async fn cells(&self, operation: &OperationName, from: Day) -> Result<Vec<DayCell>, Error> {
        let statement = self.tables.name(format!(
            "select day, stratum, parameters, {}, is_part from @task_parameter_day
            where namespace = $1 and domain = $2 and action = $3 and day >= $4",
            cell_columns()
        ));
        let from = date_of(from)?;
        let params: [Param<'_>; 4] = [
            (&self.identity.namespace, Type::TEXT),
            (&operation.domain, Type::TEXT),
            (&operation.action, Type::TEXT),
            (&from, Type::DATE),
        ];
        let rows = self.reads.query(&statement, &params).await?;
        rows.iter().map(day_cell).collect::<Result<_, _>>().map_err(Error::from)
    }

    async fn operations(&self, from: Day) -> Result<Vec<(OperationName, u64)>, Error> {
        let statement = self.tables.name(
            "select domain, action, sum(tasks)::bigint from @task_parameter_day
            where namespace = $1 and day >= $2 and (not is_part or parameters = '{}')
            group by domain, action order by domain, action",
        );
        let from = date_of(from)?;
        let params: [Param<'_>; 2] = [(&self.identity.namespace, Type::TEXT), (&from, Type::DATE)];
        let rows = self.reads.query(&statement, &params).await?;
        let operation = |row: &Row| {
            let (domain, action) = (row.try_get(0)?, row.try_get(1)?);
            Ok((OperationName { domain, action }, unsigned(row.try_get(2)?)))
        };
        rows.iter().map(operation).collect()
    }

    async fn why(&self, query: &WhyQuery) -> Result<Counted, Error> {
        why::count(self, query).await
    }

    async fn forget_days(&self, before: Day) -> Result<(), Error> {
        let statement = self.tables.name(
            "with gone as (delete from @task_parameter_day where namespace = $1 and day < $2)
            delete from @task_learning_day where namespace = $1 and day < $2",
        );
        let before = date_of(before)?;
        let params: [Param<'_>; 2] =
            [(&self.identity.namespace, Type::TEXT), (&before, Type::DATE)];
        self.reads.query_within(LIMIT, &statement, &params).await?;
        Ok(())
    }
}

fn lesson(row: &Row) -> Result<Lesson, tokio_postgres::Error> {
    let (at, id): (Timestamp, Uuid) = (row.try_get(0)?, row.try_get(1)?);
    let outcome: &str = row.try_get(5)?;
    Ok(Lesson {
        started_at_us: at.as_microsecond(),
        id: TaskId::from_u128(id.as_u128()),
        operation: OperationName { domain: row.try_get(2)?, action: row.try_get(3)? },
        service: row.try_get(4)?,
        succeeded: outcome == Outcome::Success.as_str(),
        duration: Duration::from_micros(unsigned(row.try_get(6)?)),
        parameters: row.try_get(7)?,
        impact: row.try_get(8)?,
        cost: row.try_get(9)?,
        weight: weight_of(row.try_get(10)?),
    })
}

fn day_cell(row: &Row) -> Result<DayCell, tokio_postgres::Error> {
    let mut sums = Sums { counts: [0; 6], weights: [0; 4], sums: [0.0; 7] };
    for (at, count) in (3..).zip(sums.counts.iter_mut().chain(&mut sums.weights)) {
        *count = row.try_get(at)?;
    }
    for (at, sum) in (13..).zip(&mut sums.sums) {
        *sum = row.try_get(at)?;
    }
    Ok(DayCell {
        day: day_of(row.try_get(0)?),
        stratum: row.try_get(1)?,
        setting: setting_of(&row.try_get(2)?),
        is_part: row.try_get(20)?,
        cell: sums.into(),
    })
}

const EPOCH: Date = Date::constant(1970, 1, 1);

fn date_of(day: Day) -> Result<Date, Error> {
    EPOCH.checked_add(day.days()).map_err(|error| Error::BadData(error.into()))
}

fn day_of(date: Date) -> Day {
    date.since(EPOCH).map_or(0, |span| span.get_days())
}
