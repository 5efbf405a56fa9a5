//! Recommendations, from a month of beats of which those of one genre succeed more often.

use std::time::Duration;

use async_trait::async_trait;
use fusebox::{
    clock,
    domain::learn::{
        cell::{Cell, Observation},
        evidence::Day,
        formula::share::Share,
        setting::{Bin, Setting},
        timeout::{self, Mode},
        why::Failures,
    },
    learning::waits::{Terms, Waits},
    store::{Counted, DayCell, Error, LearningStore, Lesson, LessonQuery, OperationName, WhyQuery},
};
use serde_json::{Value, json};

use crate::{harness::Port, sample::Sample};

fn beats() -> OperationName {
    OperationName { domain: "music".into(), action: "generate-beat".into() }
}

/// Fifty tasks of a day with this genre.
fn cell(day: Day, genre: &str, failures: u64, impact: f64) -> DayCell {
    let mut cell = Cell::default();
    for at in 0..50_u32 {
        cell.record(&Observation {
            succeeded: u64::from(at) >= failures,
            duration: Duration::from_millis(1_900 + u64::from(at % 7) * 30),
            impact: Some(impact + f64::from(at % 5)),
            cost: None,
        });
    }
    let setting = Setting::new([("genre", Bin::text(genre)), ("bpm", Bin::integer(120))]);
    DayCell { day, stratum: "orders 06-12".into(), setting, is_part: false, cell }
}

#[async_trait]
impl LearningStore for Sample {
    async fn lessons(&self, _: &LessonQuery) -> Result<Vec<Lesson>, Error> {
        unreachable!("the admin port adds nothing up")
    }

    async fn claim_day(&self, _: Day) -> Result<bool, Error> {
        unreachable!("the admin port adds nothing up")
    }

    async fn keep_day(&self, _: Day) -> Result<(), Error> {
        unreachable!("the admin port adds nothing up")
    }

    async fn learn(&self, _: &OperationName, _: Day, _: &[DayCell]) -> Result<(), Error> {
        unreachable!("the admin port changes nothing")
    }

    async fn day_is_learned(&self, _: Day, _: u64) -> Result<(), Error> {
        unreachable!("the admin port changes nothing")
    }

    async fn learned_at(&self) -> Result<i64, Error> {
        self.answer(1)
    }

    async fn cells(&self, operation: &OperationName, from: Day) -> Result<Vec<DayCell>, Error> {
        let today = Day::try_from(clock::wall_us() / 86_400_000_000).expect("a day");
        let of: fn(Day) -> [DayCell; 2] = match &*operation.action {
            // What succeeds more often.
            "generate-beat" => |day| [cell(day, "jazz", 3, 70.0), cell(day, "polka", 12, 70.0)],
            // What is better where it succeeds, and what is better and fails more often.
            "sing" => |day| [cell(day, "jazz", 3, 80.0), cell(day, "polka", 3, 60.0)],
            "shout" => |day| [cell(day, "jazz", 3, 60.0), cell(day, "polka", 12, 80.0)],
            _ => return self.answer(Vec::new()),
        };
        self.answer((from..today).flat_map(of).collect())
    }

    async fn operations(&self, _: Day) -> Result<Vec<(OperationName, u64)>, Error> {
        self.answer(vec![(beats(), 3_000)])
    }

    async fn why(&self, query: &WhyQuery) -> Result<Counted, Error> {
        let mut failures = Failures::default();
        for (instance, failed) in [("i-1", 10), ("i-2", 12), ("i-3", 118)] {
            failures.add("instance", instance, Share::new(failed, 1_000));
        }
        let total = Share::new(140, 3_000);
        self.answer(Counted { failures, total, is_cut: false, from_us: query.from_us })
    }

    async fn forget_days(&self, _: Day) -> Result<(), Error> {
        unreachable!("the admin port changes nothing")
    }
}

#[tokio::test]
async fn what_works_best_is_told_with_how_sure_that_is() {
    let port = Port::open().await;
    let path = "/api/v1/recommendations?domain=music&action=generate-beat";
    let data = port.get(path).await.data();
    assert_eq!(data["status"], "confirmed", "{data:#}");
    assert_eq!((&data["tasks"], &data["tasksNeeded"]), (&json!(3_000), &json!(200)));
    assert_eq!(data["parameters"]["genre"], "jazz");
    assert_eq!(data["expected"]["seen"]["successRate"], 0.94);
    assert_eq!(data["baseline"]["successRate"], 0.85);
    assert_eq!(data["baseline"]["averageImpactScore"], 72.0);
    assert_eq!(data["goal"], "success_rate");
    let summary = data["summary"].as_str().unwrap();
    assert!(summary.contains("94.0 % of 1500 tasks succeeded, against 85.0 % of all"), "{summary}");
    assert_eq!(data["caveats"], json!(["observed together, which is no proof of a cause"]));
    let polka = data["findings"].as_array().unwrap().iter().find(|it| it["effect"] == "worse");
    assert_eq!(polka.unwrap()["parameters"]["genre"], "polka");
    port.finish().await;
}

