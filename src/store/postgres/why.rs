//! Counting failures by attributes, in Postgres.

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::{Row, types::Type};

use super::{Postgres, names::Names, read, state::Param};
use crate::store::{
    Counted, Error, WhyQuery,
    rows::column_list,
    why::{Counting, MOST_ROWS, WHY_COLUMNS, WhyRow},
};

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) async fn count(store: &Postgres, query: &WhyQuery) -> Result<Counted, Error> {
    let statement = store.tables.name(format!(
        "select {} from @task_history
        where namespace = $1 and started_at >= $2 and started_at < $3 and domain = $4 and action = $5
            and outcome in ('success', 'failure', 'timeout')
            and ($6::text is null or service = $6) and ($7::text is null or upstream = $7)
        order by started_at desc limit $8",
        column_list(WHY_COLUMNS)
    ));
    let (from, to) = (read::timestamp(query.from_us)?, read::timestamp(query.to_us)?);
    let limit = i64::from(MOST_ROWS);
    let params: [Param<'_>; 8] = [
        (&store.identity.namespace, Type::TEXT),
        (&from, Type::TIMESTAMPTZ),
        (&to, Type::TIMESTAMPTZ),
        (&query.domain, Type::TEXT),
        (&query.action, Type::TEXT),
        (&query.service, Type::TEXT),
        (&query.upstream, Type::TEXT),
        (&limit, Type::INT8),
    ];
    let names = Names::read(store).await?;
    let (mut counting, mut broken) = (Counting::new(query), None);
    let take = |row: Row| match why_row(&row, &names) {
        Ok(row) => counting.take(&row),
        Err(error) => broken = Some(error),
    };
    store.reads.for_each_within(LIMIT, &statement, &params, take).await?;
    match broken {
        None => Ok(counting.finish()),
        Some(error) => Err(error.into()),
    }
}

fn why_row<'a>(row: &'a Row, names: &'a Names) -> Result<WhyRow<'a>, tokio_postgres::Error> {
    let at: Timestamp = row.try_get(0)?;
    Ok(WhyRow {
        started_at_us: at.as_microsecond(),
        outcome: row.try_get(1)?,
        weight: row.try_get(2)?,
        names: [row.try_get(3)?, row.try_get(4)?, names.of(row.try_get(5)?), row.try_get(6)?],
        endpoint: row.try_get(7)?,
        place: [row.try_get(8)?, row.try_get(9)?],
        attempts: row.try_get(10)?,
        request_bytes: row.try_get(11)?,
        params: row.try_get(12)?,
    })
}
