//! The numbers that the parts tell to `/metrics`.

mod circuits;
mod configuration;
mod learning;
mod store;
mod upstreams;

use std::sync::Arc;

use super::view::Parts;
use crate::{
    store::Place,
    telemetry::metrics::{Family, Kind, Labels, Sample, Source},
};

/// Breakers, calls, upstreams, history, sync and learning of one process.
#[derive(Debug)]
pub(super) struct Numbers(pub(super) Arc<Parts>);

impl Source for Numbers {
    fn families(&self) -> Vec<Family> {
        let (parts, current) = (&*self.0, self.0.current());
        let mut families = circuits::families(&parts.breakers);
        families.extend(upstreams::calls(&current.traffic));
        families.extend(upstreams::live(&parts.upstreams));
        families.extend(store::history(parts.recorder.counters()));
        families.extend(store::fleet(&parts.fleet.borrow()));
        families.extend(learning::families(parts, &current));
        families.extend(configuration::families(&current, &parts.reloads.borrow()));
        families.push(Family::single(
            "fusebox_log_lines_lost",
            "Log lines that found no room or could not be written",
            Kind::Counter,
            number(parts.log_losses.lines()),
        ));
        families.extend(parts.identity.found.get().map(task));
        let version: Labels = vec![("version", env!("CARGO_PKG_VERSION").into())];
        families.push(Family {
            name: "fusebox_build_info",
            help: "The version that is running",
            kind: Kind::Gauge,
            samples: vec![Sample::new(version, 1.0)],
        });
        families
    }
}

/// Where it runs, as labels to join with.
fn task(place: &Place) -> Family {
    let labels: Labels = vec![
        ("cluster", place.cluster.clone().into()),
        ("task", place.task.clone().into()),
        ("definition", place.definition.clone().into()),
        ("zone", place.zone.clone().unwrap_or_default().into()),
    ];
    Family {
        name: "fusebox_task_info",
        help: "The task of ECS that this is",
        kind: Kind::Gauge,
        samples: vec![Sample::new(labels, 1.0)],
    }
}

/// The label with the name of an upstream, or of its circuit.
fn of(upstream: &str) -> Labels {
    vec![("upstream", upstream.to_owned().into())]
}

/// The same with another, from a fixed vocabulary.
fn of_with(upstream: &str, label: &'static str, word: &'static str) -> Labels {
    vec![("upstream", upstream.to_owned().into()), (label, word.into())]
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
const fn number(count: u64) -> f64 {
    count as f64
}
