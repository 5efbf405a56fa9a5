-- What instances share: breakers, votes, who lives.
--
-- Run by `fusebox migrate up`, or by hand: psql "$DATABASE_URL" -f migrations/001_circuit_breakers.sql
-- By hand the tables go where the session's search_path points. One block, so that it happens as a
-- whole or not at all; a second run changes nothing.

do $migration$
begin
    perform pg_advisory_xact_lock(7310868735926133857);

    -- Not by to_regclass, which may answer from before the wait for the lock.
    if exists (select from pg_tables
               where schemaname = current_schema() and tablename = 'fusebox_migration') then
        return;
    end if;
    create table fusebox_migration (
        version      integer     primary key,
        name         text        not null,
        sha256       text,       -- of the file; null when it was run by hand, until Fusebox sees it
        applied_at   timestamptz not null default clock_timestamp(),
        tool_version text        not null
    );

    -- One row per breaker that was ever open. No row means closed, epoch 0. Rows are never deleted:
    -- the epoch of a key must not fall.
    create table circuit_breaker_state (
        namespace       text        not null,
        key             text        not null,
        upstream        text        not null,
        epoch           bigint      not null,
        state           text        not null
                        check (state in ('closed', 'open', 'half_open', 'ramping')),
        cause           text        not null,
        step            integer     not null default 0,      -- openings in a row
        failure_count   integer     not null default 0,      -- the streak that opened it
        by_connection   boolean     not null default false,  -- a check may end it early
        opened_at       timestamptz,
        open_until      timestamptz,
        ramp_started_at timestamptz,
        changed_at      timestamptz not null default clock_timestamp(),
        changed_by      text        not null,                -- an instance

        -- A round of voting is open while vote_until lies ahead.
        vote_round      bigint,
        vote_until      timestamptz,
        electorate      integer,

        -- The one prober of the fleet.
        lease_id        uuid,
        lease_by        text,
        lease_until     timestamptz,
        probe_successes integer     not null default 0,
        probe_failed_by text[]      not null default '{}',

        -- An order from outside, beside the automatic state, so that its end returns to it.
        override        text check (override in ('shadow', 'disabled', 'forced_open', 'forced_closed')),
        override_by     text,
        override_reason text,
        override_until  timestamptz,

        primary key (namespace, key)
    ) with (fillfactor = 50);
    create index circuit_breaker_state_abnormal on circuit_breaker_state (namespace)
        where state <> 'closed';
    create index circuit_breaker_state_changed on circuit_breaker_state (namespace, changed_at);

    create table circuit_breaker_vote (
        namespace  text        not null,
        key        text        not null,
        epoch      bigint      not null,
        instance   text        not null,
        vote       text        not null check (vote in ('bad', 'good', 'abstain')),
        calls      integer     not null default 0,
        failures   integer     not null default 0,
        slow       integer     not null default 0,
        voted_at   timestamptz not null default clock_timestamp(),
        primary key (namespace, key, epoch, instance)
    ) with (fillfactor = 50);

    create table circuit_breaker_event (
        id         bigint      generated always as identity primary key,
        at         timestamptz not null default clock_timestamp(),
        namespace  text        not null,
        key        text        not null,
        upstream   text        not null,
        epoch      bigint      not null,
        from_state text        not null,
        to_state   text        not null,
        cause      text        not null,
        instance   text        not null,
        detail     jsonb       not null default '{}',
        task_ids   uuid[]      not null default '{}'
    );
    create index circuit_breaker_event_key on circuit_breaker_event (namespace, key, id desc);

    create table sidecar_instance (
        namespace    text        not null,
        instance     text        not null,               -- one process start
        service      text        not null,
        version      text        not null,
        journal_id   text        not null,               -- one data directory
        display_name text        not null,
        breaker_keys text[],                             -- the breakers that it takes part in
        started_at   timestamptz not null default clock_timestamp(),
        seen_at      timestamptz not null default clock_timestamp(),
        alive_until  timestamptz not null,
        primary key (namespace, instance)
    ) with (fillfactor = 50);

    insert into fusebox_migration (version, name, tool_version)
    values (1, '001_circuit_breakers.sql', 'psql');
end
$migration$;
