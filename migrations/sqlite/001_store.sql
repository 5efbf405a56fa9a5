-- The embedded store: the tables of Postgres for one instance. Times are microseconds since the
-- Unix epoch. Run by Fusebox when it opens the file.

create table circuit_breaker_state (
    namespace          text    not null,
    key                text    not null,
    upstream           text    not null,
    epoch              integer not null,
    state              text    not null check (state in ('closed', 'open', 'half_open', 'ramping')),
    cause              text    not null,
    step               integer not null default 0,
    failure_count      integer not null default 0,
    by_connection      integer not null default 0,
    opened_at_us       integer,
    open_until_us      integer,
    ramp_started_at_us integer,
    changed_at_us      integer not null,
    changed_by         text    not null,
    override           text,
    override_by        text,
    override_reason    text,
    override_until_us  integer,
    primary key (namespace, key)
) without rowid;

create table circuit_breaker_event (
    id         integer primary key,
    at_us      integer not null,
    namespace  text    not null,
    key        text    not null,
    upstream   text    not null,
    epoch      integer not null,
    from_state text    not null,
    to_state   text    not null,
    cause      text    not null,
    instance   text    not null,
    detail     text    not null
);
create index circuit_breaker_event_key on circuit_breaker_event (namespace, key, id desc);

create table task_history (
    started_at     integer not null,
    id             text    not null,
    correlation_id text    not null,
    trace_id       text    not null,
    parent_id      text,
    namespace      text    not null,
    service        text    not null,
    version        text    not null,
    instance       text    not null,
    listener       text    not null,
    route          text    not null,
    upstream       text    not null,
    endpoint       text,
    domain         text    not null,
    action         text    not null,
    method         text    not null,
    path           text    not null,
    status         integer,
    grpc_status    integer,
    outcome        text    not null,
    failure_reason text,
    attempts       integer not null,
    attempt_log    text,
    breaker_state  text    not null,
    duration_us    integer not null,
    upstream_us    integer,
    first_byte_us  integer,
    deadline_ms    integer,
    request_bytes  integer not null,
    response_bytes integer not null,
    impact_score   real,
    cost           real,
    params         text,
    weight         integer not null default 1
);
create index task_history_started_at on task_history (started_at);
create index task_history_correlation_id on task_history (correlation_id);
create index task_history_upstream on task_history (upstream, started_at);
create index task_history_unsuccessful on task_history (started_at) where outcome <> 'success';

create table task_rollup (
    bucket         integer not null,
    resolution     text    not null default 'delta',
    namespace      text    not null,
    service        text    not null,
    upstream       text    not null,
    domain         text    not null,
    action         text    not null,
    outcome        text    not null,
    failure_reason text    not null,
    calls          integer not null,
    stored         integer not null,
    attempts       integer not null,
    duration_us    integer not null,
    request_bytes  integer not null,
    response_bytes integer not null,
    bins           text    not null,   -- a JSON array
    bin_calls      text    not null    -- a JSON array
);
create index task_rollup_operation on task_rollup (domain, action, bucket);
create index task_rollup_bucket on task_rollup (bucket);
create index task_rollup_unmerged on task_rollup (resolution, bucket) where resolution <> 'day';

create table journal_cursor (
    journal_id   text    not null,
    worker       integer not null,
    position     integer not null,
    rows_total   integer not null default 0,
    rows_lost    integer not null default 0,
    committed_at integer not null,
    primary key (journal_id, worker)
) without rowid;
