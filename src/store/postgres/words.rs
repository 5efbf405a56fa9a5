//! Words about shared breakers, each a statement: compare-and-set on the epoch, guards by the
//! database's clock, the event and the hint to others.
//!
//! The rules are those of [`crate::domain::fleet::entry`]. A span that begins later than now counts
//! as over: then the clock was set back.

use serde_json::{Value, json};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{
    Postgres,
    doubt::{ELECTORATE, LIVE, MAY_DOUBT, SUSPECT},
    listen,
    state::{LIMIT, Param, micros, small, stored},
};
use crate::{
    domain::{
        fleet::word::{Opening, Word},
        quorum::Quorum,
    },
    store::{Error, Heard, Said, rows::signed, words::put_opening},
};

/// What every statement begins with.
const BREAKER: &str = "
    with clock as (select clock_timestamp() as now)";

/// Votes while a round is open.
const VOTE: &str = "
    insert into @circuit_breaker_vote (namespace, key, epoch, instance, vote, calls, failures)
    select $1, $2, $3, $4, $5, $6, $7 from @circuit_breaker_state, clock
    where namespace = $1 and key = $2 and epoch = $3
        and vote_from <= clock.now and clock.now < vote_until
    on conflict (namespace, key, epoch, instance) do update set
        vote = excluded.vote, calls = excluded.calls, failures = excluded.failures,
        voted_at = clock_timestamp()
    returning 1";

/// The votes of the round that is open. Read by a statement of its own, after those of others were
/// committed: counted together with its own vote, three at a time would each miss the others.
const TALLY: &str = ",
    tally as (
        select count(*) filter (where v.vote = 'bad') as bad,
            count(*) filter (where v.vote = 'good') as good,
            count(*) filter (where v.vote = 'abstain') as abstained,
            jsonb_agg(jsonb_build_object('name', coalesce(nullif(i.display_name, ''), v.instance),
                'zone', i.zone, 'host', i.host)) filter (where v.vote = 'bad') as reporters
        from @circuit_breaker_state b
            join @circuit_breaker_vote v
                on (v.namespace, v.key, v.epoch) = (b.namespace, b.key, b.epoch)
            left join @sidecar_instance i
                on (i.namespace, i.instance) = (v.namespace, v.instance)
        where b.namespace = $1 and b.key = $2 and b.epoch = $3
            and v.voted_at >= b.vote_from and v.voted_at < b.vote_until
    )";

/// Renews a lease.
const RENEW: &str = "
    update @circuit_breaker_state set lease_from = clock.now,
        lease_until = clock.now + $5 * interval '1 microsecond'
    from clock
    where namespace = $1 and key = $2 and epoch = $3 and state = 'half_open'
        and lease_id = $6 and lease_by = $4 and lease_from <= clock.now and clock.now < lease_until
    returning 1";

/// Nobody probes.
const IS_FREE: &str =
    "not coalesce(b.lease_from <= clock.now and clock.now < b.lease_until, false)";
/// The speaker probes, under the lease `$12`.
const IS_HELD: &str = "b.state = 'half_open' and b.lease_id = $12 and b.lease_by = $4
    and b.lease_from <= clock.now and clock.now < b.lease_until";
/// It opens, for `$11`.
const OPENS: &str = "opened_at = clock.now,
    open_until = clock.now + $11 * interval '1 microsecond', step = $8, failure_count = $9,
    by_connection = $10, lease_id = null, lease_by = null, lease_from = null, lease_until = null,
    probe_failed_by = '{}', probe_failed_at = null, ramp_started_at = null";
/// What a prober had is gone.
const FREED: &str = "lease_id = null, lease_by = null, lease_from = null, lease_until = null";

