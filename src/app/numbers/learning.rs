//! What capture and learning tell.

use std::sync::Arc;

use super::{number, of, of_with};
use crate::{
    app::{current::Current, view::Parts},
    domain::{capture::Fault, learn::warn::Signal},
    store::Prediction,
    telemetry::metrics::{Family, Kind, Sample},
};

pub(super) fn families(parts: &Parts, current: &Current) -> Vec<Family> {
    let known = parts.waits.known();
    let seconds = |value: fn(&crate::learning::waits::Known) -> f64| {
        known.iter().map(|wait| Sample::new(of(&wait.upstream), value(wait))).collect()
    };
    let faults = current.captures.faults().counts().map(|(fault, count): (Fault, u64)| {
        Sample::new(vec![("reason", fault.as_str().into())], number(count))
    });
    vec![
        Family {
            name: "fusebox_capture_faults",
            help: "Values of tasks that could not be captured, by what was in the way",
            kind: Kind::Counter,
            samples: faults.collect(),
        },
        warnings(parts, current),
        Family {
            name: "fusebox_learned_timeout_seconds",
            help: "How long the first byte should be waited for, by what calls have taught",
            kind: Kind::Gauge,
            samples: seconds(|wait| wait.learned.as_secs_f64()),
        },
        Family {
            name: "fusebox_timeout_seconds",
            help: "How long the first byte is waited for",
            kind: Kind::Gauge,
            samples: seconds(|wait| wait.in_force.as_secs_f64()),
        },
    ]
}

/// Upstreams that this instance does not know are left out: labels come from the configuration.
fn warnings(parts: &Parts, current: &Current) -> Family {
    let active = parts.early.active();
    let upstreams = current.config.upstreams.keys();
    let of = |upstream: &Arc<str>| {
        Signal::ALL.map(|signal| {
            let is_it = |it: &&Arc<Prediction>| {
                it.notice.signal == signal && *it.notice.subject.upstream == **upstream
            };
            let count = active.iter().filter(is_it).count() as u64;
            Sample::new(of_with(upstream, "signal", signal.as_str()), number(count))
        })
    };
    Family {
        name: "fusebox_warning_active",
        help: "Early warnings that are active",
        kind: Kind::Gauge,
        samples: upstreams.flat_map(of).collect(),
    }
}
