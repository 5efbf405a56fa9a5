//! What is known of a breaker beyond its row, for people: votes, prober, how it was opened.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::{Row as PgRow, types::Type};
use uuid::Uuid;

use super::{
    Postgres, presence,
    state::{LIMIT, Param, count, micros, span},
};
use crate::{
    domain::{
        breaker::{Cause, Ordered},
        fleet::{
            hearing::{Ballot, Hearing, Node, Opened},
            word::Vote,
        },
        order::{Reach, Signature},
        task::TaskId,
    },
    store::{Error, Oddities},
};

/// A round that is over for longer says nothing about now.
const LATELY: Duration = Duration::from_secs(300);

/// The votes of the last round about a breaker; with each, of how many breakers its instance says
/// "bad" against most of those who can tell.
const BALLOTS: &str = "
    with votes as (
        select v.key, v.instance, v.vote, v.calls, v.failures, v.voted_at
        from @circuit_breaker_state b
            join @circuit_breaker_vote v
                on (v.namespace, v.key, v.epoch) = (b.namespace, b.key, b.epoch)
        where b.namespace = $1 and b.vote_from <= v.voted_at
            and b.vote_until > clock_timestamp() - $3 * interval '1 microsecond'
    ), alone as (
        select instance, count(*) as breakers from votes
            join (select key, count(*) filter (where vote = 'bad') as bad,
                    count(*) filter (where vote = 'good') as good
                from votes group by key) tally using (key)
        where vote = 'bad' and bad < good group by instance
    )
    select coalesce(nullif(i.display_name, ''), v.instance), i.zone, i.host, v.vote,
        (1000000 * extract(epoch from clock_timestamp() - v.voted_at))::bigint, v.calls, v.failures,
        coalesce(alone.breakers, 0), coalesce(array_length(i.breaker_keys, 1), 0)
    from votes v
        left join @sidecar_instance i on i.namespace = $1 and i.instance = v.instance
        left join alone on alone.instance = v.instance
    where v.key = $2
    order by v.vote <> 'bad', 1 limit 500";

/// The rest: an instance in three columns, its name, zone and host.
const REST: &str = "
    select coalesce(b.electorate, 0),
        case when b.vote_from <= now then (1000000 * extract(epoch from now - b.vote_from))::bigint end,
        case when b.vote_from <= now and now < b.vote_until
            then (1000000 * extract(epoch from b.vote_until - now))::bigint end,
        case when b.lease_from <= now and now < b.lease_until
            then (1000000 * extract(epoch from b.lease_until - now))::bigint end,
        coalesce(nullif(p.display_name, ''), b.lease_by), p.zone, p.host,
        case when b.probe_failed_at <= now
            then (1000000 * extract(epoch from now - b.probe_failed_at))::bigint end,
        coalesce(nullif(d.display_name, ''), b.probe_failed_by[1]), d.zone, d.host,
        (1000000 * extract(epoch from now - e.at))::bigint,
        coalesce(nullif(o.display_name, ''), e.instance), o.zone, o.host, e.detail, e.task_ids, e.cause,
        r.detail ->> 'by', r.detail ->> 'reason', (1000000 * extract(epoch from now - r.at))::bigint
    from (select *, clock_timestamp() as now from @circuit_breaker_state
            where namespace = $1 and key = $2) b
        left join lateral (
            select at, instance, cause, detail, task_ids from @circuit_breaker_event
            where namespace = $1 and key = $2 and b.state <> 'closed'
                and to_state = 'open' and from_state in ('closed', 'ramping')
            order by id desc limit 1
        ) e on true
        left join lateral (
            select at, detail from @circuit_breaker_event
            where namespace = $1 and key = $2 and b.state = 'closed' and b.cause = 'override'
                and epoch = b.epoch and detail ->> 'act' = 'reset'
            order by id desc limit 1
        ) r on true
        left join @sidecar_identity p on p.namespace = $1 and p.instance = b.lease_by
        left join @sidecar_identity d on d.namespace = $1 and d.instance = b.probe_failed_by[1]
        left join @sidecar_identity o on o.namespace = $1 and o.instance = e.instance";

