//! What is kept of a day for learning.

use std::{sync::Arc, time::Duration};

use fusebox::{
    clock,
    domain::{
        breaker::State,
        capture::{Captured, Value},
        learn::{
            cell::{Cell, Observation},
            evidence::Day,
            setting::{Bin, Setting},
            warn::Signal,
        },
        outcome::{Outcome, Reason},
        task::CallRecord,
    },
    store::{DayCell, LearningStore, LessonQuery, Notice, OperationName, Subject, WhyQuery},
};
use serde_json::json;

use crate::fixture::{Store, call, failed_call, put, site};

const DAY: Day = 20_000;

fn beat() -> OperationName {
    OperationName { domain: "music".into(), action: "generate-beat".into() }
}

fn open(store: &Store, namespace: &str) -> Arc<dyn LearningStore> {
    store.open_in(namespace, "me").learning
}

/// Some tasks at this tempo, as they stand on a day.
fn cell(day: Day, bpm: i64, tasks: u64) -> DayCell {
    let mut cell = Cell::default();
    for at in 0..tasks {
        let task = Observation {
            succeeded: at % 3 > 0,
            duration: Duration::from_millis(10 + at),
            impact: (at % 2 > 0).then_some(75.1),
            cost: Some(1e-6 * (at + 1) as f64),
        };
        cell.record_weighed(&task, if at == 1 { 2 } else { 1 });
    }
    let setting = Setting::new([
        ("bpm", Bin::integer(bpm)),
        ("genre", Bin::text("drum 'n' \"bass\"")),
        ("key", Bin::Absent),
    ]);
    DayCell { day, stratum: "orders 06-12".into(), setting, is_part: false, cell }
}

#[tokio::test]
async fn what_a_day_came_to_is_read_as_it_was_kept_to_the_last_bit() {
    for store in Store::both().await {
        let notes = open(&store, "test");
        let cells = [cell(DAY, 120, 100), cell(DAY, 90, 7)];
        notes.learn(&beat(), DAY, &cells).await.expect("the store answers");
        notes.learn(&beat(), DAY + 1, &[cell(DAY + 1, 120, 3)]).await.expect("the store answers");
        let mut read = notes.cells(&beat(), DAY).await.expect("the store answers");
        read.sort_by_key(|cell| (cell.day, cell.cell.tasks));
        let [few, many] = [&cells[1], &cells[0]];
        assert_eq!(read, [few.clone(), many.clone(), cell(DAY + 1, 120, 3)], "{:?}", store.kind);
        assert_eq!(notes.cells(&beat(), DAY + 1).await.expect("the store answers").len(), 1);
        assert_eq!(
            notes.operations(DAY).await.expect("the store answers"),
            [(beat(), 113)],
            "{:?}",
            store.kind
        );
        let stranger = open(&store, "elsewhere");
        assert_eq!(stranger.cells(&beat(), DAY).await.expect("the store answers"), []);
    }
}

#[tokio::test]
async fn tasks_that_are_counted_for_each_parameter_are_as_many_as_they_are() {
    for store in Store::both().await {
        let notes = open(&store, "test");
        let part = |setting| DayCell { setting, is_part: true, ..cell(DAY, 120, 40) };
        let cells = [
            cell(DAY, 120, 10),
            part(Setting::default()),
            part(Setting::new([("bpm", Bin::integer(90))])),
            part(Setting::new([("genre", Bin::Other)])),
        ];
        notes.learn(&beat(), DAY, &cells).await.expect("the store answers");
        let mut read = notes.cells(&beat(), DAY).await.expect("the store answers");
        read.sort_by_key(|cell| (cell.is_part, cell.setting.clone()));
        assert_eq!(read.len(), 4, "{:?}", store.kind);
        assert!(cells.iter().all(|cell| read.contains(cell)), "{:?}", store.kind);
        let operations = notes.operations(DAY).await.expect("the store answers");
        assert_eq!(operations, [(beat(), 52)], "{:?}", store.kind);
    }
}

#[tokio::test]
async fn a_day_that_is_added_up_again_is_replaced() {
    for store in Store::both().await {
        let notes = open(&store, "test");
        for tasks in [5, 8] {
            notes.learn(&beat(), DAY, &[cell(DAY, 120, tasks)]).await.expect("the store answers");
        }
        let read = notes.cells(&beat(), DAY).await.expect("the store answers");
        assert_eq!(read, [cell(DAY, 120, 8)], "{:?}", store.kind);
        notes.forget_days(DAY + 1).await.expect("the store answers");
        assert_eq!(notes.cells(&beat(), 0).await.expect("the store answers"), []);
    }
}

