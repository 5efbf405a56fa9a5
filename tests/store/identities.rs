//! Who an instance was, for as long as there are rows of it, and who may look for it.

use std::{sync::Arc, time::Duration};

use fusebox::store::{Identity, Kind, Place, Stores, TaskQuery, open};
use serde_json::{Value, json};

use crate::fixture::{Store, call, identity, presence, put};

const DAY: Duration = Duration::from_secs(86_400);
const SOON: Duration = Duration::from_secs(30);

/// The instance `me`, as a task of ECS in this zone.
fn open_task(store: &Store, task: &str, zone: &str) -> Stores {
    let identity = Identity { display_name: "ip-10-0-0-7".into(), ..identity("test", "me") };
    let place = Place {
        cluster: "production".into(),
        task: task.into(),
        definition: "orders:3".into(),
        name: Some(task.into()),
        zone: Some(zone.into()),
    };
    identity.found.set(place).expect("nobody has told");
    open(&store.database, store.data_dir(), identity).expect("it opens")
}

/// The statement of docs/history.md that begins with this comment.
fn documented(comment: &str) -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/history.md");
    let text = std::fs::read_to_string(file).expect("it can be read");
    let from = text.find(comment).expect("the document has it");
    text[from..].split_once(';').expect("it ends").0.to_owned()
}

const CALLS_BY_PLACE: &str = "-- Calls and failures by cluster, zone and task";

#[tokio::test]
async fn calls_of_tasks_that_are_gone_are_told_apart_as_long_as_their_rows_are_kept() {
    let store = Store::new(Kind::Postgres).await;
    let stores = open_task(&store, "e9028f", "eu-1b");
    stores.state.heartbeat(&presence(SOON)).await.unwrap();
    stores.history.maintain(14 * DAY).await.unwrap();
    put(&*stores.history, &[call(90_000), call(90_001)], &[]).await.unwrap();
    let by_place = documented(CALLS_BY_PLACE);
    let expected = "production|eu-1b|e9028f|2|0";
    assert_eq!(store.psql(&by_place), expected);

    // It ended two hours ago; whoever lives has no rows in the way.
    store.psql(
        "update sidecar_instance set seen_at = now() - interval '2 hours',
            alive_until = now() - interval '2 hours'",
    );
    let ended = "select count(*), count(ended_at) from sidecar_identity";
    assert_eq!(store.psql(ended), "1|0");
    stores.history.maintain(14 * DAY).await.unwrap();
    assert_eq!(store.psql(ended), "1|1");
    assert_eq!(store.psql("select count(*) from sidecar_instance"), "0");
    assert_eq!(store.psql(&by_place), expected);

    let ago = |days: u32| {
        store.psql(&format!(
            "update sidecar_identity set ended_at = now() - interval '{days} days'"
        ));
    };
    ago(13);
    stores.history.maintain(14 * DAY).await.unwrap();
    assert_eq!(store.psql(ended), "1|1", "a row of it may come late");
    ago(16);
    store.psql("select fusebox_add_day((now() - interval '17 days')::date, '30 days')");
    store.psql("select fusebox_forget_instances('14 days')");
    assert_eq!(store.psql(ended), "1|1", "a day of then is still there");
    stores.history.maintain(14 * DAY).await.unwrap();
    assert_eq!(store.psql(ended), "0|0");
}

#[tokio::test]
async fn one_that_was_silent_for_long_is_known_again_when_it_speaks() {
    let store = Store::new(Kind::Postgres).await;
    let stores = open_task(&store, "e9028f", "eu-1b");
    stores.state.heartbeat(&presence(SOON)).await.unwrap();
    let started = store.psql("select started_at from sidecar_identity");
    store.psql("update sidecar_instance set alive_until = now() - interval '2 hours'");
    stores.history.maintain(DAY).await.unwrap();
    stores.state.heartbeat(&presence(SOON)).await.unwrap();
    let known = "select started_at, ended_at is null from sidecar_identity";
    assert_eq!(store.psql(known), format!("{started}|t"));
    assert_eq!(store.psql("select cluster, task from sidecar_instance"), "production|e9028f");
}