pub(super) async fn hearing(store: &Postgres, key: &str) -> Result<Hearing, Error> {
    let params: [Param<'_>; 2] = [(&store.identity.namespace, Type::TEXT), (&key, Type::TEXT)];
    let rest = store.reads.query(&store.tables.name(REST), &params).await?;
    let mut hearing = rest.first().map(rest_of).unwrap_or_default();
    let lately = micros(LATELY);
    let params: [Param<'_>; 3] =
        [(&store.identity.namespace, Type::TEXT), (&key, Type::TEXT), (&lately, Type::INT8)];
    let votes = store.reads.query(&store.tables.name(BALLOTS), &params).await?;
    hearing.ballots = votes.iter().map(|row| ballot(&store.oddities, key, row)).collect();
    hearing.factions = presence::factions_of(store, key).await?;
    Ok(hearing)
}

pub(super) async fn ballots(store: &Postgres, key: &str) -> Result<Vec<Ballot>, Error> {
    let (lately, statement) = (micros(LATELY), store.tables.name(BALLOTS));
    let params: [Param<'_>; 3] =
        [(&store.identity.namespace, Type::TEXT), (&key, Type::TEXT), (&lately, Type::INT8)];
    let lease = store.sync.lease().await?;
    let rows = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    Ok(rows.iter().map(|row| ballot(&store.oddities, key, row)).collect())
}

fn ballot(oddities: &Oddities, key: &str, row: &PgRow) -> Ballot {
    let vote: &str = row.get(3);
    Ballot {
        node: Node { name: row.get(0), zone: row.get(1), host: row.get(2) },
        vote: oddities.read("vote", key, vote, Vote::parse),
        ago: age(row, 4).unwrap_or_default(),
        calls: count(row.get(5)),
        failures: count(row.get(6)),
        alone: u32::try_from(row.get::<_, i64>(7)).unwrap_or(u32::MAX),
        of: count(row.get(8)),
    }
}

fn rest_of(row: &PgRow) -> Hearing {
    let node = |at: usize| {
        let name: Option<String> = row.get(at);
        name.map(|name| Node { name, zone: row.get(at + 1), host: row.get(at + 2) })
    };
    let task_ids: Option<Vec<Uuid>> = row.get(16);
    let opening = node(12).map(|by| Opened {
        ago: age(row, 11).unwrap_or_default(),
        by,
        cause: row.get::<_, Option<&str>>(17).and_then(Cause::parse),
        task_ids: task_ids.iter().flatten().map(|id| TaskId::from_u128(id.as_u128())).collect(),
        ..told(&row.get(15))
    });
    Hearing {
        electorate: count(row.get(0)),
        asked: age(row, 1),
        left: age(row, 2).unwrap_or_default(),
        prober: node(4).zip(age(row, 3)),
        doubter: node(8).zip(age(row, 7)),
        opening,
        reset: reset(row),
        ..Hearing::default()
    }
}

/// Who reset it. One that says so in words that cannot be shown is not told.
fn reset(row: &PgRow) -> Option<Ordered> {
    let (by, reason): (Option<&str>, &str) = (row.get(18), row.get::<_, Option<&str>>(19)?);
    let signature = Signature::new(by, reason).ok()?;
    Some(Ordered { signature, age: age(row, 20)?, left: None, reach: Reach::Fleet })
}

/// What the event of an opening tells; what it does not is nothing.
fn told(detail: &Value) -> Opened {
    let number = |name: &str| {
        detail[name].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
    };
    let reporters = detail["reporters"].as_array().into_iter().flatten();
    Opened {
        failure_count: number("failureCount"),
        bad: number("bad"),
        good: number("good"),
        abstained: number("abstained"),
        electorate: number("electorate"),
        reporters: reporters.filter_map(reporter).collect(),
        ..Opened::default()
    }
}

/// One of them; its name alone, where an older version has written it.
fn reporter(told: &Value) -> Option<Node> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match told {
        Value::String(name) => Some(Node { name: name.clone(), ..Node::default() }),
        _ => Some(Node {
            name: text(&told["name"])?,
            zone: text(&told["zone"]),
            host: text(&told["host"]),
        }),
    }
}

/// A span in a column; none where there is none, or where it would begin later than now.
fn age(row: &PgRow, column: usize) -> Option<Duration> {
    row.get::<_, Option<i64>>(column).filter(|micros| *micros >= 0).map(span)
}
