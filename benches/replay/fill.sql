-- Calls of twenty instances to two upstreams in the hour before now: one in a hundred fails, and the
-- first hundredth of each tenth of them all fail. `:rows` says how many.

set synchronous_commit = off;
select fusebox_add_day((now() at time zone 'UTC' - interval '1 hour')::date, interval '14 days');
insert into task_history (started_at, id, correlation_id, trace_id, namespace, service, version,
    instance, listener, route, upstream, endpoint, domain, action, method, path, status, outcome,
    failure_reason, attempts, breaker_state, duration_us, upstream_us, first_byte_us, deadline_ms,
    request_bytes, response_bytes)
select at, (lpad(to_hex(floor(1000 * extract(epoch from at))::bigint), 12, '0')
        || '7000' || '8' || substr(md5(n::text), 1, 15))::uuid,
    'req-' || md5(n::text), md5(n::text), 'default', 'orders', '1.4.2', 'orders-' || n % 20,
    'egress', 'all', upstream, upstream || ':8080', upstream, 'all', 'GET', '/*',
    case when failed then 503 else 200 end, case when failed then 'failure' else 'success' end,
    case when failed then 'http_503' end, 1, 'closed', 20000, 19000, 18000, 60000, 300, 900
from generate_series(0, :rows - 1) as n,
    lateral (select date_trunc('second', now()) - interval '1 hour'
            + n * interval '3600 seconds' / :rows as at,
        case n % 4 when 0 then 'music' else 'payments' end as upstream,
        n % (:rows / 10) < :rows / 1000 or n % 100 = 7 as failed) as made;
analyze task_history;