#[tokio::test]
async fn several_that_add_up_a_day_at_once_leave_it_once() {
    for store in Store::both().await {
        let (one, other) = (open(&store, "test"), open(&store, "test"));
        let cells = [cell(DAY, 120, 5)];
        for _ in 0..10 {
            let beat = beat();
            let (a, b) =
                tokio::join!(one.learn(&beat, DAY, &cells), other.learn(&beat, DAY, &cells));
            a.and(b).expect("the store answers");
            assert_eq!(one.cells(&beat, DAY).await.expect("the store answers"), cells);
        }
    }
}

#[tokio::test]
async fn a_day_is_added_up_by_one_instance() {
    for store in Store::both().await {
        let (one, other) = (open(&store, "test"), open(&store, "test"));
        assert!(one.claim_day(DAY).await.expect("the store answers"));
        assert!(!other.claim_day(DAY).await.expect("the store answers"), "one is at it");
        assert!(other.claim_day(DAY + 1).await.expect("the store answers"));
        assert_eq!(one.learned_at().await.expect("the store answers"), 0);
        one.day_is_learned(DAY, 5).await.expect("the store answers");
        let first = other.learned_at().await.expect("the store answers");
        assert!(clock::wall_us().abs_diff(first) < 600_000_000, "{first}");
        assert_eq!(open(&store, "elsewhere").learned_at().await.expect("the store answers"), 0);
        one.day_is_learned(DAY + 1, 5).await.expect("the store answers");
        assert!(other.learned_at().await.expect("the store answers") >= first);
        assert!(!other.claim_day(DAY).await.expect("the store answers"), "it is done");
    }
}

#[tokio::test]
async fn failures_are_counted_by_what_the_calls_had() {
    for store in Store::both().await {
        let stores = store.open("me");
        let mut rows: Vec<_> = (0..30).map(|at| call(100 + at)).collect();
        rows.extend((0..10).map(|at| failed_call(200 + at)));
        let first = rows[0].site.clone();
        stores.history.maintain(Duration::from_secs(14 * 86_400)).await.expect("it answers");
        put(&*stores.history, &rows, &[]).await.expect("the store answers");
        let query = WhyQuery {
            domain: first.domain.to_string(),
            action: first.action.to_string(),
            service: None,
            upstream: None,
            from_us: 0,
            to_us: clock::wall_us(),
        };
        let counted = stores.learning.why(&query).await.expect("the store answers");
        let failed: u64 = rows[30..].iter().map(|row| u64::from(row.weight)).sum();
        assert_eq!((counted.total.hits, counted.total.trials), (failed, 30 + failed));
        assert!(!counted.is_cut);
        let explained = counted.failures.explain();
        let attempts = explained.iter().find(|of| &*of.name == "attempts").expect("it tells");
        assert_eq!((&*attempts.values[0].value, attempts.values[0].failures.hits), ("2", failed));
        let nobody = WhyQuery { service: Some("nobody".into()), ..query };
        let counted = stores.learning.why(&nobody).await.expect("the store answers");
        assert_eq!(counted.total.trials, 0, "{:?}", store.kind);
    }
}

/// A call with a tempo, by which it is told apart, that ended so.
fn beat_at(bpm: i64, reason: Option<Reason>) -> CallRecord {
    CallRecord {
        site: Arc::new(site("music", "generate-beat")),
        outcome: reason.map_or(Outcome::Success, Reason::outcome),
        reason,
        captured: Some(Box::new(Captured {
            params: vec![("bpm".into(), Value::Int(bpm))],
            impact_score: None,
            cost_nano_usd: None,
        })),
        ..call(1)
    }
}

/// The tempi of the calls of the last two days that are lessons.
async fn lessons(store: &dyn LearningStore) -> Vec<i64> {
    let today = Day::try_from(clock::wall_us() / 86_400_000_000).expect("a day");
    let mut tempi = Vec::new();
    for day in [today - 1, today] {
        let query = LessonQuery { day, after: None, limit: 100 };
        let lessons = store.lessons(&query).await.expect("the store answers");
        tempi.extend(lessons.iter().filter_map(|lesson| lesson.parameters["bpm"].as_i64()));
    }
    tempi.sort_unstable();
    tempi
}

