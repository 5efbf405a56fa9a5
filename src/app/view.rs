//! The running process as the admin port sees it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{current::Current, numbers::Numbers, renewal::Reloads, store_thread::Tables};
use crate::{
    admin::view::{
        BreakerView, ConfigurationView, HistoryView, LastResult, ServiceView, StatusView,
        StoreView, SyncMode, TrafficView, View,
    },
    breakers::{Breakers, Circuit},
    checks::HealthBoard,
    clock,
    config::Config,
    domain::{
        breaker::{Mode, Policy, Scope, State},
        explain::{FleetFacts, Sync},
        fleet::poll_every,
    },
    fleet,
    history::Recorder,
    learning::{waits::Waits, warnings},
    proxy::plane::NOWHERE,
    store::{Identity, Kind},
    telemetry::{
        circuits::Circuits, durations, exposition::Format, log::Losses, metrics::Metrics, process,
        traces::Tracer,
    },
    upstreams::Upstreams,
};

/// What the views are made from.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) current: watch::Receiver<Arc<Current>>,
    pub(super) reloads: watch::Receiver<Reloads>,
    /// The file that the configuration is from, if it is from one.
    pub(super) source: Option<String>,
    pub(super) workers: usize,
    pub(super) identity: Identity,
    pub(super) kind: Kind,
    pub(super) breakers: Arc<Breakers>,
    pub(super) recorder: Recorder,
    pub(super) log_losses: Losses,
    pub(super) tables: watch::Receiver<Tables>,
    pub(super) fleet: watch::Receiver<fleet::Status>,
    pub(super) board: HealthBoard,
    pub(super) early: Arc<warnings::Board>,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) waits: Arc<Waits>,
    pub(super) durations: durations::Board,
    pub(super) circuits: Circuits,
    pub(super) tracer: Option<Tracer>,
}

impl Parts {
    /// The configuration in force.
    pub(super) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.borrow())
    }

    /// The same for those who look at it from outside.
    fn configuration(&self) -> ConfigurationView {
        let (current, reloads) = (self.current(), self.reloads.borrow().clone());
        ConfigurationView {
            generation: current.generation,
            source: self.source.clone().unwrap_or_else(|| "no file".to_owned()),
            since_us: current.since_us,
            needs_restart: reloads.needs_restart,
            last: reloads.last,
        }
    }
}

/// The process.
#[derive(Debug)]
pub(super) struct Process {
    parts: Arc<Parts>,
    metrics: Metrics,
    began: Instant,
    ready: AtomicBool,
    draining: AtomicBool,
}

impl Process {
    /// Not ready yet.
    pub(super) fn new(parts: Parts) -> Self {
        let parts = Arc::new(parts);
        let mut metrics = Metrics::default();
        metrics.add(Numbers(Arc::clone(&parts)));
        metrics.add(parts.durations.clone());
        metrics.add(parts.circuits.clone());
        if let Some(tracer) = &parts.tracer {
            metrics.add(tracer.clone());
        }
        metrics.add(process::Process { started_at_us: clock::wall_us() });
        let (ready, draining) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { parts, metrics, began: clock::now(), ready, draining }
    }

    /// The configuration, and what came of changes to it.
    pub(super) fn configuration(&self) -> ConfigurationView {
        self.parts.configuration()
    }

    /// Calls may be sent here from now on.
    pub(super) fn is_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// No further calls should be sent here.
    pub(super) fn is_draining(&self) {
        self.draining.store(true, Ordering::Release);
        self.parts.breakers.stop();
    }

    fn last(&self, upstream: &str) -> Option<LastResult> {
        let checked = self.parts.board.of(upstream).map(|check| LastResult {
            at_us: check.at_us,
            latency: check.latency,
            failed: (!check.is_ok).then_some(check.message),
        });
        let current = self.parts.current();
        let called = current.traffic.get(upstream).and_then(|traffic| traffic.last());
        let called = called.map(|call| LastResult {
            at_us: call.at_us,
            latency: Duration::from_micros(call.duration_us),
            failed: call.reason.map(|reason| reason.as_str().to_owned()),
        });
        [checked, called].into_iter().flatten().max_by_key(|last| last.at_us)
    }

    /// What is odd about the configuration, here and beside the others'.
    fn warnings(&self, fleet: &fleet::Status) -> Vec<String> {
        let (now, current) = (clock::now(), self.parts.current());
        let drift = |circuit: Arc<Circuit>| {
            let (name, drift) = (circuit.name(), fleet.drift(circuit.name(), now)?);
            Some(format!("{name}: {drift}"))
        };
        let drifts = self.parts.breakers.iter().filter_map(drift);
        let of_file = reloads_in_words(&self.parts.reloads.borrow());
        of_file.into_iter().chain(current.warnings.iter().cloned()).chain(drifts).collect()
    }

    fn in_flight(&self) -> u64 {
        self.parts.current().traffic.values().map(|traffic| traffic.in_flight()).sum()
    }
}

impl View for Process {
    fn breakers(&self) -> Vec<BreakerView> {
        let now = clock::now();
        let status = self.parts.fleet.borrow().clone();
        let live = status.live.max(1);
        let view = |circuit: Arc<Circuit>| BreakerView {
            name: Arc::clone(circuit.name()),
            key: circuit.key().to_owned(),
            scope: circuit.scope(),
            task_ids: circuit.examples(circuit.snapshot(now).failure_count),
            snapshot: circuit.snapshot(now),
            policy: Policy::clone(&circuit.policy()),
            reporters: if circuit.scope() == Scope::Fleet { live } else { 1 },
            fleet: (circuit.scope() == Scope::Fleet).then(|| facts(&circuit, &status, now)),
        };
        self.parts.breakers.iter().map(view).collect()
    }

