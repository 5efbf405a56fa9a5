//! Tasks that are reported, and scores that come late.

use serde_json::{Value, json};

use crate::{
    harness::{Answer, Port},
    sample::{Sample, now_us, row_id},
};
use fusebox::domain::{outcome::Reason, task::TaskId};

const TASKS: &str = "/api/v1/tasks";

fn task(more: &Value) -> Value {
    let mut task =
        json!({"domain": "music", "action": "render", "durationMs": 12.5, "success": true});
    for (name, value) in more.as_object().into_iter().flatten() {
        task[name] = value.clone();
    }
    task
}

/// A time that is the same again, a moment ago.
fn at(ago_s: i64) -> String {
    ((now_us() / 1_000_000 - ago_s) * 1_000).to_string()
}

async fn report(port: &Port, body: &Value, key: Option<&str>) -> Answer {
    let body = body.to_string();
    let key = key.map_or_else(String::new, |key| format!("Idempotency-Key: {key}\r\n"));
    port.raw(&format!(
        "POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{key}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await
}

#[tokio::test]
async fn a_task_is_taken_with_what_it_says() {
    let port = Port::open().await;
    let told = task(&json!({"success": false, "impactScore": 75, "cost": 0.5,
        "params": {"bpm": 120}, "correlationId": "req-1"}));
    let answer = report(&port, &told, None).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let row = port.sample.reported.lock().unwrap().remove(0);
    assert_eq!(answer.json()["data"], json!({"accepted": 1, "ids": [row.id.to_string()]}));
    assert_eq!(
        (&*row.site.domain, &*row.site.action, &*row.site.upstream),
        ("music", "render", "-")
    );
    assert_eq!((row.duration_us, row.reason), (12_500, Some(Reason::TaskFailed)));
    assert_eq!(row.correlation_id.as_str(), "req-1");
    let captured = row.captured.unwrap();
    assert_eq!((captured.impact_score, captured.cost_nano_usd), (Some(75.0), Some(500_000_000)));
    port.finish().await;
}

#[tokio::test]
async fn a_batch_that_comes_again_has_the_same_ids() {
    let port = Port::open().await;
    let given = TaskId::mint(now_us() - 5_000_000, 9).to_string();
    let tasks = [
        task(&json!({"startedAt": at(30)})),
        task(&json!({"startedAt": at(30)})),
        task(&json!({"id": given})),
    ];
    let batch = json!({"tasks": tasks});
    let first = report(&port, &batch, Some("night-7")).await;
    let again = report(&port, &batch, Some("night-7")).await;
    let other = report(&port, &batch, Some("night-8")).await;
    assert_eq!((first.status, again.status), (202, 202), "{}", first.body);
    let ids = |answer: &Answer| answer.json()["data"]["ids"].as_array().cloned().unwrap();
    assert_eq!(ids(&first), ids(&again));
    assert_ne!(ids(&first)[0], ids(&first)[1], "two tasks that look alike are two");
    assert_ne!(ids(&first)[0], ids(&other)[0], "another key is another batch");
    assert_eq!((&ids(&first)[2], &ids(&other)[2]), (&json!(given), &json!(given)));
    port.finish().await;
}

#[tokio::test]
async fn a_batch_is_taken_whole_or_not_at_all_and_says_what_is_wrong() {
    let port = Port::open().await;
    let many = vec![task(&json!({})); 501];
    for (body, status, says) in [
        (
            json!({"tasks": [task(&json!({})), task(&json!({"impactScore": 101}))]}),
            400,
            "tasks[1].impactScore: expected",
        ),
        (json!({"tasks": []}), 400, "`tasks`: expected 1 to 500 tasks"),
        (json!({"tasks": many}), 400, "`tasks`: expected 1 to 500 tasks"),
        (json!({"tasks": [], "more": 1}), 400, "unknown field `more`"),
        (json!({"tasks": 5}), 400, "the body cannot be read"),
        (json!([]), 400, "the body cannot be read"),
        (task(&json!({"colour": "red"})), 400, "unknown field `colour`"),
    ] {
        let answer = report(&port, &body, None).await;
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, status, "{message}");
        assert!(message.contains(says), "{message}");
    }
    for (key, says) in [
        ("", "`Idempotency-Key`: expected one"),
        ("a b", "visible letters"),
        ("night", "under an `Idempotency-Key`"),
    ] {
        let answer = report(&port, &task(&json!({})), Some(key)).await;
        assert!(answer.body.contains(says), "{key}: {}", answer.body);
    }
    let twice =
        "{\"domain\":\"a\",\"domain\":\"b\",\"action\":\"c\",\"durationMs\":1,\"success\":true}";
    assert!(port.send_json("POST", TASKS, twice).await.body.contains("duplicate field `domain`"));
    let plain = port.send("POST", TASKS, &[("Content-Length", "0")]).await;
    assert_eq!(plain.error(), (415, "unsupported_media_type".to_owned()));
    assert!(port.sample.reported.lock().unwrap().is_empty(), "nothing was taken");
    port.finish().await;
}

#[tokio::test]
async fn a_late_score_is_told_with_what_it_changed() {
    let port = Port::open().await;
    let path = |at: i64| format!("{TASKS}/{}/feedback", row_id(at));
    let score = async |at: i64| {
        port.send_json("POST", &path(at), "{\"impactScore\": 75, \"source\": \"people\"}").await
    };
    for (at, changed) in [(0, true), (1, false)] {
        let expected = json!({"id": row_id(at).to_string(), "impactScore": 75.0,
            "impactSource": "people", "changed": changed});
        assert_eq!(score(at).await.data(), expected);
    }
    assert_eq!(score(3).await.error(), (404, "not_found".to_owned()));
    for (body, says) in [
        ("{\"impactScore\": 100.5}", "`impactScore`: expected a number from 0 to 100"),
        ("{\"impactScore\": -1}", "`impactScore`: expected a number from 0 to 100"),
        ("{\"impactScore\": \"75\"}", "the body cannot be read"),
        ("{}", "missing field `impactScore`"),
        ("{\"impactScore\": 1, \"score\": 2}", "unknown field `score`"),
        ("{\"impactScore\": 1, \"source\": \"\"}", "`source`: expected 1 to 64"),
        ("{\"impactScore\": 1, \"source\": \"ann@example.org\"}", "`source`: expected 1 to 64"),
    ] {
        let answer = port.send_json("POST", &path(0), body).await;
        assert_eq!(answer.error(), (400, "bad_request".to_owned()), "{body}");
        assert!(answer.body.contains(says), "{body}: {}", answer.body);
    }
    let nobody = port.send_json("POST", "/api/v1/tasks/42/feedback", "{\"impactScore\": 1}").await;
    assert_eq!(nobody.error(), (400, "bad_request".to_owned()));
    port.finish().await;
}

#[tokio::test]
async fn a_score_waits_for_a_row_that_may_be_on_its_way() {
    // The writer is behind, so that even the row of an old task may come.
    let port =
        Port::start(Sample { waiting: 100_000, ..Sample::default() }, None, "127.0.0.1:0").await;
    let path = |at: i64| format!("{TASKS}/{}/feedback", row_id(at));
    let late = port.send_json("POST", &path(2), "{\"impactScore\": 5}").await.data();
    assert_eq!((&late["changed"], &late["impactSource"]), (&json!(true), &json!("feedback")));
    assert_eq!(port.sample.scores.lock().unwrap().len(), 3, "it was tried until the row was there");
    let never = port.send_json("POST", &path(3), "{\"impactScore\": 5}").await;
    assert_eq!(never.error(), (503, "not_yet".to_owned()));
    assert!(never.head.contains("retry-after: 1"), "{}", never.head);
    port.finish().await;
}
