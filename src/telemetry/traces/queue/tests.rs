//! What waits, what is dropped, and what goes together.

use std::{sync::Arc, time::Duration};

use super::{MOVES_KEPT, Moved, Tracer};
use crate::{
    config::{self, Environment, Source, load},
    domain::{
        breaker::{Cause, Mode, State, Transition},
        correlation::{CorrelationId, TraceContext},
        outcome::{Outcome, Verdict},
        task::{Attempt, CallRecord, TaskId},
    },
    telemetry::{metrics::Source as _, traces::Hops},
};

/// What is configured about a collector there, with this much room, and batches of so many spans.
pub(in crate::telemetry::traces) fn traces(
    collector: &str,
    queue: usize,
    batch: usize,
) -> config::Traces {
    let text = format!(
        "telemetry: {{ traces: {{ endpoint: \"{collector}\", queue: {queue}, batch: {batch} }} }}\n\
         listeners: {{ egress: {{ listen: \"127.0.0.1:1\", upstream: a }} }}\n\
         upstreams: {{ a: {{ endpoints: [\"http://a\"] }} }}\n"
    );
    let source = Source { name: "test".to_owned(), text };
    let loaded = load(&source, &Environment::default()).unwrap();
    let traces = loaded.config.telemetry.traces.unwrap();
    assert_eq!(traces.every, Duration::from_secs(5));
    traces
}

fn tracer(queue: usize, batch: usize) -> Tracer {
    Tracer::new(&traces("http://c:1", queue, batch))
}

/// A call with so many attempts ends.
pub(in crate::telemetry::traces) fn tell(tracer: &Tracer, attempts: usize) {
    let mut context = TraceContext::next_hop(None, None, (7, 9));
    assert!(tracer.samples(&mut context));
    let mut hops = Hops::begin(&context, "http", 11);
    (0..attempts).for_each(|_| hops.attempt(&mut context, 0, 13));
    let attempt = Attempt {
        instead: None,
        endpoint: "a:80".into(),
        verdict: Verdict::Success,
        reason: None,
        duration_us: 1,
    };
    let call = CallRecord {
        id: TaskId::from_u128(1),
        started_at_us: 0,
        correlation_id: CorrelationId::mint(1),
        trace_id: context.trace_id,
        parent_id: None,
        site: Arc::default(),
        endpoint: None,
        method: http::Method::GET,
        status: Some(200),
        grpc_status: None,
        outcome: Outcome::Success,
        reason: None,
        attempts: vec![attempt; attempts].into_iter().collect(),
        breaker_state: State::Closed,
        duration_us: 1,
        upstream_us: None,
        first_byte_us: None,
        deadline_ms: None,
        request_bytes: 0,
        response_bytes: 0,
        captured: None,
        weight: 1,
    };
    tracer.tell(&call, hops);
}

fn dropped(tracer: &Tracer) -> String {
    let families = tracer.families();
    let family = families.iter().find(|family| family.name == "fusebox_spans_dropped").unwrap();
    format!("{:?}", family.samples[0].value)
}

#[test]
fn what_finds_no_room_is_dropped_and_counted_in_spans() {
    let tracer = tracer(5, 5);
    (0..4).for_each(|_| tell(&tracer, 1));
    assert_eq!(tracer.take().len(), 2, "two spans each");
    assert_eq!(dropped(&tracer), "Number(4.0)");
    tell(&tracer, 1);
    assert_eq!(tracer.take().len(), 1, "there is room again");
}

#[test]
fn a_batch_has_as_many_spans_as_it_may_and_one_call_at_least() {
    let tracer = tracer(100, 4);
    [1, 1, 1, 9].into_iter().for_each(|attempts| tell(&tracer, attempts));
    let sizes: Vec<usize> = (0..4).map(|_| tracer.take().len()).collect();
    assert_eq!(sizes, [2, 1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn who_sends_is_woken_by_a_whole_batch() {
    let tracer = tracer(100, 4);
    tell(&tracer, 1);
    let limit = Duration::from_secs(60);
    assert!(tokio::time::timeout(limit, tracer.fills()).await.is_err());
    tell(&tracer, 1);
    assert!(tokio::time::timeout(limit, tracer.fills()).await.is_ok());
}

#[test]
fn only_the_latest_moves_are_remembered() {
    let tracer = tracer(1, 1);
    let opened = Transition {
        from: State::Closed,
        to: State::Open,
        cause: Cause::FailureRate,
        failure_count: 0,
        window_calls: 0,
        window_failures: 0,
        open_for: Duration::ZERO,
        step: 0,
        by_connection: false,
        generation: 1,
        mode: Mode::Auto,
    };
    for at_us in 0..1_000 {
        tracer.moved(Moved {
            name: "a".into(),
            transition: opened.clone(),
            at_us,
            task_ids: Vec::new(),
        });
    }
    let moves = tracer.moves();
    assert_eq!((moves.len(), moves[0].at_us), (MOVES_KEPT, 1_000 - 256));
}