/// The same for what the round said. A newer version may leave out what it has no use for.
const OPENS_AS_VOTED: &str = "opened_at = clock.now,
    open_until = clock.now
        + coalesce((b.vote_opening ->> 'openForMs')::bigint, 60000) * interval '1 millisecond',
    step = coalesce((b.vote_opening ->> 'step')::integer, 1),
    failure_count = coalesce((b.vote_opening ->> 'failureCount')::integer, 0),
    by_connection = coalesce((b.vote_opening ->> 'byConnection')::boolean, false),
    lease_id = null, lease_by = null, lease_from = null, lease_until = null,
    probe_failed_by = '{}', probe_failed_at = null, ramp_started_at = null";

/// What comes of a failed probe: the second opinion, or the only one there can be, opens it again.
const FAILED: &str = "
    opened_at = case when is_final then clock.now else b.opened_at end,
    open_until = case when is_final
        then clock.now + $11 * interval '1 microsecond' else b.open_until end,
    step = case when is_final then $8 else b.step end,
    failure_count = case when is_final then $9 else b.failure_count end,
    by_connection = case when is_final then $10 else b.by_connection end,
    probe_failed_by = case when is_final then '{}' else array[$4] end,
    probe_failed_at = case when is_final then null else clock.now end";
/// How the vote went, for its event.
const VOTES: &str =
    "(b.vote_opening - 'taskIds') || jsonb_build_object('bad', tally.bad, 'good', tally.good,
    'abstained', tally.abstained, 'electorate', b.electorate, 'reporters', tally.reporters)";

/// A transition: its guard, what it sets, and what its event tells besides the speaker's
/// numbers and calls.
struct Transition {
    /// Its cause.
    cause: &'static str,
    tables: &'static str,
    from: &'static str,
    guard: String,
    sets: String,
    told: &'static str,
    calls: &'static str,
}

/// The calls behind it that others have named: none, or those of the one who asked for the vote.
const NO_CALLS: &str = "'{}'::uuid[]";
const CALLS_AS_VOTED: &str = "array(
    select jsonb_array_elements_text(coalesce(b.vote_opening -> 'taskIds', '[]'))::uuid)";

impl Transition {
    fn plain(guard: impl Into<String>, sets: impl Into<String>) -> Self {
        let (guard, sets) = (guard.into(), sets.into());
        let (told, calls) = ("'{}'::jsonb", NO_CALLS);
        Self { cause: "$6", tables: "", from: "clock", guard, sets, told, calls }
    }

