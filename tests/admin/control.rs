//! What people ask of the process as a whole.

use crate::{harness::Port, sample::Sample};

const RELOADS: [&str; 2] = ["/api/v1/config/reload", "/api/v1/reload"];
const DRAIN: &str = "/api/v1/drain";

fn asked(port: &Port) -> Vec<&'static str> {
    port.sample.asked.lock().expect("no panic").clone()
}

#[tokio::test]
async fn a_reload_tells_what_counts_and_what_waits() {
    let port = Port::open().await;
    for path in RELOADS {
        let answer = port.send_json("POST", path, "{}").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let data = &answer.json()["data"];
        assert_eq!((&data["generation"], &data["needsRestart"][0]), (&3.into(), &"workers".into()));
        assert_eq!(data["lastReload"]["successful"], true);
    }
    assert_eq!(asked(&port), ["reload", "reload"]);
    port.finish().await;
}

#[tokio::test]
async fn one_that_is_refused_says_why_and_what_counts_still() {
    let sample = Sample { refused: Some("error: workrs: unknown key"), ..Sample::default() };
    let port = Port::start(sample, None, "127.0.0.1:0").await;
    let answer = port.send_json("POST", RELOADS[0], "").await;
    assert_eq!(answer.status, 422);
    let json = answer.json();
    assert_eq!(json["error"]["code"], "configuration_refused");
    assert_eq!(json["error"]["message"], "error: workrs: unknown key");
    assert_eq!((&json["success"], &json["data"]["generation"]), (&false.into(), &3.into()));
    let health = port.get("/health").await.json();
    assert_eq!(health["status"], "degraded");
    assert!(!health["reason"].as_str().expect("a reason").contains("workrs"), "{health}");
    port.finish().await;
}

#[tokio::test]
async fn a_drain_is_accepted_at_once() {
    let port = Port::open().await;
    let answer = port.send_json("POST", DRAIN, "{}").await;
    assert_eq!((answer.status, &answer.json()["data"]["draining"]), (202, &true.into()));
    assert_eq!(asked(&port), ["drain"]);
    port.finish().await;
}

#[tokio::test]
async fn nothing_happens_by_a_get_a_form_or_a_body_that_says_something() {
    let port = Port::open().await;
    for path in RELOADS.into_iter().chain([DRAIN]) {
        assert_eq!(port.get(path).await.status, 405, "{path}");
        assert_eq!(port.send("POST", path, &[]).await.status, 415, "{path}");
        assert_eq!(port.send_json("POST", path, "{\"force\": true}").await.status, 400, "{path}");
        assert_eq!(
            port.send_json("POST", &format!("{path}?x=1"), "{}").await.status,
            400,
            "{path}"
        );
        assert_eq!(port.send_json("POST", path, &" ".repeat(2_000)).await.status, 413, "{path}");
    }
    assert!(asked(&port).is_empty());
    port.finish().await;
}
