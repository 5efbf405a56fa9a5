//! See [`mod@crate::store::examine`].

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_postgres::{Client, types::Type};

use super::connection::Connector;
use crate::{
    clock,
    config::Aws,
    store::{Error, examine::Findings},
};

/// How long a notification may take to come back.
const ROUND_TRIP: Duration = Duration::from_secs(2);

/// The version of the server, who asks, and whether the schema may be used.
const FACTS: &str = "
    select current_setting('server_version_num')::int4,
           current_user::text,
           coalesce(has_schema_privilege(to_regnamespace(quote_ident($1))::oid, 'usage'), false),
           coalesce(has_schema_privilege(to_regnamespace(quote_ident($1))::oid, 'create'), false)";

/// The server's clock, in microseconds since the Unix epoch.
const CLOCK: &str = "select (extract(epoch from clock_timestamp()) * 1000000)::int8";

/// Tables and functions that are there and on which the role lacks a right, of those in
/// `migrations/grants.sql`.
const FORBIDDEN: &str = "
    select distinct c.relname::text as name
    from (values
            (array['fusebox_migration', 'task_total'], array['select']),
            (array['circuit_breaker_state', 'circuit_breaker_vote', 'sidecar_instance',
                   'sidecar_identity', 'sidecar_roll', 'journal_cursor'],
                array['select', 'insert', 'update']),
            (array['circuit_breaker_vote'], array['delete']),
            (array['task_parameter_day', 'task_learning_day', 'prediction', 'prediction_score',
                   'sidecar_duty'], array['select', 'insert', 'update', 'delete']),
            (array['circuit_breaker_event', 'task_history', 'task_rollup'],
                array['select', 'insert'])
        ) as needed (tables, rights)
        cross join unnest(tables) as wanted
        cross join unnest(rights) as privilege
        join pg_class c on c.relname = wanted
        join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and not has_table_privilege(c.oid, privilege)
    union
    select p.proname::text
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = $1 and p.proname in ('fusebox_add_day', 'fusebox_maintain')
        and not has_function_privilege(p.oid, 'execute')
    order by name";

pub(in crate::store) async fn examine(
    url: &str,
    (schema, aws): (&str, &Arc<Aws>),
) -> Result<Findings, Error> {
    let connector = Connector::new(url, aws)?;
    let link = connector.connect().await?;
    let listens = listens(&connector, link.notices(), &link.client).await?;
    let client = &link.client;
    let facts = client.query_typed(FACTS, &[(&schema, Type::TEXT)]).await?;
    let fact = facts.first().ok_or_else(Error::too_slow)?;
    let asked_us = clock::wall_us();
    let clock = client.query_typed(CLOCK, &[]).await?;
    let answered_us = clock::wall_us();
    let server_us: i64 = clock.first().ok_or_else(Error::too_slow)?.try_get(0)?;
    let forbidden = client.query_typed(FORBIDDEN, &[(&schema, Type::TEXT)]).await?;
    let name = |row: &tokio_postgres::Row| row.try_get::<_, String>(0);
    Ok(Findings {
        version: fact.try_get(0)?,
        user: fact.try_get(1)?,
        round_trip: Duration::from_micros(u64::try_from(answered_us - asked_us).unwrap_or(0)),
        ahead_us: server_us - (asked_us + answered_us) / 2,
        may_use: fact.try_get(2)?,
        may_create: fact.try_get(3)?,
        forbidden: forbidden.iter().map(name).collect::<Result<_, _>>()?,
        listens,
    })
}

/// Whether a word that is sent over one connection arrives over another.
async fn listens(
    connector: &Connector,
    notices: Option<tokio::sync::broadcast::Receiver<tokio_postgres::Notification>>,
    client: &Client,
) -> Result<bool, Error> {
    let channel = format!("fusebox_doctor_{:016x}", fastrand::u64(..));
    client.batch_execute(&format!("listen {channel}")).await?;
    let other = connector.connect().await?;
    other.client.batch_execute(&format!("notify {channel}")).await?;
    let Some(mut notices) = notices else { return Ok(false) };
    let arrives = async {
        while let Ok(notice) = notices.recv().await {
            if notice.channel() == channel {
                return true;
            }
        }
        false
    };
    Ok(timeout(ROUND_TRIP, arrives).await.unwrap_or(false))
}
