-- The least that Fusebox needs at run time, for a role that is not the owner of the tables, and the
-- least that people need who ask with SQL:
--
--   psql "$OWNER_URL" -v role=fusebox -f migrations/grants.sql
--   psql "$OWNER_URL" -v analyst=reports -f migrations/grants.sql
--
-- Both may be named at once. Add -v schema=NAME where `database.schema` is not public. Neither role
-- can migrate, so set `database.migrate: false` and run `fusebox migrate up` as the owner. Run this
-- again after that: a new version may bring new tables.

\set ON_ERROR_STOP on
\if :{?schema} \else \set schema public \endif
\if :{?role}
\elif :{?analyst}
\else
    do $$ begin
        raise exception 'nobody is named to grant anything to'
            using hint = 'add -v role=NAME for Fusebox, or -v analyst=NAME for people who only read';
    end $$;
\endif
set search_path = :"schema";

\if :{?role}
grant usage on schema :"schema" to :"role";
grant select on fusebox_migration, task_total, failing_calls, recent_totals, slowest_operations,
    service_map, hourly_sums, task_statistics_hourly, task_failures, task_costs_daily to :"role";
grant select, insert, update on circuit_breaker_state, circuit_breaker_vote, sidecar_instance,
    sidecar_identity, sidecar_roll, journal_cursor to :"role";
grant delete on circuit_breaker_vote to :"role";
grant select, insert, update, delete on task_parameter_day, task_learning_day, prediction,
    prediction_score, sidecar_duty to :"role";
grant select, insert on circuit_breaker_event, task_history, task_rollup to :"role";
grant update (impact_score, impact_source) on task_history to :"role";
grant execute on function fusebox_add_day(date, interval), fusebox_maintain(interval) to :"role";
\endif

\if :{?analyst}
grant usage on schema :"schema" to :"analyst";
grant select on task_history, task_rollup, task_total, failing_calls, recent_totals,
    slowest_operations, service_map, hourly_sums, task_statistics_hourly, task_failures,
    task_costs_daily, circuit_breaker_state, circuit_breaker_event, sidecar_instance,
    sidecar_identity, journal_cursor, task_parameter_day, prediction, prediction_score
    to :"analyst";
grant execute on function fusebox_concat(anycompatiblearray),
    fusebox_quantile_ms(smallint[], bigint[], numeric),
    fusebox_quantiles_ms(fusebox_histogram[], numeric[]) to :"analyst";
\endif
