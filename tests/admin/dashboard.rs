//! The dashboard's files, and a way to look at the page.

use std::{sync::Arc, time::Duration};

use fusebox::{
    admin::timeline::Moment,
    domain::breaker::{Cause, State},
};

use crate::{
    harness::Port,
    sample::{Sample, now_us, transition},
};

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere_and_has_nothing_inline() {
    let port = Port::open().await;
    let page = port.get("/").await;
    assert!(page.head.contains("content-type: text/html; charset=utf-8"));
    for file in ["/dashboard.css", "/dashboard.js"] {
        assert!(page.body.contains(&format!("\"{file}\"")), "{file}");
    }
    assert!(port.get("/dashboard.css").await.head.contains("content-type: text/css"));
    let script = port.get("/dashboard.js").await;
    assert!(script.head.contains("content-type: text/javascript"));
    // What the policy would block must not be there in the first place.
    for inline in ["<style", " style=", "<script>", " onclick=", " onload=", "javascript:"] {
        assert!(!page.body.contains(inline), "{inline}");
    }
    for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!script.body.contains(markup), "{markup}");
    }
    for body in [&page.body, &script.body] {
        let foreign = body.replace("http://www.w3.org/2000/svg", "");
        assert!(!foreign.contains("http://") && !foreign.contains("https://"));
    }
    port.finish().await;
}

/// Serves the page with sample data for ten minutes, on ports 9990 (open) and 9991 (token `t`).
#[tokio::test]
#[ignore = "for looking at the dashboard by hand"]
async fn serve_the_dashboard_with_sample_data() {
    let mut ports = Vec::new();
    for (listen, token) in [("127.0.0.1:9990", None), ("127.0.0.1:9991", Some("t"))] {
        let port = Port::start(Sample::default(), token, listen).await;
        let past = [
            (70, State::Closed, State::Open, Cause::ConsecutiveFailures),
            (10, State::Open, State::HalfOpen, Cause::OpenTimeOver),
            (9, State::HalfOpen, State::Open, Cause::ProbeFailed),
        ];
        for (seconds_ago, from, to, cause) in past {
            let at_us = now_us() - seconds_ago * 1_000_000;
            let name = Arc::from("payments");
            port.timeline.note(Moment { name, at_us, transition: transition(from, to, cause) });
        }
        ports.push(port);
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    for port in ports {
        port.finish().await;
    }
}
