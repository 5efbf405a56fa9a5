-- Who an instance is and which rules it follows: what it takes to name those who see an upstream
-- otherwise than the rest, and those who are configured otherwise.
--
-- Run by `fusebox migrate up`, or by hand after 006; see 001. All of it may be null: instances of
-- before do not say, and what is not said is not held against anybody.

do $migration$
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 7) then
        return;
    end if;

    perform set_config('lock_timeout', '3s', true);
    alter table sidecar_instance
        add column zone text,
        add column host text,
        -- Beside breaker_keys, in its order: a short hash of the rules that all should have alike.
        add column breaker_rules text[],
        -- One hash over keys and rules, so that a heartbeat need not compare arrays.
        add column rules_digest bigint,
        -- When breaker_rules became what they are.
        add column rules_since timestamptz;

    insert into fusebox_migration (version, name, tool_version)
    values (7, '007_names.sql', 'psql');
end
$migration$;
