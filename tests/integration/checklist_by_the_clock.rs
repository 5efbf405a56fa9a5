//! The classic checklist with the defaults as they are: a check every 5 s, 60 s open.

use std::time::Duration;

use crate::harness::{ScriptedUpstream, Setup, status};

#[test]
fn an_upstream_that_stops_is_open_within_thirty_seconds_and_closes_after_it_returns() {
    let mut upstream = ScriptedUpstream::start();
    let check = "health_check: { path: /health, every: 5s, timeout: 1s }";
    let fusebox = Setup::payments(&upstream.url(), &[check]).start();
    upstream.stop();
    fusebox.wait_for_state("payments", "OPEN", Duration::from_secs(30));
    assert_eq!(fusebox.breaker("payments")["failureCount"], 5);
    upstream.resume();
    let seen = fusebox.wait_for_state("payments", "CLOSED", Duration::from_secs(30));
    assert_eq!(seen, ["OPEN", "HALF_OPEN", "RAMPING", "CLOSED"]);
}

#[test]
fn without_checks_it_stays_open_for_sixty_seconds() {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), &[]).start();
    upstream.answer(status(500));
    for _ in 0..5 {
        fusebox.get("/pay", &[]);
    }
    let opened = fusebox::clock::now();
    upstream.answer(status(200));
    fusebox.wait_for_state("payments", "HALF_OPEN", Duration::from_secs(75));
    // Jitter may shorten or lengthen it a little.
    let open_for = fusebox::clock::now().duration_since(opened);
    assert!(open_for > Duration::from_secs(50), "{open_for:?}");
}
