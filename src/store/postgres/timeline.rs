//! What happened to the breakers of a namespace, one after the other.

use tokio_postgres::types::Type;

use super::{
    Postgres,
    state::{Param, breaker_event},
};
use crate::store::{BreakerEvent, Error};

/// By the identity, which grows as events are told: of a namespace among many a few rows are passed.
pub(super) async fn last_events(
    store: &Postgres,
    limit: u32,
) -> Result<Vec<(String, BreakerEvent)>, Error> {
    let statement = store.tables.name(
        "select (1000000 * extract(epoch from at))::bigint, epoch, from_state, to_state, cause,
            instance, detail || jsonb_build_object('taskIds', task_ids), key
        from @circuit_breaker_event where namespace = $1
        order by id desc limit $2",
    );
    let limit = i64::from(limit);
    let params: [Param<'_>; 2] = [(&store.identity.namespace, Type::TEXT), (&limit, Type::INT8)];
    let rows = store.reads.query(&statement, &params).await?;
    let event = |row: &tokio_postgres::Row| {
        let key: String = row.get(7);
        breaker_event(&store.oddities, &key, row).map(|event| (key, event))
    };
    Ok(rows.iter().filter_map(event).collect())
}
