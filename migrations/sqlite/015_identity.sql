-- Who an instance was, for as long as there are rows of it; see the file of Postgres. Only one lives at
-- a time, so that nobody has to say when another ended.

create table sidecar_identity (
    namespace     text    not null,
    instance      text    not null,
    service       text    not null,
    version       text    not null,
    journal_id    text    not null,
    display_name  text    not null,
    host          text,
    zone          text,
    cluster       text,
    task          text,
    definition    text,
    started_at_us integer not null,
    seen_at_us    integer not null,   -- its last upkeep, which it has every minute
    primary key (namespace, instance)
) without rowid;
