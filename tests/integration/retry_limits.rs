//! Retries never become the load that they are meant to survive.

use std::thread;

use crate::{
    harness::{
        Answer, Fusebox, Gate, PATIENCE, ScriptedUpstream, Setup, Step, ending, raw, status,
    },
    local::wait_until,
};

const PATIENT: &str = "breaker: { consecutive_failures: 10000 }";

fn start(keys: &[&str]) -> (ScriptedUpstream, Fusebox) {
    let upstream = ScriptedUpstream::start();
    let fusebox = Setup::payments(&upstream.url(), keys).with("workers: 2").start();
    (upstream, fusebox)
}

/// Fails when the gate opens.
fn failing_after(gate: &std::sync::Arc<Gate>) -> Answer {
    let answer = raw("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
    vec![Step::ReadBody, Step::WaitFor(gate.clone()), answer]
}

#[test]
fn of_calls_that_fail_together_a_fifth_is_tried_again() {
    const CALLS: usize = 40;
    let retry = "retry: { statuses: [503], backoff: 0s, backoff_max: 0s, budget: 20%, min: 3 }";
    let (upstream, fusebox) = start(&[PATIENT, retry]);
    let (first, second) = (Gate::new(), Gate::new());
    upstream.answer(failing_after(&first));
    thread::scope(|scope| {
        let calls: Vec<_> =
            (0..CALLS).map(|_| scope.spawn(|| fusebox.get("/", &[]).status)).collect();
        wait_until("all arrive", PATIENCE, || (upstream.hits() == CALLS).then_some(()));
        upstream.answer(failing_after(&second));
        first.open();
        // Those that are tried again wait at the second gate, the others are over.
        let over = |calls: &[thread::ScopedJoinHandle<'_, u16>]| {
            calls.iter().filter(|call| call.is_finished()).count()
        };
        wait_until("all are over or under way again", PATIENCE, || {
            (over(&calls) + upstream.hits() == 2 * CALLS).then_some(())
        });
        let again = upstream.hits() - CALLS;
        assert!((3..=CALLS / 5).contains(&again), "{again} were tried again");
        second.open();
        for call in calls {
            assert_eq!(call.join().expect("a call"), 503);
        }
    });
    assert!(upstream.hits() <= CALLS + CALLS / 5);
}

#[test]
fn an_outage_does_not_multiply_the_load() {
    const CALLERS: usize = 16;
    const EACH: usize = 50;
    let retry = "retry: { attempts: 3, statuses: [503] }";
    let (upstream, fusebox) = start(&[PATIENT, retry]);
    upstream.answer(status(503));
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let mut connection = fusebox.connect();
                for _ in 0..EACH {
                    assert_eq!(connection.get("/", &[]).status, 503);
                }
            });
        }
    });
    let (calls, hits) = (CALLERS * EACH, upstream.hits());
    assert!(hits > calls, "none was tried again");
    assert!(hits * 10 <= calls * 15, "{hits} requests for {calls} calls");
}

#[test]
fn a_breaker_that_opens_at_the_first_attempt_stops_the_second() {
    let keys = ["breaker: { consecutive_failures: 1 }", "retry: { attempts: 5, statuses: [503] }"];
    let (upstream, fusebox) = start(&keys);
    upstream.answer(status(503));
    let response = fusebox.get("/", &[("x-correlation-id", "req-opens")]);
    assert_eq!((response.status, response.text()), (503, "ok"), "the attempt's own answer");
    assert_eq!(response.proxy_error(), None);
    assert_eq!((upstream.hits(), fusebox.state("payments")), (1, "OPEN".to_owned()));
    let row = fusebox.row("req-opens");
    assert_eq!((ending(&row).as_str(), &row["attempts"]), ("failure http_503 503", &1.into()));
    assert_eq!(fusebox.get("/", &[]).proxy_error(), Some("destination_unavailable"));
    assert_eq!(upstream.hits(), 1);
}

#[test]
fn a_breaker_that_opens_by_a_refused_connection_leaves_the_call_its_own_error() {
    let keys = ["breaker: { consecutive_failures: 1 }", "retry: { attempts: 5 }"];
    let (mut upstream, fusebox) = start(&keys);
    upstream.stop();
    let response = fusebox.get("/", &[("x-correlation-id", "req-refused")]);
    assert_eq!((response.status, response.proxy_error()), (502, Some("connection_refused")));
    let row = fusebox.row("req-refused");
    assert_eq!(ending(&row), "failure connect_refused 502");
    assert_eq!(row["attempts"], 1, "{row}");
}

#[test]
fn a_caller_that_has_no_time_left_is_not_kept_waiting_for_another_attempt() {
    let retry = "retry: { attempts: 10, statuses: [503], backoff: 1m, backoff_max: 1m }";
    let (upstream, fusebox) = start(&[PATIENT, retry]);
    upstream.answer(status(503));
    let began = fusebox::clock::now();
    let response = fusebox.get("/", &[("x-envoy-expected-rq-timeout-ms", "5000")]);
    assert_eq!((response.status, response.text()), (503, "ok"));
    let took = fusebox::clock::now().duration_since(began);
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
}
