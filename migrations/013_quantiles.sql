-- Quantiles of many histograms at once, in time that grows with their number and not with its square:
-- `fusebox_concat` copies all that it has for each that it adds, which took seconds for an hour of a
-- large fleet. It stays for whoever uses it.
--
-- Run by `fusebox migrate up`, or by hand after 012; see 001. Versions before this go on as they did.

do $migration$
declare
    schema text := quote_ident(current_schema()) || '.';  -- in place of each @ below
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 13) then
        return;
    end if;
    perform set_config('lock_timeout', '3s', true);

    -- Durations by size, and how many calls took them.
    create type fusebox_histogram as (bins smallint[], bin_calls bigint[]);

    -- Below which durations these shares of all calls lie; nulls where there are no calls.
    execute replace($ddl$
    create function @fusebox_quantiles_ms(histograms @fusebox_histogram[], shares numeric[])
    returns numeric[] language sql immutable parallel safe
    set search_path = pg_catalog, pg_temp as $body$
        with ranked as materialized (
            select bin, sum(n) over (order by bin) as below, sum(n) over () as total
            from (
                select bin, sum(n) as n
                from unnest($1) as histogram (bins, bin_calls),
                    unnest(histogram.bins, histogram.bin_calls) as counted (bin, n)
                group by bin
            ) bins
        )
        select array(
            select (
                select round(power(2::numeric, (bin + 0.5) / 16.0) / 1000, 3) from ranked
                where below >= greatest(ceil(share * total), 1) order by bin limit 1
            )
            from unnest($2) with ordinality as asked (share, place) order by place
        )
    $body$
    $ddl$, '@', schema);

    create or replace view task_statistics_hourly as
    select hour, service, upstream, domain, action, calls, succeeded, timeouts, refused,
           round(succeeded::numeric / calls, 4) as success_rate,
           round(duration_us / nullif(calls - refused, 0) / 1000, 3) as average_ms,
           quantiles_ms[1] as p50_ms, quantiles_ms[2] as p95_ms, quantiles_ms[3] as p99_ms,
           attempts, scored,
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
               fusebox_quantiles_ms(
                   array_agg((bins, bin_calls)::fusebox_histogram)
                       filter (where outcome <> 'refused'),
                   '{0.50, 0.95, 0.99}') as quantiles_ms
        from hourly_sums group by 1, 2, 3, 4, 5, 6 having sum(calls) > 0
    ) as sums;

    insert into fusebox_migration (version, name, tool_version)
    values (13, '013_quantiles.sql', 'psql');
end
$migration$;
