//! Sums over long times: what the whole days and hours hold, and that it is what the rollups hold.

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
const HOUR_S: i64 = 3_600;

#[tokio::test]
async fn totals_are_the_rollups_added_up_whatever_the_window() {
    for store in Store::both().await {
        let stores = store.open("a");
        let hours = [1, 5, 30, 47, 80, 400, 2_400].map(|hours| hours * HOUR_S);
        let ages = [0, 50, 400].into_iter().chain(hours);
        let calls: Vec<CallRecord> =
            ages.flat_map(|ago| [call(ago), failed_call(ago), elsewhere(call(ago + 1))]).collect();
        write_rollups(&stores, &calls).await;
        for merged in 0..3 {
            let now = clock::wall_us() / 60_000_000;
            for window in windows(now) {
                check(&*stores.history, &window, merged).await;
            }
            let whole = totals(&*stores.history, &RollupQuery::default()).await;
            assert_eq!(whole.values().map(|sum| sum.count).sum::<u64>(), 5 * 10, "{merged}");
            assert_eq!(whole.values().map(|sum| sum.stored).sum::<u64>(), 3 * 10, "{merged}");
            stores.history.maintain(DAYS).await.unwrap();
        }
    }
}

/// Windows that begin and end anywhere, at whole hours and days and beside them.
fn windows(now: i64) -> Vec<RollupQuery> {
    let (hour, day) = (now - now % 60, now - now % 1_440);
    let begins =
        [0, day - 20 * 1_440, day - 4 * 1_440 + 61, day - 1_440, day, hour - 120, hour, now];
    let ends = [0, now + 1, hour, hour - 7, day, day - 1_440 + 3, day - 3 * 1_440];
    let of =
        |(from_minute, to_minute)| RollupQuery { from_minute, to_minute, ..Default::default() };
    let pairs = begins.iter().flat_map(|&begin| ends.iter().map(move |&end| (begin, end)));
    let mut windows: Vec<RollupQuery> = pairs.map(of).collect();
    let text = |text: &str| Some(text.to_owned());
    windows.extend([
        RollupQuery { upstream: text("music"), ..Default::default() },
        RollupQuery { domain: text("billing"), action: text("charge"), ..Default::default() },
        RollupQuery { service: text("nobody"), ..Default::default() },
    ]);
    windows
}

async fn check(history: &dyn HistoryStore, query: &RollupQuery, merged: usize) {
    let mut expected: HashMap<RollupKey, Rollup> = HashMap::new();
    for (key, rollup) in history.rollups(query).await.expect("rollups") {
        let key = RollupKey { minute: query.from_minute, ..key };
        expected.entry(key).or_default().merge(&rollup);
    }
    assert_eq!(totals(history, query).await, expected, "{query:?}, merged {merged} times");
}

#[tokio::test]
async fn what_comes_late_is_counted_in_its_hour_and_its_day() {
    let store = Store::new(Kind::Postgres).await;
    let stores = store.open("a");
    let day_ago = 30 * HOUR_S;
    for round in 1..4_u64 {
        write_rollups(&stores, &[call(day_ago), failed_call(day_ago)]).await;
        stores.history.maintain(DAYS).await.unwrap();
        let sums = "select resolution, sum(calls), sum(stored),
                (select sum(n) from task_total t, unnest(bin_calls) n where t.resolution = o.resolution)
            from task_total o group by 1 order by 1";
        let [calls, stored] = [4 * round, 2 * round];
        assert_eq!(
            store.psql(sums),
            format!("day|{calls}|{stored}|{calls}\nhour|{calls}|{stored}|{calls}")
        );
        // One row for each outcome, however often something is added.
        let rows = store.psql("select count(*) from task_total where resolution = 'day'");
        assert_eq!(rows, "2");
    }
}

/// Writes rollups without rows, which may be older than any day of rows.
async fn write_rollups(stores: &Stores, calls: &[CallRecord]) {
    for one in calls {
        let one = std::slice::from_ref(one);
        put(&*stores.history, &[], &deltas("orders", one, one)).await.expect("written");
    }
}

fn elsewhere(call: CallRecord) -> CallRecord {
    CallRecord { site: Arc::new(site("music", "beat")), ..call }
}

/// One per key, each at the beginning of the window.
async fn totals(history: &dyn HistoryStore, query: &RollupQuery) -> HashMap<RollupKey, Rollup> {
    let totals = history.totals(query).await.expect("totals");
    let count = totals.len();
    let by_key: HashMap<_, _> = totals.into_iter().collect();
    assert_eq!(by_key.len(), count, "one per key");
    assert!(by_key.keys().all(|key| key.minute == query.from_minute));
    assert!(by_key.keys().all(|key| key.outcome != Outcome::Success || key.reason.is_none()));
    by_key
}
