//! Who may ask: tokens, hosts, methods and paths.

use crate::harness::Port;

const API: [&str; 15] = [
    "/api/v1/circuit-breakers",
    "/api/v1/circuit-breakers/payments",
    "/api/v1/circuit-breakers/payments/events",
    "/api/v1/tasks",
    "/api/v1/tasks/history",
    "/api/v1/tasks/019aab2e-b400-7000-8000-000000000000",
    "/api/v1/predictions",
    "/api/v1/status",
    "/api/v1/config",
    "/api/v1/traffic",
    "/api/v1/latency",
    "/api/v1/transitions",
    "/api/v1/traces/req-1",
    "/api/v1/openapi.json",
    "/api/v1/events",
];

const OPEN: [&str; 7] =
    ["/", "/dashboard/frame.css", "/dashboard/main.js", "/live", "/ready", "/health", "/metrics"];

#[tokio::test]
async fn the_api_needs_the_token_and_the_rest_does_not() {
    let port = Port::with_token("correct horse battery staple").await;
    for path in API.into_iter().chain(["/nowhere"]) {
        let answer = port.get(path).await;
        assert_eq!(answer.error(), (401, "unauthorized".to_owned()), "{path}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{path}");
    }
    for path in OPEN {
        assert_eq!(port.get(path).await.status, 200, "{path}");
    }
    let right = [("Authorization", "Bearer correct horse battery staple")];
    assert_eq!(port.send("GET", "/api/v1/status", &right).await.status, 200);
    assert_eq!(port.send("GET", "/nowhere", &right).await.status, 404);
    port.finish().await;
}

#[tokio::test]
async fn wrong_tokens_get_the_same_answer_as_none_until_they_are_too_many() {
    let port = Port::with_token("right").await;
    let ask = async |token: &str| {
        let authorization = format!("Bearer {token}");
        let answer = port.send("GET", "/api/v1/status", &[("Authorization", &authorization)]).await;
        (answer.status, answer.body)
    };
    let none = port.get("/api/v1/status").await;
    let first = ask("wrong").await;
    assert_eq!(first, (401, none.body));
    // All within a second, or another second begins and five more may be tried.
    let mut statuses = Vec::new();
    while !statuses.contains(&429) {
        assert!(statuses.len() < 1_000, "never slowed down");
        statuses.push(ask("wronger").await.0);
    }
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)), "{statuses:?}");
    port.finish().await;
}

#[tokio::test]
async fn a_foreign_host_is_answered_with_421() {
    let port = Port::open().await;
    let ask = async |path: &str, host: &str| port.send("GET", path, &[("Host", host)]).await;
    for host in ["rebound.example", "rebound.example:9901", "localhost.rebound.example", "10.1.1.1"]
    {
        let answer = ask("/api/v1/status", host).await;
        assert_eq!(answer.error(), (421, "host_not_allowed".to_owned()), "{host}");
    }
    let own = port.address.to_string();
    for host in ["localhost", "localhost:1", "127.0.0.1", "[::1]:9901", "ops.example", &own] {
        assert_eq!(ask("/api/v1/status", host).await.status, 200, "{host}");
    }
    // A load balancer knows a task by its address; a browser that was tricked knows a name.
    assert_eq!(ask("/live", "10.1.1.1:9901").await.status, 200);
    assert_eq!(ask("/metrics", "rebound.example").await.error().0, 421);
    assert_eq!(ask("/", "rebound.example").await.error().0, 421);
    port.finish().await;
}

#[tokio::test]
async fn exactly_one_host_is_required() {
    let port = Port::open().await;
    for request in [
        "GET /live HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /live HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        assert_eq!(port.raw(request).await.error(), (400, "bad_request".to_owned()), "{request}");
    }
    port.finish().await;
}

/// But for reports of tasks.
#[tokio::test]
async fn no_path_takes_another_method_and_none_changes_anything() {
    let port = Port::open().await;
    for path in API.into_iter().chain(OPEN) {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
            if (method, path) == ("POST", "/api/v1/tasks") {
                continue;
            }
            let answer = port.send(method, path, &[("Content-Length", "0")]).await;
            let error = answer.error();
            assert_eq!(error, (405, "method_not_allowed".to_owned()), "{method} {path}");
            assert!(answer.head.contains("allow: get,head"), "{method} {path}: {}", answer.head);
        }
    }
    port.finish().await;
}

#[tokio::test]
async fn an_unknown_path_is_404_with_the_envelope() {
    let port = Port::open().await;
    for path in [
        "/nowhere",
        "/api",
        "/api/v1",
        "/api/v1/circuit-breakers/",
        "/live/",
        "/../etc",
        "/dashboard/",
        "/dashboard/../mod.rs",
        "/dashboard/nothing.js",
    ] {
        assert_eq!(port.get(path).await.error(), (404, "not_found".to_owned()), "{path}");
    }
    port.finish().await;
}

#[tokio::test]
async fn every_answer_is_kept_out_of_caches_and_frames() {
    let port = Port::with_token("t").await;
    for path in ["/", "/live", "/api/v1/status", "/nowhere"] {
        let answer = port.get(path).await;
        for header in [
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
            "cross-origin-opener-policy: same-origin",
            "content-security-policy: default-src 'none'; script-src 'self'; ",
            "frame-ancestors 'none'",
        ] {
            assert!(answer.head.contains(header), "{path} has no {header}: {}", answer.head);
        }
        assert!(!answer.head.contains("access-control-"), "{path}");
    }
    port.finish().await;
}
