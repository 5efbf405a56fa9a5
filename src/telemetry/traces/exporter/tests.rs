//! What becomes of spans when the collector is slow, strange or silent, and the process stops.

use std::{net::TcpListener, time::Duration};

use tokio::{sync::watch, time::sleep};

use super::{BACKOFF_FIRST, Exporter, LAST_FLUSH, TRIED_FOR, bounded};
use crate::{
    clock,
    telemetry::{
        metrics::{Sample, Source as _, Value},
        traces::{
            Tracer,
            queue::tests::{tell, traces},
        },
    },
};

/// How many spans there are of a kind.
fn spans(tracer: &Tracer, kind: &str) -> f64 {
    let name = format!("fusebox_spans_{kind}");
    let family = tracer.families().into_iter().find(|family| family.name == name).unwrap();
    let number = |sample: &Sample| match sample.value {
        Value::Number(number) => number,
        Value::Histogram(_) => panic!("a number"),
    };
    family.samples.iter().map(number).sum()
}

/// How long an exporter with eight batches takes to end from the stop on, which comes after a
/// while. What it sends to takes none of its spans.
async fn end(collector: &str, stop_after: Duration) -> Duration {
    let traces = traces(collector, 16, 2);
    assert!(traces.timeout > LAST_FLUSH, "one post alone takes longer");
    let tracer = Tracer::new(&traces);
    (0..8).for_each(|_| tell(&tracer, 1));
    let (stop, stopped) = watch::channel(false);
    let exporter = Exporter::new(tracer.clone(), traces, None, Vec::new());
    let running = tokio::spawn(exporter.run(stopped));
    sleep(stop_after).await;
    let began = clock::now();
    stop.send_replace(true);
    running.await.unwrap();
    let kinds = ["sent", "dropped", "waiting"].iter();
    let told: Vec<_> = kinds.map(|kind| spans(&tracer, kind)).collect();
    assert_eq!(told, [0.0, 16.0, 0.0], "none is forgotten");
    clock::now() - began
}

#[tokio::test(start_paused = true)]
async fn neither_a_silent_collector_nor_one_that_is_gone_holds_up_the_stop() {
    // It lets everybody come and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    for collector in [&*silent, "http://127.0.0.1:1"] {
        for stop_after in [0, 1, 9, 11, 65].map(Duration::from_secs) {
            let took = end(collector, stop_after).await;
            let limit = LAST_FLUSH + Duration::from_millis(5);
            assert!(took <= limit, "{collector}: {took:?} after {stop_after:?}");
        }
    }
}

#[test]
fn a_collector_does_not_decide_how_often_or_how_long_it_is_asked() {
    let seconds = |asked| bounded(Duration::from_secs(asked));
    assert_eq!(seconds(0), BACKOFF_FIRST);
    assert_eq!(seconds(3), Duration::from_secs(3));
    assert_eq!(seconds(u64::MAX), TRIED_FOR);
}
