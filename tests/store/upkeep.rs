//! Upkeep beside readers and writers, and the time limits of questions.

use std::time::Duration;

use fusebox::store::{Advance, Batch, Kind, RollupQuery, TaskQuery};

use crate::fixture::{Store, call, failed_call, identity, presence, put};

const DAYS: Duration = Duration::from_secs(14 * 86_400);

/// How long anything may be kept waiting here: a machine that is busy with other tests takes longer
/// than the fraction of a second that is promised, but an unbounded wait is found all the same.
const PATIENCE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_day_that_somebody_reads_is_dropped_later_and_nobody_waits_for_it() {
    let store = Store::new(Kind::Postgres).await;
    let stores = store.open("me");
    stores.history.maintain(DAYS * 2).await.unwrap();
    put(&*stores.history, &[call(0), call(20 * 86_400)], &[]).await.unwrap();
    let url = store.database.url.as_ref().unwrap().expose();
    let (analyst, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    analyst.batch_execute("begin; select from task_history limit 1").await.unwrap();

    let upkeep = store.open("upkeep").history;
    let upkeep = tokio::spawn(async move { upkeep.maintain(DAYS).await });
    let (question, mut rounds) = (TaskQuery { limit: 9, ..TaskQuery::default() }, 0);
    while !upkeep.is_finished() {
        let both = async {
            put(&*stores.history, &[call(0)], &[]).await.unwrap();
            stores.history.tasks(&question).await.unwrap();
        };
        tokio::time::timeout(PATIENCE, both).await.expect("nobody waits for the upkeep");
        rounds += 1;
    }
    upkeep.await.unwrap().unwrap();
    assert!(rounds > 0);
    let old = "select count(*) from task_history where started_at < now() - interval '15 days'";
    assert_eq!(store.psql(old), "1", "it stays while it is read");

    analyst.batch_execute("commit").await.unwrap();
    stores.history.maintain(DAYS).await.unwrap();
    assert_eq!(store.psql(old), "0");
}

#[tokio::test]
async fn several_days_past_retention_go_one_after_the_other() {
    let store = Store::new(Kind::Postgres).await;
    let history = store.open("me").history;
    history.maintain(DAYS).await.unwrap();
    let rows = [2, 3, 4, 5].map(|days| call(days * 86_400));
    put(&*history, &rows, &[]).await.unwrap();
    assert_eq!(
        store.psql("select fusebox_drop_days('1 day')"),
        "1",
        "each in a transaction of its own"
    );
    history.maintain(Duration::from_secs(86_400)).await.unwrap();
    assert_eq!(store.psql("select count(*) from task_history"), "0");
}

#[tokio::test]
async fn the_server_knows_how_long_a_question_may_take() {
    let store = Store::new(Kind::Postgres).await;
    let history = store.open("me").history;
    // In place of the rollups, one that tells the setting in force.
    store.psql(
        "alter table task_rollup rename to real_rollup;
        create view task_rollup as select now() as bucket, 'test'::text as namespace,
            's'::text as service, current_setting('statement_timeout') as upstream, 'd'::text as domain,
            'a'::text as action, 'success'::text as outcome, ''::text as failure_reason, 1::bigint as calls,
            1::bigint as stored, 1::bigint as attempts, 1::bigint as duration_us,
            1::bigint as request_bytes, 1::bigint as response_bytes, 0::bigint as scored,
            0::bigint as impact_micros, 0::bigint as priced, 0::bigint as cost_nanos, '{}'::smallint[] as bins,
            '{}'::bigint[] as bin_calls",
    );
    let rollups = history.rollups(&RollupQuery::default()).await.unwrap();
    assert_eq!(&*rollups[0].0.upstream, "5s");
    assert_eq!(store.psql("show statement_timeout"), "0", "no other session knows of it");
}

#[tokio::test]
async fn a_question_that_fails_leaves_its_connection_usable() {
    let store = Store::new(Kind::Postgres).await;
    let history = store.open("me").history;
    put(&*history, &[failed_call(0)], &[]).await.unwrap();
    let question = TaskQuery { limit: 9, ..TaskQuery::default() };
    for _ in 0..3 {
        store.psql("alter table task_history rename to elsewhere");
        history.tasks(&question).await.unwrap_err();
        store.psql("alter table elsewhere rename to task_history");
        assert_eq!(history.tasks(&question).await.unwrap().len(), 1);
    }
    let open = "select count(*) from pg_stat_activity
        where datname = current_database() and state like 'idle in transaction%'";
    assert_eq!(store.psql(open), "0");
}

#[tokio::test]
async fn cursors_of_old_go_and_those_of_a_journal_in_use_stay() {
    for store in Store::both().await {
        let stores = store.open("me");
        stores.state.heartbeat(&presence(DAYS)).await.unwrap();
        let origin = identity("test", "me").origin();
        let advances = [Advance { worker: 0, from: 0, to: 7 }];
        for journal_id in ["journal", "gone"] {
            let batch =
                Batch { journal_id, origin: &origin, advances: &advances, rows: &[], deltas: &[] };
            stores.history.write(&batch).await.unwrap();
        }
        match store.kind {
            Kind::Postgres => drop(
                store.psql("update journal_cursor set committed_at = now() - interval '91 days'"),
            ),
            Kind::Sqlite => {
                let file =
                    std::fs::read_dir(store.data_dir()).unwrap().map(|entry| entry.unwrap().path());
                let file =
                    file.into_iter().find(|path| path.extension().is_some_and(|e| e == "db"));
                let db = rusqlite::Connection::open(file.unwrap()).unwrap();
                assert_eq!(db.execute("update journal_cursor set committed_at = 1", ()), Ok(2));
            }
        }
        stores.history.maintain(DAYS).await.unwrap();
        let left = [stores.history.cursors("journal").await, stores.history.cursors("gone").await];
        assert_eq!(left.map(|cursors| cursors.unwrap().len()), [1, 0]);
    }
}
