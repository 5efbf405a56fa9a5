-- What is left of tasks with parameters when a day is over; see the file of Postgres.

create table task_parameter_day (
    namespace           text    not null,
    domain              text    not null,
    action              text    not null,
    day                 integer not null,  -- since 1970-01-01
    stratum             text    not null,
    parameters          text    not null,
    tasks               integer not null,
    successes           integer not null,
    impacts             integer not null,
    impact_sum          real    not null,
    impact_squares      real    not null,
    durations           integer not null,
    ln_duration_sum     real    not null,
    ln_duration_squares real    not null,
    costs               integer not null,
    cost_sum            real    not null,
    cost_squares        real    not null,
    cost_successes      integer not null,
    cost_of_successes   real    not null
);
create index task_parameter_day_operation on task_parameter_day (namespace, domain, action, day);
create index task_parameter_day_day on task_parameter_day (namespace, day);

create table task_learning_day (
    namespace     text    not null,
    day           integer not null,
    claimed_at_us integer not null,
    added_at_us   integer,
    tasks         integer,
    primary key (namespace, day)
) without rowid;
