-- What happened: one row per call, and what is left of rows when they are added up.
--
-- Run by `fusebox migrate up`, or by hand after 001; see there.

do $migration$
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 2) then
        return;
    end if;

    -- One partition per day (UTC), see 003. No default partition: it would make every attach a scan.
    -- No primary key: a batch is applied once by its cursor, so ids need no unique index.
    create table task_history (
        started_at     timestamptz not null,             -- the request head was read
        id             uuid        not null,             -- version 7; x-task-id
        correlation_id text        not null,
        trace_id       text        not null,             -- 32 hexadecimal digits
        parent_id      uuid,                             -- the task that caused this one
        namespace      text        not null,
        service        text        not null,
        version        text        not null,
        instance       text        not null,
        listener       text        not null,
        route          text        not null,
        upstream       text        not null,
        endpoint       text,
        domain         text        not null,
        action         text        not null,
        method         text        not null,
        path           text        not null,             -- the route's template, never the raw path
        status         smallint,
        grpc_status    smallint,
        outcome        text        not null,
        failure_reason text,
        attempts       integer     not null,
        attempt_log    jsonb,                            -- null when there was one attempt
        breaker_state  text        not null,
        duration_us    bigint      not null,
        upstream_us    bigint,
        first_byte_us  bigint,
        deadline_ms    bigint,
        request_bytes  bigint      not null,
        response_bytes bigint      not null,
        impact_score   real,                             -- 0 to 100
        cost           double precision,
        params         jsonb,
        weight         integer     not null default 1    -- the calls that this row stands for
    ) partition by range (started_at);

    -- A page of the newest rows, a window of time, and (through the time in it) an id.
    create index task_history_started_at on task_history (started_at);
    create index task_history_correlation_id on task_history (correlation_id);
    create index task_history_upstream on task_history (upstream, started_at);
    create index task_history_unsuccessful on task_history (started_at) where outcome <> 'success';

    -- Writers append deltas; maintenance merges them to minutes, hours and days. A reader adds up
    -- whatever it finds.
    create table task_rollup (
        bucket         timestamptz not null,             -- its beginning
        resolution     text        not null default 'delta'
                       check (resolution in ('delta', 'minute', 'hour', 'day')),
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
        -- Durations by size: bin b of x us is floor(16 * log2(greatest(x, 1))).
        bins           smallint[]  not null,
        bin_calls      bigint[]    not null
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000);
    create index task_rollup_operation on task_rollup (domain, action, bucket);
    create index task_rollup_bucket on task_rollup (bucket);
    create index task_rollup_unmerged on task_rollup (resolution, bucket) where resolution <> 'day';

    -- How far the journal of a data directory was applied; moved with the rows, by compare-and-set.
    create table journal_cursor (
        journal_id   text        not null,
        worker       integer     not null,
        position     bigint      not null,
        rows_total   bigint      not null default 0,
        rows_lost    bigint      not null default 0,
        committed_at timestamptz not null default clock_timestamp(),
        primary key (journal_id, worker)
    ) with (fillfactor = 50);

    insert into fusebox_migration (version, name, tool_version)
    values (2, '002_task_history.sql', 'psql');
end
$migration$;
