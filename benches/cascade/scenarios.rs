//! What is compared.

use std::time::Duration;

/// One set of services, with sidecars or without.
pub(crate) struct Scenario {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// How many instances of B there are.
    pub(crate) instances: usize,
    /// How long the clients of A and B wait for an answer.
    pub(crate) patience: Duration,
    /// None: the services call each other directly.
    pub(crate) sidecars: Option<Sidecars>,
}

/// What the sidecars are told beyond who is where.
#[derive(Clone, Copy)]
pub(crate) struct Sidecars {
    /// Of the upstream C, in YAML.
    pub(crate) towards_c: &'static str,
    /// Of the upstream B, in YAML.
    pub(crate) towards_b: &'static str,
    /// One circuit for all that B does; else what needs C has one of its own.
    pub(crate) one_circuit: bool,
}

impl Scenario {
    const fn without(instances: usize, patience: Duration) -> Self {
        Self { name: "no Fusebox", instances, patience, sidecars: None }
    }

    const fn with(
        name: &'static str,
        instances: usize,
        patience: Duration,
        sidecars: Sidecars,
    ) -> Self {
        Self { name, instances, patience, sidecars: Some(sidecars) }
    }
}

const USUAL: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(60);

const DEFAULTS: Sidecars = Sidecars { towards_c: "", towards_b: "", one_circuit: false };

/// As in every configuration that comes with Fusebox, but oftener.
const CHECKED: Sidecars = Sidecars {
    towards_c: "health_check: { path: /health, every: 1s, timeout: 1s }",
    towards_b: "health_check: { path: /health, every: 1s, timeout: 1s }",
    ..DEFAULTS
};

/// Half of B's threads at most may wait for C.
const BOUNDED: Sidecars = Sidecars { towards_c: "limits: { concurrency: 16 }", ..DEFAULTS };

/// More than C ever takes, and a little more for who waits for B that waits for C.
const TIMELY: Sidecars = Sidecars {
    towards_c: "timeouts: { first_byte: 1s }",
    towards_b: "timeouts: { first_byte: 2s }",
    ..DEFAULTS
};

/// And tried again every five seconds.
const TUNED: Sidecars = Sidecars {
    towards_c: "timeouts: { first_byte: 1s }
    breaker: { open_for: 5s, open_for_max: 5s }",
    towards_b: "timeouts: { first_byte: 2s }
    breaker: { open_for: 5s, open_for_max: 5s }",
    ..DEFAULTS
};

/// Circuits that are shared with nobody.
const ALONE: Sidecars = Sidecars {
    towards_c: "timeouts: { first_byte: 1s }
    breaker: { scope: instance }",
    towards_b: "timeouts: { first_byte: 2s }
    breaker: { scope: instance }",
    ..DEFAULTS
};

/// All of them. One without sidecars is what those after it are measured by, until the next one.
pub(crate) const SCENARIOS: [Scenario; 13] = [
    Scenario::without(1, USUAL),
    Scenario::with("defaults", 1, USUAL, DEFAULTS),
    Scenario::with("health check every 1s", 1, USUAL, CHECKED),
    Scenario::with("concurrency 16", 1, USUAL, BOUNDED),
    Scenario::with("first_byte 1s", 1, USUAL, TIMELY),
    Scenario::with("first_byte 1s, open_for 5s", 1, USUAL, TUNED),
    Scenario::with(
        "first_byte 1s, one circuit",
        1,
        USUAL,
        Sidecars { one_circuit: true, ..TIMELY },
    ),
    Scenario::without(1, LONG),
    Scenario::with("defaults", 1, LONG, DEFAULTS),
    Scenario::with("first_byte 1s", 1, LONG, TIMELY),
    Scenario::without(3, USUAL),
    Scenario::with("first_byte 1s, each alone", 3, USUAL, ALONE),
    Scenario::with("first_byte 1s, as a fleet", 3, USUAL, TIMELY),
];
