//! Adding up rows.

use rusqlite::{Connection, Row, named_params};

use crate::store::{
    Identity, RowSums, RowSumsQuery,
    rows::column_list,
    sums::{SUMMED_COLUMNS, SummedRow, Summing},
};

pub(super) fn rows(
    db: &Connection,
    me: &Identity,
    query: &RowSumsQuery,
) -> Result<RowSums, rusqlite::Error> {
    let mut statement = db.prepare_cached(&format!(
        "select started_at, {} from task_history
        where namespace = :namespace and started_at >= :from and started_at < :to
            and (:service is null or service = :service)
            and (:upstream is null or upstream = :upstream)
            and (:domain is null or domain = :domain)
            and (:action is null or action = :action)
        order by started_at desc, id desc limit :limit",
        column_list(SUMMED_COLUMNS)
    ))?;
    let (from, to) = query.of.window();
    let mut rows = statement.query(named_params! {
        ":namespace": me.namespace,
        ":from": from,
        ":to": to,
        ":service": query.of.service,
        ":upstream": query.of.upstream,
        ":domain": query.of.domain,
        ":action": query.of.action,
        ":limit": i64::from(query.limit) + 1,
    })?;
    let mut summing = Summing::new(query.limit);
    while let Some(row) = rows.next()? {
        summing.take(&summed_row(row)?);
    }
    Ok(summing.finish())
}

fn summed_row<'a>(row: &'a Row<'_>) -> Result<SummedRow<'a>, rusqlite::Error> {
    let mut texts = [""; 5];
    for (at, text) in (1..).zip(&mut texts) {
        *text = row.get_ref(at)?.as_str()?;
    }
    Ok(SummedRow {
        started_at_us: row.get(0)?,
        texts,
        reason: row.get_ref(6)?.as_str_or_null()?,
        version: row.get_ref(7)?.as_str()?,
        instance: row.get_ref(8)?.as_str()?,
        attempts: row.get(9)?,
        sizes: [row.get(10)?, row.get(11)?, row.get(12)?],
        impact_score: row.get(13)?,
        cost: row.get(14)?,
        weight: row.get(15)?,
    })
}