    /// See [`crate::domain::fleet::entry::Entry::hear`].
    fn of(word: &Word) -> Option<Self> {
        Some(match word {
            Word::Suspect { .. } | Word::Vote(_) | Word::Renew { .. } | Word::Restore(_) => {
                return None;
            }
            Word::Trip { quorum } => Self {
                cause: "coalesce(b.vote_opening ->> 'cause', 'fleet')",
                tables: TALLY,
                from: "clock, tally",
                guard: format!(
                    "b.state in ('closed', 'ramping') and b.vote_from <= clock.now
                        and clock.now < b.vote_until and tally.bad >= 1 and {}",
                    reached(*quorum)
                ),
                sets: OPENS_AS_VOTED.to_owned(),
                told: VOTES,
                calls: CALLS_AS_VOTED,
            },
            Word::Acquire { is_early, .. } => Self::plain(
                format!(
                    "b.state in ('open', 'half_open') and {IS_FREE}
                        and not ($4 = any (b.probe_failed_by))
                        and (b.open_until is null or b.open_until <= clock.now
                            or clock.now < b.opened_at or ({is_early} and b.by_connection))"
                ),
                "lease_id = $12, lease_by = $4, lease_from = clock.now,
                lease_until = clock.now + $11 * interval '1 microsecond'",
            ),
            Word::Pass { .. } => Self::plain(
                IS_HELD,
                format!(
                    "{FREED}, opened_at = null, open_until = null, probe_failed_by = '{{}}',
                    probe_failed_at = null,
                    ramp_started_at = case when $5 = 'ramping' then clock.now end"
                ),
            ),
            Word::Fail { .. } => Self {
                cause: "$6",
                tables: LIVE,
                from: "clock, (select probe_failed_by <> '{}' or (select count(*) from live) <= 1
                        as is_final
                    from @circuit_breaker_state where namespace = $1 and key = $2) verdict",
                guard: IS_HELD.to_owned(),
                sets: format!("{FREED}, {FAILED}"),
                told: "jsonb_build_object('isConfirmed', is_final)",
                calls: NO_CALLS,
            },
            Word::Confirm { .. } => Self::plain(
                format!(
                    "b.state in ('open', 'half_open') and {IS_FREE}
                        and (b.probe_failed_at + $13 * interval '1 microsecond' <= clock.now
                            or clock.now < b.probe_failed_at)"
                ),
                OPENS,
            ),
            Word::Release { .. } => Self::plain(IS_HELD, FREED),
            Word::Reset => Self::plain(
                "b.state <> 'closed'",
                format!(
                    "{FREED}, opened_at = null, open_until = null, step = 0,
                    probe_failed_by = '{{}}', probe_failed_at = null, ramp_started_at = null"
                ),
            ),
            Word::Close { .. } => Self::plain(
                "b.state = 'ramping'
                    and (b.ramp_started_at + $13 * interval '1 microsecond' <= clock.now
                        or clock.now < b.ramp_started_at)",
                "ramp_started_at = null",
            ),
        })
    }

    fn statement(&self) -> String {
        let Self { cause, tables, from, guard, sets, told, calls } = self;
        format!(
            "{BREAKER}{tables}, before as (
                select state as from_state from @circuit_breaker_state
                where namespace = $1 and key = $2
            ), made as (
                update @circuit_breaker_state b set epoch = b.epoch + 1, state = $5, cause = {cause},
                    vote_from = null, vote_until = null, changed_at = clock.now, changed_by = $4,
                    {sets}
                from {from}, before
                where b.namespace = $1 and b.key = $2 and b.epoch = $3 and {guard}
                returning b.epoch, b.changed_at, b.upstream, b.cause, before.from_state, {told} as told,
                    {calls} as calls
            ), event as (
                insert into @circuit_breaker_event (
                    at, namespace, key, upstream, epoch, from_state, to_state, cause, instance,
                    detail, task_ids)
                select changed_at, $1, $2, upstream, epoch, from_state, $5, cause, $4, $14 || told,
                    array(select distinct unnest(calls || $15) order by 1)
                from made
            ), gone as (
                delete from @circuit_breaker_vote v using made
                where v.namespace = $1 and v.key = $2 and v.epoch <= $3
            )
            select pg_notify($7, left($2, 256)) from made"
        )
    }
}

/// Whether the votes suffice, see [`Quorum::needed`].
fn reached(quorum: Quorum) -> String {
    let can_tell = "greatest(b.electorate - tally.abstained, 0)";
    match quorum {
        Quorum::Majority => format!("tally.bad * 2 > {can_tell}"),
        Quorum::Any => "tally.bad >= 1".to_owned(),
        Quorum::Count(count) => format!("tally.bad >= {count}"),
        Quorum::Share(share) => {
            format!("tally.bad * 10000 >= {can_tell} * {}", share.basis_points())
        }
    }
}

