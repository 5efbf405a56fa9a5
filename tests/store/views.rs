//! What people ask with SQL, and who may.

use std::{sync::Arc, time::Duration};

use fusebox::{
    domain::{
        learn::rollup::deltas,
        outcome::{Outcome, Reason},
        task::CallRecord,
    },
    store::{Kind, Stores},
};

use crate::{
    fixture::{Store, call, failed_call, put, site},
    postgres::Server,
};

#[tokio::test]
async fn the_views_say_what_fails_what_is_slow_and_who_calls_whom() {
    let store = Store::new(Kind::Postgres).await;
    let stores = store.open("me");
    let slow = CallRecord {
        site: Arc::new(site("music", "beat")),
        duration_us: 2_000_000,
        weight: 1,
        ..call(5)
    };
    let refused = CallRecord {
        outcome: Outcome::Refused,
        reason: Some(Reason::BreakerOpen),
        duration_us: 1,
        weight: 7,
        ..call(4)
    };
    // Of two minutes, so that some are merged and some are not.
    write(&stores, &[call(600), call(600), failed_call(601), slow]).await;
    write(&stores, &[call(1), call(2), failed_call(3), refused]).await;
    for _ in 0..2 {
        let failing = "select upstream, outcome, failure_reason, calls, duration_ms from failing_calls limit 2";
        assert_eq!(
            store.psql(failing),
            "pay|failure|http_503|3|1.500\npay|refused|breaker_open|7|0.001"
        );
        let slowest =
            "select service, domain, action, calls, average_ms, p50_ms from slowest_operations";
        assert_eq!(
            store.psql(slowest),
            "orders|billing|beat|1|2000.000|1965.207\norders|billing|charge|10|1.500|1.480"
        );
        let map = "select service, upstream, calls, failed, refused, failed_share, average_ms,
            calls_per_second > 0 from service_map";
        assert_eq!(
            store.psql(map),
            "orders|pay|17|13|7|0.7647|1.500|t\norders|music|1|0|0|0.0000|2000.000|t"
        );
        stores.history.maintain(Duration::from_secs(14 * 86_400)).await.unwrap();
    }
    let described = "select bool_and(obj_description(oid) is not null) from pg_class
        where relkind = 'v' and relnamespace = 'public'::regnamespace";
    assert_eq!(store.psql(described), "t");
}

#[tokio::test]
async fn an_analyst_reads_everything_and_changes_nothing() {
    let store = Store::new(Kind::Postgres).await;
    let stores = store.open("me");
    write(&stores, &[failed_call(1)]).await;
    store.psql("create role analyst");
    let run = |args: &[&str]| {
        let url = store.database.url.as_ref().unwrap().expose();
        let name = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
        Server::shared().psql(&name, args)
    };
    let grants = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/grants.sql");
    run(&["-v", "analyst=analyst", "-f", grants]);
    for table in [
        "task_history",
        "task_rollup",
        "task_total",
        "failing_calls",
        "recent_totals",
        "slowest_operations",
        "service_map",
        "circuit_breaker_event",
    ] {
        let count = format!("set role analyst; select count(*) >= 0 from {table}");
        assert_eq!(store.psql(&count), "t", "{table}");
        let privileges = format!(
            "select bool_or(has_table_privilege('analyst', '{table}', privilege))
            from unnest(array['insert', 'update', 'delete', 'truncate']) as privilege"
        );
        assert_eq!(store.psql(&privileges), "f", "{table}");
    }
    let upkeep =
        "select has_function_privilege('analyst', 'fusebox_maintain(interval)', 'execute')";
    assert_eq!(store.psql(upkeep), "f");
}

#[tokio::test]
#[should_panic(expected = "add -v role=NAME for Fusebox, or -v analyst=NAME")]
async fn grants_to_nobody_are_refused_with_a_hint() {
    let store = Store::new(Kind::Postgres).await;
    let url = store.database.url.as_ref().unwrap().expose();
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    let grants = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/grants.sql");
    Server::shared().psql(name, &["-f", grants]);
}

async fn write(stores: &Stores, calls: &[CallRecord]) {
    put(&*stores.history, calls, &deltas("orders", calls, calls)).await.expect("it is written");
}