#[tokio::test]
async fn a_row_that_stands_for_many_is_a_lesson_that_says_so() {
    for store in Store::both().await {
        let stores = store.open("me");
        stores.history.maintain(Duration::from_secs(14 * 86_400)).await.expect("it answers");
        let rows = [CallRecord { weight: 7, ..beat_at(1, None) }, beat_at(2, None)];
        put(&*stores.history, &rows, &[]).await.expect("the store answers");
        let today = Day::try_from(clock::wall_us() / 86_400_000_000).expect("a day");
        let mut weights = Vec::new();
        for day in [today - 1, today] {
            let query = LessonQuery { day, after: None, limit: 100 };
            let lessons = stores.learning.lessons(&query).await.expect("the store answers");
            weights.extend(lessons.iter().map(|lesson| lesson.weight));
        }
        weights.sort_unstable();
        assert_eq!(weights, [1, 7], "{:?}", store.kind);
    }
}

#[tokio::test]
async fn what_an_outage_did_is_no_lesson() {
    for store in Store::both().await {
        let stores = store.open("me");
        stores.history.maintain(Duration::from_secs(14 * 86_400)).await.expect("it answers");
        let unlike = |breaker_state, bpm| CallRecord { breaker_state, ..beat_at(bpm, None) };
        let rows = [
            beat_at(1, None),
            beat_at(2, Some(Reason::TimeoutFirstByte)),
            beat_at(3, Some(Reason::Http500)),
            beat_at(4, Some(Reason::TaskFailed)),
            // What never got there, was turned away, or was given up.
            beat_at(10, Some(Reason::ConnectRefused)),
            beat_at(11, Some(Reason::DnsFailure)),
            beat_at(12, Some(Reason::Http429)),
            beat_at(13, Some(Reason::CallerDeadline)),
            beat_at(14, Some(Reason::BreakerOpen)),
            beat_at(15, Some(Reason::ClientGoneMidBody)),
            // What met a circuit that was in doubt.
            unlike(State::Open, 20),
            unlike(State::HalfOpen, 21),
            unlike(State::Ramping, 22),
            // What has no parameters.
            CallRecord { captured: None, ..beat_at(30, None) },
        ];
        put(&*stores.history, &rows, &[]).await.expect("the store answers");
        assert_eq!(lessons(&*stores.learning).await, [1, 2, 3, 4], "{:?}", store.kind);
    }
}

/// That failures of this action have risen an hour ago.
fn risen(action: &str, is_muted: bool) -> Notice {
    let since = clock::wall_us() / 1_000_000 - 3_600;
    Notice {
        signal: Signal::Failures,
        subject: Subject {
            upstream: "music".into(),
            domain: "billing".into(),
            action: action.into(),
        },
        claim: "failures rose from 0.4 % to 6.0 %, since 14:02 UTC".into(),
        detail: json!({ "usual": 0.004, "now": 0.06, "sinceSeconds": since }),
        bar: 0.032,
        horizon: Duration::from_secs(1_800),
        probability: 0.75,
        is_muted,
    }
}

#[tokio::test]
async fn what_was_called_while_the_operation_was_in_trouble_is_no_lesson() {
    for store in Store::both().await {
        let stores = store.open("me");
        stores.history.maintain(Duration::from_secs(14 * 86_400)).await.expect("it answers");
        let ago = |seconds: i64, bpm| CallRecord {
            started_at_us: clock::wall_us() - seconds * 1_000_000,
            ..beat_at(bpm, None)
        };
        let other = CallRecord { site: Arc::new(site("music", "mix")), ..ago(1_800, 5) };
        let rows = [ago(7_200, 1), ago(1_800, 2), ago(60, 3), other];
        put(&*stores.history, &rows, &[]).await.expect("the store answers");
        // Whoever is mostly wrong takes nothing away.
        let warnings = [risen("mix", true), risen("sing", false)];
        stores.warnings.warn(&warnings, Duration::from_secs(300)).await.expect("it answers");
        assert_eq!(lessons(&*stores.learning).await, [1, 2, 3, 5], "{:?}", store.kind);
        let warnings = [risen("generate-beat", false)];
        stores.warnings.warn(&warnings, Duration::from_secs(300)).await.expect("it answers");
        assert_eq!(lessons(&*stores.learning).await, [1, 5], "{:?}", store.kind);
    }
}
