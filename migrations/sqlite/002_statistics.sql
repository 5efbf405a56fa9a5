-- Sums of impact scores and costs, and who scored a row late; see 009 of Postgres.

alter table task_rollup add column scored        integer not null default 0;
alter table task_rollup add column impact_micros integer not null default 0;
alter table task_rollup add column priced        integer not null default 0;
alter table task_rollup add column cost_nanos    integer not null default 0;

alter table task_history add column impact_source text;
