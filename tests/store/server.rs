//! Servers that are away, refuse, are slow, or must prove who they are; and the embedded file.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use fusebox::{
    domain::learn::rollup::deltas,
    store::{Error, Kind, Stores, TaskQuery, examine, migrate, open},
};

use crate::{
    fixture::{Directory, OPENING, Store, call, close, database, identity, presence, put, trip},
    postgres::{PASSWORD, Server},
};

const NOW: Duration = Duration::ZERO;

fn connect(url: String) -> Result<Stores, Error> {
    open(&database(Some(url)), &Directory::new().0, identity("test", "me"))
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_a_closed_port_unavailable() {
    let server = Server::shared();
    let url = server.database();
    let wrong = connect(url.replace(PASSWORD, "wrong")).unwrap();
    assert!(matches!(wrong.state.breakers(NOW).await, Err(Error::Refused(_))));
    assert!(matches!(wrong.history.ping().await, Err(Error::Refused(_))));
    let missing = connect(server.url("no_such_database")).unwrap();
    assert!(matches!(missing.history.ping().await, Err(Error::Refused(_))));
    let untouched = connect(url.clone()).unwrap();
    assert!(matches!(untouched.state.breakers(NOW).await, Err(Error::Refused(_))), "no tables");
    let closed = connect(url.replace(&server.port().to_string(), "1")).unwrap();
    for result in [
        closed.history.ping().await,
        put(&*closed.history, &[call(0)], &[]).await,
        closed.state.breakers(NOW).await.map(drop),
        closed.state.subscribe().await.map(drop),
    ] {
        assert!(matches!(result, Err(Error::Unavailable(_))), "{result:?}");
    }
}

#[test]
fn a_url_that_cannot_be_used_is_refused_before_anything_is_tried() {
    for url in
        ["mysql://db/x", "postgres://db/x?sslmode=prefer", "postgres://db/x?sslrootcert=/no/file"]
    {
        assert!(matches!(connect(url.into()), Err(Error::Refused(_))), "{url}");
    }
    let mut bad_schema = database(Some("postgres://localhost/x".into()));
    bad_schema.schema = "a; drop table x".into();
    let result = open(&bad_schema, &Directory::new().0, identity("test", "me"));
    assert!(matches!(result, Err(Error::Refused(_))));
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again_without_more_ado() {
    let server = Server::start();
    let url = server.database();
    migrate::up(&database(Some(url.clone())), &Directory::new().0).await.unwrap();
    let stores = connect(url).unwrap();
    trip(&*stores.state, 0, OPENING).await;
    put(&*stores.history, &[call(0)], &[]).await.unwrap();
    let mut hints = stores.state.subscribe().await.unwrap().expect("nothing is in between");

    server.stop();
    let end = tokio::time::timeout(Duration::from_secs(5), hints.recv()).await;
    assert_eq!(end.expect("the loss is noticed"), None);
    assert!(matches!(stores.state.breakers(NOW).await, Err(Error::Unavailable(_))));
    assert!(matches!(put(&*stores.history, &[call(0)], &[]).await, Err(Error::Unavailable(_))));
    assert!(matches!(stores.history.ping().await, Err(Error::Unavailable(_))));

    server.resume();
    assert_eq!(stores.state.breakers(NOW).await.unwrap()[0].row.epoch, 1);
    put(&*stores.history, &[call(0)], &[]).await.unwrap();
    stores.history.ping().await.unwrap();
    assert!(stores.state.subscribe().await.unwrap().is_some());
}

#[tokio::test]
async fn a_statement_that_hangs_is_given_up_here_and_on_the_server() {
    let store = Store::new(Kind::Postgres).await;
    let stores = store.open("me");
    stores.state.breakers(NOW).await.unwrap();
    let url = store.database.url.as_ref().unwrap().expose();
    let (blocker, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    blocker.batch_execute("begin; lock table circuit_breaker_state").await.unwrap();
    assert!(matches!(stores.state.breakers(NOW).await, Err(Error::Unavailable(_))));
    let waiting = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    wait_until(async || store.psql(waiting) == "0").await;
    blocker.batch_execute("rollback").await.unwrap();
    assert_eq!(stores.state.breakers(NOW).await.unwrap(), []);
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_no_statement_behind() {
    let store = Store::new(Kind::Postgres).await;
    let stores = store.open("me");
    let url = store.database.url.as_ref().unwrap().expose();
    let (blocker, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    blocker.batch_execute("begin; lock task_history, circuit_breaker_state").await.unwrap();
    let (row, patience) = (call(0), Duration::from_millis(200));
    let (query, rows) =
        (TaskQuery { limit: 1, ..TaskQuery::default() }, std::slice::from_ref(&row));
    for _ in 0..5 {
        tokio::time::timeout(patience, stores.history.tasks(&query)).await.unwrap_err();
    }
    tokio::time::timeout(patience, stores.state.breakers(NOW)).await.unwrap_err();
    tokio::time::timeout(patience, put(&*stores.history, rows, &[])).await.unwrap_err();
    tokio::time::timeout(patience * 5, stores.history.ping())
        .await
        .expect("readers are free")
        .unwrap();
    let waiting = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    wait_until(async || store.psql(waiting) == "0").await;
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_no_half_done_transaction_behind() {
    let store = Store::new(Kind::Postgres).await;
    let history = store.open("me").history;
    history.maintain(Duration::from_secs(14 * 86_400)).await.unwrap();
    let (row, other) = (call(0), call(0));
    // Polled a few times and dropped, at every depth that it can be dropped at.
    for depth in 1..40_u64 {
        let write = put(&*history, std::slice::from_ref(&row), &[]);
        tokio::time::timeout(Duration::from_micros(depth * 100), write).await.ok();
    }
    put(&*history, std::slice::from_ref(&other), &[]).await.unwrap();
    let count = store.psql(&format!("select count(*) from task_history where id = '{}'", other.id));
    assert_eq!(count, "1");
    wait_until(async || {
        store.psql(
            "select count(*) from pg_stat_activity
            where datname = current_database() and state like 'idle in transaction%'",
        ) == "0"
    })
    .await;
}

#[tokio::test]
async fn tls_checks_the_authority_and_the_name() {
    let server = Server::shared();
    let plain = server.database();
    let authority = server.authority();
    let secure = |host: &str, query: &str| {
        plain.replace("127.0.0.1", host).replace("sslmode=disable", query)
    };
    let rooted = |mode: &str| format!("sslmode={mode}&sslrootcert={}", authority.display());
    for mode in ["require", "verify-full"] {
        let stores = connect(secure("localhost", &rooted(mode))).unwrap();
        stores.history.ping().await.unwrap();
        let name = plain.rsplit('/').next().unwrap().split('?').next().unwrap();
        let encrypted = "select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid)
            where datname = current_database() and usename = 'postgres' and client_port > 0";
        assert_eq!(server.psql(name, &["-c", encrypted]), "t");
        for distrusted in
            [secure("127.0.0.1", &rooted(mode)), secure("localhost", &format!("sslmode={mode}"))]
        {
            let stores = connect(distrusted).unwrap();
            let result = stores.history.ping().await;
            assert!(matches!(result, Err(Error::Refused(_))), "{result:?}");
        }
    }
}

#[tokio::test]
async fn a_role_with_the_granted_rights_alone_can_do_everything() {
    let store = Store::new(Kind::Postgres).await;
    store.psql("create role runtime login password 'runtime'");
    let url = store.database.url.as_ref().unwrap().expose().to_owned();
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    for _ in 0..2 {
        migrate::grant(&store.database, "runtime").await.unwrap();
    }
    for odd in ["nobody", "public", "", &"x".repeat(64)] {
        let granted = migrate::grant(&store.database, odd).await;
        assert!(matches!(granted, Err(Error::Refused(_))), "{odd}: {granted:?}");
    }
    // The same as by hand.
    let by_hand = format!("by_hand_{name}");
    store.psql(&format!("create role \"{by_hand}\""));
    let grants = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/grants.sql");
    Server::shared().psql(&name, &["-v", &format!("role={by_hand}"), "-f", grants]);
    let rights = |role: &str| {
        store.psql(&format!(
            "select string_agg(it, ' ' order by it) from (
                select 'table ' || table_name || ' ' || privilege_type
                    from information_schema.role_table_grants where grantee = '{role}'
                union all select 'column ' || table_name || column_name || ' ' || privilege_type
                    from information_schema.role_column_grants where grantee = '{role}'
                union all select 'routine ' || routine_name || ' ' || privilege_type
                    from information_schema.role_routine_grants where grantee = '{role}') as t (it)"
        ))
    };
    assert!(rights("runtime").contains("task_history INSERT"));
    assert_eq!(rights("runtime"), rights(&by_hand));
    store.psql(&format!("drop owned by \"{by_hand}\"; drop role \"{by_hand}\""));
    let as_runtime = url.replace(&format!("postgres:{PASSWORD}@"), "runtime:runtime@");
    let lacks = async || {
        let mut database = store.database.clone();
        database.url = Some(fusebox::config::Secret::new(as_runtime.clone()));
        examine(&database).await.unwrap().unwrap().forbidden
    };
    assert!(lacks().await.is_empty());
    store.psql(
        "revoke delete on prediction from runtime; revoke insert on task_history from runtime;
        revoke execute on function fusebox_maintain from runtime",
    );
    assert_eq!(lacks().await, ["fusebox_maintain", "prediction", "task_history"]);
    migrate::grant(&store.database, "runtime").await.unwrap();
    let runtime = connect(as_runtime.clone()).unwrap();
    runtime.history.maintain(Duration::from_secs(14 * 86_400)).await.unwrap();
    put(&*runtime.history, &[call(0), call(3 * 86_400)], &[]).await.unwrap();
    runtime.state.heartbeat(&presence(NOW)).await.unwrap();
    assert!(trip(&*runtime.state, 0, OPENING).await.is_done);
    assert!(close(&*runtime.state, 1).await.is_done);
    assert_eq!(runtime.state.events("payments", 5).await.unwrap().len(), 3);
    assert!(runtime.state.subscribe().await.unwrap().is_some());
    let mut as_runtime = store.database.clone();
    as_runtime.url = Some(fusebox::config::Secret::new(url));
    assert_eq!(migrate::up(&as_runtime, store.data_dir()).await.unwrap(), []);
}

#[tokio::test]
async fn upkeep_as_the_owner_runs_no_function_of_a_stranger() {
    let store = Store::new(Kind::Postgres).await;
    // Whoever may create in the schema, as anyone may in `public` before Postgres 15, can offer
    // functions that fit better than the catalogue's.
    store.psql(
        "create function to_char(date, text) returns text language plpgsql
            as $$ begin raise exception 'to_char runs as %', current_user; end $$;
        create function format(text, text, timestamptz, timestamptz) returns text language plpgsql
            as $$ begin raise exception 'format runs as %', current_user; end $$;
        create function pg_partition_tree(text) returns table (relid regclass) language plpgsql
            as $$ begin raise exception 'a tree runs as %', current_user; end $$",
    );
    let history = store.open("me").history;
    put(&*history, &[call(600)], &deltas("orders", &[call(600)], &[call(600)])).await.unwrap();
    history.maintain(Duration::from_secs(14 * 86_400)).await.unwrap();
}

#[tokio::test]
async fn the_embedded_file_is_its_owners_alone() {
    let store = Store::new(Kind::Sqlite).await;
    let _stores = store.open("me");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.data_dir()), 0o700);
    assert_eq!(mode(&store.data_dir().join("fusebox.db")), 0o600);
}

#[tokio::test]
async fn a_long_question_to_the_embedded_history_does_not_hold_breakers_up() {
    let store = Store::new(Kind::Sqlite).await;
    let stores = store.open("me");
    put(&*stores.history, &[call(1)], &[]).await.unwrap();
    let file = rusqlite::Connection::open(store.data_dir().join("fusebox.db")).unwrap();
    // The row, and as many more as keep a search busy.
    let doubled = "insert into task_history select * from task_history";
    for _ in 0..17 {
        file.execute(doubled, []).unwrap();
    }
    let nothing = TaskQuery { domain: Some("none".into()), limit: 1, ..TaskQuery::default() };
    let search = tokio::spawn(async move { stores.history.tasks(&nothing).await.unwrap() });
    let has_begun = Duration::from_millis(10);
    tokio::time::timeout(has_begun, std::future::pending::<()>()).await.unwrap_err();
    stores.state.breakers(NOW).await.unwrap();
    // Were its answer there, it would be noticed now.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!search.is_finished(), "it was not waited for");
    assert_eq!(search.await.unwrap(), []);
}

/// Waits until something holds, and fails when it does not soon.
async fn wait_until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it holds soon");
}
