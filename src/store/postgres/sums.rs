//! Adding up rows.

use jiff::Timestamp;
use tokio_postgres::{Row, types::Type};

use super::{Postgres, names::Names, read, state::Param};
use crate::store::{
    BoxError, Error, RowSums, RowSumsQuery,
    rows::column_list,
    sums::{SUMMED_COLUMNS, SummedRow, Summing},
};

pub(super) async fn rows(store: &Postgres, query: &RowSumsQuery) -> Result<RowSums, Error> {
    let statement = store.tables.name(format!(
        "select started_at, {} from @task_history
        where namespace = $1 and started_at >= $2 and started_at < $3
            and ($4::text is null or service = $4) and ($5::text is null or upstream = $5)
            and ($6::text is null or domain = $6) and ($7::text is null or action = $7)
        order by started_at desc, id desc limit $8",
        column_list(SUMMED_COLUMNS)
    ));
    let (from, to) = query.of.window();
    let (from, to) = (read::timestamp(from)?, read::timestamp(to)?);
    let limit = i64::from(query.limit) + 1;
    let params: [Param<'_>; 8] = [
        (&store.identity.namespace, Type::TEXT),
        (&from, Type::TIMESTAMPTZ),
        (&to, Type::TIMESTAMPTZ),
        (&query.of.service, Type::TEXT),
        (&query.of.upstream, Type::TEXT),
        (&query.of.domain, Type::TEXT),
        (&query.of.action, Type::TEXT),
        (&limit, Type::INT8),
    ];
    let names = Names::read(store).await?;
    let (mut summing, mut broken) = (Summing::new(query.limit), None);
    let take = |row: Row| match summed_row(&row, &names) {
        Ok(row) => summing.take(&row),
        Err(error) => broken = Some(error),
    };
    store.reads.for_each(&statement, &params, take).await?;
    match broken {
        None => Ok(summing.finish()),
        Some(error) => Err(Error::BadData(BoxError::from(error))),
    }
}

fn summed_row<'a>(row: &'a Row, names: &'a Names) -> Result<SummedRow<'a>, tokio_postgres::Error> {
    let at: Timestamp = row.try_get(0)?;
    let mut texts = [""; 5];
    for (at, text) in (1..).zip(&mut texts) {
        *text = row.try_get(at)?;
    }
    Ok(SummedRow {
        started_at_us: at.as_microsecond(),
        texts,
        reason: row.try_get(6)?,
        version: row.try_get(7)?,
        instance: names.of(row.try_get(8)?),
        attempts: row.try_get(9)?,
        sizes: [row.try_get(10)?, row.try_get(11)?, row.try_get(12)?],
        impact_score: row.try_get(13)?,
        cost: row.try_get(14)?,
        weight: row.try_get(15)?,
    })
}
