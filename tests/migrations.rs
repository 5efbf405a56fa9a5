//! Migrations: by the program, by `psql`, by twenty processes at once, and onto tables that hold
//! rows.

#[path = "support/postgres.rs"]
#[expect(dead_code, reason = "these tests never stop the server")]
mod postgres;

use std::path::Path;

use fusebox::{
    config::{Database, Secret},
    store::{
        Error,
        migrate::{Applied, Progress, Status, sql, status, up, version_of},
    },
};

use postgres::Server;

#[tokio::test]
async fn up_applies_what_is_missing_once_and_says_what() {
    let database = Fresh::new();
    let pending = progress(&database.status().await);
    assert_eq!(pending, vec![Progress::Pending; sql().len()]);
    let names: Vec<String> = database.up().await.into_iter().map(|applied| applied.name).collect();
    let files: Vec<&str> = sql().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, files);
    assert_eq!(database.up().await, []);
    for status in database.status().await {
        assert!(
            matches!(status.progress, Progress::Applied { ref by, .. } if by.starts_with("fusebox "))
        );
    }
}

#[tokio::test]
async fn twenty_that_start_together_apply_each_migration_once() {
    let database = Fresh::new();
    let starts = (0..20).map(|_| database.up());
    let mut applied: Vec<i32> = futures_util::future::join_all(starts)
        .await
        .into_iter()
        .flatten()
        .map(|applied| applied.version)
        .collect();
    applied.sort_unstable();
    let versions = sql().iter().map(|(name, _)| version_of(name));
    assert_eq!(applied, versions.collect::<Vec<i32>>());
}

#[tokio::test]
async fn every_file_runs_by_psql_and_then_again() {
    let database = Fresh::new();
    for _ in 0..2 {
        for (name, _) in sql() {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(name);
            database.psql(&["-f", file.to_str().expect("a path in UTF-8")]);
        }
    }
    let unsigned = "select count(*) from fusebox_migration where sha256 is null";
    assert_eq!(database.psql(&["-c", unsigned]), sql().len().to_string());
    assert_eq!(database.up().await, [], "nothing is left to do but to sign");
    assert_eq!(database.psql(&["-c", unsigned]), "0");
    for status in database.status().await {
        assert!(matches!(status.progress, Progress::Applied { by, .. } if by == "psql"));
    }
}

