-- What tasks were worth: sums of impact scores and costs in the rollups, who scored a row late, and
-- views for people who ask with SQL.
--
-- Run by `fusebox migrate up`, or by hand after 006; see 001. Adds columns without touching a row.

do $migration$
declare
    reader  record;
    schema  text := quote_ident(current_schema()) || '.';  -- in place of each @ below
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 9) then
        return;
    end if;
    -- No upkeep meanwhile: what it merged would lack the new sums.
    perform pg_advisory_xact_lock(7310868735926133859);

    -- In the order in which a batch takes them, and not waited for: all others would wait behind.
    perform set_config('lock_timeout', '3s', true);
    lock table task_history, task_rollup, task_total in access exclusive mode;

    -- Whole numbers, so that sums do not depend on their order: scores in millionths of a point,
    -- costs in billionths of a US dollar. How many calls have one stands beside each.
    alter table task_rollup
        add column scored        bigint not null default 0,
        add column impact_micros bigint not null default 0,
        add column priced        bigint not null default 0,
        add column cost_nanos    bigint not null default 0;
    alter table task_total
        add column scored        bigint not null default 0,
        add column impact_micros bigint not null default 0,
        add column priced        bigint not null default 0,
        add column cost_nanos    bigint not null default 0;

    -- Whoever scored the task after it had ended; null where its route did, or nobody.
    alter table task_history add column impact_source text;

    -- Merges rollups as before, with the new sums.
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
                   sum(scored)::bigint as scored, sum(impact_micros)::bigint as impact_micros,
                   sum(priced)::bigint as priced, sum(cost_nanos)::bigint as cost_nanos,
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
                   response_bytes, scored, impact_micros, priced, cost_nanos,
                   coalesce(h.bins, case parts when 1 then s.bins end, '{}') as bins,
                   coalesce(h.bin_calls, case parts when 1 then s.bin_calls end, '{}') as bin_calls
            from sums s left join histograms h using (key)
        ), rolled_up as (
            insert into @task_rollup (
                bucket, resolution, namespace, service, upstream, domain, action, outcome,
                failure_reason, calls, stored, attempts, duration_us, request_bytes,
                response_bytes, scored, impact_micros, priced, cost_nanos, bins, bin_calls)
            select start, grain, namespace, service, upstream, domain, action, outcome,
                   failure_reason, calls, stored, attempts, duration_us, request_bytes,
                   response_bytes, scored, impact_micros, priced, cost_nanos, bins, bin_calls
            from results where not is_total
        )
        insert into @task_total (
            bucket, resolution, namespace, service, upstream, domain, action, outcome,
            failure_reason, calls, stored, attempts, duration_us, request_bytes, response_bytes,
            scored, impact_micros, priced, cost_nanos, bins, bin_calls)
        select start, grain, namespace, service, upstream, domain, action, outcome,
               failure_reason, calls, stored, attempts, duration_us, request_bytes,
               response_bytes, scored, impact_micros, priced, cost_nanos, bins, bin_calls
        from results where is_total;
        return newest is not null;
    end
    $body$
    $ddl$, '@', schema);

    -- As in 003: it runs as its owner and looks for nothing but in the catalogue.
    alter function fusebox_merge_rollups(text, text, timestamptz) set search_path = pg_catalog, pg_temp;
    alter function fusebox_merge_rollups(text, text, timestamptz) set work_mem = '64MB';
    revoke execute on function fusebox_merge_rollups(text, text, timestamptz) from public;

    -- Durations by size, put behind each other, and what share of them lies below which one.
    execute replace($ddl$
    create aggregate @fusebox_concat(anycompatiblearray) (
        sfunc = pg_catalog.array_cat, stype = anycompatiblearray, initcond = '{}')
    $ddl$, '@', schema);
    execute replace($ddl$
    create function @fusebox_quantile_ms(bins smallint[], bin_calls bigint[], share numeric)
    returns numeric language sql immutable parallel safe
    set search_path = pg_catalog, pg_temp as $body$
        select round(power(2::numeric, (bin + 0.5) / 16.0) / 1000, 3)
        from (
            select bin, sum(n) over (order by bin) as below, sum(n) over () as total
            from (select bin, sum(n) as n from unnest($1, $2) as counted (bin, n) group by bin) b
        ) ranked
        where below >= greatest(ceil($3 * total), 1) order by bin limit 1
    $body$
    $ddl$, '@', schema);

    create view hourly_sums as
    select bucket as hour, namespace, service, upstream, domain, action, outcome, failure_reason,
           calls, stored, attempts, duration_us, scored, impact_micros, priced, cost_nanos, bins,
           bin_calls
    from task_total where resolution = 'hour'
    union all
    select date_trunc('hour', bucket, 'UTC'), namespace, service, upstream, domain, action, outcome,
           failure_reason, calls, stored, attempts, duration_us, scored, impact_micros, priced,
           cost_nanos, bins, bin_calls
    from task_rollup where resolution = 'delta';
    comment on view hourly_sums is
        'All calls of the last ninety days by hour, operation and outcome, what is not merged yet '
        'included. Several rows may stand for the same: add them up.';

    create view task_statistics_hourly as
    select hour, service, upstream, domain, action, calls, succeeded, timeouts, refused,
           round(succeeded::numeric / calls, 4) as success_rate,
           round(duration_us / nullif(calls - refused, 0) / 1000, 3) as average_ms,
           p50_ms, p95_ms, p99_ms, attempts, scored,
           round(impact_micros / nullif(scored, 0) / 1e6, 3) as average_impact, priced,
           case when priced > 0 then round(cost_nanos / 1e9, 9) end as cost,
           case when priced > 0 then round(cost_nanos / nullif(succeeded, 0) / 1e9, 9) end
               as cost_per_success,
           case when priced > 0 then round(wasted_nanos / 1e9, 9) end as wasted_cost,
           round(stored::numeric / calls, 4) as completeness, namespace
    from (
        select hour, namespace, service, upstream, domain, action,
               sum(calls)::bigint as calls, sum(stored)::bigint as stored,
               coalesce(sum(calls) filter (where outcome = 'success'), 0)::bigint as succeeded,
               coalesce(sum(calls) filter (where outcome = 'timeout'), 0)::bigint as timeouts,
               coalesce(sum(calls) filter (where outcome = 'refused'), 0)::bigint as refused,
               sum(duration_us) filter (where outcome <> 'refused') as duration_us,
               sum(attempts)::bigint as attempts,
               sum(scored)::bigint as scored, sum(impact_micros) as impact_micros,
               sum(priced)::bigint as priced, sum(cost_nanos) as cost_nanos,
               coalesce(sum(cost_nanos) filter (where outcome <> 'success'), 0) as wasted_nanos,
               fusebox_quantile_ms(fusebox_concat(bins) filter (where outcome <> 'refused'),
                   fusebox_concat(bin_calls) filter (where outcome <> 'refused'), 0.50) as p50_ms,
               fusebox_quantile_ms(fusebox_concat(bins) filter (where outcome <> 'refused'),
                   fusebox_concat(bin_calls) filter (where outcome <> 'refused'), 0.95) as p95_ms,
               fusebox_quantile_ms(fusebox_concat(bins) filter (where outcome <> 'refused'),
                   fusebox_concat(bin_calls) filter (where outcome <> 'refused'), 0.99) as p99_ms
        from hourly_sums group by 1, 2, 3, 4, 5, 6 having sum(calls) > 0
    ) as sums;
    comment on view task_statistics_hourly is
        'Statistics of each operation by the hour, of the last ninety days: rates, durations without '
        'refused calls (quantiles exact to 2.2 %), impact scores, costs in US dollars. Name a window '
        'of hour.';

    create view task_failures as
    select hour, service, upstream, domain, action, outcome, failure_reason, calls,
           round(calls / of_calls, 4) as share_of_calls,
           round(calls / of_failures, 4) as share_of_failures,
           case when priced > 0 then round(cost_nanos / 1e9, 9) end as wasted_cost, namespace
    from (
        select hour, namespace, service, upstream, domain, action, outcome,
               nullif(failure_reason, '') as failure_reason, sum(calls)::bigint as calls,
               sum(sum(calls)) over operation as of_calls,
               sum(sum(calls)) filter (where outcome <> 'success') over operation as of_failures,
               sum(priced) as priced, sum(cost_nanos) as cost_nanos
        from hourly_sums group by 1, 2, 3, 4, 5, 6, 7, 8
        window operation as (partition by hour, namespace, service, upstream, domain, action)
    ) as ends
    where outcome <> 'success' and calls > 0;
    comment on view task_failures is
        'Why tasks did not succeed, by the hour and operation, of the last ninety days: how many, '
        'which share of all calls and of those that did not succeed, and what they cost. Name a '
        'window of hour.';

    create view task_costs_daily as
    select day, service, domain, action, calls, succeeded, priced,
           case when priced > 0 then round(cost_nanos / 1e9, 9) end as cost,
           case when priced > 0 then round(cost_nanos / nullif(succeeded, 0) / 1e9, 9) end
               as cost_per_success,
           case when priced > 0 then round(wasted_nanos / 1e9, 9) end as wasted_cost, namespace
    from (
        select day, namespace, service, domain, action, sum(calls)::bigint as calls,
               coalesce(sum(calls) filter (where outcome = 'success'), 0)::bigint as succeeded,
               sum(priced)::bigint as priced, sum(cost_nanos) as cost_nanos,
               coalesce(sum(cost_nanos) filter (where outcome <> 'success'), 0) as wasted_nanos
        from (
            select bucket as day, namespace, service, domain, action, outcome, calls, priced,
                   cost_nanos
            from task_total where resolution = 'day'
            union all
            select date_trunc('day', bucket, 'UTC'), namespace, service, domain, action, outcome,
                   calls, priced, cost_nanos
            from task_rollup where resolution = 'delta'
        ) as sums group by 1, 2, 3, 4, 5 having sum(calls) > 0
    ) as days;
    comment on view task_costs_daily is
        'What the tasks of each service and operation cost by the day, in US dollars, and how much '
        'of that went into tasks that did not succeed.';

    -- Whoever may read the rollups may read what is made of them.
    for reader in
        select distinct grantee::regrole::text as name
        from pg_class, aclexplode(relacl)
        where pg_class.oid = 'task_rollup'::regclass and privilege_type = 'SELECT' and grantee <> 0
    loop
        execute format('grant select on hourly_sums, task_statistics_hourly, task_failures,
            task_costs_daily to %s', reader.name);
    end loop;
    -- Whoever writes rows may write a late score.
    for reader in
        select distinct grantee::regrole::text as name
        from pg_class, aclexplode(relacl)
        where pg_class.oid = 'task_history'::regclass and privilege_type = 'INSERT' and grantee <> 0
    loop
        execute format('grant update (impact_score, impact_source) on task_history to %s', reader.name);
    end loop;

    insert into fusebox_migration (version, name, tool_version)
    values (9, '009_statistics.sql', 'psql');
end
$migration$;
