//! Rows of calls.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fusebox::{
    clock,
    domain::{
        correlation::CorrelationId,
        learn::rollup::deltas,
        outcome::{Outcome, Reason},
        task::{CallRecord, CallSite, TaskId},
    },
    store::{Advance, Batch, Error, HistoryStore, Kind, RollupQuery, StoredTask, TaskQuery},
};
use serde_json::{Map, Value, json};

use crate::fixture::{Store, call, failed_call, first_step, identity, put, put_at, site};

const DAYS: Duration = Duration::from_secs(14 * 86_400);

#[tokio::test]
async fn a_row_is_read_as_it_was_written_with_every_column() {
    for store in Store::both().await {
        let history = store.open("me").history;
        let (plain, failed) = (call(2), failed_call(1));
        put(&*history, &[plain.clone(), failed.clone()], &[]).await.unwrap();
        let rows = history.tasks(&all()).await.unwrap();
        let [newest, oldest] = &rows[..] else { panic!("two rows: {rows:?}") };
        assert_eq!((newest.id, newest.started_at_us), (failed.id, failed.started_at_us));

        let mut expected = expected_row(&plain);
        assert_eq!(as_object(oldest), expected);

        expected.extend(expected_row(&failed));
        let entry = |endpoint: &str, reason: &str| {
            json!({"upstream": "pay", "endpoint": endpoint, "verdict": "failure",
                "reason": reason, "durationUs": 900})
        };
        for (column, value) in [
            ("parent_id", json!(TaskId::from_u128(0x77).to_string())),
            ("status", json!(503)),
            ("grpc_status", json!(14)),
            ("outcome", json!("failure")),
            ("failure_reason", json!("http_503")),
            ("attempts", json!(2)),
            (
                "attempt_log",
                json!([entry("pay-1:80", "connect_refused"), entry("pay-2:80", "http_503")]),
            ),
            ("breaker_state", json!("ramping")),
            ("weight", json!(3)),
        ] {
            expected.insert(column.into(), value);
        }
        assert_eq!(as_object(newest), expected);
    }
}

fn expected_row(call: &CallRecord) -> Map<String, Value> {
    let row = json!({
        "started_at": call.started_at_us, "id": call.id.to_string(), "correlation_id": "req-1",
        "trace_id": "00000000000000000000000000000abc", "parent_id": null, "namespace": "test",
        "service": "orders", "version": "1.2.3", "instance": "me", "listener": "egress",
        "route": "r1", "upstream": "pay", "endpoint": "pay-1:80", "domain": "billing",
        "action": "charge", "method": "GET", "path": "/charge", "status": 200,
        "grpc_status": null, "outcome": "success", "failure_reason": null, "attempts": 1,
        "attempt_log": null, "breaker_state": "closed", "duration_us": 1_500,
        "upstream_us": 1_200, "first_byte_us": 1_000, "deadline_ms": 60_000,
        "request_bytes": 10, "response_bytes": 2_000, "impact_score": null, "cost": null,
        "params": null, "weight": 1, "impact_source": null, "sidecar": null,
    });
    row.as_object().cloned().unwrap_or_default()
}

