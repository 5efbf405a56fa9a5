//! What is left of calls when they are added up.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fusebox::{
    clock,
    domain::{
        learn::rollup::{Rollup, RollupKey, deltas},
        outcome::Outcome,
        task::CallRecord,
    },
    store::{HistoryStore, Kind, RollupQuery, Stores},
};

use crate::fixture::{Store, call, failed_call, put, site};

const DAYS: Duration = Duration::from_secs(14 * 86_400);

#[tokio::test]
async fn deltas_add_up_over_batches_and_instances() {
    for store in Store::both().await {
        let [a, b] = ["a", "b"].map(|instance| store.open(instance));
        let calls = [call(0), failed_call(0), call(0)];
        write(&a, &calls[..2]).await;
        write(&b, &calls[2..]).await;
        assert_eq!(read(&*a.history, &RollupQuery::default()).await, sums(&calls));
    }
}

#[tokio::test]
async fn rollups_are_found_by_what_is_asked() {
    for store in Store::both().await {
        let stores = store.open("a");
        let calls = [
            call(0),
            CallRecord { site: Arc::new(site("pay", "refund")), ..call(0) },
            CallRecord { site: Arc::new(site("music", "charge")), ..call(3_600) },
        ];
        write(&stores, &calls).await;
        let text = |text: &str| Some(text.to_owned());
        let an_hour_ago = calls[2].started_at_us.div_euclid(60_000_000);
        let any = RollupQuery::default;
        for (query, expected) in [
            (any(), vec![0, 1, 2]),
            (RollupQuery { upstream: text("pay"), ..any() }, vec![0, 1]),
            (RollupQuery { action: text("charge"), ..any() }, vec![0, 2]),
            (RollupQuery { domain: text("billing"), action: text("refund"), ..any() }, vec![1]),
            (RollupQuery { domain: text("music"), ..any() }, vec![]),
            (RollupQuery { service: text("orders"), ..any() }, vec![0, 1, 2]),
            (RollupQuery { service: text("stocks"), ..any() }, vec![]),
            (RollupQuery { from_minute: an_hour_ago + 1, ..any() }, vec![0, 1]),
            (RollupQuery { to_minute: an_hour_ago + 1, ..any() }, vec![2]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|at: usize| calls[at].clone()).collect();
            assert_eq!(read(&*stores.history, &query).await, sums(&expected), "{query:?}");
        }
        let elsewhere = store.open_in("elsewhere", "a").history;
        assert_eq!(read(&*elsewhere, &any()).await, HashMap::new());
    }
}

#[tokio::test]
async fn merging_changes_how_many_rows_there_are_and_no_number() {
    for store in Store::both().await {
        let stores = store.open("a");
        // Two of a minute that is over, one that is not, and two in an hour of the past.
        let this_hour = clock::wall_us().rem_euclid(3_600_000_000) / 1_000_000;
        let past = this_hour + 72 * 3_600 + 1_800;
        let calls = [call(600), failed_call(600), call(600), call(0), call(past), call(past + 600)];
        for one in &calls {
            write(&stores, std::slice::from_ref(one)).await;
        }
        let query = RollupQuery {
            from_minute: calls[3].started_at_us / 60_000_000 - 60,
            ..RollupQuery::default()
        };
        let before = read(&*stores.history, &query).await;
        for _ in 0..3 {
            stores.history.maintain(DAYS).await.unwrap();
        }
        assert_eq!(read(&*stores.history, &query).await, before);
        assert_eq!(before, sums(&calls[..4]));

        let old = RollupQuery { to_minute: query.from_minute, ..RollupQuery::default() };
        let old = read(&*stores.history, &old).await;
        let [(key, rollup)] = &old.iter().collect::<Vec<_>>()[..] else {
            panic!("both are in one hour: {old:?}");
        };
        assert_eq!((key.minute % 60, rollup.count, rollup.durations.count()), (0, 2, 2));
        if store.kind == Kind::Postgres {
            let rows =
                store.psql("select resolution, count(*) from task_rollup group by 1 order by 1");
            assert_eq!(rows, "delta|1\nhour|1\nminute|2");
        }
    }
}

#[tokio::test]
async fn two_instances_that_merge_at_once_count_nothing_twice() {
    let store = Store::new(Kind::Postgres).await;
    let instances: Vec<Stores> = (0..4).map(|n| store.open(&n.to_string())).collect();
    let calls: Vec<CallRecord> = (0..40).map(|_| call(600)).collect();
    for one in &calls {
        write(&instances[0], std::slice::from_ref(one)).await;
    }
    let upkeep = instances.iter().map(|stores| stores.history.maintain(DAYS));
    for result in futures_util::future::join_all(upkeep).await {
        result.unwrap();
    }
    assert_eq!(read(&*instances[0].history, &RollupQuery::default()).await, sums(&calls));
}

#[tokio::test]
async fn a_mountain_of_deltas_is_merged_in_slices() {
    let store = Store::new(Kind::Postgres).await;
    store.psql(
        "insert into task_rollup (bucket, namespace, service, upstream, domain, action, outcome,
            failure_reason, calls, stored, attempts, duration_us, request_bytes, response_bytes,
            bins, bin_calls)
        select date_trunc('minute', now()) - interval '1 minute' * (10 + n % 50), 'test', 's', 'u',
            'd', 'a', 'success', '', 2, 1, 2, 20, 0, 0, '{7}', '{2}'
        from generate_series(1, 250000) n",
    );
    let left = "select count(*) filter (where resolution = 'delta'), sum(calls) from task_rollup";
    assert_eq!(store.psql("select fusebox_maintain('14 days')"), "t", "there is more to do");
    assert_eq!(store.psql(left), "195000|500000", "fifty thousand, and the rest of a minute");
    store.open("a").history.maintain(DAYS).await.unwrap();
    assert_eq!(store.psql(left), "0|500000");
    assert_eq!(store.psql("select count(*) from task_rollup"), "50");
}

async fn write(stores: &Stores, calls: &[CallRecord]) {
    put(&*stores.history, calls, &deltas("orders", calls, calls)).await.expect("it is written");
}

async fn read(history: &dyn HistoryStore, query: &RollupQuery) -> HashMap<RollupKey, Rollup> {
    let rollups = history.rollups(query).await.expect("rollups");
    let count = rollups.len();
    let by_key: HashMap<_, _> = rollups.into_iter().collect();
    assert_eq!(by_key.len(), count, "one per key");
    assert!(by_key.keys().all(|key| key.outcome != Outcome::Success || key.reason.is_none()));
    by_key
}

/// The same sums, without a store.
fn sums(calls: &[CallRecord]) -> HashMap<RollupKey, Rollup> {
    deltas("orders", calls, calls).into_iter().collect()
}
