//! Asking for rows: pages, cursors, windows, completeness, and what a question may not look like.

use serde_json::{Value, json};

use crate::{
    harness::Port,
    sample::{NOON_US, row_id},
};

const DAY_US: i64 = 86_400_000_000;

/// The message of an error.
fn message(answer: &crate::harness::Answer) -> String {
    answer.json()["error"]["message"].as_str().expect("a message").to_owned()
}

#[tokio::test]
async fn a_cursor_belongs_to_its_question() {
    let port = Port::open().await;
    let data = port.get("/api/v1/tasks?limit=4&upstream=payments&from=-2h").await.data();
    let cursor = data["nextCursor"].as_str().unwrap();
    let same = format!("/api/v1/tasks?cursor={cursor}&from=-2h&upstream=payments");
    let next = port.get(&same).await.data();
    assert_eq!((&next["from"], &next["to"]), (&data["from"], &data["to"]), "the same two hours");
    for other in [
        format!("/api/v1/tasks?cursor={cursor}&from=-2h&upstream=music"),
        format!("/api/v1/tasks?cursor={cursor}&from=-3h&upstream=payments"),
        format!("/api/v1/tasks?cursor={cursor}"),
        format!("/api/v1/tasks?cursor={cursor}0&from=-2h&upstream=payments"),
        "/api/v1/tasks?cursor=1800000000000000.0192f0c1-aaaa-7bbb-8ccc-0123456789ab".to_owned(),
    ] {
        let answer = port.get(&other).await;
        assert_eq!(answer.error(), (400, "bad_request".to_owned()), "{other}");
        assert!(message(&answer).contains("`nextCursor` of a page of the same question"));
    }
    port.finish().await;
}

#[tokio::test]
async fn a_correlation_id_is_looked_for_in_everything_that_is_kept() {
    let port = Port::open().await;
    port.get("/api/v1/tasks?correlationId=req-abc").await.data();
    port.get("/api/v1/tasks?correlationId=req-abc&from=-1h").await.data();
    port.get("/api/v1/tasks").await.data();
    let queries = port.sample.task_queries.lock().unwrap().clone();
    let spans: Vec<_> = queries.iter().map(|query| query.to_us - query.from_us).collect();
    // Ages end a microsecond before now, which is still within the window.
    assert_eq!(spans, [14 * DAY_US, 3_600_000_001, DAY_US]);
    port.finish().await;
}

#[tokio::test]
async fn an_answer_says_how_many_of_the_calls_have_a_row() {
    let port = Port::open().await;
    let list = port.get("/api/v1/tasks?domain=payments").await.data();
    assert_eq!(list["completeness"], json!(0.9925), "three of four hundred were folded");
    port.finish().await;
    for (query, expected) in [
        ("outcome=refused", json!(0.25)),
        ("reason=http_503", json!(1.0)),
        ("outcome=success&reason=http_503", Value::Null),
        ("status=503", Value::Null),
        ("grpcStatus=UNAVAILABLE", Value::Null),
        ("correlationId=req-abc", Value::Null),
    ] {
        // The sample's rollups are there once.
        let port = Port::open().await;
        let list = port.get(&format!("/api/v1/tasks?{query}")).await.data();
        assert_eq!(list["completeness"], expected, "{query}");
        port.finish().await;
    }
}

#[tokio::test]
async fn statistics_say_how_many_of_the_calls_have_a_row() {
    let port = Port::open().await;
    let data = port.get("/api/v1/tasks/history").await.data();
    assert_eq!(data["completeness"], json!(0.9925));
    let of = |at: usize| &data["operations"][at]["completeness"];
    assert_eq!((of(0), of(1)), (&json!(1.0), &json!(0.97)));
    port.finish().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_named_with_what_can() {
    let port = Port::open().await;
    let long = format!("upstream={}", "x".repeat(257));
    for (query, says) in [
        ("outcome=failed", "`outcome`: expected one of success, failure, timeout, refused, "),
        ("outcome=Success", "did you mean `success`?"),
        ("reason=http_50", "did you mean `http_500`?"),
        ("grpcStatus=17", "`grpcStatus`: expected a gRPC code such as 14 or UNAVAILABLE"),
        ("status=teapot", "`status`: expected a status such as 503, or a class such as 5xx"),
        ("limit=501", "`limit`: expected a number from 1 to 500"),
        ("from=-32d", "`from` and `to` may be 31d apart at most"),
        ("from=yesterday", "`from`: expected a time such as 2026-11-22T10:00:00Z"),
        ("upstream=%ff", "`upstream`: expected 1 to 256 bytes of UTF-8, none of them NUL"),
        ("domain=a%00b", "`domain`: expected 1 to 256 bytes of UTF-8, none of them NUL"),
        ("correlationId=AKIAIOSFODNN7EXAMPLE", "`correlationId`: expected 1 to 128 of"),
        ("corelationId=x", "unknown parameter `corelationId`; did you mean `correlationId`?"),
        ("colour=red", "unknown parameter `colour`; known are correlationId, service"),
        (&long, "`upstream`: expected 1 to 256 bytes"),
    ] {
        let answer = port.get(&format!("/api/v1/tasks?{query}")).await;
        assert_eq!(answer.error(), (400, "bad_request".to_owned()), "{query}");
        assert!(message(&answer).contains(says), "{query}: {}", message(&answer));
    }
    assert!(port.sample.task_queries.lock().unwrap().is_empty(), "the store was not asked");
    port.finish().await;
}

#[tokio::test]
async fn ten_megabytes_in_a_filter_are_refused_and_the_next_question_is_answered() {
    let port = Port::open().await;
    let target = format!("/api/v1/tasks?upstream={}", "x".repeat(10 * 1024 * 1024));
    let status = port.try_get(&target).await;
    // Where the rest is not read, the answer may be lost with the connection.
    assert!(matches!(status, None | Some(414 | 431)), "{status:?}");
    let row = port.get(&format!("/api/v1/tasks/{}", row_id(0))).await.data();
    assert_eq!(row["startedAt"], "2026-11-22T12:00:00Z");
    assert!(port.sample.task_queries.lock().unwrap().iter().all(|query| query.from_us < NOON_US));
    port.finish().await;
}