    fn services(&self) -> Vec<ServiceView> {
        let now = clock::now();
        let warnings = self.parts.early.active();
        let warning = |name: &str| {
            let of_it = warnings.iter().filter(|it| &*it.notice.subject.upstream == name);
            of_it.min_by_key(|it| it.notice.signal).map(|it| it.notice.claim.clone())
        };
        let view = |name: &Arc<str>| {
            let snapshot = self.parts.breakers.of(name)?.snapshot(now);
            let is_felt = snapshot.mode != Mode::Shadow;
            let state = if is_felt { snapshot.state } else { State::Closed };
            let (last, warning) = (self.last(name), warning(name));
            Some(ServiceView { name: Arc::clone(name), state, last, warning })
        };
        self.parts.current().config.upstreams.keys().filter_map(view).collect()
    }

    fn traffic(&self) -> Vec<TrafficView> {
        let now = clock::now();
        let current = self.parts.current();
        let upstreams = current.traffic.iter().filter(|(name, _)| &***name != NOWHERE);
        let view =
            |(name, traffic): (&Arc<str>, &Arc<crate::telemetry::traffic::Traffic>)| TrafficView {
                name: Arc::clone(name),
                in_flight: traffic.in_flight(),
                counts: traffic.recent(now),
            };
        let mut views: Vec<TrafficView> = upstreams.map(view).collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views
    }

    fn status(&self) -> StatusView {
        let parts = &*self.parts;
        let counters = parts.recorder.counters();
        let fleet = parts.fleet.borrow().clone();
        let fault = match &*parts.tables.borrow() {
            Tables::Pending(fault) => fault.clone(),
            Tables::There if !counters.store_up() => {
                counters.last_error().map(|error| error.message)
            }
            Tables::There => fleet.last_error.clone().filter(|_| fleet.is_away),
        };
        StatusView {
            version: env!("CARGO_PKG_VERSION"),
            uptime: clock::now().saturating_duration_since(self.began),
            instance: parts.identity.instance.clone(),
            display_name: parts.identity.name().to_owned(),
            listeners: parts.current().listeners.clone(),
            workers: parts.workers,
            draining: self.draining.load(Ordering::Acquire),
            in_flight: self.in_flight(),
            store: StoreView {
                kind: parts.kind.as_str(),
                fault,
                sync: match (parts.kind, fleet.mode) {
                    (Kind::Sqlite, _) | (_, fleet::SyncMode::Off) => SyncMode::Alone,
                    (Kind::Postgres, fleet::SyncMode::Listen) => SyncMode::Listen,
                    (Kind::Postgres, fleet::SyncMode::Poll) => SyncMode::Poll,
                },
                sync_reason: fleet.because.clone().filter(|_| parts.kind == Kind::Postgres),
                lag: fleet.lag(clock::now()),
                instances: fleet.live.max(1),
            },
            history: HistoryView {
                waiting: counters.rows_waiting(),
                written: counters.written(),
                dropped: counters.dropped(),
                rejected: counters.set_aside(),
                damaged: counters.damaged(),
                journal_bytes: counters.spool_bytes(),
                in_memory_because: counters.in_memory_because(),
            },
            configuration: parts.configuration(),
            degraded: fleet.sick.as_ref().map(ToString::to_string),
            warnings: self.warnings(&fleet),
        }
    }

    fn ready(&self) -> Result<(), String> {
        if self.draining.load(Ordering::Acquire) {
            return Err("draining".to_owned());
        }
        if self.ready.load(Ordering::Acquire) { Ok(()) } else { Err("starting".to_owned()) }
    }

    fn metrics(&self, format: Format) -> String {
        self.metrics.encode(format)
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.parts.current().config)
    }
}

/// What is to be looked at about the file of the configuration.
fn reloads_in_words(reloads: &Reloads) -> Vec<String> {
    let refused = reloads.last.as_ref().and_then(|last| last.fault.as_ref()).map(|fault| {
        let first = fault.lines().next().unwrap_or_default();
        format!(
            "the configuration was changed and cannot be used, the last good one counts: {first}"
        )
    });
    let keys = reloads.needs_restart.join(", ");
    let waiting = (!keys.is_empty()).then(|| format!("changed, and waiting for a restart: {keys}"));
    refused.into_iter().chain(waiting).collect()
}

/// What other instances have to do with a circuit.
fn facts(circuit: &Circuit, status: &fleet::Status, now: Instant) -> FleetFacts {
    let sync = match status.mode {
        _ if status.live <= 1 && !status.is_away => Sync::Alone,
        _ if status.is_away => Sync::Away {
            since: status.lag(now).unwrap_or_default(),
            because: status.last_error.clone(),
        },
        fleet::SyncMode::Listen => Sync::Listening,
        fleet::SyncMode::Poll => {
            Sync::Polling { every: poll_every(status.live, false), because: status.because.clone() }
        }
        fleet::SyncMode::Off => Sync::Alone,
    };
    FleetFacts {
        is_agreed: circuit.is_agreed(),
        epoch: circuit.snapshot(now).epoch,
        live: status.live,
        sync,
        lag: status.lag(now),
        drift: status.drift(circuit.name(), now),
        sick: status.sick.as_ref().map(ToString::to_string),
        hearing: None,
    }
}
