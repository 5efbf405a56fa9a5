-- History at tens of millions of rows: the indexes that its questions need and no others, sums by
-- the hour and the day, upkeep that keeps nobody waiting, and views to ask with.
--
-- Run by `fusebox migrate up`, or by hand after 003; see 001.
--
-- Quick however many rows there are: the new indexes are made for days to come at once, and for those
-- that hold rows by the upkeep, one index of one day at a time, three seconds per million rows, in
-- which rows of that day wait to be written. Days of more than five million rows are left without
-- until they are past retention, unless somebody builds theirs by hand, which keeps nobody waiting,
-- under the name that the upkeep looks for:
--
--   create index concurrently task_history_YYYYMMDD_operation
--       on task_history_YYYYMMDD (domain, action, started_at);
--
-- The dropped indexes want the table for a moment, so that a long query delays this file.

do $migration$
declare
    routine text;
    reader  record;
    schema  text := quote_ident(current_schema()) || '.';  -- in place of each @ below
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 4) then
        return;
    end if;
    -- No upkeep meanwhile: what it merged would be missing in the sums.
    perform pg_advisory_xact_lock(7310868735926133859);

    -- Bytes per row and times: 20 million rows of 315 bytes over 14 days, thirty operations.
    --
    --   started_at          22.5  newest page, a window, an id (by the time in it): 1 ms
    --   correlation_id      22.5  a correlation id in all days: 3 ms
    --   operation           44.9  a domain's action, however seldom: 1 ms; without, 10 s and more
    --   failed               0.9  what did not succeed, by outcome and upstream: 9 ms; the old one
    --                             read every failed row to find a seldom outcome, 3.7 s
    --   seldom               0.2  says where a service, an upstream or an action is not, so that
    --                             one that was hardly ever called is found in 5 to 40 ms, not 10 s
    --
    -- The index by upstream goes: 35 bytes for what `seldom` and the domain, which is the
    -- upstream's name unless a route says otherwise, do as well.
    drop index task_history_upstream, task_history_unsuccessful;
    create index task_history_operation on only task_history (domain, action, started_at);
    create index task_history_failed on only task_history (started_at, outcome, upstream)
        where outcome <> 'success';
    create index task_history_seldom on only task_history using brin (
        service text_bloom_ops (n_distinct_per_range = 32),
        upstream text_bloom_ops (n_distinct_per_range = 32),
        action text_bloom_ops (n_distinct_per_range = 32)
    ) with (pages_per_range = 32, autosummarize = on);

    -- Statistics read the rollups of a window's edges by their beginning, and days and hours below.
    drop index task_rollup_operation;

    -- The merged rollups once more, by whole hours and whole days, so that a month is added up from
    -- its days. What writers append is counted here when it is merged, in the same transaction:
    -- these sums and the deltas together are always all calls.
    create table task_total (
        bucket         timestamptz not null,             -- its beginning
        resolution     text        not null check (resolution in ('hour', 'day')),
        namespace      text        not null,
        service        text        not null,
        upstream       text        not null,
        domain         text        not null,
        action         text        not null,
        outcome        text        not null,
        failure_reason text        not null,             -- empty for success
        calls          bigint      not null,
        stored         bigint      not null,             -- rows that hold them
        attempts       bigint      not null,
        duration_us    bigint      not null,
        request_bytes  bigint      not null,
        response_bytes bigint      not null,
        bins           smallint[]  not null,             -- as in task_rollup
        bin_calls      bigint[]    not null
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
    create index task_total_bucket on task_total (resolution, bucket);

    -- What was merged before is merged again by the upkeep, in slices, and counted on the way.
    update task_rollup set resolution = 'delta' where resolution <> 'delta';

    -- Merges the rollups of one resolution as before. Deltas are also added to the hour and the day
    -- that they belong to. The oldest come first, and only so many that their time is bounded; true
    -- when more are left.
    execute replace($ddl$
    create or replace function @fusebox_merge_rollups(
        source text, target text, before timestamptz)
    returns boolean language plpgsql security definer as $body$
    declare
        slice constant integer := 50000;
        newest timestamptz;
    begin
        select bucket into newest from @task_rollup where resolution = source and bucket < before
            order by bucket offset slice limit 1;
        with merged as (
            delete from @task_rollup
            where resolution = source and bucket < before and (newest is null or bucket <= newest)
            returning *
        ), touched as (
            select distinct grain, date_trunc(grain, bucket, 'UTC') as start, namespace, service,
                   upstream, domain, action, outcome, failure_reason
            from merged, unnest(array['hour', 'day']) as grain where source = 'delta'
        ), replaced as (
            delete from @task_total old using touched new
            where old.resolution = new.grain and old.bucket = new.start
              and (old.namespace, old.service, old.upstream, old.domain, old.action, old.outcome,
                   old.failure_reason)
                = (new.namespace, new.service, new.upstream, new.domain, new.action, new.outcome,
                   new.failure_reason)
            returning old.*
        ), keyed as (
            -- What each row is added to: a rollup of the target, or a total.
            select false as is_total, target as grain, date_trunc(target, m.bucket, 'UTC') as start,
                   m.*
            from merged m
            union all
            select true, grain, date_trunc(grain, m.bucket, 'UTC'), m.*
            from merged m, unnest(array['hour', 'day']) as grain where source = 'delta'
            union all
            select true, r.resolution, r.bucket, r.* from replaced r
        ), numbered as (
            -- Bins are many and the words of a key are long, so that keys get numbers.
            select dense_rank() over (order by is_total, grain, start, namespace, service, upstream,
                       domain, action, outcome, failure_reason) as key, k.*
            from keyed k
        ), sums as (
            select key, is_total, grain, start, namespace, service, upstream, domain, action,
                   outcome, failure_reason, count(*) as parts, sum(calls)::bigint as calls,
                   sum(stored)::bigint as stored, sum(attempts)::bigint as attempts,
                   sum(duration_us)::bigint as duration_us,
                   sum(request_bytes)::bigint as request_bytes,
                   sum(response_bytes)::bigint as response_bytes,
                   min(bins) as bins, min(bin_calls) as bin_calls
            from numbered group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        ), bin_sums as (
            select key, bin, sum(n)::bigint as n
            from numbered, unnest(bins, bin_calls) as counted (bin, n)
            where key in (select key from sums where parts > 1) group by 1, 2
        ), histograms as (
            select key, array_agg(bin order by bin) as bins, array_agg(n order by bin) as bin_calls
            from bin_sums group by 1
        ), results as (
            select is_total, start, grain, namespace, service, upstream, domain, action, outcome,
                   failure_reason, calls, stored, attempts, duration_us, request_bytes,
                   response_bytes,
                   coalesce(h.bins, case parts when 1 then s.bins end, '{}') as bins,
                   coalesce(h.bin_calls, case parts when 1 then s.bin_calls end, '{}') as bin_calls
            from sums s left join histograms h using (key)
        ), rolled_up as (
            insert into @task_rollup (
                bucket, resolution, namespace, service, upstream, domain, action, outcome,
                failure_reason, calls, stored, attempts, duration_us, request_bytes,
                response_bytes, bins, bin_calls)
            select start, grain, namespace, service, upstream, domain, action, outcome,
                   failure_reason, calls, stored, attempts, duration_us, request_bytes,
                   response_bytes, bins, bin_calls
            from results where not is_total
        )
        insert into @task_total (
            bucket, resolution, namespace, service, upstream, domain, action, outcome,
            failure_reason, calls, stored, attempts, duration_us, request_bytes, response_bytes,
            bins, bin_calls)
        select start, grain, namespace, service, upstream, domain, action, outcome,
               failure_reason, calls, stored, attempts, duration_us, request_bytes,
               response_bytes, bins, bin_calls
        from results where is_total;
        return newest is not null;
    end
    $body$
    $ddl$, '@', schema);

    -- Drops the oldest day that is past retention; how many it dropped. Dropping needs the whole
    -- table for a moment, and whoever comes while it waits for that stands behind it. So it waits
    -- only very shortly, again and again, and what is in use all the time stays for the next upkeep.
    -- Detaching concurrently would wait for no one, but cannot be done by a function, and the role
    -- that Fusebox runs as has no right to do it otherwise.
    execute replace($ddl$
    create or replace function @fusebox_drop_days(retention interval) returns integer
    language plpgsql security definer as $body$
    declare
        tries constant integer := 10;
        part  regclass;
    begin
        select relid into part from pg_partition_tree('@task_history')
        where isleaf and level = 1
          and relid::regclass::text ~ 'task_history_\d{8}$'
          and to_date(right(relid::regclass::text, 8), 'YYYYMMDD') + 1
              <= (clock_timestamp() - greatest(retention, interval '1 day')) at time zone 'UTC'
        order by right(relid::regclass::text, 8) limit 1;
        if part is null then
            return 0;
        end if;
        for try in 1..tries loop
            begin
                execute format('drop table %s', part);
                return 1;
            exception when lock_not_available then
                perform pg_sleep(0.1);
            end;
        end loop;
        raise notice '% is in use and stays for now', part;
        return 0;
    end
    $body$
    $ddl$, '@', schema);

    -- Gives one day one index that it lacks; whether it did. The newest come first.
    execute replace($ddl$
    create function @fusebox_index_day() returns boolean
    language plpgsql security definer as $body$
    declare
        most_rows constant real := 5e6;
        missing   record;
        is_there  boolean;
    begin
        select day.oid::regclass as part, parent.indexrelid::regclass as index,
               parent.indrelid::regclass as history, own.name, own.schema,
               pg_get_indexdef(parent.indexrelid) as definition
        into missing
        from pg_partition_tree('@task_history') as leaf
        join pg_class as day on day.oid = leaf.relid
        join pg_index as parent on parent.indrelid = '@task_history'::regclass
        join pg_class as named on named.oid = parent.indexrelid,
        lateral (select replace(named.relname, 'task_history', day.relname) as name,
                        day.relnamespace::regnamespace::text as schema) as own
        where leaf.isleaf and leaf.level = 1
          and not exists (
              select from pg_inherits join pg_index on indexrelid = inhrelid
              where inhparent = parent.indexrelid and indrelid = day.oid)
          and not exists (
              select from pg_index join pg_class on pg_class.oid = indexrelid
              where indrelid = day.oid and relname = own.name and not indisvalid)
          and (day.reltuples <= most_rows or exists (
              select from pg_index join pg_class on pg_class.oid = indexrelid
              where indrelid = day.oid and relname = own.name and indisvalid))
        order by day.relname desc, named.relname limit 1;
        if missing is null then
            return false;
        end if;
        select exists (select from pg_index join pg_class on pg_class.oid = indexrelid
            where indrelid = missing.part and relname = missing.name) into is_there;
        if not is_there then
            execute regexp_replace(missing.definition, '^CREATE INDEX .* ON .* USING ',
                format('create index %I on %s using ', missing.name, missing.part));
        end if;
        execute format('alter index %s attach partition %s.%I',
            missing.index, missing.schema, missing.name);
        return true;
    exception when lock_not_available then
        raise notice 'a day is in use and gets its index later';
        return false;
    end
    $body$
    $ddl$, '@', schema);

    -- All upkeep, as before. A day is dropped in a transaction that does nothing else, so that what
    -- it locks is free again at once.
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
        delete from @sidecar_instance where alive_until < clock_timestamp() - interval '1 day';
        -- Of a journal that is in use, what the cursor stands for may lie there still.
        delete from @journal_cursor c where committed_at < clock_timestamp() - interval '90 days'
            and not exists (select from @sidecar_instance i where i.journal_id = c.journal_id);
        return is_more;
    end
    $body$
    $ddl$, '@', schema);

    -- As in 003: they run as their owner and look for nothing but in the catalogue.
    foreach routine in array array[
        'fusebox_drop_days(interval)', 'fusebox_index_day()',
        'fusebox_merge_rollups(text, text, timestamptz)', 'fusebox_maintain(interval)']
    loop
        execute format('alter function %s set search_path = pg_catalog, pg_temp', routine);
        execute format('revoke execute on function %s from public', routine);
    end loop;
    -- Two locks are waited for, the table's and the partition's, and others wait for both together.
    alter function fusebox_drop_days(interval) set lock_timeout = '40ms';
    alter function fusebox_index_day() set lock_timeout = '500ms';
    alter function fusebox_merge_rollups(text, text, timestamptz) set work_mem = '64MB';

    create view failing_calls as
    select started_at, service, upstream, domain, action, outcome, failure_reason, status, attempts,
           round(duration_us / 1000.0, 3) as duration_ms, breaker_state, weight as calls, namespace,
           correlation_id, id, parent_id, endpoint, instance, attempt_log
    from task_history where outcome <> 'success' order by started_at desc;
    comment on view failing_calls is
        'Calls that did not succeed, newest first. Name a limit or a window of started_at.';

    create view recent_totals as
    select total.* from task_total total
    where resolution = 'hour' and bucket >= date_trunc('hour', now(), 'UTC') - interval '24 hours'
    union all
    select bucket, resolution, namespace, service, upstream, domain, action, outcome,
           failure_reason, calls, stored, attempts, duration_us, request_bytes, response_bytes,
           bins, bin_calls
    from task_rollup
    where resolution = 'delta' and bucket >= date_trunc('hour', now(), 'UTC') - interval '24 hours';
    comment on view recent_totals is
        'All calls since the beginning of the hour 24 hours ago, added up by operation and outcome. '
        'Several rows may stand for the same hour: add them up.';

    create view slowest_operations as
    with bin_sums as (
        select namespace, service, domain, action, bin, sum(n) as n
        from recent_totals, unnest(bins, bin_calls) as counted (bin, n)
        where outcome <> 'refused' group by 1, 2, 3, 4, 5
    ), ranked as (
        select *, sum(n) over (partition by namespace, service, domain, action order by bin) as rank,
               sum(n) over (partition by namespace, service, domain, action) as calls,
               round(power(2::numeric, (bin + 0.5) / 16.0) / 1000, 3) as ms
        from bin_sums
    ), quantiles as (
        select namespace, service, domain, action, calls,
               min(ms) filter (where rank >= 0.50 * calls) as p50_ms,
               min(ms) filter (where rank >= 0.95 * calls) as p95_ms,
               min(ms) filter (where rank >= 0.99 * calls) as p99_ms
        from ranked group by 1, 2, 3, 4, 5
    ), means as (
        select namespace, service, domain, action,
               round(sum(duration_us) / nullif(sum(calls), 0) / 1000, 3) as average_ms
        from recent_totals where outcome <> 'refused' group by 1, 2, 3, 4
    )
    select service, domain, action, calls, average_ms, p50_ms, p95_ms, p99_ms, namespace
    from quantiles join means using (namespace, service, domain, action)
    order by p95_ms desc, calls desc;
    comment on view slowest_operations is
        'Durations of the last 24 hours by operation, the slowest first; refused calls, which take no '
        'time, left out. Quantiles are exact to 2.2 %.';

    create view service_map as
    select service, upstream, sum(calls)::bigint as calls,
           round(sum(calls) / extract(epoch from
               now() - (date_trunc('hour', now(), 'UTC') - interval '24 hours')), 6)
               as calls_per_second,
           coalesce(sum(calls) filter (where outcome <> 'success'), 0)::bigint as failed,
           coalesce(sum(calls) filter (where outcome = 'refused'), 0)::bigint as refused,
           round(coalesce(sum(calls) filter (where outcome <> 'success'), 0) / sum(calls), 4)
               as failed_share,
           round(sum(duration_us) filter (where outcome <> 'refused')
               / nullif(sum(calls) filter (where outcome <> 'refused'), 0) / 1000, 3) as average_ms,
           namespace
    from recent_totals group by namespace, service, upstream
    having sum(calls) > 0
    order by sum(calls) desc;
    comment on view service_map is
        'Who called whom in the last 24 hours, how often, and which share of the calls failed.';

    -- Whoever may read the rollups may read what is made of them.
    for reader in
        select distinct grantee::regrole::text as name
        from pg_class, aclexplode(relacl)
        where pg_class.oid = 'task_rollup'::regclass and privilege_type = 'SELECT' and grantee <> 0
    loop
        execute format('grant select on task_total, failing_calls, recent_totals,
            slowest_operations, service_map to %s', reader.name);
    end loop;

    insert into fusebox_migration (version, name, tool_version)
    values (4, '004_history_at_scale.sql', 'psql');
end
$migration$;
