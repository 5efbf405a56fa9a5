-- Early warnings: what was said, what became of it, and how good each signal is; see the file of
-- Postgres. There is but one instance, so that it has all duties.

create table prediction (
    id              integer primary key,
    namespace       text    not null,
    made_at_us      integer not null,
    active_until_us integer not null,
    signal          text    not null,
    upstream        text    not null,
    domain          text    not null,
    action          text    not null,
    claim           text    not null,
    detail          text    not null,
    bar             real    not null,
    horizon_s       integer not null,
    probability     real    not null,
    is_muted        integer not null,
    instance        text    not null,
    resolved_at_us  integer,
    came_true       integer,
    lead_s          integer
);
create index prediction_made on prediction (namespace, made_at_us desc);
create index prediction_active on prediction (namespace, active_until_us);
create index prediction_pending on prediction (namespace) where resolved_at_us is null;

create table prediction_score (
    namespace    text    not null,
    signal       text    not null,
    scored_at_us integer not null,
    decided      integer not null,
    precision    real,
    recall       real,
    brier        real,
    lead_s       real,
    primary key (namespace, signal)
) without rowid;
