-- Who an instance was, for as long as there are rows of it: its task, zone, host and cluster. So calls of
-- last week are told apart by where they were carried, and the table of those who live holds few others.
--
-- Run by `fusebox migrate up`, or by hand after 014; see 001. Versions before this go on as they did, and
-- are known by name, host and zone.

do $migration$
declare
    schema  text := quote_ident(current_schema()) || '.';  -- in place of each @ below
    routine text;
    holder  record;
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 15) then
        return;
    end if;
    perform set_config('lock_timeout', '3s', true);

    -- What the platform told, where there is one that tells.
    alter table sidecar_instance
        add column cluster    text,
        add column task       text,
        add column definition text;

    -- A table of its own: heartbeats and the count of the living would have to pass over the dead.
    create table sidecar_identity (
        namespace    text        not null,
        instance     text        not null,               -- one process start, as in task_history
        service      text        not null,
        version      text        not null,
        journal_id   text        not null,               -- one data directory
        display_name text        not null,
        host         text,
        zone         text,
        cluster      text,
        task         text,                               -- of ECS: its id
        definition   text,                               -- of ECS: family and revision
        started_at   timestamptz not null,               -- its first heartbeat
        ended_at     timestamptz,                        -- its last heartbeat; null while it lives
        primary key (namespace, instance)
    );
    create index sidecar_identity_ended on sidecar_identity (ended_at);
    comment on table sidecar_identity is
        'Who an instance is or was: a row per start, for as long as task_history may have rows of it.';
    insert into sidecar_identity (
        namespace, instance, service, version, journal_id, display_name, host, zone, started_at,
        ended_at)
    select namespace, instance, service, version, journal_id, display_name, host, zone, started_at,
        case when alive_until < clock_timestamp() then seen_at end
    from sidecar_instance;

    -- Whoever may use the one table may use the other: instances that run write both from now on.
    for holder in
        select distinct case grantee when 0 then 'public' else grantee::regrole::text end as name, privilege_type as privilege
        from pg_class, aclexplode(relacl)
        where pg_class.oid = 'sidecar_instance'::regclass and privilege_type in ('SELECT', 'INSERT', 'UPDATE')
    loop
        execute format('grant %s on sidecar_identity to %s', holder.privilege, holder.name);
    end loop;

    -- As before, and keeps who it is, which is written when it is new and when that changes.
    execute replace($ddl$
    create function @fusebox_beat(
        space text, me text, my_service text, my_version text, my_journal text, my_name text,
        ttl_us bigint, my_keys text[], my_ballot bigint, my_zone text, my_host text,
        my_rules text[], my_digest bigint,
        my_cluster text, my_task text, my_definition text)
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
            and (i.display_name, i.zone, i.host, i.cluster, i.task, i.definition) is not distinct from
                (my_name, my_zone, my_host, my_cluster, my_task, my_definition);
        is_news := not found;
        if is_news then
            insert into @sidecar_instance as i (
                namespace, instance, service, version, journal_id, display_name, alive_until,
                breaker_keys, ballot, zone, host, breaker_rules, rules_digest, rules_since,
                cluster, task, definition)
            values (space, me, my_service, my_version, my_journal, my_name, until,
                my_keys, my_ballot, my_zone, my_host, my_rules, my_digest, moment,
                my_cluster, my_task, my_definition)
            on conflict (namespace, instance) do update set
                seen_at = moment, alive_until = excluded.alive_until,
                display_name = excluded.display_name, zone = excluded.zone, host = excluded.host,
                breaker_keys = excluded.breaker_keys, ballot = excluded.ballot,
                breaker_rules = excluded.breaker_rules, rules_digest = excluded.rules_digest,
                rules_since = case when i.rules_digest = excluded.rules_digest then i.rules_since
                    else excluded.rules_since end,
                cluster = excluded.cluster, task = excluded.task, definition = excluded.definition;
            insert into @sidecar_identity as known (
                namespace, instance, service, version, journal_id, display_name, host, zone,
                cluster, task, definition, started_at)
            values (space, me, my_service, my_version, my_journal, my_name, my_host, my_zone,
                my_cluster, my_task, my_definition, moment)
            on conflict (namespace, instance) do update set
                display_name = excluded.display_name, host = excluded.host, zone = excluded.zone,
                cluster = excluded.cluster, task = excluded.task, definition = excluded.definition,
                ended_at = null;
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

    -- The same for versions that do not know of clusters.
    execute replace($ddl$
    create or replace function @fusebox_beat(
        space text, me text, my_service text, my_version text, my_journal text, my_name text,
        ttl_us bigint, my_keys text[], my_ballot bigint, my_zone text, my_host text,
        my_rules text[], my_digest bigint)
    returns table (live integer, is_uniform boolean) language plpgsql as $body$
    begin
        return query select * from @fusebox_beat(space, me, my_service, my_version, my_journal,
            my_name, ttl_us, my_keys, my_ballot, my_zone, my_host, my_rules, my_digest,
            null, null, null);
    end
    $body$
    $ddl$, '@', schema);

    -- Notes who is silent, and forgets it: as one that may live after an hour, for good when its last row
    -- may be gone. Instances before identities, as heartbeats lock them.
    execute replace($ddl$
    create function @fusebox_forget_instances(retention interval) returns void
    language plpgsql security definer as $body$
    declare
        kept_from timestamptz := clock_timestamp() - greatest(retention, interval '1 day');
    begin
        with silent as (
            select i.namespace, i.instance, i.seen_at
            from @sidecar_instance i join @sidecar_identity known using (namespace, instance)
            where i.alive_until < clock_timestamp() and known.ended_at is null
            for no key update of i skip locked
        )
        update @sidecar_identity known set ended_at = silent.seen_at from silent
        where known.namespace = silent.namespace and known.instance = silent.instance;
        -- One that lives and is not known: its first heartbeat was that of a version before, or the table
        -- was restored. One that had ended was silent for a while.
        insert into @sidecar_identity as known (
            namespace, instance, service, version, journal_id, display_name, host, zone,
            cluster, task, definition, started_at)
        select i.namespace, i.instance, i.service, i.version, i.journal_id, i.display_name, i.host, i.zone,
            i.cluster, i.task, i.definition, i.started_at
        from @sidecar_instance i
        where i.alive_until >= clock_timestamp() and not exists (
            select from @sidecar_identity known
            where known.namespace = i.namespace and known.instance = i.instance
                and known.ended_at is null)
        on conflict (namespace, instance) do update set ended_at = null;
        delete from @sidecar_instance i where alive_until < clock_timestamp() - interval '1 hour'
            and not exists (select from @sidecar_identity known
                where known.namespace = i.namespace and known.instance = i.instance
                    and known.ended_at is null);
        -- The oldest day may stay for longer than rows need to.
        select least(kept_from,
            min(to_date(right(relid::regclass::text, 8), 'YYYYMMDD'))::timestamp at time zone 'UTC')
        into kept_from
        from pg_partition_tree('@task_history')
        where isleaf and level = 1 and relid::regclass::text ~ 'task_history_\d{8}$';
        delete from @sidecar_identity where ended_at < kept_from - interval '1 hour';
    end
    $body$
    $ddl$, '@', schema);

    -- All upkeep, as before, but for instances that are gone.
    execute replace($ddl$
    create or replace function @fusebox_maintain(retention interval) returns boolean
    language plpgsql security definer as $body$
    declare
        today   date := (clock_timestamp() at time zone 'UTC')::date;
        ahead   integer;
        is_more boolean;
    begin
        -- The days first and for everybody: an instance that just began must not write before them.
        for ahead in 0..7 loop
            perform @fusebox_add_day(today + ahead, retention);
        end loop;
        if not pg_try_advisory_xact_lock(7310868735926133859) then
            return false;
        end if;
        if @fusebox_drop_days(retention) > 0 then
            return true;
        end if;
        if @fusebox_index_day() then
            return true;
        end if;
        is_more := @fusebox_merge_rollups('delta', 'minute',
            clock_timestamp() - interval '2 minutes');
        is_more := @fusebox_merge_rollups('minute', 'hour',
            date_trunc('hour', clock_timestamp() - interval '48 hours', 'UTC')) or is_more;
        is_more := @fusebox_merge_rollups('hour', 'day',
            date_trunc('day', clock_timestamp() - interval '90 days', 'UTC')) or is_more;
        delete from @task_total where resolution = 'hour'
            and bucket < date_trunc('day', clock_timestamp() - interval '90 days', 'UTC');
        delete from @circuit_breaker_event where at < clock_timestamp() - interval '90 days';
        delete from @circuit_breaker_vote where voted_at < clock_timestamp() - interval '1 hour';
        perform @fusebox_forget_instances(retention);
        -- Of a journal that is in use, what the cursor stands for may lie there still.
        delete from @journal_cursor c where committed_at < clock_timestamp() - interval '90 days'
            and not exists (
                select from @sidecar_identity i where i.journal_id = c.journal_id
                    and coalesce(i.ended_at > clock_timestamp() - interval '1 day', true));
        return is_more;
    end
    $body$
    $ddl$, '@', schema);

    -- As in 003: they run as their owner and look for nothing but in the catalogue.
    foreach routine in array array[
        'fusebox_forget_instances(interval)', 'fusebox_maintain(interval)']
    loop
        execute format('alter function %s set search_path = pg_catalog, pg_temp', routine);
        execute format('revoke execute on function %s from public', routine);
    end loop;

    insert into fusebox_migration (version, name, tool_version)
    values (15, '015_identity.sql', 'psql');
end
$migration$;
