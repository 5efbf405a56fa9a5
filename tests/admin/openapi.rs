//! The document of the API, held to what the port does. That it names every path, and no other, is
//! tested beside it.

use std::collections::BTreeSet;

use crate::harness::Port;

#[tokio::test]
async fn the_document_names_the_methods_of_each_path() {
    let port = Port::open().await;
    let document = port.get("/api/v1/openapi.json").await;
    assert!(document.head.contains("content-type: application/json"));
    let document = document.json();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, methods) in document["paths"].as_object().unwrap() {
        let told: BTreeSet<String> = methods.as_object().unwrap().keys().cloned().collect();
        let path = path.replace("{name}", "music").replace("{file}", "main.js");
        let path = path.replace("{correlationId}", "req-1").replace("{id}", "no-id");
        let refused = port.send("TRACE", &path, &[]).await;
        assert_eq!(refused.status, 405, "{path}");
        let allow = refused.head.lines().find_map(|line| line.strip_prefix("allow: "));
        let allow = allow.unwrap_or_else(|| panic!("{path}: {}", refused.head));
        let there = allow.split(',').map(str::to_owned).filter(|method| method != "head");
        assert_eq!(told, there.collect(), "{path}");
    }
    port.finish().await;
}

#[tokio::test]
async fn the_document_tells_what_each_answer_is_like() {
    let port = Port::open().await;
    let document = port.get("/api/v1/openapi.json").await.json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let of = format!("{method} {path}");
            assert!(
                operation["operationId"].is_string() && operation["summary"].is_string(),
                "{of}"
            );
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{of}");
            let is_api = path.starts_with("/api/");
            assert_eq!(answers.contains_key("401"), is_api, "{of}");
        }
    }
    port.finish().await;
}
