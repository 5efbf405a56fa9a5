//! Shared breakers in Postgres. All times are the database's; what leaves it are durations.

use std::time::Duration;

use tokio_postgres::{
    Row as PgRow, SimpleQueryMessage,
    types::{ToSql, Type},
};
use uuid::Uuid;

use super::{Postgres, literal, session::Lease};
use crate::{
    domain::{
        breaker::{Cause, Mode, State},
        fleet::{
            electorate::Electorate,
            row::{Doubt, Hold, Round, Row},
        },
    },
    store::{BreakerEvent, Error, Oddities, StoredBreaker, StoredOrder, rows::unsigned},
};

/// The breakers that anybody needs to know of, or the one of a key. A function of the database, which
/// plans it once for each connection: this is three times as fast.
const BREAKERS: &str = "select * from @fusebox_breakers($1, $2, $3)";

pub(super) async fn breakers(
    store: &Postgres,
    changed_within: Duration,
) -> Result<Vec<StoredBreaker>, Error> {
    let within = micros(changed_within);
    let lease = store.sync.lease().await?;
    // Nearly always there are none, and all of a fleet ask: as plain text, which the server takes in
    // with the least work.
    let namespace = literal::text(&store.identity.namespace);
    let any = store.tables.name(format!("select @fusebox_has_news({namespace}, {within})"));
    let told = lease.within(LIMIT, |db| db.simple_query(&any)).await?;
    let is_yes = |told: &SimpleQueryMessage| match told {
        SimpleQueryMessage::Row(row) => row.get(0) == Some("t"),
        _ => false,
    };
    if !told.iter().any(is_yes) {
        return Ok(Vec::new());
    }
    read(store, &lease, within, None).await
}

/// One of them.
pub(super) async fn stored(
    store: &Postgres,
    lease: &Lease<'_>,
    key: &str,
) -> Result<Option<StoredBreaker>, Error> {
    Ok(read(store, lease, 0, Some(key)).await?.pop())
}

async fn read(
    store: &Postgres,
    lease: &Lease<'_>,
    within: i64,
    key: Option<&str>,
) -> Result<Vec<StoredBreaker>, Error> {
    let statement = store.tables.name(BREAKERS);
    let params: [Param<'_>; 3] =
        [(&store.identity.namespace, Type::TEXT), (&within, Type::INT8), (&key, Type::TEXT)];
    let rows = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    Ok(rows.iter().filter_map(|row| stored_breaker(store, row)).collect())
}

pub(super) async fn events(
    store: &Postgres,
    key: &str,
    limit: u32,
) -> Result<Vec<BreakerEvent>, Error> {
    let statement = store.tables.name(
        "select (1000000 * extract(epoch from at))::bigint, epoch, from_state, to_state, cause,
            instance, detail || jsonb_build_object('taskIds', task_ids)
        from @circuit_breaker_event where namespace = $1 and key = $2
        order by id desc limit $3",
    );
    let limit = i64::from(limit);
    let params: [Param<'_>; 3] =
        [(&store.identity.namespace, Type::TEXT), (&key, Type::TEXT), (&limit, Type::INT8)];
    let rows = store.reads.query(&statement, &params).await?;
    Ok(rows.iter().filter_map(|row| breaker_event(&store.oddities, key, row)).collect())
}

/// A value and the type that it is sent as, so that nothing needs to be prepared.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// None for a state that a newer version has made up: it is not ours to act on.
fn stored_breaker(store: &Postgres, row: &PgRow) -> Option<StoredBreaker> {
    let (key, oddities): (String, _) = (row.get(0), &store.oddities);
    let cause = oddities.read("cause", &key, row.get(3), Cause::parse);
    let left = |column: usize| row.get::<_, Option<i64>>(column).filter(|left| *left > 0).map(span);
    let is_me = |name: Option<&str>| name == Some(&store.identity.instance);
    let electorate = Electorate {
        size: row.get::<_, Option<i32>>(11).map_or(0, count),
        below: row.get::<_, Option<i64>>(12).map_or(0, unsigned),
    };
    let number = row.get::<_, Option<i64>>(9).map_or(0, unsigned);
    let lease = row.get::<_, Option<Uuid>>(13).map_or(0, |lease| lease.as_u128());
    let (is_mine, doubter): (bool, Option<&str>) = (is_me(row.get(14)), row.get(16));
    let fleet = Row {
        epoch: unsigned(row.get(1)),
        state: oddities.read("state", &key, row.get(2), State::parse)?,
        cause: cause.unwrap_or(Cause::Fleet),
        step: count(row.get(4)),
        failure_count: count(row.get(5)),
        by_connection: row.get(6),
        open_for: left(7).unwrap_or_default(),
        ramp_age: left(8).unwrap_or_default(),
        electorate: electorate.size,
        round: left(10).map(|left| Round { number, left, electorate }),
        hold: left(15).map(|left| Hold { lease, is_mine, left }),
        doubt: doubter
            .map(|name| Doubt { is_mine: is_me(Some(name)), age: left(17).unwrap_or_default() }),
    };
    // A mode that a newer version has made up is not ours to obey.
    let mode = row.get::<_, Option<&str>>(18);
    let mode = mode.and_then(|mode| oddities.read("override", &key, mode, Mode::parse));
    let order = mode.map(|mode| StoredOrder {
        mode,
        by: row.get(19),
        reason: row.get(20),
        left: row.get::<_, Option<i64>>(21).map(span),
        until_us: row.get(22),
    });
    let orders = unsigned(row.get(23));
    Some(StoredBreaker { key, row: fleet, order, orders })
}

pub(super) fn breaker_event(oddities: &Oddities, key: &str, row: &PgRow) -> Option<BreakerEvent> {
    let state = |at: usize| oddities.read("state", key, row.get(at), State::parse);
    let cause = oddities.read("cause", key, row.get(4), Cause::parse);
    Some(BreakerEvent {
        at_us: row.get(0),
        epoch: unsigned(row.get(1)),
        from: state(2)?,
        to: state(3)?,
        cause: cause.unwrap_or(Cause::Fleet),
        instance: row.get(5),
        detail: row.get(6),
    })
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn span(micros: i64) -> Duration {
    Duration::from_micros(unsigned(micros))
}

pub(super) fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// How long a statement on shared state may take.
pub(super) const LIMIT: Duration = Duration::from_secs(2);
