//! Statistics: both stores tell the same of the same calls, and a late score changes row and sums
//! together.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, time::Duration};

use fusebox::{
    domain::{
        capture::Captured,
        learn::rollup::{Rollup, RollupKey, deltas, impact_micros},
        outcome::{Outcome, Reason},
        report::{LateScore, Scored},
        task::{CallRecord, TaskId},
    },
    store::{HistoryStore, Kind, RollupQuery, RowKey, RowSumsQuery, Stores, TaskQuery},
};

use crate::fixture::{Store, call, put, site};

const DAYS: Duration = Duration::from_secs(14 * 86_400);

/// A call of any kind: how it ended, how old it is, what it was worth.
fn any_call(rng: &mut fastrand::Rng) -> CallRecord {
    let reason = [None, None, Some(Reason::Http503), Some(Reason::TimeoutTotal)][rng.usize(..4)];
    let upstream = ["pay", "music"][rng.usize(..2)];
    let action = ["charge", "refund", "beat"][rng.usize(..3)];
    // A quarter is a single precision number's own, so that nothing is rounded on the way.
    let score = rng.bool().then(|| f32::from(rng.u16(..=400)) / 4.0);
    let cost = rng.bool().then(|| rng.u64(..5_000_000_000));
    CallRecord {
        site: Arc::new(site(upstream, action)),
        outcome: reason.map_or(Outcome::Success, Reason::outcome),
        reason,
        duration_us: rng.u64(1..10_000_000),
        weight: if rng.u8(..) < 32 { rng.u32(2..9) } else { 1 },
        captured: Some(Box::new(Captured {
            params: Vec::new(),
            impact_score: score,
            cost_nano_usd: cost,
        })),
        ..call(rng.i64(0..5 * 86_400))
    }
}

/// What a store tells of all its calls, in every way that there is.
#[derive(Debug, PartialEq)]
struct Told {
    totals: HashMap<RollupKey, Rollup>,
    series: Vec<HashMap<RollupKey, Rollup>>,
    rows: HashMap<RowKey, Rollup>,
}

impl Told {
    async fn by(history: &dyn HistoryStore, widths: &[u32]) -> Self {
        let query = RollupQuery::default();
        let mut series = Vec::new();
        for width in widths {
            let width = NonZeroU32::new(*width).expect("a width");
            let found = history.series(&query, width).await.expect("a series");
            let count = found.len();
            let found: HashMap<_, _> = found.into_iter().collect();
            assert_eq!(found.len(), count, "one per key and stretch");
            series.push(found);
        }
        let rows = RowSumsQuery { of: query.clone(), limit: 1_000 };
        Self {
            totals: history.totals(&query).await.expect("totals").into_iter().collect(),
            series,
            rows: history.sum_rows(&rows).await.expect("rows").sums,
        }
    }
}

/// Sums over time, so that what was told by the minute can be held against what was told by the day.
fn over_time(sums: &HashMap<RollupKey, Rollup>) -> HashMap<RollupKey, Rollup> {
    let mut all: HashMap<RollupKey, Rollup> = HashMap::new();
    for (key, sum) in sums {
        all.entry(RollupKey { minute: 0, ..key.clone() }).or_default().merge(sum);
    }
    all
}

#[tokio::test]
async fn both_stores_tell_the_same_of_the_same_calls() {
    for seed in 0..6 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let calls: Vec<CallRecord> = (0..80).map(|_| any_call(&mut rng)).collect();
        let late: Vec<LateScore> = (0..10)
            .map(|_| LateScore {
                id: calls[rng.usize(..calls.len())].id,
                score: f32::from(rng.u8(..=100)),
                source: "people".to_owned(),
            })
            .collect();
        let stores = Store::both().await;
        let mut told = Vec::new();
        for store in &stores {
            let opened = store.open("me");
            write(&opened, &calls).await;
            for late in &late {
                assert_ne!(opened.history.score(late).await.unwrap(), Scored::Unknown);
            }
            let fresh = Told::by(&*opened.history, &[1, 5, 60, 360, 1_440]).await;
            for _ in 0..3 {
                opened.history.maintain(DAYS).await.unwrap();
            }
            // What is older than two days is told by the hour by now.
            let merged = Told::by(&*opened.history, &[60, 360, 1_440]).await;
            assert_eq!(merged.series[..], fresh.series[2..], "{:?}: merging", store.kind);
            assert_eq!((&merged.totals, &merged.rows), (&fresh.totals, &fresh.rows));
            for series in &fresh.series {
                assert_eq!(over_time(series), over_time(&fresh.totals), "{:?}", store.kind);
            }
            told.push(fresh);
        }
        assert_eq!(told[0], told[1], "seed {seed}");
        let scored: u64 = told[0].totals.values().map(|sum| sum.scored).sum();
        assert!(scored > 0, "there is something to compare");
    }
}