#[tokio::test]
async fn what_the_platform_tells_later_is_known_from_the_next_heartbeat_on() {
    let store = Store::new(Kind::Postgres).await;
    let identity = identity("test", "me");
    let found = Arc::clone(&identity.found);
    let stores = open(&store.database, store.data_dir(), identity).expect("it opens");
    stores.state.heartbeat(&presence(SOON)).await.unwrap();
    let known = "select display_name, cluster, definition from sidecar_identity";
    assert_eq!(store.psql(known), "host||");
    // Name and zone stay, as where people have set them.
    let (cluster, definition) = ("production".to_owned(), "orders:3".to_owned());
    let place = Place { cluster, task: "e9028f".into(), definition, name: None, zone: None };
    found.set(place).expect("nobody has told");
    stores.state.heartbeat(&presence(SOON)).await.unwrap();
    assert_eq!(store.psql(known), "host|production|orders:3");
}

#[tokio::test]
async fn rows_tell_who_carried_them() {
    for store in Store::both().await {
        let stores = open_task(&store, "e9028f", "eu-1b");
        stores.state.heartbeat(&presence(SOON)).await.unwrap();
        stores.history.maintain(DAY).await.unwrap();
        put(&*stores.history, &[call(1)], &[]).await.unwrap();
        let question = TaskQuery { limit: 9, ..TaskQuery::default() };
        let rows = stores.history.tasks(&question).await.unwrap();
        let told = rows[0].columns.iter().find(|(name, _)| *name == "sidecar");
        let expected = json!({
            "name": "e9028f", "host": "host", "zone": "eu-1b", "cluster": "production",
            "task": "e9028f", "definition": "orders:3",
        });
        assert_eq!(told.map(|(_, value)| value), Some(&expected));

        // Nobody ever heard from this one: its row is there all the same.
        let unheard = store.open_in("elsewhere", "me");
        let origin = identity("elsewhere", "me").origin();
        let advances = [crate::fixture::first_step()];
        let rows = [call(1)];
        let batch = fusebox::store::Batch {
            journal_id: "j",
            origin: &origin,
            advances: &advances,
            rows: &rows,
            deltas: &[],
        };
        unheard.history.write(&batch).await.unwrap();
        let rows = unheard.history.tasks(&question).await.unwrap();
        assert_eq!(rows[0].columns.last(), Some(&("sidecar", Value::Null)));
    }
}

#[tokio::test]
async fn those_who_are_gone_are_in_nobodys_way() {
    let store = Store::new(Kind::Postgres).await;
    let stores = open_task(&store, "e9028f", "eu-1b");
    stores.state.heartbeat(&presence(SOON)).await.unwrap();
    store.psql(
        "insert into sidecar_identity (namespace, instance, service, version, journal_id,
            display_name, started_at, ended_at)
        select 'test', 'gone-' || n, 's', '1', 'j', 'h', now(), now()
        from generate_series(1, 10000) n; analyze sidecar_identity",
    );
    // A heartbeat, the count of the living and the poll, and what they read, in one transaction.
    let read = "select sum(seq_tup_read + idx_tup_fetch) from pg_stat_xact_user_tables
        where relname = 'sidecar_identity'";
    let beat = "select live from fusebox_beat('test', 'me', 's', '1', 'j', 'e9028f', 30000000,
        '{payments}', 7, 'eu-1b', 'host', '{77ba481e}', (select rules_digest from sidecar_instance),
        'production', 'e9028f', 'orders:3')";
    let count = "select fusebox_count('test', 'me', null)";
    let poll = "select count(*) from fusebox_breakers('test', 1000000, null)";
    let last = |statements: &str| {
        let answers = store.psql(statements);
        answers.lines().last().unwrap_or_default().to_owned()
    };
    assert_eq!(last(&format!("begin; {beat}; {count}; {poll}; {read}")), "0");
    let all = "select count(*) from sidecar_identity";
    assert_eq!(last(&format!("begin; {all}; {read}")), "10001", "it would be told");
    // The upkeep finds those whose time is over by an index.
    let plan = store.psql(
        "set enable_seqscan = off; explain delete from sidecar_identity
        where ended_at < now() - interval '14 days'",
    );
    assert!(plan.contains("sidecar_identity_ended"), "{plan}");
}
