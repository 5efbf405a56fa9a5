-- Votes, one prober and orders: what a breaker that the fleet decides about needs.
--
-- Run by `fusebox migrate up`, or by hand after 005; see 001.

do $migration$
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 6) then
        return;
    end if;

    alter table circuit_breaker_state
        -- A round of voting lasts from here to vote_until; those vote whose ballot is below the bound.
        add column vote_from timestamptz,
        add column electorate_below bigint,
        -- How the breaker opens if they agree: the numbers of the one who asked.
        add column vote_opening jsonb,
        add column lease_from timestamptz,
        -- The one whose failed probe another is to confirm is in probe_failed_by.
        add column probe_failed_at timestamptz,
        -- Probes are counted by the prober.
        drop column probe_successes;
    drop index circuit_breaker_state_abnormal;
    create index circuit_breaker_state_abnormal on circuit_breaker_state (namespace)
        where state <> 'closed' or vote_until is not null or override is not null;

    -- Drawn at random by each process: in a large fleet it decides who votes.
    alter table sidecar_instance add column ballot bigint not null default 0;

    insert into fusebox_migration (version, name, tool_version)
    values (6, '006_fleet.sql', 'psql');
end
$migration$;