#[tokio::test]
async fn rows_are_added_up_by_version_and_instance_as_far_as_asked() {
    for store in Store::both().await {
        let stores = store.open("me");
        let calls: Vec<CallRecord> = (0..10).map(call).collect();
        write(&stores, &calls).await;
        for (limit, rows, cut) in [(10, 10, None), (4, 4, Some(calls[3].started_at_us))] {
            let query = RowSumsQuery { of: RollupQuery::default(), limit };
            let found = stores.history.sum_rows(&query).await.unwrap();
            assert_eq!((found.rows, found.cut_at_us), (rows, cut), "{:?}", store.kind);
            assert!(found.is_one_to_one);
            assert!(
                found.sums.keys().all(|key| (&*key.version, &*key.instance) == ("1.2.3", "me"))
            );
            assert_eq!(found.sums.values().map(|sum| sum.count).sum::<u64>(), rows);
        }
        let heavy = CallRecord { weight: 7, ..call(1) };
        write(&stores, &[heavy]).await;
        let query = RowSumsQuery { of: RollupQuery::default(), limit: 100 };
        let found = stores.history.sum_rows(&query).await.unwrap();
        assert!(!found.is_one_to_one);
        assert_eq!(
            found.sums.values().map(|sum| (sum.count, sum.stored)).fold((0, 0), add),
            (17, 11)
        );
    }
}

fn add(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    (a.0 + b.0, a.1 + b.1)
}

#[tokio::test]
async fn a_late_score_changes_its_row_and_the_sums_once() {
    for store in Store::both().await {
        let stores = store.open("me");
        let history = &*stores.history;
        let task = CallRecord { captured: None, ..call(400) };
        write(&stores, std::slice::from_ref(&task)).await;
        let late =
            |score: f32, source: &str| LateScore { id: task.id, score, source: source.into() };
        let (first, other) = (late(40.5, "people"), late(75.0, "people"));
        for (late, expected, sum) in [
            (&first, Scored::Changed, 40.5),
            (&first, Scored::Same, 40.5),
            (&other, Scored::Changed, 75.0),
            (&late(75.0, "a model"), Scored::Changed, 75.0),
            (&other, Scored::Changed, 75.0),
            (&late(0.0, "people"), Scored::Changed, 0.0),
            (&late(0.0, "people"), Scored::Same, 0.0),
        ] {
            assert_eq!(history.score(late).await.unwrap(), expected, "{:?}: {late:?}", store.kind);
            let [(_, total)] = &history.totals(&RollupQuery::default()).await.unwrap()[..] else {
                panic!("one operation");
            };
            assert_eq!((total.count, total.scored), (1, 1));
            assert_eq!(total.impact_micros, impact_micros(sum), "{late:?}");
            // Whatever is merged in between, a correction finds its place.
            history.maintain(DAYS).await.unwrap();
        }
        let query = TaskQuery { limit: 1, ..TaskQuery::default() };
        let row = &history.tasks(&query).await.unwrap()[0];
        let column = |name: &str| row.columns.iter().find(|(known, _)| *known == name).unwrap();
        assert_eq!(column("impact_source").1, "people");
        assert_eq!(column("impact_score").1, 0.0);
        let unknown = LateScore { id: TaskId::mint(task.started_at_us, 1), ..first };
        assert_eq!(history.score(&unknown).await.unwrap(), Scored::Unknown);
        let made_up = LateScore { id: TaskId::from_u128(u128::MAX), ..unknown };
        assert_eq!(history.score(&made_up).await.unwrap(), Scored::Unknown);
        let elsewhere = store.open_in("elsewhere", "me").history;
        assert_eq!(elsewhere.score(&other).await.unwrap(), Scored::Unknown);
    }
}