/// What the tables of each file may hold when the next one comes. A new file adds a line.
const ROWS: [(&str, &str); 14] = [
    (
        "001_circuit_breakers.sql",
        "insert into circuit_breaker_state (namespace, key, upstream, epoch, state, cause, changed_by)
            values ('n', 'k', 'u', 7, 'open', 'failure_rate', 'i');
        insert into circuit_breaker_event
            (namespace, key, upstream, epoch, from_state, to_state, cause, instance)
            values ('n', 'k', 'u', 7, 'closed', 'open', 'failure_rate', 'i');
        insert into circuit_breaker_vote (namespace, key, epoch, instance, vote)
            values ('n', 'k', 7, 'i', 'bad');
        insert into sidecar_instance
            (namespace, instance, service, version, journal_id, display_name, alive_until)
            values ('n', 'i', 's', '1', 'j', 'h', now())",
    ),
    (
        "002_task_history.sql",
        "create table task_history_20200101 partition of task_history
            for values from ('2020-01-01 00:00Z') to ('2020-01-02 00:00Z');
        insert into task_history (started_at, id, correlation_id, trace_id, namespace, service,
            version, instance, listener, route, upstream, domain, action, method, path, outcome,
            attempts, breaker_state, duration_us, request_bytes, response_bytes)
            values ('2020-01-01 12:00Z', '01900000-0000-7000-8000-000000000000', 'c', 't', 'n', 's',
            '1', 'i', 'l', 'r', 'u', 'd', 'a', 'GET', '/', 'success', 1, 'closed', 5, 0, 0);
        insert into task_rollup (bucket, namespace, service, upstream, domain, action, outcome,
            failure_reason, calls, stored, attempts, duration_us, request_bytes, response_bytes,
            bins, bin_calls)
            values ('2020-01-01 12:00Z', 'n', 's', 'u', 'd', 'a', 'success', '', 1, 1, 1, 5, 0, 0,
            '{37}', '{1}');
        insert into journal_cursor (journal_id, worker, position) values ('j', 0, 1)",
    ),
    ("003_maintenance.sql", "select fusebox_merge_rollups('delta', 'day', now())"),
    ("004_history_at_scale.sql", "select fusebox_merge_rollups('delta', 'day', now())"),
    ("005_journal.sql", "select fusebox_move_cursors('j', '{0,1}', '{1,0}', '{7,9}', 3)"),
    ("006_fleet.sql", "update sidecar_instance set ballot = 7"),
    ("007_names.sql", "update sidecar_instance set breaker_rules = '{77ba481e}', zone = 'a'"),
    ("009_statistics.sql", "update task_rollup set scored = 1"),
    ("010_learning.sql", "insert into task_learning_day (namespace, day) values ('n', '2020-01-01')"),
    (
        "011_predictions.sql",
        "select fusebox_warn('n', 'i', '1 hour', '[[\"failures\", \"u\", \"d\", \"a\", \"c\", {}, 0.1,
            60, 0.5, false]]')",
    ),
    (
        "012_fleet_at_scale.sql",
        "select fusebox_beat('n', 'i', 's', '1', 'j', 'h', 1, '{k}', 7, 'a', 'h', '{77ba481e}', 3)",
    ),
    ("013_quantiles.sql", "select p50_ms, p95_ms, p99_ms from task_statistics_hourly"),
    (
        "014_evidence.sql",
        "select fusebox_learn('n', 'd', 'a', '2020-01-01', '[[\"s\", {}, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0,
            0, 0, 0]]')",
    ),
    (
        "015_identity.sql",
        "select fusebox_beat('n', 'i', 's', '1', 'j', 'h', 1, '{k}', 7, 'a', 'h', '{77ba481e}', 3,
            'c', 't', 'd:1')",
    ),
];

#[tokio::test]
async fn each_migration_keeps_the_rows_of_those_before() {
    let database = Fresh::new();
    for ((name, text), (of, rows)) in sql().iter().zip(ROWS) {
        assert_eq!(*name, of, "every file has its rows");
        database.psql(&["-c", text]);
        database.psql(&["-c", rows]);
    }
    assert_eq!(ROWS.len(), sql().len());
    assert_eq!(database.up().await, []);
    for (table, column, value) in [
        ("circuit_breaker_state", "epoch", "7"),
        ("circuit_breaker_event", "epoch", "7"),
        ("circuit_breaker_vote", "vote", "bad"),
        ("sidecar_instance", "instance", "i"),
        ("sidecar_identity", "cluster", "c"),
        ("task_history", "duration_us", "5"),
        ("task_rollup", "resolution", "day"),
        ("task_total", "calls", "1\n1"),
        ("journal_cursor", "position", "7\n9"),
    ] {
        assert_eq!(
            database.psql(&["-c", &format!("select {column} from {table}")]),
            value,
            "{table}"
        );
    }
}

#[tokio::test]
async fn a_file_that_was_changed_after_it_was_applied_is_refused() {
    let database = Fresh::new();
    database.up().await;
    database.psql(&["-c", "update fusebox_migration set sha256 = 'abc' where version = 2"]);
    let Err(Error::Refused(cause)) = up(&database.config, Path::new("unused")).await else {
        panic!("it is refused");
    };
    let message = cause.to_string();
    assert!(message.contains("002_task_history.sql was changed after it was applied"), "{message}");
    assert_eq!(progress(&database.status().await)[1], Progress::Changed);
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let database = Fresh::new();
    database.up().await;
    let newer = "insert into fusebox_migration (version, name, sha256, tool_version)
        values (99, '099_future.sql', 'x', 'fusebox 9')";
    database.psql(&["-c", newer]);
    assert_eq!(database.up().await, []);
    let last = database.status().await.pop().expect("one more than we know");
    assert_eq!((last.version, last.progress), (99, Progress::Newer));
}

