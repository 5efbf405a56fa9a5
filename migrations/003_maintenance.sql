-- Upkeep as functions of the owner, so that the role that Fusebox runs as needs no right to change
-- tables. Each is safe to call at any time, from many instances at once.
--
-- Run by `fusebox migrate up`, or by hand after 002; see 001.

do $migration$
declare
    routine text;
    schema  text := quote_ident(current_schema()) || '.';  -- in place of each @ below
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 3) then
        return;
    end if;

    -- Whether a partition is there. Not by to_regclass, which may answer from before the wait for
    -- a lock.
    execute replace($ddl$
    create function @fusebox_has_day(part text) returns boolean
    language plpgsql as $body$
    begin
        return exists (
            select from pg_inherits join pg_class on pg_class.oid = inhrelid
            where inhparent = '@task_history'::regclass and relname = part);
    end
    $body$
    $ddl$, '@', schema);

    -- Makes sure that a day has its partition. False when the day is past retention, or more than
    -- eight days ahead, which only a wrong clock asks for.
    execute replace($ddl$
    create function @fusebox_add_day(day date, retention interval) returns boolean
    language plpgsql security definer as $body$
    declare
        today     date := (clock_timestamp() at time zone 'UTC')::date;
        part      text := 'task_history_' || to_char(day, 'YYYYMMDD');
        day_start timestamptz := day::timestamp at time zone 'UTC';
        day_end   timestamptz := (day + 1)::timestamp at time zone 'UTC';
    begin
        if day + 1 <= (clock_timestamp() - retention) at time zone 'UTC' or day > today + 8 then
            return false;
        end if;
        if @fusebox_has_day(part) then
            return true;
        end if;
        perform set_config('lock_timeout', '2s', true);
        perform pg_advisory_xact_lock(7310868735926133858);
        if @fusebox_has_day(part) then
            return true;
        end if;
        -- Created apart and then attached: creating it in place would lock out every reader. The
        -- check spares the attach its scan.
        execute format(
            'create table @%I (like @task_history including all,
                constraint day check (started_at >= %L and started_at < %L))',
            part, day_start, day_end);
        execute format(
            'alter table @task_history attach partition @%I for values from (%L) to (%L)',
            part, day_start, day_end);
        execute format('alter table @%I drop constraint day', part);
        return true;
    end
    $body$
    $ddl$, '@', schema);

    -- Drops the days that are past retention. One that is in use is left for the next time.
    execute replace($ddl$
    create function @fusebox_drop_days(retention interval) returns integer
    language plpgsql security definer as $body$
    declare
        part    record;
        dropped integer := 0;
    begin
        perform set_config('lock_timeout', '500ms', true);
        for part in
            select relid::regclass as name from pg_partition_tree('@task_history')
            where isleaf and level = 1
              and relid::regclass::text ~ 'task_history_\d{8}$'
              and to_date(right(relid::regclass::text, 8), 'YYYYMMDD') + 1
                  <= (clock_timestamp() - greatest(retention, interval '1 day')) at time zone 'UTC'
        loop
            begin
                execute format('drop table %s', part.name);
                dropped := dropped + 1;
            exception when lock_not_available then
                raise notice '% is in use and stays for now', part.name;
            end;
        end loop;
        return dropped;
    end
    $body$
    $ddl$, '@', schema);

    -- Merges the rollups of one resolution that began before a moment into the next one, which is
    -- also the field that their beginning is cut to. One statement: a reader sees all or nothing.
    -- The oldest come first, and only so many that their time is bounded; true when more are left.
    execute replace($ddl$
    create function @fusebox_merge_rollups(source text, target text, before timestamptz)
    returns boolean language plpgsql security definer as $body$
    declare
        slice constant integer := 100000;
        newest timestamptz;
    begin
        select bucket into newest from @task_rollup where resolution = source and bucket < before
            order by bucket offset slice limit 1;
        with merged as (
            delete from @task_rollup
            where resolution = source and bucket < before and (newest is null or bucket <= newest)
            returning *
        ), keyed as (
            select date_trunc(target, m.bucket, 'UTC') as start, m.* from merged m
        ), sums as (
            select start, namespace, service, upstream, domain, action, outcome, failure_reason,
                   sum(calls)::bigint as calls, sum(stored)::bigint as stored,
                   sum(attempts)::bigint as attempts, sum(duration_us)::bigint as duration_us,
                   sum(request_bytes)::bigint as request_bytes,
                   sum(response_bytes)::bigint as response_bytes
            from keyed group by 1, 2, 3, 4, 5, 6, 7, 8
        ), bin_sums as (
            select start, namespace, service, upstream, domain, action, outcome, failure_reason,
                   bin, sum(n)::bigint as n
            from keyed, unnest(bins, bin_calls) as counted (bin, n)
            group by 1, 2, 3, 4, 5, 6, 7, 8, 9
        ), histograms as (
            select start, namespace, service, upstream, domain, action, outcome, failure_reason,
                   array_agg(bin order by bin) as bins, array_agg(n order by bin) as bin_calls
            from bin_sums group by 1, 2, 3, 4, 5, 6, 7, 8
        )
        insert into @task_rollup (
            bucket, resolution, namespace, service, upstream, domain, action, outcome,
            failure_reason, calls, stored, attempts, duration_us, request_bytes, response_bytes,
            bins, bin_calls)
        select start, target, namespace, service, upstream, domain, action, outcome,
               failure_reason, calls, stored, attempts, duration_us, request_bytes, response_bytes,
               coalesce(bins, '{}'), coalesce(bin_calls, '{}')
        from sums left join histograms
            using (start, namespace, service, upstream, domain, action, outcome, failure_reason);
        return newest is not null;
    end
    $body$
    $ddl$, '@', schema);

    -- All upkeep. One instance at a time does it; the others return at once. True when there is
    -- more to do, for a transaction of its own, so that none takes long and none is in vain.
    execute replace($ddl$
    create function @fusebox_maintain(retention interval) returns boolean
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
        is_more := @fusebox_merge_rollups('delta', 'minute',
            clock_timestamp() - interval '3 minutes');
        is_more := @fusebox_merge_rollups('minute', 'hour',
            date_trunc('hour', clock_timestamp() - interval '48 hours', 'UTC')) or is_more;
        is_more := @fusebox_merge_rollups('hour', 'day',
            date_trunc('day', clock_timestamp() - interval '90 days', 'UTC')) or is_more;
        delete from @circuit_breaker_event where at < clock_timestamp() - interval '90 days';
        delete from @circuit_breaker_vote where voted_at < clock_timestamp() - interval '1 hour';
        delete from @sidecar_instance where alive_until < clock_timestamp() - interval '1 day';
        delete from @journal_cursor where committed_at < clock_timestamp() - interval '90 days';
        -- Last, for it locks out readers and writers until the end of the transaction.
        perform @fusebox_drop_days(retention);
        return is_more;
    end
    $body$
    $ddl$, '@', schema);

    -- A function that runs as its owner must not look for anything where others may create: not
    -- only tables, but functions too, of which one that fits better would be taken before the
    -- catalogue's. So the path is the catalogue's alone, and every name of ours has its schema.
    foreach routine in array array[
        'fusebox_has_day(text)', 'fusebox_add_day(date, interval)', 'fusebox_drop_days(interval)',
        'fusebox_merge_rollups(text, text, timestamptz)', 'fusebox_maintain(interval)']
    loop
        execute format('alter function %s set search_path = pg_catalog, pg_temp', routine);
        execute format('revoke execute on function %s from public', routine);
    end loop;

    insert into fusebox_migration (version, name, tool_version)
    values (3, '003_maintenance.sql', 'psql');
end
$migration$;