#[tokio::test]
async fn a_score_that_is_sent_many_times_at_once_counts_once() {
    for store in Store::both().await {
        let stores = store.open("me");
        let task = CallRecord { captured: None, ..call(1) };
        write(&stores, std::slice::from_ref(&task)).await;
        let late = LateScore { id: task.id, score: 80.0, source: "people".into() };
        let again = (0..8).map(|_| stores.history.score(&late));
        let results = futures_util::future::join_all(again).await;
        let changed = results.iter().filter(|result| matches!(result, Ok(Scored::Changed))).count();
        assert_eq!(changed, 1, "{:?}: {results:?}", store.kind);
        let [(_, total)] = &stores.history.totals(&RollupQuery::default()).await.unwrap()[..]
        else {
            panic!("one operation");
        };
        assert_eq!((total.scored, total.impact_micros), (1, 80_000_000));
    }
}

#[tokio::test]
async fn rows_that_are_there_are_known() {
    for store in Store::both().await {
        let stores = store.open("me");
        let [there, other] = [call(1), call(2)];
        write(&stores, std::slice::from_ref(&there)).await;
        let asked = [&there, &other].map(|row| (row.started_at_us, row.id));
        let known = stores.history.known(&asked).await.unwrap();
        assert_eq!(known.into_iter().collect::<Vec<_>>(), [there.id], "{:?}", store.kind);
        let elsewhere = store.open_in("elsewhere", "me").history;
        assert!(elsewhere.known(&asked).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn views_tell_hours_reasons_and_days_as_the_api_does() {
    let store = Store::new(Kind::Postgres).await;
    let stores = store.open("me");
    let worth = |call: CallRecord, score, cost| CallRecord {
        captured: Some(Box::new(Captured {
            params: Vec::new(),
            impact_score: score,
            cost_nano_usd: Some(cost),
        })),
        ..call
    };
    let timeout = CallRecord {
        outcome: Outcome::Timeout,
        reason: Some(Reason::TimeoutTotal),
        duration_us: 5_000_000,
        ..call(0)
    };
    let refused = CallRecord {
        outcome: Outcome::Refused,
        reason: Some(Reason::BreakerOpen),
        duration_us: 1,
        captured: None,
        ..call(0)
    };
    let good = || worth(CallRecord { duration_us: 900_000, ..call(0) }, Some(75.0), 10_000_000);
    let calls: Vec<CallRecord> =
        (0..8).map(|_| good()).chain([worth(timeout, None, 20_000_000), refused]).collect();
    write(&stores, &calls).await;
    for _ in 0..2 {
        assert_eq!(
            store.psql(
                "select service, domain, action, calls, succeeded, timeouts, refused, success_rate,
                    average_ms, p50_ms, p95_ms, scored, average_impact, cost, cost_per_success,
                    wasted_cost, completeness
                from task_statistics_hourly where hour > now() - interval '2 hours'"
            ),
            "orders|billing|charge|10|8|1|1|0.8000|1355.556|901.051|5097.117|8|75.000|0.100000000|0.012500000|0.020000000|1.0000"
        );
        assert_eq!(
            store.psql(
                "select outcome, failure_reason, calls, share_of_calls, share_of_failures, wasted_cost
                from task_failures order by 2 desc"
            ),
            "timeout|timeout_total|1|0.1000|0.5000|0.020000000\nrefused|breaker_open|1|0.1000|0.5000|"
        );
        let costs = "select service, calls, succeeded, cost, cost_per_success, wasted_cost
            from task_costs_daily";
        assert_eq!(store.psql(costs), "orders|10|8|0.100000000|0.012500000|0.020000000");
        // Merged, they say the same.
        store.psql("update task_rollup set bucket = bucket where resolution = 'delta'");
        store.psql("select fusebox_merge_rollups('delta', 'minute', now() + interval '1 hour')");
    }
}

async fn write(stores: &Stores, calls: &[CallRecord]) {
    let sums = deltas("orders", calls, calls);
    put(&*stores.history, calls, &sums).await.expect("it is written");
}
