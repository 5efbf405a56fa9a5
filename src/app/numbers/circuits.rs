//! What the breakers tell of themselves.

use super::{flag, number, of, of_with};
use crate::{
    breakers::Breakers,
    clock,
    domain::breaker::{Mode, State},
    telemetry::metrics::{Family, Kind, Sample},
};

pub(super) fn families(breakers: &Breakers) -> Vec<Family> {
    let now = clock::now();
    let mut states = Vec::new();
    let mut modes = Vec::new();
    let mut streaks = Vec::new();
    let mut retry_after = Vec::new();
    let mut would_refuse = Vec::new();
    for circuit in breakers.iter() {
        let (snapshot, name) = (circuit.snapshot(now), circuit.name());
        states.extend(State::ALL.map(|state| {
            Sample::new(of_with(name, "state", state.as_str()), flag(snapshot.state == state))
        }));
        modes.extend(Mode::ALL.map(|mode| {
            Sample::new(of_with(name, "mode", mode.as_str()), flag(snapshot.mode == mode))
        }));
        streaks.push(Sample::new(of(name), f64::from(snapshot.failure_count)));
        retry_after.push(Sample::new(of(name), snapshot.retry_after.as_secs_f64()));
        would_refuse.push(Sample::new(of(name), number(snapshot.would_refuse)));
    }
    let family = |kind, name, help, samples| Family { name, help, kind, samples };
    vec![
        family(
            Kind::Gauge,
            "fusebox_breaker_state",
            "1 for the state that the breaker is in, 0 for the others",
            states,
        ),
        family(
            Kind::Gauge,
            "fusebox_breaker_mode",
            "1 for the way in which the breaker is steered, 0 for the others",
            modes,
        ),
        family(
            Kind::Gauge,
            "fusebox_breaker_failures_in_a_row",
            "Failures in a row, kept until the breaker closes",
            streaks,
        ),
        family(
            Kind::Gauge,
            "fusebox_breaker_retry_after_seconds",
            "How long until the next probe; zero unless the breaker is open by its rules",
            retry_after,
        ),
        family(
            Kind::Counter,
            "fusebox_breaker_would_refuse",
            "Calls that passed a breaker in shadow which would have refused them",
            would_refuse,
        ),
    ]
}