#[tokio::test]
async fn the_tables_may_live_in_a_schema_of_their_own() {
    let mut database = Fresh::new();
    database.config.schema = "fuse".into();
    assert_eq!(database.up().await.len(), sql().len());
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(database.psql(&["-c", tables]), "0");
    database.psql(&["-c", "select fuse.fusebox_maintain('14 days')"]);
    let days =
        "select count(*) from pg_tables where schemaname = 'fuse' and tablename ~ '_\\d{8}$'";
    assert_eq!(database.psql(&["-c", days]), "8");
}

#[tokio::test]
async fn the_embedded_file_is_migrated_alike() {
    let directory = std::env::temp_dir().join(format!("fusebox-migrate-{}", std::process::id()));
    let embedded = Database {
        url: None,
        schema: "public".into(),
        migrate: true,
        aws: std::sync::Arc::default(),
    };
    let pending = progress(&status(&embedded, &directory).await.unwrap());
    assert!(pending.iter().all(|progress| *progress == Progress::Pending), "{pending:?}");
    assert_eq!(up(&embedded, &directory).await.unwrap().len(), pending.len());
    assert_eq!(up(&embedded, &directory).await.unwrap(), []);
    let after = progress(&status(&embedded, &directory).await.unwrap());
    assert!(after.iter().all(|progress| matches!(progress, Progress::Applied { .. })));
    std::fs::remove_dir_all(directory).unwrap();
}

/// Rows and rollups as schema 3 holds them: in a day, and in every resolution.
const THIRD: &str = "
    select fusebox_maintain('14 days');
    insert into task_history (started_at, id, correlation_id, trace_id, namespace, service, version,
        instance, listener, route, upstream, domain, action, method, path, outcome, attempts,
        breaker_state, duration_us, request_bytes, response_bytes)
    select now() - n * interval '1 microsecond', gen_random_uuid(), 'c' || n, 't', 'n', 's', '1', 'i',
        'l', 'r', 'u', 'd', 'a' || n % 10, 'GET', '/', 'success', 1, 'closed', 5, 0, 0
    from generate_series(1, 1000) n;
    insert into task_rollup (bucket, resolution, namespace, service, upstream, domain, action,
        outcome, failure_reason, calls, stored, attempts, duration_us, request_bytes,
        response_bytes, bins, bin_calls)
    select date_trunc(grain, now(), 'UTC') - age::interval, resolution, 'n', 's', 'u', 'd', 'a',
        'success', '', calls, calls - 1, calls, 5, 0, 0, '{37,38}', array[calls - 1, 1]
    from (values ('minute', '0', 'delta', 10), ('minute', '0', 'minute', 100),
        ('minute', '5 minutes', 'minute', 100), ('hour', '60 hours', 'hour', 1000),
        ('day', '100 days', 'day', 10000)) as old (grain, age, resolution, calls)";

#[tokio::test]
async fn from_schema_3_sums_are_made_and_days_get_their_indexes() {
    let database = Fresh::new();
    for (_, text) in &sql()[..3] {
        database.psql(&["-c", text]);
    }
    database.psql(&["-c", THIRD]);
    assert_eq!(database.up().await.first().map(|applied| applied.version), Some(4));
    let lacking = "select count(*) from pg_partition_tree('task_history') day
        join pg_index parent on parent.indrelid = 'task_history'::regclass
        where isleaf and level = 1 and not exists (select from pg_inherits
            join pg_index on indexrelid = inhrelid
            where inhparent = parent.indexrelid and indrelid = day.relid and indisvalid)";
    assert_eq!(database.psql(&["-c", lacking]), "24", "three of each day");
    // One was built by hand; a day that is made now has all of its own.
    let today = database.psql(&["-c", "select to_char(now() at time zone 'UTC', 'YYYYMMDD')"]);
    database.psql(&[
        "-c",
        &format!(
            "create index concurrently task_history_{today}_operation
        on task_history_{today} (domain, action, started_at)"
        ),
    ]);
    database.psql(&["-c", "select fusebox_add_day((now() - interval '3 days')::date, '14 days')"]);
    assert_eq!(database.psql(&["-c", lacking]), "24");
    while database.psql(&["-c", "select fusebox_maintain('14 days')"]) == "t" {}
    assert_eq!(database.psql(&["-c", lacking]), "0");
    let invalid = "select count(*) from pg_index where not indisvalid";
    assert_eq!(database.psql(&["-c", invalid]), "0");
    assert_eq!(database.psql(&["-c", "select count(*) from task_history"]), "1000");
    // Counted by the same upkeep: all but what is of this minute. Of what is a day, no hours are known.
    let calls = "select resolution, sum(calls), sum(stored), min(cardinality(bins))
        from task_total group by 1 union all
        select '-' || resolution, sum(calls), sum(stored), min(cardinality(bins))
        from task_rollup group by 1 order by 1";
    assert_eq!(
        database.psql(&["-c", calls]),
        "-day|10000|9999|2\n-delta|110|108|2\n-hour|1000|999|2\n-minute|100|99|2\nday|11100|11097|2\nhour|1100|1098|2"
    );
}

