-- Rows that stand for several calls (`history.sample_successes`) are counted as these, and weigh as
-- what they are in what is learned from them: for that, the squares of their weights. Tasks of rare
-- combinations of parameters are counted for each by itself. And openings of breakers, against which
-- warnings are held, are found by their time.
--
-- Run by `fusebox migrate up`, or by hand after 013; see 001. Versions before this go on, but count
-- the tasks of rare combinations once more for each parameter when they read such a day.

do $migration$
declare
    schema text := quote_ident(current_schema()) || '.';  -- in place of each @ below
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 14) then
        return;
    end if;
    perform set_config('lock_timeout', '3s', true);

    -- Nulls where versions before this wrote them: then each row was counted as one.
    alter table task_parameter_day
        add column task_weights     bigint,   -- the sum of the squares of what each of the tasks stands for
        add column impact_weights   bigint,   -- the same of those with an impact score
        add column duration_weights bigint,   -- of successes
        add column cost_weights     bigint,   -- of those whose cost is known
        -- Tasks of combinations that are too rare to be kept: with one of their parameters, or none,
        -- which is all of them. Other rows have all parameters.
        add column is_part          boolean   not null default false;

    create index circuit_breaker_event_opened on circuit_breaker_event (namespace, at)
        where to_state = 'open';

    execute replace($ddl$
    create or replace function @fusebox_learn(space text, of_domain text, of_action text, of_day date, cells jsonb)
    returns void language plpgsql as $body$
    begin
        perform pg_advisory_xact_lock(hashtextextended(
            concat_ws(chr(31), 'fusebox_learn', space, of_domain, of_action, of_day), 0));
        delete from @task_parameter_day
            where namespace = space and domain = of_domain and action = of_action and day = of_day;
        insert into @task_parameter_day (
            namespace, domain, action, day, stratum, parameters, tasks, successes, impacts,
            impact_sum, impact_squares, durations, ln_duration_sum, ln_duration_squares, costs,
            cost_sum, cost_squares, cost_successes, cost_of_successes,
            task_weights, impact_weights, duration_weights, cost_weights, is_part)
        select space, of_domain, of_action, of_day, cell ->> 0, cell -> 1,
            (cell ->> 2)::bigint, (cell ->> 3)::bigint, (cell ->> 4)::bigint,
            (cell ->> 5)::float8, (cell ->> 6)::float8, (cell ->> 7)::bigint,
            (cell ->> 8)::float8, (cell ->> 9)::float8, (cell ->> 10)::bigint,
            (cell ->> 11)::float8, (cell ->> 12)::float8, (cell ->> 13)::bigint,
            (cell ->> 14)::float8, (cell ->> 15)::bigint, (cell ->> 16)::bigint,
            (cell ->> 17)::bigint, (cell ->> 18)::bigint, coalesce((cell ->> 19)::boolean, false)
        from jsonb_array_elements(cells) as cell;
    end
    $body$
    $ddl$, '@', schema);

    insert into fusebox_migration (version, name, tool_version)
    values (14, '014_evidence.sql', 'psql');
end
$migration$;
