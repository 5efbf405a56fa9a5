-- Early warnings: what was said, what became of it, and how good each signal is.
--
-- Run by `fusebox migrate up`, or by hand after 010; see 001.

do $migration$
declare
    schema text := quote_ident(current_schema()) || '.';  -- in place of each @ below
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 11) then
        return;
    end if;

    -- A warning is active for as long as somebody repeats it, so that one whose author died ends.
    create table prediction (
        id           bigint           generated always as identity primary key,
        namespace    text             not null,
        made_at      timestamptz      not null default clock_timestamp(),
        active_until timestamptz      not null,
        signal       text             not null,
        upstream     text             not null,
        domain       text             not null,         -- empty where it is about the whole upstream
        action       text             not null,
        claim        text             not null,         -- in words
        detail       jsonb            not null,         -- in numbers
        bar          double precision not null,         -- what it is held to; see docs/learning.md
        horizon_s    integer          not null,
        probability  double precision not null,         -- of coming true
        is_muted     boolean          not null,         -- the signal was silent when it was made
        instance     text             not null,
        resolved_at  timestamptz,
        came_true    boolean,
        lead_s       integer                            -- from the warning to what it warned of
    );
    create index prediction_made on prediction (namespace, made_at desc);
    create index prediction_active on prediction (namespace, active_until);
    create index prediction_pending on prediction (namespace) where resolved_at is null;

    -- How good the warnings of the last 30 days were. Nulls: nothing to go by.
    create table prediction_score (
        namespace text             not null,
        signal    text             not null,
        scored_at timestamptz      not null default clock_timestamp(),
        decided   bigint           not null,
        precision double precision,
        recall    double precision,
        brier     double precision,
        lead_s    double precision,                     -- the median
        primary key (namespace, signal)
    );

    -- What one instance does for all of them, until its time is up.
    create table sidecar_duty (
        namespace text        not null,
        duty      text        not null,
        instance  text        not null,
        until     timestamptz not null,
        primary key (namespace, duty)
    );

    -- Says warnings, or goes on saying those that are active. One: signal, upstream, domain, action,
    -- claim, detail, bar, horizon_s, probability, is_muted.
    execute replace($ddl$
    create function @fusebox_warn(space text, author text, lasts interval, warnings jsonb)
    returns void language plpgsql as $body$
    begin
        perform pg_advisory_xact_lock(hashtextextended(
            concat_ws(chr(31), 'fusebox_warn', space), 0));
        with said as (
            select w ->> 0 as signal, w ->> 1 as upstream, w ->> 2 as domain, w ->> 3 as action,
                w ->> 4 as claim, w -> 5 as detail, (w ->> 6)::float8 as bar,
                (w ->> 7)::integer as horizon_s, (w ->> 8)::float8 as probability,
                (w ->> 9)::boolean as is_muted
            from jsonb_array_elements(warnings) as w
        ), known as (
            update @prediction p set active_until = clock_timestamp() + lasts
            from said s
            where p.namespace = space and p.active_until > clock_timestamp()
                and (p.signal, p.upstream, p.domain, p.action)
                    = (s.signal, s.upstream, s.domain, s.action)
            returning p.signal, p.upstream, p.domain, p.action
        )
        insert into @prediction (namespace, active_until, signal, upstream, domain, action, claim,
            detail, bar, horizon_s, probability, is_muted, instance)
        select space, clock_timestamp() + lasts, signal, upstream, domain, action, claim, detail,
            bar, horizon_s, probability, is_muted, author
        from said
        where (signal, upstream, domain, action)
            not in (select signal, upstream, domain, action from known);
    end
    $body$
    $ddl$, '@', schema);

    insert into fusebox_migration (version, name, tool_version)
    values (11, '011_predictions.sql', 'psql');
end
$migration$;
