use std::time::Duration;

use serde_json::{Value, json};

use super::{Context, TaskJson};
use crate::domain::{outcome::Reason, report::Report, task::TaskId};

/// 2027-01-15T08:00:00Z.
const NOW_US: i64 = 1_800_000_000_000_000;

fn read(more: Value, has_key: bool) -> Result<Report, String> {
    let mut task =
        json!({"domain": "music", "action": "render", "durationMs": 12.5, "success": true});
    for (name, value) in more.as_object().cloned().unwrap_or_default() {
        if value == json!("absent") {
            task.as_object_mut().unwrap().remove(&name);
        } else {
            task[name] = value;
        }
    }
    let task: TaskJson = serde_json::from_value(task).map_err(|error| error.to_string())?;
    let retention = Duration::from_secs(14 * 86_400);
    let context = Context { now_us: NOW_US, retention, has_key };
    task.operation().map_err(|problem| problem.to_string())?;
    task.read(&context, || 7).map_err(|problem| problem.to_string())
}

#[test]
fn a_task_is_read_with_all_that_it_says() {
    let id = TaskId::mint(NOW_US - 5_000_000, 9);
    let report = read(
        json!({
            "success": "absent", "outcome": "timeout", "id": id.to_string(),
            "impactScore": 75, "cost": 0.0125, "correlationId": "req-1",
            "params": {"bpm": 120, "swing": 0.5, "loud": true, "genre": "house", "key": null},
        }),
        true,
    )
    .unwrap();
    assert_eq!((report.id, report.started_at_us), (id, NOW_US - 5_000_000));
    assert_eq!((report.duration_us, report.reason), (12_500, Some(Reason::TimeoutTotal)));
    assert_eq!(report.captured.impact_score, Some(75.0));
    assert_eq!(report.captured.cost_nano_usd, Some(12_500_000));
    assert_eq!(report.captured.params.len(), 5);
    let plain = read(json!({}), false).unwrap();
    assert_eq!(plain.started_at_us, NOW_US - 12_500, "it ended now");
    assert_eq!((plain.id, plain.reason), (TaskId::mint(NOW_US - 12_500, 7), None));
    let failed = read(json!({"success": false}), false).unwrap();
    assert_eq!(failed.reason, Some(Reason::TaskFailed));
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    let many: serde_json::Map<String, Value> =
        (0..17).map(|at| (format!("p{at}"), json!(at))).collect();
    let long = "x".repeat(65);
    for (more, says) in [
        (json!({"domain": ""}), "domain: expected 1 to 64 characters"),
        (json!({"domain": "absent"}), "domain: is missing"),
        (json!({"durationMs": "absent"}), "durationMs: is missing"),
        (json!({"domain": long}), "domain: expected 1 to 64"),
        (json!({"domain": "a\nb"}), "domain: expected 1 to 64"),
        (json!({"action": " a"}), "action: expected 1 to 64"),
        (json!({"action": "ann@example.org"}), "action: expected 1 to 64"),
        (json!({"durationMs": -1}), "durationMs: expected milliseconds from 0"),
        (json!({"durationMs": 1e300}), "durationMs: expected milliseconds from 0"),
        (json!({"durationMs": "12"}), "expected f64"),
        (json!({"success": "absent"}), "outcome: expected either `outcome` or `success`"),
        (json!({"outcome": "success"}), "outcome: expected either `outcome` or `success`"),
        (json!({"success": "absent", "outcome": "failur"}), "did you mean `failure`?"),
        (json!({"success": "absent", "outcome": "refused"}), "one of success, failure, timeout"),
        (json!({"success": false, "failureReason": "bad_luck"}), "a reason of outcome `failure`"),
        (
            json!({"success": false, "failureReason": "timeout_total"}),
            "a reason of outcome `failure`",
        ),
        (json!({"success": false, "failureReason": "http_50"}), "did you mean `http_500`?"),
        (json!({"failureReason": "http_500"}), "a reason of outcome `success`"),
        (json!({"id": "42"}), "id: expected a UUID of version 7"),
        (json!({"id": "00000000-0000-4000-8000-000000000000"}), "id: expected a UUID of version 7"),
        (json!({"id": TaskId::mint(0, 1).to_string()}), "startedAt: lies ahead, or so far back"),
        (json!({"startedAt": "-5m"}), "startedAt: expected a time such as"),
        (json!({"startedAt": "5m"}), "startedAt: expected a time such as"),
        (json!({"startedAt": "yesterday"}), "startedAt: expected a time such as"),
        (json!({"startedAt": "2027-01-15T08:02:00Z"}), "startedAt: lies ahead"),
        (json!({"startedAt": "2027-01-01T08:00:00Z"}), "startedAt: lies ahead, or so far back"),
        (
            json!({"startedAt": "2027-01-15T07:00:00Z", "id": TaskId::mint(NOW_US, 1).to_string()}),
            "startedAt: says another time than the id",
        ),
        (json!({"impactScore": 101}), "impactScore: expected a number from 0 to 100"),
        (json!({"impactScore": -0.5}), "impactScore: expected a number from 0 to 100"),
        (json!({"cost": -1}), "cost: expected US dollars"),
        (json!({"cost": 1e7}), "cost: expected US dollars"),
        (json!({"correlationId": "a b"}), "correlationId: expected 1 to 128"),
        (json!({"correlationId": "AKIAIOSFODNN7EXAMPLE"}), "correlationId: expected 1 to 128"),
        (json!({"traceId": "0".repeat(32)}), "traceId: expected 32 hexadecimal digits"),
        (json!({"traceId": "+1"}), "traceId: expected 32 hexadecimal digits"),
        (json!({"parentId": "x"}), "parentId: expected a UUID of version 7"),
        (json!({"params": many}), "params: expected 16 at most"),
        (json!({"params": {"a": "x".repeat(65)}}), "params: expected numbers, booleans, or texts"),
        (json!({"params": {"a": [1]}}), "params: expected numbers, booleans, or texts"),
        (json!({"params": {"a b": 1}}), "params: expected names of 1 to 64"),
        (json!({"params": {"who": "ann@example.org"}}), "params: expected numbers, booleans"),
        (json!({"params": 5}), "expected a map"),
        (json!({"colour": "red"}), "unknown field `colour`"),
    ] {
        let problem = read(more.clone(), false).unwrap_err();
        assert!(problem.contains(says), "{more}: {problem}");
    }
}

#[test]
fn under_a_key_a_task_must_be_the_same_again() {
    let problem = read(json!({}), true).unwrap_err();
    assert!(problem.contains("under an `Idempotency-Key`"), "{problem}");
    let at = json!({"startedAt": "2027-01-15T07:59:00Z"});
    let [first, again] = [read(at.clone(), true).unwrap(), read(at, true).unwrap()];
    assert_eq!(first.id, again.id);
}
