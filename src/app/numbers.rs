//! The numbers that the parts tell to `/metrics`.

use std::sync::Arc;

use super::view::Parts;
use crate::{
    clock,
    domain::breaker::{Mode, State},
    proxy::plane::TrafficBoard,
    telemetry::metrics::{Family, Kind, Sample, Source},
};

/// Breakers, calls, history and sync of one process.
#[derive(Debug)]
pub(super) struct Numbers(pub(super) Arc<Parts>);

impl Source for Numbers {
    fn families(&self) -> Vec<Family> {
        let parts = &*self.0;
        let mut families = breakers(parts);
        families.extend(calls(&parts.traffic));
        families.extend(history(parts));
        families.push(Family::single(
            "fusebox_log_lines_lost",
            "Log lines that found no room or could not be written",
            Kind::Counter,
            number(parts.log_losses.lines()),
        ));
        families.push(Family {
            name: "fusebox_build_info",
            help: "The version that is running",
            kind: Kind::Gauge,
            samples: vec![Sample {
                labels: vec![("version", env!("CARGO_PKG_VERSION").to_owned())],
                value: 1.0,
            }],
        });
        families
    }
}

fn breakers(parts: &Parts) -> Vec<Family> {
    let now = clock::now();
    let mut states = Vec::new();
    let mut streaks = Vec::new();
    let mut modes = Vec::new();
    let mut would_refuse = Vec::new();
    for circuit in parts.breakers.iter() {
        let snapshot = circuit.snapshot(now);
        let upstream = || ("upstream", circuit.name().to_string());
        for state in State::ALL {
            let labels = vec![upstream(), ("state", state.as_str().to_owned())];
            states.push(Sample { labels, value: f64::from(u8::from(snapshot.state == state)) });
        }
        for mode in Mode::ALL {
            let labels = vec![upstream(), ("mode", mode.as_str().to_owned())];
            modes.push(Sample { labels, value: f64::from(u8::from(snapshot.mode == mode)) });
        }
        would_refuse
            .push(Sample { labels: vec![upstream()], value: number(snapshot.would_refuse) });
        streaks.push(Sample { labels: vec![upstream()], value: f64::from(snapshot.failure_count) });
    }
    vec![
        Family {
            name: "fusebox_breaker_state",
            help: "1 for the state that the breaker is in, 0 for the others",
            kind: Kind::Gauge,
            samples: states,
        },
        Family {
            name: "fusebox_breaker_failures_in_a_row",
            help: "Failures in a row, kept until the breaker closes",
            kind: Kind::Gauge,
            samples: streaks,
        },
        Family {
            name: "fusebox_breaker_mode",
            help: "1 for the way in which the breaker is steered, 0 for the others",
            kind: Kind::Gauge,
            samples: modes,
        },
        Family {
            name: "fusebox_breaker_would_refuse",
            help: "Calls that passed a breaker in shadow which would have refused them",
            kind: Kind::Counter,
            samples: would_refuse,
        },
    ]
}

fn calls(traffic: &TrafficBoard) -> Vec<Family> {
    let mut calls = Vec::new();
    let mut in_flight = Vec::new();
    let mut upstreams: Vec<_> = traffic.iter().collect();
    upstreams.sort_by(|a, b| a.0.cmp(b.0));
    for (name, traffic) in upstreams {
        for (outcome, count) in traffic.outcomes() {
            let labels =
                vec![("upstream", name.to_string()), ("outcome", outcome.as_str().to_owned())];
            calls.push(Sample { labels, value: number(count) });
        }
        let value = number(traffic.in_flight());
        in_flight.push(Sample { labels: vec![("upstream", name.to_string())], value });
    }
    vec![
        Family {
            name: "fusebox_calls",
            help: "Calls that ended, by outcome",
            kind: Kind::Counter,
            samples: calls,
        },
        Family {
            name: "fusebox_calls_in_flight",
            help: "Calls under way",
            kind: Kind::Gauge,
            samples: in_flight,
        },
    ]
}

fn history(parts: &Parts) -> Vec<Family> {
    let counters = parts.recorder.counters();
    let count = |name, help, value| Family::single(name, help, Kind::Counter, number(value));
    vec![
        count(
            "fusebox_history_written",
            "Calls whose rows the store has committed",
            counters.written(),
        ),
        count(
            "fusebox_history_dropped",
            "Calls that lost their row because the journal was full",
            counters.dropped(),
        ),
        count(
            "fusebox_history_set_aside",
            "Calls whose rows the store would not take",
            counters.set_aside(),
        ),
        count(
            "fusebox_history_damaged",
            "Records of the journal that could not be read",
            counters.damaged(),
        ),
        Family::single(
            "fusebox_history_waiting",
            "Rows in the journal on their way to the store",
            Kind::Gauge,
            number(counters.rows_waiting()),
        ),
        Family::single(
            "fusebox_journal_bytes",
            "What the journal takes",
            Kind::Gauge,
            number(counters.spool_bytes()),
        ),
        Family::single(
            "fusebox_journal_on_disk",
            "Whether rows that wait survive the process",
            Kind::Gauge,
            f64::from(u8::from(counters.in_memory_because().is_none())),
        ),
        Family::single(
            "fusebox_store_up",
            "Whether the store took the last batch",
            Kind::Gauge,
            f64::from(u8::from(counters.store_up())),
        ),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
const fn number(count: u64) -> f64 {
    count as f64
}
