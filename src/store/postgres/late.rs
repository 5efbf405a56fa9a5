//! What comes after a row or again: late scores, and reports that came before.

use std::collections::HashSet;

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{Postgres, read, state::Param};
use crate::{
    domain::{
        learn::rollup::impact_micros,
        report::{LateScore, Scored},
        task::TaskId,
    },
    store::{Error, TaskQuery},
};

/// Writes a late score into its row and what that changes into the sums, in one statement.
pub(super) async fn score(store: &Postgres, late: &LateScore) -> Result<Scored, Error> {
    let statement = store.tables.name(
        "with found as (
            select started_at, service, upstream, domain, action, outcome, failure_reason,
                impact_score as old_score, impact_source as old_source
            from @task_history
            where namespace = $1 and started_at >= $2 and started_at < $3 and id = $4 for update
        ), changed as (
            update @task_history as row set impact_score = $5, impact_source = $6 from found
            where row.namespace = $1 and row.started_at = found.started_at and row.id = $4
                and (found.old_score is distinct from $5 or found.old_source is distinct from $6)
            returning found.*
        ), corrected as (
            insert into @task_rollup (bucket, namespace, service, upstream, domain, action, outcome,
                failure_reason, calls, stored, attempts, duration_us, request_bytes,
                response_bytes, scored, impact_micros, bins, bin_calls)
            select date_trunc('minute', started_at, 'UTC'), $1, service, upstream, domain, action,
                outcome, coalesce(failure_reason, ''), 0, 0, 0, 0, 0, 0,
                case when old_score is null then 1 else 0 end,
                $7 - floor(coalesce(old_score, 0)::float8 * 1e6 + 0.5)::bigint, '{}', '{}'
            from changed where old_score is distinct from $5
        )
        select (select count(*) from found), (select count(*) from changed)",
    );
    let (from, to) = TaskQuery { id: Some(late.id), ..TaskQuery::default() }.window();
    let (from, to) = (read::timestamp(from)?, read::timestamp(to)?);
    let (id, micros) = (read::uuid(late.id), impact_micros(late.score));
    let params: [Param<'_>; 7] = [
        (&store.identity.namespace, Type::TEXT),
        (&from, Type::TIMESTAMPTZ),
        (&to, Type::TIMESTAMPTZ),
        (&id, Type::UUID),
        (&late.score, Type::FLOAT4),
        (&late.source, Type::TEXT),
        (&micros, Type::INT8),
    ];
    let rows = store.reads.query(&statement, &params).await?;
    let counts = rows.first().map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1)));
    Ok(match counts {
        None | Some((0, _)) => Scored::Unknown,
        Some((_, 0)) => Scored::Same,
        Some(_) => Scored::Changed,
    })
}

/// Which of these rows, by their time and id, are there.
pub(super) async fn known(
    store: &Postgres,
    rows: &[(i64, TaskId)],
) -> Result<HashSet<TaskId>, Error> {
    let statement = store.tables.name(
        "select id from @task_history
        where namespace = $1 and started_at = any($2) and id = any($3)",
    );
    let times = rows.iter().map(|(at_us, _)| read::timestamp(*at_us));
    let times = times.collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<Uuid> = rows.iter().map(|(_, id)| read::uuid(*id)).collect();
    let params: [Param<'_>; 3] = [
        (&store.identity.namespace, Type::TEXT),
        (&times, Type::TIMESTAMPTZ_ARRAY),
        (&ids, Type::UUID_ARRAY),
    ];
    let found = store.reads.query(&statement, &params).await?;
    Ok(found.iter().map(|row| TaskId::from_u128(row.get::<_, Uuid>(0).as_u128())).collect())
}
