//! Reading history from its beginning.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use super::{Postgres, read, state::Param};
use crate::{
    domain::{replay::Span, task::TaskId},
    store::{
        Error, Opening, PastPage, PastQuery, PastStore,
        past::{MAX_OPENINGS, PAST_COLUMNS, PastRow, Reading},
        rows::column_list,
    },
};

#[async_trait]
impl PastStore for Postgres {
    async fn calls(&self, query: &PastQuery) -> Result<PastPage, Error> {
        let statement = self.tables.name(format!(
            "select started_at, id, {} from @task_history
            where namespace = $1 and started_at >= $2 and started_at < $3
                and ($4::text is null or upstream = $4 or attempt_log is not null)
                and ($5::timestamptz is null or (started_at, id) > ($5, $6::uuid))
            order by started_at, id limit $7",
            column_list(PAST_COLUMNS)
        ));
        let after_at = query.after.map(|(at_us, _)| read::timestamp(at_us)).transpose()?;
        let after_id = query.after.map(|(_, id)| read::uuid(id));
        let from = after_at.map_or_else(|| read::timestamp(query.span.from_us), Ok)?;
        let to = read::timestamp(query.span.to_us)?;
        let limit = i64::from(query.limit);
        let params: [Param<'_>; 7] = [
            (&self.identity.namespace, Type::TEXT),
            (&from, Type::TIMESTAMPTZ),
            (&to, Type::TIMESTAMPTZ),
            (&query.upstream, Type::TEXT),
            (&after_at, Type::TIMESTAMPTZ),
            (&after_id, Type::UUID),
            (&limit, Type::INT8),
        ];
        let rows = self.reads.query_within(PAGE_LIMIT, &statement, &params).await?;
        let mut reading = Reading::new(query.limit);
        for row in &rows {
            reading.take(past_row(row)?);
        }
        Ok(reading.finish())
    }

    async fn openings(&self, span: Span, upstream: Option<&str>) -> Result<Vec<Opening>, Error> {
        let statement = self.tables.name(
            "select at, upstream, instance, cause, task_ids from @circuit_breaker_event
            where namespace = $1 and at >= $2 and at < $3 and to_state = 'open'
                and from_state in ('closed', 'ramping')
                and ($4::text is null or starts_with(upstream || '/', $4 || '/'))
            order by id limit $5",
        );
        let (from, to) = (read::timestamp(span.from_us)?, read::timestamp(span.to_us)?);
        let params: [Param<'_>; 5] = [
            (&self.identity.namespace, Type::TEXT),
            (&from, Type::TIMESTAMPTZ),
            (&to, Type::TIMESTAMPTZ),
            (&upstream, Type::TEXT),
            (&MAX_OPENINGS, Type::INT8),
        ];
        let rows = self.reads.query_within(PAGE_LIMIT, &statement, &params).await?;
        rows.iter().map(opening).collect::<Result<_, _>>().map_err(Error::from)
    }
}

fn past_row(row: &Row) -> Result<PastRow<'_>, tokio_postgres::Error> {
    let at: Timestamp = row.try_get(0)?;
    let id: Uuid = row.try_get(1)?;
    let mut texts = [""; 7];
    for (at, text) in (2..).zip(&mut texts) {
        *text = row.try_get(at)?;
    }
    Ok(PastRow {
        started_at_us: at.as_microsecond(),
        id: TaskId::from_u128(id.as_u128()),
        texts,
        reason: row.try_get(9)?,
        status: row.try_get(10)?,
        grpc_status: row.try_get(11)?,
        attempts: row.try_get(12)?,
        log: row.try_get(13)?,
        duration_us: row.try_get(14)?,
        upstream_us: row.try_get(15)?,
        first_byte_us: row.try_get(16)?,
        weight: row.try_get(17)?,
    })
}

fn opening(row: &Row) -> Result<Opening, tokio_postgres::Error> {
    let at: Timestamp = row.try_get(0)?;
    let calls: Vec<Uuid> = row.try_get(4)?;
    Ok(Opening {
        at_us: at.as_microsecond(),
        upstream: row.try_get(1)?,
        instance: row.try_get(2)?,
        cause: row.try_get(3)?,
        calls: calls.iter().map(|id| TaskId::from_u128(id.as_u128())).collect(),
    })
}

/// How long a page may take: where calls to the upstream are rare, it is looked for in many rows.
const PAGE_LIMIT: Duration = Duration::from_secs(120);