#[tokio::test]
async fn a_role_that_could_say_that_it_lives_can_after_identities_are_kept() {
    let database = Fresh::new();
    for (_, text) in sql().iter().filter(|(name, _)| version_of(name) < 15) {
        database.psql(&["-c", text]);
    }
    database.psql(&[
        "-c",
        "create role lives; grant usage on schema public to lives;
        grant select, insert, update on sidecar_instance, sidecar_roll to lives;
        create role looks; grant select on sidecar_instance to looks",
    ]);
    // As the version before says it, while the tables are brought up to date.
    let beat = "set role lives; select live, is_uniform
        from fusebox_beat('n', 'i', 's', '1', 'j', 'h', 60000000, '{k}', 7, 'a', 'h', '{77ba481e}', 3)";
    assert_eq!(database.psql(&["-c", beat]), "1|t");
    database.up().await;
    assert_eq!(database.psql(&["-c", beat]), "1|t");
    let known =
        "set role looks; select instance, display_name, zone, cluster from sidecar_identity";
    assert_eq!(database.psql(&["-c", known]), "i|h|a|");
}

#[tokio::test]
async fn the_previous_release_works_on_these_tables() {
    let database = Fresh::new();
    database.up().await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/previous_release.sql");
    let answers = database.psql(&["-f", file]);
    let lines: Vec<&str> = answers.lines().collect();
    let [upkeep, cursor, days, task, rollup] = &lines[..] else { panic!("five: {answers}") };
    assert_eq!((*upkeep, *cursor, *days), ("f", "t", "t"));
    assert!(task.contains("|req-old|") && task.contains("|http_503|"), "{task}");
    assert!(
        rollup.ends_with("|orders|pay|billing|charge|failure|http_503|3|1|3|15000|30|60|{196}|{3}")
    );
    // Its rollups are merged and counted like ours.
    database.psql(&["-c", "update task_rollup set bucket = bucket - interval '1 hour'"]);
    database.psql(&["-c", "select fusebox_maintain('14 days')"]);
    let totals = "select resolution, calls, stored from task_total order by 1";
    assert_eq!(database.psql(&["-c", totals]), "day|3|1\nhour|3|1");
}

/// An empty database.
struct Fresh {
    name: String,
    config: Database,
}

impl Fresh {
    fn new() -> Self {
        let url = Server::shared().database();
        let name = url.rsplit('/').next().and_then(|name| name.split('?').next());
        let name = name.expect("the URL names it").to_owned();
        let config = Database {
            url: Some(Secret::new(url)),
            schema: "public".into(),
            migrate: true,
            aws: std::sync::Arc::default(),
        };
        Self { name, config }
    }

    async fn up(&self) -> Vec<Applied> {
        up(&self.config, Path::new("unused")).await.expect("it is brought up to date")
    }

    async fn status(&self) -> Vec<Status> {
        status(&self.config, Path::new("unused")).await.expect("it answers")
    }

    fn psql(&self, args: &[&str]) -> String {
        Server::shared().psql(&self.name, args)
    }
}

fn progress(statuses: &[Status]) -> Vec<Progress> {
    statuses.iter().map(|status| status.progress.clone()).collect()
}
