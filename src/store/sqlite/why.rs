//! Counting failures by attributes, in SQLite.

use rusqlite::{Connection, Row, named_params};

use crate::store::{
    Counted, Identity, WhyQuery,
    rows::column_list,
    why::{Counting, MOST_ROWS, WHY_COLUMNS, WhyRow},
};

pub(super) fn count(
    db: &Connection,
    me: &Identity,
    query: &WhyQuery,
) -> Result<Counted, rusqlite::Error> {
    let mut select = db.prepare_cached(&format!(
        "select {} from task_history
        where namespace = :namespace and started_at >= :from and started_at < :to
            and domain = :domain and action = :action
            and outcome in ('success', 'failure', 'timeout')
            and (:service is null or service = :service)
            and (:upstream is null or upstream = :upstream)
        order by started_at desc limit :limit",
        column_list(WHY_COLUMNS)
    ))?;
    let mut rows = select.query(named_params! {
        ":namespace": me.namespace,
        ":from": query.from_us,
        ":to": query.to_us,
        ":domain": query.domain,
        ":action": query.action,
        ":service": query.service,
        ":upstream": query.upstream,
        ":limit": MOST_ROWS,
    })?;
    let mut counting = Counting::new(query);
    while let Some(row) = rows.next()? {
        counting.take(&why_row(row)?);
    }
    Ok(counting.finish())
}

fn why_row<'a>(row: &'a Row<'_>) -> Result<WhyRow<'a>, rusqlite::Error> {
    let text = |at: usize| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_str()?);
    Ok(WhyRow {
        started_at_us: row.get(0)?,
        outcome: text(1)?,
        weight: row.get(2)?,
        names: [text(3)?, text(4)?, text(5)?, text(6)?],
        endpoint: row.get_ref(7)?.as_str_or_null()?,
        place: [text(8)?, text(9)?],
        attempts: row.get(10)?,
        request_bytes: row.get(11)?,
        params: row.get_ref(12)?.as_str_or_null()?.and_then(|text| serde_json::from_str(text).ok()),
    })
}
