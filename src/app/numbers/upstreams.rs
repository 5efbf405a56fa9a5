//! What calls and upstreams tell.

use std::sync::Arc;

use super::{number, of, of_with};
use crate::{
    clock,
    proxy::plane::TrafficBoard,
    telemetry::{
        metrics::{Family, Kind, Sample},
        traffic::Traffic,
    },
    upstreams::{Live, Upstreams},
};

/// Calls by upstream, and those that reached none.
pub(super) fn calls(traffic: &TrafficBoard) -> Vec<Family> {
    let mut upstreams: Vec<(&Arc<str>, &Arc<Traffic>)> = traffic.iter().collect();
    upstreams.sort_by(|a, b| a.0.cmp(b.0));
    let ended = upstreams.iter().flat_map(|(name, traffic)| {
        let sample = |(outcome, count): (crate::domain::outcome::Outcome, u64)| {
            Sample::new(of_with(name, "outcome", outcome.as_str()), number(count))
        };
        traffic.outcomes().map(sample)
    });
    let refused = upstreams.iter().flat_map(|(name, traffic)| {
        let refused = traffic.refused().into_iter();
        refused.map(|(reason, count)| {
            Sample::new(of_with(name, "reason", reason.as_str()), number(count))
        })
    });
    let in_flight =
        upstreams.iter().map(|(name, traffic)| Sample::new(of(name), number(traffic.in_flight())));
    vec![
        Family {
            name: "fusebox_calls",
            help: "Calls that ended, by outcome",
            kind: Kind::Counter,
            samples: ended.collect(),
        },
        Family {
            name: "fusebox_calls_refused",
            help: "Calls that were not sent on, by reason",
            kind: Kind::Counter,
            samples: refused.collect(),
        },
        Family {
            name: "fusebox_calls_in_flight",
            help: "Calls under way",
            kind: Kind::Gauge,
            samples: in_flight.collect(),
        },
    ]
}

/// The live hosts of each upstream.
pub(super) fn live(upstreams: &Upstreams) -> Vec<Family> {
    let now = clock::now();
    let each = |value: &dyn Fn(&Live) -> f64| -> Vec<Sample> {
        upstreams.iter().map(|live| Sample::new(of(live.name()), value(&live))).collect()
    };
    let family = |kind, name, help, samples| Family { name, help, kind, samples };
    vec![
        family(
            Kind::Gauge,
            "fusebox_upstream_addresses",
            "Addresses of the upstream's endpoints",
            each(&|live| number(live.hosts().iter().count() as u64)),
        ),
        family(
            Kind::Gauge,
            "fusebox_upstream_addresses_ejected",
            "Those of them that get no calls for a while",
            each(&|live| number(live.hosts().ejected(now) as u64)),
        ),
        family(
            Kind::Counter,
            "fusebox_upstream_ejections",
            "How often an address was ejected",
            each(&|live| number(live.ejections())),
        ),
        family(
            Kind::Gauge,
            "fusebox_upstream_connections",
            "Connections to the upstream, idle ones too",
            each(&|live| f64::from(live.connections())),
        ),
        family(
            Kind::Gauge,
            "fusebox_upstream_queued",
            "Calls that wait for others to end",
            each(&|live| f64::from(live.queued())),
        ),
        family(
            Kind::Gauge,
            "fusebox_upstream_retries_in_flight",
            "Retries under way",
            each(&|live| f64::from(live.retries())),
        ),
    ]
}