fn as_object(row: &StoredTask) -> Map<String, Value> {
    row.columns.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

#[tokio::test]
async fn rows_are_found_by_what_is_asked() {
    for store in Store::both().await {
        let history = store.open("me").history;
        let other = CallRecord {
            correlation_id: CorrelationId::keep(b"other").unwrap(),
            site: Arc::new(CallSite { domain: "music".into(), ..site("music", "beat") }),
            ..call(10)
        };
        let rows = [call(1), failed_call(2), other];
        put(&*history, &rows, &[]).await.unwrap();
        let text = |text: &str| Some(text.to_owned());
        let ten_ago = rows[2].started_at_us;
        for (query, expected) in [
            (all(), vec![0, 1, 2]),
            (TaskQuery { limit: 2, ..all() }, vec![0, 1]),
            (TaskQuery { id: Some(rows[1].id), ..all() }, vec![1]),
            (TaskQuery { id: Some(TaskId::from_u128(7)), ..all() }, vec![]),
            (TaskQuery { correlation_id: text("other"), ..all() }, vec![2]),
            (TaskQuery { service: text("orders"), ..all() }, vec![0, 1, 2]),
            (TaskQuery { service: text("stocks"), ..all() }, vec![]),
            (TaskQuery { upstream: text("pay"), ..all() }, vec![0, 1]),
            (TaskQuery { domain: text("music"), ..all() }, vec![2]),
            (
                TaskQuery { action: text("charge"), outcome: Some(Outcome::Failure), ..all() },
                vec![1],
            ),
            (TaskQuery { outcome: Some(Outcome::Timeout), ..all() }, vec![]),
            (TaskQuery { reason: Some(Reason::Http503), ..all() }, vec![1]),
            (TaskQuery { reason: Some(Reason::Http500), ..all() }, vec![]),
            (TaskQuery { status: Some((200, 299)), ..all() }, vec![0, 2]),
            (TaskQuery { status: Some((503, 503)), ..all() }, vec![1]),
            (TaskQuery { grpc_status: Some(14), ..all() }, vec![1]),
            (TaskQuery { grpc_status: Some(0), ..all() }, vec![]),
            (TaskQuery { from_us: ten_ago + 1, ..all() }, vec![0, 1]),
            (TaskQuery { to_us: ten_ago + 1, ..all() }, vec![2]),
            (TaskQuery { from_us: ten_ago, to_us: ten_ago, ..all() }, vec![]),
        ] {
            let found = ids(&*history, &query).await;
            let expected: Vec<TaskId> = expected.into_iter().map(|at: usize| rows[at].id).collect();
            assert_eq!(found, expected, "{:?}: {query:?}", store.kind);
        }
        let elsewhere = store.open_in("elsewhere", "me").history;
        assert_eq!(ids(&*elsewhere, &all()).await, []);
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    for store in Store::both().await {
        let history = store.open("me").history;
        let at = clock::wall_us();
        // Several rows of one microsecond, so that the id decides.
        let rows: Vec<CallRecord> = (0..25_i64)
            .map(|n| CallRecord { started_at_us: at - n / 4, ..call(0) })
            .map(|row| CallRecord {
                id: TaskId::mint(row.started_at_us, fastrand::u128(..)),
                ..row
            })
            .collect();
        put(&*history, &rows, &[]).await.unwrap();
        let mut expected: Vec<_> = rows.iter().map(|row| (row.started_at_us, row.id)).collect();
        expected.sort_by_key(|row| std::cmp::Reverse(*row));
        let mut seen = Vec::new();
        loop {
            let query = TaskQuery { limit: 7, after: seen.last().copied(), ..all() };
            let page = history.tasks(&query).await.unwrap();
            if page.is_empty() {
                break;
            }
            seen.extend(page.iter().map(|row| (row.started_at_us, row.id)));
        }
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn upkeep_may_run_again_and_again_and_drops_what_is_past_retention() {
    for store in Store::both().await {
        let history = store.open("me").history;
        history.maintain(DAYS * 2).await.unwrap();
        let rows = [call(1), call(3 * 86_400), call(20 * 86_400)];
        put(&*history, &rows, &[]).await.unwrap();
        assert_eq!(ids(&*history, &all()).await.len(), 3);
        history.maintain(DAYS).await.unwrap();
        history.maintain(DAYS).await.unwrap();
        assert_eq!(ids(&*history, &all()).await, [rows[0].id, rows[1].id]);
        history.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_missing_day_is_made_when_a_row_needs_it() {
    let store = Store::new(Kind::Postgres).await;
    let history = store.open("me").history;
    let rows = [call(0), call(13 * 86_400)];
    put(&*history, &rows, &[]).await.unwrap();
    assert_eq!(ids(&*history, &all()).await.len(), 2);
    assert_eq!(
        store.psql("select count(*) from pg_inherits where inhparent = 'task_history'::regclass"),
        "2"
    );
}

#[tokio::test]
async fn a_row_that_no_day_can_take_is_bad_data_and_nothing_of_its_batch_is_written() {
    let store = Store::new(Kind::Postgres).await;
    let history = store.open("me").history;
    history.maintain(DAYS).await.unwrap();
    let broken = |path: &str| CallRecord {
        site: Arc::new(CallSite { path: path.into(), ..site("pay", "charge") }),
        ..call(0)
    };
    for bad in [call(16 * 86_400), call(-20 * 86_400), broken("a\0b")] {
        let result = put(&*history, &[call(0), bad], &[]).await;
        assert!(matches!(result, Err(Error::BadData(_))), "{result:?}");
        assert_eq!(ids(&*history, &all()).await, []);
    }
    put(&*history, &[call(0)], &[]).await.unwrap();
    assert_eq!(ids(&*history, &all()).await.len(), 1, "the connection goes on");
}

#[tokio::test]
async fn a_batch_that_comes_again_has_no_effect_and_says_so() {
    for store in Store::both().await {
        let history = store.open("me").history;
        let rows = [call(0), call(1)];
        let first = first_step();
        let second = Advance { from: 1, to: 2, ..first };
        let first_rows = &rows[..1];
        let sums = deltas("orders", first_rows, first_rows);
        put_at(&*history, first, first_rows, &sums).await.unwrap();
        for _ in 0..3 {
            let again = put_at(&*history, first, first_rows, &sums).await;
            assert!(matches!(again, Err(Error::CursorMoved)), "{again:?}");
        }
        let at_once = || put_at(&*history, second, &rows[1..], &[]);
        let results = futures_util::future::join_all([at_once(), at_once(), at_once()]).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert_eq!(ids(&*history, &all()).await, [rows[0].id, rows[1].id]);
        let rollups = history.rollups(&RollupQuery::default()).await.unwrap();
        assert_eq!(rollups.iter().map(|(_, rollup)| rollup.count).sum::<u64>(), 1);
        let cursors = history.cursors("the o'journal").await.unwrap();
        assert_eq!(cursors.get(&first.worker), Some(&2));
        assert_eq!(history.cursors("another").await.unwrap(), BTreeMap::new());
    }
}

#[tokio::test]
async fn the_cursors_of_a_batch_move_together_or_not_at_all() {
    for store in Store::both().await {
        let history = store.open("me").history;
        let [one, other] = [first_step(), first_step()];
        put_at(&*history, other, &[], &[]).await.unwrap();
        let origin = identity("test", "me").origin();
        let rows = [call(0)];
        let write = async |advances: [Advance; 2]| {
            let journal_id = "the o'journal";
            let batch = Batch {
                journal_id,
                origin: &origin,
                advances: &advances,
                rows: &rows,
                deltas: &[],
            };
            history.write(&batch).await
        };
        let stale = write([one, other]).await;
        assert!(matches!(stale, Err(Error::CursorMoved)), "{stale:?}");
        assert_eq!(ids(&*history, &all()).await, []);
        write([one, Advance { from: 1, to: 7, ..other }]).await.unwrap();
        let cursors = history.cursors("the o'journal").await.unwrap();
        assert_eq!((cursors[&one.worker], cursors[&other.worker]), (1, 7));
        assert_eq!(ids(&*history, &all()).await.len(), 1);
    }
}

fn all() -> TaskQuery {
    TaskQuery { limit: 100, ..TaskQuery::default() }
}

async fn ids(history: &dyn HistoryStore, query: &TaskQuery) -> Vec<TaskId> {
    history.tasks(query).await.expect("rows").iter().map(|row| row.id).collect()
}