pub(super) async fn say(store: &Postgres, said: &Said) -> Result<Heard, Error> {
    let me = &store.identity;
    let epoch = signed(said.epoch);
    let channel = listen::channel(&me.namespace);
    let mut params: Vec<Param<'_>> = vec![
        (&me.namespace, Type::TEXT),
        (&said.key, Type::TEXT),
        (&epoch, Type::INT8),
        (&me.instance, Type::TEXT),
    ];
    let Numbers { to, cause, step, failures, by_connection, span, lease, after, detail, task_ids } =
        Numbers::of(said);
    let (calls, failed) = (small(said.window_calls), small(said.window_failures));
    let vote;
    let voted = said.opening().map(|opening| voted_opening(said, opening));
    let statement = match &said.word {
        Word::Suspect { .. } => {
            params.extend([
                (&said.upstream as _, Type::TEXT),
                (&span as _, Type::INT8),
                (&channel as _, Type::TEXT),
                (&voted as _, Type::JSONB),
            ]);
            format!("{BREAKER}{MAY_DOUBT}{ELECTORATE}{SUSPECT}")
        }
        Word::Vote(kind) => {
            vote = kind.as_str();
            params.extend([
                (&vote as _, Type::TEXT),
                (&calls as _, Type::INT4),
                (&failed as _, Type::INT4),
            ]);
            format!("{BREAKER}{VOTE}")
        }
        Word::Renew { .. } => {
            params.extend([(&span as _, Type::INT8), (&lease as _, Type::UUID)]);
            format!("{BREAKER}{RENEW}")
        }
        word => {
            params.extend([
                (&to as _, Type::TEXT),
                (&cause as _, Type::TEXT),
                (&channel as _, Type::TEXT),
                (&step as _, Type::INT4),
                (&failures as _, Type::INT4),
                (&by_connection as _, Type::BOOL),
                (&span as _, Type::INT8),
                (&lease as _, Type::UUID),
                (&after as _, Type::INT8),
                (&detail as _, Type::JSONB),
                (&task_ids as _, Type::UUID_ARRAY),
                (&said.upstream as _, Type::TEXT),
            ]);
            Transition::of(word).map(|transition| transition.statement()).unwrap_or_default()
        }
    };
    let statement = store.tables.name(&statement);
    let lease = store.sync.lease().await?;
    let done = lease.within(LIMIT, |db| db.query_typed(&statement, &params)).await?;
    let row = stored(store, &lease, &said.key).await?;
    Ok(Heard { is_done: !done.is_empty(), row })
}

/// What a word says, as parameters.
struct Numbers {
    to: &'static str,
    cause: &'static str,
    step: i32,
    failures: i32,
    by_connection: bool,
    span: i64,
    lease: Uuid,
    after: i64,
    detail: Value,
    task_ids: Vec<Uuid>,
}

impl Numbers {
    fn of(said: &Said) -> Self {
        let (to, cause) =
            said.leads_to().map_or(("", ""), |(to, cause)| (to.as_str(), cause.as_str()));
        let opening = said.opening();
        let (span, lease, after) = match &said.word {
            Word::Suspect { within, .. } => (micros(*within), 0, 0),
            Word::Acquire { lease, ttl, .. } | Word::Renew { lease, ttl } => {
                (micros(*ttl), *lease, 0)
            }
            Word::Pass { lease, .. } | Word::Release { lease } => (0, *lease, 0),
            Word::Fail { lease, opening } => (micros(opening.open_for), *lease, 0),
            Word::Confirm { opening, after } => (micros(opening.open_for), 0, micros(*after)),
            Word::Close { ramp } => (0, 0, micros(*ramp)),
            Word::Trip { .. } | Word::Vote(_) | Word::Reset | Word::Restore(_) => (0, 0, 0),
        };
        Self {
            to,
            cause,
            step: opening.map_or(0, |opening| small(opening.step)),
            failures: opening.map_or(0, |opening| small(opening.failure_count)),
            by_connection: opening.is_some_and(|opening| opening.by_connection),
            span,
            lease: Uuid::from_u128(lease),
            after,
            detail: said.detail(),
            task_ids: said.task_ids.iter().map(|id| Uuid::from_u128(id.as_u128())).collect(),
        }
    }
}

/// How a round says that the circuit opens.
fn voted_opening(said: &Said, opening: &Opening) -> Value {
    let mut voted = json!({ "cause": opening.cause.as_str(), "taskIds": said.calls() });
    put_opening(&mut voted, opening);
    voted
}
