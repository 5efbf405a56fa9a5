//! Who lives, and under which rules.

use std::time::Duration;

use tokio_postgres::{Row as PgRow, types::Type};

use super::{
    Postgres,
    state::{LIMIT, Param, count, micros, span},
};
use crate::{
    domain::fleet::{
        drift::{NAMES, united},
        hearing::Faction,
    },
    store::{Error, Presence, Roll},
};

/// A function of the database, which plans it once for each connection, and counts all for all: those
/// who live were counted two seconds ago at most.
const HEARTBEAT: &str = "select live, is_uniform
    from @fusebox_beat($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

pub(super) async fn heartbeat(store: &Postgres, presence: &Presence) -> Result<Roll, Error> {
    let me = &store.identity;
    let (name, zone, place) = (me.name(), me.zone(), me.found.get());
    let cluster = place.map(|place| &*place.cluster);
    let task = place.map(|place| &*place.task);
    let definition = place.map(|place| &*place.definition);
    let (ttl, ballot) = (micros(presence.ttl), i64::from(presence.ballot));
    let digest = presence.digest();
    let params: [Param<'_>; 16] = [
        (&me.namespace, Type::TEXT),
        (&me.instance, Type::TEXT),
        (&me.service, Type::TEXT),
        (&me.version, Type::TEXT),
        (&me.journal_id, Type::TEXT),
        (&name, Type::TEXT),
        (&ttl, Type::INT8),
        (&presence.keys, Type::TEXT_ARRAY),
        (&ballot, Type::INT8),
        (&zone, Type::TEXT),
        (&me.host, Type::TEXT),
        (&presence.rules, Type::TEXT_ARRAY),
        (&digest, Type::INT8),
        (&cluster, Type::TEXT),
        (&task, Type::TEXT),
        (&definition, Type::TEXT),
    ];
    let statement = store.tables.name(HEARTBEAT);
    let lease = store.sync.lease().await?;
    let rows = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    let told = rows.first().map(|row| Roll { live: count(row.get(0)), is_uniform: row.get(1) });
    Ok(told.unwrap_or(Roll { live: 1, is_uniform: true }))
}

/// Those who follow the same rules: first by the digest of all of theirs, which leaves few of them,
/// then by breaker. Who has no digest is of an older version and does not say.
const FACTIONS: &str = "
    with alike as (
        select count(*) as count, min(rules_since) as since, min(instance collate \"C\") as one,
            (array_agg(coalesce(nullif(display_name, ''), instance)
                order by display_name collate \"C\"))[1:$3] as names
        from @sidecar_instance
        where namespace = $1 and alive_until > clock_timestamp() and breaker_keys && $2
            and rules_digest is not null
        group by rules_digest
    )
    select m.key, m.rules, alike.count, alike.names,
        coalesce((1000000 * extract(epoch from clock_timestamp() - alike.since))::bigint, 0)
    from alike
        join @sidecar_instance i on i.namespace = $1 and i.instance = alike.one
        cross join lateral unnest(i.breaker_keys, i.breaker_rules) as m (key, rules)
    where m.key = any ($2) and m.rules is not null";

pub(super) async fn factions(store: &Postgres, keys: &[String]) -> Result<Vec<Faction>, Error> {
    let (most, statement) = (shown(), store.tables.name(FACTIONS));
    let params: [Param<'_>; 3] =
        [(&store.identity.namespace, Type::TEXT), (&keys, Type::TEXT_ARRAY), (&most, Type::INT4)];
    let lease = store.sync.lease().await?;
    let rows = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    Ok(united(rows.iter().map(faction)))
}

/// The same for whoever only reads.
pub(super) async fn factions_of(store: &Postgres, key: &str) -> Result<Vec<Faction>, Error> {
    let (most, keys) = (shown(), [key]);
    let params: [Param<'_>; 3] = [
        (&store.identity.namespace, Type::TEXT),
        (&keys.as_slice(), Type::TEXT_ARRAY),
        (&most, Type::INT4),
    ];
    let rows = store.reads.query(&store.tables.name(FACTIONS), &params).await?;
    Ok(united(rows.iter().map(faction)))
}

fn shown() -> i32 {
    i32::try_from(NAMES).unwrap_or(i32::MAX)
}

fn faction(row: &PgRow) -> Faction {
    let since = row.get::<_, i64>(4);
    Faction {
        key: row.get(0),
        rules: row.get(1),
        count: u32::try_from(row.get::<_, i64>(2)).unwrap_or(u32::MAX),
        names: row.get(3),
        since: if since > 0 { span(since) } else { Duration::ZERO },
    }
}
