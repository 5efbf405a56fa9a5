-- What is left of tasks with parameters when a day is over: counts and sums by their parameters.
--
-- Run by `fusebox migrate up`, or by hand after 009; see 001.

do $migration$
declare
    schema text := quote_ident(current_schema()) || '.';  -- in place of each @ below
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 10) then
        return;
    end if;

    -- Tasks that succeeded, failed or timed out at the upstream. A row says what all that had these
    -- parameters came to; numbers are kept to a few digits, and rare combinations are added up as
    -- one whose values are 'other'.
    create table task_parameter_day (
        namespace          text             not null,
        domain             text             not null,
        action             text             not null,
        day                date             not null,    -- UTC
        stratum            text             not null,    -- who called and when, so that like is compared with like
        parameters         jsonb            not null,    -- name to value: '=word', '#number', absent, other
        tasks              bigint           not null,
        successes          bigint           not null,
        impacts            bigint           not null,    -- tasks with an impact score, its sum and sum of squares
        impact_sum         double precision not null,
        impact_squares     double precision not null,
        durations          bigint           not null,    -- of successes: natural logarithms of seconds
        ln_duration_sum    double precision not null,
        ln_duration_squares double precision not null,
        costs              bigint           not null,    -- tasks whose cost is known
        cost_sum           double precision not null,
        cost_squares       double precision not null,
        cost_successes     bigint           not null,
        cost_of_successes  double precision not null
    );
    create index task_parameter_day_operation on task_parameter_day (namespace, domain, action, day);
    create index task_parameter_day_day on task_parameter_day (namespace, day);

    -- Puts what a day came to for one operation in the place of what it was said to have come to
    -- before; of several that do it at once the last one counts. A cell: stratum, parameters, and the
    -- other columns in their order.
    execute replace($ddl$
    create function @fusebox_learn(space text, of_domain text, of_action text, of_day date, cells jsonb)
    returns void language plpgsql as $body$
    begin
        perform pg_advisory_xact_lock(hashtextextended(
            concat_ws(chr(31), 'fusebox_learn', space, of_domain, of_action, of_day), 0));
        delete from @task_parameter_day
            where namespace = space and domain = of_domain and action = of_action and day = of_day;
        insert into @task_parameter_day
            select space, of_domain, of_action, of_day, cell ->> 0, cell -> 1,
                (cell ->> 2)::bigint, (cell ->> 3)::bigint, (cell ->> 4)::bigint,
                (cell ->> 5)::float8, (cell ->> 6)::float8, (cell ->> 7)::bigint,
                (cell ->> 8)::float8, (cell ->> 9)::float8, (cell ->> 10)::bigint,
                (cell ->> 11)::float8, (cell ->> 12)::float8, (cell ->> 13)::bigint,
                (cell ->> 14)::float8
            from jsonb_array_elements(cells) as cell;
    end
    $body$
    $ddl$, '@', schema);

    -- The days that have been added up, and by whom they are just now. Rows may come late, so a day
    -- is added up again on the two days that follow.
    create table task_learning_day (
        namespace  text        not null,
        day        date        not null,
        claimed_at timestamptz not null default clock_timestamp(),
        added_at   timestamptz,
        tasks      bigint,
        primary key (namespace, day)
    );

    insert into fusebox_migration (version, name, tool_version)
    values (10, '010_learning.sql', 'psql');
end
$migration$;