#[tokio::test]
async fn what_is_to_be_improved_is_asked() {
    let port = Port::open().await;
    for (action, goal, summary) in [
        ("sing", "success_rate", "no setting stands out among 3000 tasks in their success rate"),
        ("sing", "impact", "bpm=120, genre=jazz: impact 82.0 of 1500 tasks, against 72.0 of all"),
        ("sing", "duration", "no setting stands out among 3000 tasks in their duration"),
        ("sing", "cost_per_success", "none of 3000 tasks tells anything of their cost per success"),
        ("shout", "impact", "no setting stands out among 3000 tasks in their impact"),
    ] {
        let path = format!("/api/v1/recommendations?domain=music&action={action}&goal={goal}");
        let data = port.get(&path).await.data();
        assert_eq!((&data["goal"], &data["summary"]), (&json!(goal), &json!(summary)), "{action}");
    }
    let path = "/api/v1/recommendations?domain=music&action=shout&goal=impact";
    let data = port.get(path).await.data();
    let findings = data["findings"].as_array().unwrap();
    let polka = findings.iter().find(|it| it["parameters"] == json!({ "genre": "polka" })).unwrap();
    assert_eq!((&polka["difference"], &polka["harms"]), (&json!(20.0), &json!("success_rate")));
    port.finish().await;
}

#[tokio::test]
async fn the_statistics_of_an_operation_tell_it_too() {
    let port = Port::open().await;
    let data = port.get("/api/v1/tasks/history?domain=music&action=generate-beat").await.data();
    let best = &data["optimalParameters"];
    assert_eq!(
        (&best["status"], &best["parameters"]["genre"]),
        (&json!("confirmed"), &json!("jazz"))
    );
    port.finish().await;
}

#[tokio::test]
async fn where_there_is_nothing_to_learn_from_it_says_so() {
    let port = Port::open().await;
    let data = port.get("/api/v1/recommendations?domain=music&action=silence").await.data();
    assert_eq!((&data["status"], &data["parameters"]), (&json!("collecting"), &json!({})));
    assert_eq!(data["summary"], "collecting: 0 of 200 tasks on days that are over (UTC)");
    assert_eq!(data["expected"], Value::Null);
    let all = port.get("/api/v1/recommendations").await.data();
    assert_eq!(all, json!([{ "domain": "music", "action": "generate-beat", "tasks": 3_000 }]));
    port.finish().await;
}

#[tokio::test]
async fn a_question_that_is_no_question_is_refused() {
    let port = Port::open().await;
    for (query, words) in [
        ("domain=music", "`domain` and `action` are asked for together"),
        ("action=beat", "`domain` and `action` are asked for together"),
        ("domain=music&action=", "action"),
        ("domain=music&act=beat", "unknown parameter `act`"),
        ("domain=music&action=beat&goal=success", "goal"),
        ("goal=impact", "`goal` is asked for with `domain` and `action`"),
    ] {
        let answer = port.get(&format!("/api/v1/recommendations?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.body.contains(words), "{query}: {}", answer.body);
    }
    port.finish().await;
}

#[tokio::test]
async fn a_store_that_is_away_is_told() {
    let sample = Sample { store_is_away: true, ..Sample::default() };
    let port = Port::start(sample, None, "127.0.0.1:0").await;
    assert_eq!(port.get("/api/v1/recommendations").await.status, 503);
    port.finish().await;
}

#[tokio::test]
async fn what_sets_failures_apart_is_named() {
    let port = Port::open().await;
    let data = port.get("/api/v1/tasks/failures?domain=music&action=generate-beat").await.data();
    assert_eq!((&data["calls"], &data["failures"]), (&json!(3_000), &json!(140)));
    let guilty = &data["attributes"][0]["values"][0];
    assert_eq!((&guilty["value"], &guilty["significance"]), (&json!("i-3"), &json!("high")));
    let words = "instance i-3 explains 76 % of the 140 failures: 11.8 % of its calls fail, \
                 against 4.7 % of all";
    assert_eq!(data["summary"], words);
    let answer = port.get("/api/v1/tasks/failures?domain=music").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("`action` is needed"), "{}", answer.body);
    port.finish().await;
}

/// Of one upstream that nobody has called.
pub(crate) fn waits() -> Waits {
    let terms = Terms {
        configured: Duration::from_secs(30),
        mode: Mode::Observe,
        policy: timeout::Policy::default(),
    };
    Waits::new([("music", terms)])
}

#[tokio::test]
async fn it_is_told_how_long_upstreams_are_worth_waiting_for() {
    let port = Port::open().await;
    let data = port.get("/api/v1/timeouts").await.data();
    let expected = json!([{
        "upstream": "music", "mode": "observe", "configuredMs": 30_000.0, "inForceMs": 30_000.0,
        "learnedMs": null, "estimate": "too_few", "calls": 0, "falseCuts": 0, "savedSeconds": 0.0,
    }]);
    assert_eq!(data, expected);
    port.finish().await;
}
