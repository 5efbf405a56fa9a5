-- What a Fusebox that knows schema 3 sends, in the order in which it does: its upkeep, a batch, its
-- questions. Rows are written as text here, the columns and their order are those of its COPY.

select fusebox_maintain(1209600 * interval '1 second');

begin;
copy task_history (started_at, id, correlation_id, trace_id, parent_id, namespace, service, version, instance, listener, route, upstream, endpoint, domain, action, method, path, status, grpc_status, outcome, failure_reason, attempts, attempt_log, breaker_state, duration_us, upstream_us, first_byte_us, deadline_ms, request_bytes, response_bytes, impact_score, cost, params, weight) from stdin;
now	01900000-0000-7000-8000-000000000001	req-old	0123456789abcdef0123456789abcdef	\N	old	orders	1	i	egress	r	pay	pay-1:80	billing	charge	POST	/*	503	\N	failure	http_503	1	\N	closed	5000	4900	4000	60000	10	20	\N	\N	\N	1
\.
copy task_rollup (bucket, namespace, service, upstream, domain, action, outcome, failure_reason, calls, stored, attempts, duration_us, request_bytes, response_bytes, bins, bin_calls) from stdin;
now	old	orders	pay	billing	charge	failure	http_503	3	1	3	15000	30	60	{196}	{3}
\.
insert into journal_cursor as reached (journal_id, worker, position, rows_total)
    values (E'j-old', 0, 7, 1)
    on conflict (journal_id, worker) do update set
        position = case when reached.position < excluded.position then excluded.position end,
        rows_total = reached.rows_total + excluded.rows_total,
        committed_at = clock_timestamp();
commit;

prepare cursor_has_passed (text, bigint, bigint) as
    select true from journal_cursor where journal_id = $1 and worker = $2 and position >= $3;
execute cursor_has_passed ('j-old', 0, 7);

prepare days (int4[], bigint) as
    select coalesce(bool_and(fusebox_add_day(
        date '1970-01-01' + day, $2 * interval '1 second')), true) from unnest($1) as day;
execute days (array[current_date - date '1970-01-01'], 1209600);

prepare tasks (text, timestamptz, timestamptz, uuid, text, text, text, text, text, text, timestamptz, uuid, bigint) as
    select (1000000 * extract(epoch from started_at))::bigint, id, correlation_id, trace_id,
        parent_id, namespace, service, version, instance, listener, route, upstream, endpoint,
        domain, action, method, path, status::bigint, grpc_status::bigint, outcome, failure_reason,
        attempts::bigint, attempt_log, breaker_state, duration_us::bigint, upstream_us::bigint,
        first_byte_us::bigint, deadline_ms::bigint, request_bytes::bigint, response_bytes::bigint,
        impact_score::float8, cost::float8, params, weight::bigint
    from task_history
    where namespace = $1 and started_at >= $2 and started_at < $3
        and ($4::uuid is null or id = $4)
        and ($5::text is null or correlation_id = $5)
        and ($6::text is null or service = $6)
        and ($7::text is null or upstream = $7)
        and ($8::text is null or domain = $8)
        and ($9::text is null or action = $9)
        and ($10::text is null or outcome = $10)
        and ($11::timestamptz is null or (started_at, id) < ($11, $12::uuid))
    order by started_at desc, id desc limit $13;
execute tasks ('old', 'epoch', '9000-01-01Z', null, 'req-old', 'orders', 'pay', 'billing', 'charge', 'failure', null, null, 51);

prepare rollups (text, timestamptz, timestamptz, text, text, text, text) as
    select (1000000 * extract(epoch from bucket))::bigint,
        service, upstream, domain, action, outcome, failure_reason,
        calls, stored, attempts, duration_us, request_bytes, response_bytes, bins, bin_calls
    from task_rollup
    where namespace = $1 and bucket >= $2 and bucket < $3
        and ($4::text is null or service = $4)
        and ($5::text is null or upstream = $5)
        and ($6::text is null or domain = $6)
        and ($7::text is null or action = $7);
execute rollups ('old', 'epoch', '9000-01-01Z', null, 'pay', 'billing', 'charge');
