//! Frames to try things on.

use super::overview::{Line, Overview, Rows, Store, Totals};

/// A breaker; one without an error share had no calls.
pub(super) fn line(name: &str, state: &str, error_share: Option<f64>) -> Line {
    let settled = state == "CLOSED";
    Line {
        name: name.to_owned(),
        state: state.to_owned(),
        for_ms: Some(if settled { 7_380_000 } else { 18_000 }),
        calls_per_second: error_share.map(|_| 41.37),
        error_share,
        p50_ms: error_share.map(|_| 3.24),
        p95_ms: error_share.map(|_| 48.0),
        p99_ms: error_share.map(|_| 1_250.0),
        in_flight: error_share
            .map_or(0, |_| if settled { 3 } else { 4 } + u64::from(state == "OPEN")),
        probe_in_ms: (state == "OPEN").then_some(42_000),
        why: if settled { String::new() } else { "consecutive_failures".to_owned() },
    }
}

/// A process with these breakers.
pub(super) fn overview(upstreams: Vec<Line>) -> Overview {
    let count = |state: &str| upstreams.iter().filter(|line| line.state == state).count();
    let (open, closed) = (count("OPEN"), count("CLOSED"));
    Overview {
        service: "orders".to_owned(),
        namespace: "production".to_owned(),
        display_name: "host-1".to_owned(),
        version: "0.1.0".to_owned(),
        uptime_ms: 11_520_000,
        totals: Totals {
            circuits: upstreams.len(),
            open,
            recovering: upstreams.len() - open - closed,
            in_flight: 8,
            calls_per_second: 82.7,
            calls: 2_481,
            errors: 52,
        },
        store: Store {
            kind: "postgres".to_owned(),
            fault: None,
            sync_mode: "listen".to_owned(),
            instances: 3,
        },
        rows: Rows { written: 96_512, waiting: 4, lost: 0 },
        notes: Vec::new(),
        upstreams,
    }
}
