-- Makes the rows and rollups of the benchmark: thirty operations of eight services, of which some
-- are busy and one is rare; two calls in a hundred fail; three calls share a correlation id.

create schema if not exists bench;

create or replace function bench.operation(number integer, out domain text, out action text)
language sql immutable as $$
    select (array['payments', 'music', 'orders', 'search', 'catalogue', 'mail', 'users', 'stock',
                  'shipping', 'reports', 'sessions', 'prices'])[1 + number % 12],
           case when number = 30 then 'reconcile-accounts' else
           (array['create', 'read-by-id', 'list-recent'])[1 + number / 12] end
$$;

create or replace function bench.service(number integer) returns text language sql immutable as $$
    select (array['shop', 'checkout', 'studio', 'warehouse', 'mobile-api', 'back-office', 'billing',
                  'gateway'])[1 + number % 8]
$$;

-- The calls from one moment to another of the same day, evenly spread, as a partition that is
-- filled before it gets its indexes, because that is faster.
create or replace function bench.fill(begins timestamptz, ends timestamptz, calls bigint)
returns void language plpgsql as $$
declare
    day  date := (begins at time zone 'UTC')::date;
    part text := 'task_history_' || to_char(day, 'YYYYMMDD');
begin
    execute format('create table %I (like task_history including defaults including constraints,
        constraint day check (started_at >= %L and started_at < %L))', part,
        day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
    execute format($fill$
        insert into %I (started_at, id, correlation_id, trace_id, parent_id, namespace, service,
            version, instance, listener, route, upstream, endpoint, domain, action, method, path,
            status, outcome, failure_reason, attempts, breaker_state, duration_us, upstream_us,
            first_byte_us, deadline_ms, request_bytes, response_bytes)
        select at, bench.id(at, dice), 'req-' || substr(family, 1, 16), family,
            case when n %% 3 > 0 then bench.id(at, family) end, 'default', service, '1.4.2',
            service || '-' || n %% 4, 'egress', domain, domain, domain || '-' || n %% 3 || ':8080',
            domain, action, 'POST', '/' || domain || '/*',
            case outcome when 'success' then 200 when 'failure' then 503 when 'timeout' then 504
                else 502 end,
            outcome,
            case outcome when 'failure' then 'http_503' when 'timeout' then 'timeout_first_byte'
                when 'interrupted' then 'interrupted' end,
            1, 'closed', took, took - 90, took - 60, 60000, 300 + n %% 700, 900 + n %% 4000
        from (
            select n, md5(n::text) as dice, md5(%L || n / 3) as family,
                %L::timestamptz + (%L::timestamptz - %L) * (n / %L::float8) as at,
                case when random() < 5e-6 then 30 else floor(30 * power(random(), 1.5))::integer end
                    as operation,
                bench.service((n / 3 %% 8)::integer) as service,
                (100 + 3000 * exp(2 * (random() + random() + random() - 1.5)))::bigint as took,
                random() as luck
            from generate_series(0, %L::bigint - 1) as n
        ) as call, bench.operation(operation), lateral (
            select case when luck < 0.000005 then 'interrupted' when luck < 0.003 then 'timeout'
                when luck < 0.02 then 'failure' else 'success' end as outcome
        ) as ended
        $fill$, part, part, begins, ends, begins, calls, calls);
    execute format('alter table task_history attach partition %I for values from (%L) to (%L)',
        part, day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC');
    execute format('alter table %I drop constraint day', part);
    execute format('analyze %I', part);
end
$$;

-- A UUID of version 7 with the random bits of these hexadecimal digits.
create or replace function bench.id(at timestamptz, digits text) returns uuid
language sql immutable as $$
    select (lpad(to_hex(floor(1000 * extract(epoch from at))::bigint), 12, '0') || '7'
        || substr(digits, 1, 3) || '8' || substr(digits, 4, 15))::uuid
$$;

-- What writers append for a bucket of time: of each operation the successes, and where `failing`
-- says so, two kinds of failures.
create or replace function bench.deltas(
    bucket timestamptz, operation integer, service integer, calls bigint, failing boolean)
returns void language sql as $$
    insert into task_rollup (bucket, namespace, service, upstream, domain, action, outcome,
        failure_reason, calls, stored, attempts, duration_us, request_bytes, response_bytes, bins,
        bin_calls)
    select bucket, 'default', bench.service(service), op.domain, op.domain, op.action, outcome,
        reason, share, share, share, share * 4000, share * 600, share * 3000,
        array(select b::smallint from generate_series(170, 170 + width - 1) b),
        array_fill(greatest(share / width, 1), array[width])
    from bench.operation(operation) as op,
        (values ('success', '', calls), ('failure', 'http_503', 1 + calls / 60),
            ('timeout', 'timeout_first_byte', 1 + calls / 300)) as ended (outcome, reason, share),
        lateral (select least(30, share)::integer as width) as histogram
    where outcome = 'success' or failing
$$;

-- Rollups of 35 days: by the hour, by the minute in the last two days. Upkeep makes of them what it
-- makes of those of real calls.
create or replace function bench.rollups() returns void language plpgsql as $$
begin
    perform bench.deltas(bucket, operation, operation, 1900, true)
    from generate_series(date_trunc('hour', now()) - interval '35 days',
            date_trunc('hour', now()) - interval '49 hours', interval '1 hour') as bucket,
        generate_series(0, 29) as operation;
    perform bench.deltas(bucket, operation, operation, 32,
        (extract(epoch from bucket)::bigint / 60 + operation) % 4 = 0)
    from generate_series(date_trunc('hour', now()) - interval '48 hours',
            date_trunc('minute', now()) - interval '3 minutes', interval '1 minute') as bucket,
        generate_series(0, 29) as operation;
end
$$;

-- What upkeep leaves unmerged at most, three minutes and some seconds (it comes every minute, and
-- takes what is two minutes old): four batches a second of four kinds of calls.
create or replace function bench.unmerged() returns void language plpgsql as $$
begin
    perform bench.deltas(date_trunc('minute', now() - n * interval '250 milliseconds'),
        (n * 4 + call) % 30, (n * 4 + call) % 30, 1, false)
    from generate_series(0, 4 * 190) as n, generate_series(0, 3) as call;
end
$$;
