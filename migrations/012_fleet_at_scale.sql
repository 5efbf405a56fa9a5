-- What a fleet asks all the time, as functions: the server plans them once for each connection, not
-- each time, and behind a pooler in transaction mode nothing can be prepared. And orders are numbered,
-- so that a database that went back is told from one in which an order was lifted.
--
-- Run by `fusebox migrate up`, or by hand after 011; see 001. Versions before this go on as they did.

do $migration$
declare
    schema  text := quote_ident(current_schema()) || '.';  -- in place of each @ below
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 12) then
        return;
    end if;
    perform set_config('lock_timeout', '3s', true);

    -- How many orders there have been, lifted ones included.
    alter table circuit_breaker_state add column override_number bigint not null default 0,
        -- Until when everybody needs to know of it, so that one look at an index tells whether there
        -- is any: as long as it is not closed, is voted on or steered, and when it has changed.
        add column notable_until timestamptz generated always as (
            case when state <> 'closed' then timestamptz 'infinity'
                else greatest(changed_at, vote_until, case when override is not null
                    then coalesce(override_until, timestamptz 'infinity') end) end) stored;
    create index circuit_breaker_state_notable on circuit_breaker_state (namespace, notable_until);
    update circuit_breaker_state set override_number = 1 where override is not null;

    -- How many live, so that not every heartbeat counts them.
    create table sidecar_roll (
        namespace  text        primary key,
        live       integer     not null,
        counted_at timestamptz not null,
        digests    text        not null,  -- which sets of rules there are
        odd_keys   text[]      not null   -- breakers for which not all follow the same
    ) with (fillfactor = 50);

    -- Numbers orders, those that are given with SQL too, and has all see them who look next.
    execute replace($ddl$
    create function @fusebox_number_order() returns trigger language plpgsql as $body$
    begin
        if tg_op = 'INSERT' then
            new.override_number := greatest(new.override_number, (new.override is not null)::integer);
        elsif (new.override, new.override_by, new.override_reason, new.override_until)
                is distinct from
                (old.override, old.override_by, old.override_reason, old.override_until) then
            new.override_number := greatest(new.override_number, old.override_number + 1);
            new.changed_at := greatest(new.changed_at, clock_timestamp());
        end if;
        return new;
    end
    $body$
    $ddl$, '@', schema);
    execute replace($ddl$
    create trigger circuit_breaker_state_order
    before insert or update of override, override_by, override_reason, override_until
    on @circuit_breaker_state for each row execute function @fusebox_number_order()
    $ddl$, '@', schema);

    -- Whether fusebox_breakers would show any. Nearly always there are none.
    execute replace($ddl$
    create function @fusebox_has_news(space text, within_us bigint) returns boolean
    language plpgsql stable as $body$
    begin
        return coalesce(
            (select max(notable_until) from @circuit_breaker_state where namespace = space)
                > clock_timestamp() - within_us * interval '1 microsecond', false);
    end
    $body$
    $ddl$, '@', schema);

    -- The breakers that are notable, or were so short ago, or the one of this key. Spans are in microseconds.
    -- One that begins later than now is over: then the clock was set back.
    execute replace($ddl$
    create function @fusebox_breakers(space text, within_us bigint, one text)
    returns table (
        key text, epoch bigint, state text, cause text, step integer, failure_count integer,
        by_connection boolean, open_for bigint, ramp_age bigint, vote_round bigint,
        vote_for bigint, electorate integer, electorate_below bigint, lease_id uuid, lease_by text,
        lease_for bigint, doubted_by text, doubted_since bigint, override text, override_by text,
        override_reason text, override_for bigint, override_until bigint, override_number bigint)
    language plpgsql stable as $body$
    #variable_conflict use_column
    begin
        return query select
            b.key, b.epoch, b.state, b.cause, b.step, b.failure_count, b.by_connection,
            case when b.opened_at <= b.now
                then greatest(0, (1000000 * extract(epoch from b.open_until - b.now))::bigint)
                else 0 end,
            case when b.ramp_started_at > b.now then 9000000000000000
                else coalesce((1000000 * extract(epoch from b.now - b.ramp_started_at))::bigint, 0) end,
            b.vote_round,
            case when b.vote_from <= b.now
                then (1000000 * extract(epoch from b.vote_until - b.now))::bigint end,
            b.electorate, b.electorate_below, b.lease_id, b.lease_by,
            case when b.lease_from <= b.now
                then (1000000 * extract(epoch from b.lease_until - b.now))::bigint end,
            b.probe_failed_by[1],
            case when b.probe_failed_at > b.now then 9000000000000000
                else (1000000 * extract(epoch from b.now - b.probe_failed_at))::bigint end,
            case when b.override_until is null or b.override_until > b.now then b.override end,
            coalesce(b.override_by, ''), coalesce(b.override_reason, ''),
            case when isfinite(b.override_until)
                then (1000000 * extract(epoch from b.override_until - b.now))::bigint end,
            case when isfinite(b.override_until)
                then (1000000 * extract(epoch from b.override_until))::bigint end,
            b.override_number
        from (
            select *, clock_timestamp() as now from @circuit_breaker_state where namespace = space
        ) b
        where case when one is not null then b.key = one
            else b.notable_until > b.now - within_us * interval '1 microsecond' end;
    end
    $body$
    $ddl$, '@', schema);

    -- Says that an instance lives, and tells how many do, counted no more than two seconds ago, and
    -- whether all follow the same rules for the breakers that this one has. Whoever is new is counted.
    execute replace($ddl$
    create function @fusebox_beat(
        space text, me text, my_service text, my_version text, my_journal text, my_name text,
        ttl_us bigint, my_keys text[], my_ballot bigint, my_zone text, my_host text,
        my_rules text[], my_digest bigint)
    returns table (live integer, is_uniform boolean) language plpgsql as $body$
    #variable_conflict use_column
    declare
        moment   timestamptz := clock_timestamp();
        until    timestamptz := moment + ttl_us * interval '1 microsecond';
        roll     @sidecar_roll;
        latest   @sidecar_roll;
        is_news  boolean;
        is_known boolean;
        is_mine  boolean;
    begin
        -- What a crash loses of this is said again soon.
        perform set_config('synchronous_commit', 'off', true);
        update @sidecar_instance i set seen_at = moment, alive_until = until
        where i.namespace = space and i.instance = me and i.rules_digest = my_digest
            and i.alive_until > moment
            and (i.display_name, i.zone, i.host) is not distinct from (my_name, my_zone, my_host);
        is_news := not found;
        if is_news then
            insert into @sidecar_instance as i (
                namespace, instance, service, version, journal_id, display_name, alive_until,
                breaker_keys, ballot, zone, host, breaker_rules, rules_digest, rules_since)
            values (space, me, my_service, my_version, my_journal, my_name, until,
                my_keys, my_ballot, my_zone, my_host, my_rules, my_digest, moment)
            on conflict (namespace, instance) do update set
                seen_at = moment, alive_until = excluded.alive_until,
                display_name = excluded.display_name, zone = excluded.zone, host = excluded.host,
                breaker_keys = excluded.breaker_keys, ballot = excluded.ballot,
                breaker_rules = excluded.breaker_rules, rules_digest = excluded.rules_digest,
                rules_since = case when i.rules_digest = excluded.rules_digest then i.rules_since
                    else excluded.rules_since end;
        end if;

        select * into roll from @sidecar_roll r where r.namespace = space;
        is_known := found;
        if is_news or not is_known or roll.counted_at > moment
                or roll.counted_at <= moment - interval '2 seconds' then
            -- One of those who find it old counts.
            perform from @sidecar_roll r where r.namespace = space for no key update skip locked;
            is_mine := found;
            if is_news or is_mine or not is_known then
                latest := @fusebox_count(space, me, roll);
                roll := latest;
                if is_mine then
                    update @sidecar_roll r set live = latest.live, counted_at = latest.counted_at,
                        digests = latest.digests, odd_keys = latest.odd_keys
                    where r.namespace = space;
                elsif not is_known then
                    insert into @sidecar_roll select latest.* on conflict do nothing;
                end if;
            end if;
        end if;
        return query select roll.live, not coalesce(roll.odd_keys && my_keys, false);
    end
    $body$
    $ddl$, '@', schema);

    -- Counts those who live. What they follow is read only where it is something else than before.
    execute replace($ddl$
    create function @fusebox_count(space text, me text, before @sidecar_roll) returns @sidecar_roll
    language plpgsql as $body$
    declare
        moment timestamptz := clock_timestamp();
        roll   @sidecar_roll := before;
    begin
        roll.namespace := space;
        roll.counted_at := moment;
        select coalesce(sum(alike.count), 0),
            coalesce(hashtextextended(
                string_agg(alike.digest::text, ',' order by alike.digest), 0)::text, '')
        into roll.live, roll.digests
        from (
            select i.rules_digest as digest, count(*) as count from @sidecar_instance i
            where i.namespace = space and i.seen_at <= moment
                and (i.alive_until > moment or i.instance = me)
            group by i.rules_digest
        ) alike;
        if roll.digests is distinct from before.digests then
            select coalesce(array_agg(odd.key), '{}') into roll.odd_keys
            from (
                select m.key
                from (
                    select min(i.instance collate "C") as one from @sidecar_instance i
                    where i.namespace = space and i.seen_at <= moment and i.alive_until > moment
                        and i.rules_digest is not null
                    group by i.rules_digest
                ) alike
                    join @sidecar_instance i on i.namespace = space and i.instance = alike.one
                    cross join lateral unnest(i.breaker_keys, i.breaker_rules) as m (key, rules)
                where m.rules is not null
                group by m.key having count(distinct m.rules) > 1
            ) odd;
        end if;
        return roll;
    end
    $body$
    $ddl$, '@', schema);

    insert into fusebox_migration (version, name, tool_version)
    values (12, '012_fleet_at_scale.sql', 'psql');
end
$migration$;
