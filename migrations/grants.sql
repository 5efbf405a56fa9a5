-- The least that Fusebox needs at run time, for a role that is not the owner of the tables:
--
--   psql "$OWNER_URL" -v role=fusebox -f migrations/grants.sql
--
-- Add -v schema=NAME where `database.schema` is not public. Such a role cannot migrate, so set
-- `database.migrate: false` and run `fusebox migrate up` as the owner.

\if :{?schema} \else \set schema public \endif

grant usage on schema :"schema" to :"role";
set search_path = :"schema";
grant select on fusebox_migration to :"role";
grant select, insert, update on circuit_breaker_state, circuit_breaker_vote, sidecar_instance,
    journal_cursor to :"role";
grant select, insert on circuit_breaker_event, task_history, task_rollup to :"role";
grant execute on function fusebox_add_day(date, interval), fusebox_maintain(interval) to :"role";
