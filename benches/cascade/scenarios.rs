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

/// What the sidecars are told beyond who is where, in YAML.
#[derive(Clone, Copy)]
pub(crate) struct Sidecars {
    /// Those that call C.
    pub(crate) towards_c: &'static str,
    /// Those that call B.
    pub(crate) towards_b: &'static str,
}

const USUAL: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(60);

const DEFAULTS: Sidecars = Sidecars { towards_c: "", towards_b: "" };

/// As in every configuration that comes with Fusebox, but oftener.
const CHECKED: Sidecars = Sidecars {
    towards_c: "health_check: { path: /health, every: 1s, timeout: 1s }",
    towards_b: "health_check: { path: /health, every: 1s, timeout: 1s }",
};

/// More than C ever takes, and a little more for who waits for B that waits for C.
const TIMELY: Sidecars = Sidecars {
    towards_c: "timeouts: { first_byte: 1s }",
    towards_b: "timeouts: { first_byte: 2s }",
};

const BOTH: Sidecars = Sidecars {
    towards_c: "health_check: { path: /health, every: 1s, timeout: 1s }
    timeouts: { first_byte: 1s }",
    towards_b: "health_check: { path: /health, every: 1s, timeout: 1s }
    timeouts: { first_byte: 2s }",
};

/// The same with circuits that are shared with nobody.
const ALONE: Sidecars = Sidecars {
    towards_c: "health_check: { path: /health, every: 1s, timeout: 1s }
    timeouts: { first_byte: 1s }
    breaker: { scope: instance }",
    towards_b: "health_check: { path: /health, every: 1s, timeout: 1s }
    timeouts: { first_byte: 2s }
    breaker: { scope: instance }",
};

/// All of them. One without sidecars is what those after it are measured by, until the next one.
pub(crate) const SCENARIOS: [Scenario; 10] = [
    Scenario { name: "no Fusebox", instances: 1, patience: USUAL, sidecars: None },
    Scenario { name: "defaults", instances: 1, patience: USUAL, sidecars: Some(DEFAULTS) },
    Scenario { name: "health check", instances: 1, patience: USUAL, sidecars: Some(CHECKED) },
    Scenario { name: "first_byte 1s", instances: 1, patience: USUAL, sidecars: Some(TIMELY) },
    Scenario { name: "both", instances: 1, patience: USUAL, sidecars: Some(BOTH) },
    Scenario { name: "no Fusebox", instances: 1, patience: LONG, sidecars: None },
    Scenario { name: "defaults", instances: 1, patience: LONG, sidecars: Some(DEFAULTS) },
    Scenario { name: "no Fusebox", instances: 3, patience: USUAL, sidecars: None },
    Scenario { name: "both, each alone", instances: 3, patience: USUAL, sidecars: Some(ALONE) },
    Scenario { name: "both, as a fleet", instances: 3, patience: USUAL, sidecars: Some(BOTH) },
];
