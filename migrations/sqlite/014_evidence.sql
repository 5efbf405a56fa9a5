-- What rows that stand for several calls weigh in what is learned, parts of combinations, and openings
-- of breakers by their time; see the file of Postgres.

alter table task_parameter_day add column task_weights integer;
alter table task_parameter_day add column impact_weights integer;
alter table task_parameter_day add column duration_weights integer;
alter table task_parameter_day add column cost_weights integer;
alter table task_parameter_day add column is_part integer not null default 0;

create index circuit_breaker_event_opened on circuit_breaker_event (namespace, at_us)
    where to_state = 'open';
