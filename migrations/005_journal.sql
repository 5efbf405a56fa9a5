-- How the cursors of a journal move.
--
-- Run by `fusebox migrate up`, or by hand after 004; see 001.

do $migration$
declare
    schema text := quote_ident(current_schema()) || '.';  -- in place of each @ below
begin
    perform pg_advisory_xact_lock(7310868735926133857);
    if exists (select from fusebox_migration where version = 5) then
        return;
    end if;

    -- Moves the cursor of each worker from where the writer believes it to be. One that is elsewhere
    -- fails the transaction, and the rows in it are not applied a second time. Of a worker that has
    -- none yet it begins at zero.
    execute replace($ddl$
    create function @fusebox_move_cursors(
        journal text, workers integer[], sources bigint[], targets bigint[], stored bigint)
    returns void language plpgsql as $body$
    declare
        moved integer;
    begin
        insert into @journal_cursor (journal_id, worker, position)
            select journal, worker, 0 from unnest(workers, sources) as w (worker, source)
            where source = 0
            on conflict do nothing;
        update @journal_cursor c
            set position = target, committed_at = clock_timestamp(),
                rows_total = rows_total + case when w.worker = workers[1] then stored else 0 end
            from unnest(workers, sources, targets) as w (worker, source, target)
            where c.journal_id = journal and c.worker = w.worker and c.position = source;
        get diagnostics moved = row_count;
        if moved <> cardinality(workers) then
            raise exception 'a cursor of journal % is elsewhere', journal using errcode = 'FBX01';
        end if;
    end
    $body$
    $ddl$, '@', schema);

    insert into fusebox_migration (version, name, tool_version)
    values (5, '005_journal.sql', 'psql');
end
$migration$;
