//! The SQL of a doubt: it opens a round of voting and counts, once, who votes.

/// Whether a round may be opened: one that many want at once is opened by the first, and for the
/// others this reads one row, counts nobody and locks nothing.
pub(super) const MAY_DOUBT: &str = ",
    may as (
        select not exists (
            select from @circuit_breaker_state where namespace = $1 and key = $2
                and (epoch <> $3 or state not in ('closed', 'ramping')
                    or coalesce(vote_from <= clock.now and clock.now < vote_until, false))
        ) as speak
        from clock
    )";

/// Who lives and has this breaker.
pub(super) const LIVE: &str = ",
    live as (
        select ballot from @sidecar_instance, clock
        where namespace = $1 and seen_at <= clock.now and alive_until > clock.now
            and $2 = any (breaker_keys)
    )";

/// The same where a round may be opened, and which of them vote in this epoch.
pub(super) const ELECTORATE: &str = ",
    live as (
        select ballot from @sidecar_instance, clock
        where (select speak from may) and namespace = $1 and seen_at <= clock.now
            and alive_until > clock.now and $2 = any (breaker_keys)
    ), bound as (
        select case when count(*) <= 64 then 4294967296 else 4294967296 / count(*) * 64 end as below
        from live
    ), electorate as (
        select count(*)::integer as size from live, bound
        where mod(live.ballot + mod($3 / 16, 65536) * 2654435761, 4294967296) < bound.below
    )";

/// Opens a round of voting. Where there is no row the speaker's epoch is as good as any: it has none
/// because there never was one, or because it was lost.
pub(super) const SUSPECT: &str = "
    insert into @circuit_breaker_state as breaker (
        namespace, key, upstream, epoch, state, cause, changed_at, changed_by,
        vote_round, vote_from, vote_until, electorate, electorate_below, vote_opening)
    select $1, $2, $5, $3, 'closed', 'ramp_over', to_timestamp(0), $4,
        1, clock.now, clock.now + $6 * interval '1 microsecond', size, bound.below, $8
    from clock, electorate, bound
    where (select speak from may)
    on conflict (namespace, key) do update set
        vote_round = coalesce(breaker.vote_round, 0) + 1, vote_from = excluded.vote_from,
        vote_until = excluded.vote_until, electorate = excluded.electorate,
        electorate_below = excluded.electorate_below, vote_opening = excluded.vote_opening
    where breaker.epoch = $3 and breaker.state in ('closed', 'ramping')
        and not coalesce(breaker.vote_from <= excluded.vote_from
            and excluded.vote_from < breaker.vote_until, false)
    returning pg_notify($7, left($2, 256))";
