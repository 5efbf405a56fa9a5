//! The running process as the admin port sees it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{numbers::Numbers, store_thread::Tables};
use crate::{
    admin::view::{
        BreakerView, HistoryView, LastResult, ServiceView, StatusView, StoreView, SyncMode,
        TrafficView, View,
    },
    breakers::{Breakers, Circuit},
    checks::HealthBoard,
    clock,
    config::{Config, Listen},
    domain::{
        breaker::{Mode, Scope, State},
        explain::{FleetFacts, Sync},
        fleet::poll_every,
    },
    fleet,
    history::Recorder,
    proxy::plane::{NOWHERE, TrafficBoard},
    store::{Identity, Kind},
    telemetry::{log::Losses, metrics::Metrics},
};

/// What the views are made from.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) config: Arc<Config>,
    pub(super) warnings: Vec<String>,
    pub(super) listeners: Vec<(String, Listen)>,
    pub(super) workers: usize,
    pub(super) identity: Identity,
    pub(super) kind: Kind,
    pub(super) breakers: Arc<Breakers>,
    pub(super) traffic: Arc<TrafficBoard>,
    pub(super) recorder: Recorder,
    pub(super) log_losses: Losses,
    pub(super) tables: watch::Receiver<Tables>,
    pub(super) fleet: watch::Receiver<fleet::Status>,
    pub(super) board: HealthBoard,
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
        let mut upstreams: Vec<_> = parts
            .traffic
            .iter()
            .map(|(name, traffic)| (Arc::clone(name), Arc::clone(traffic)))
            .collect();
        upstreams.sort_by(|a, b| a.0.cmp(&b.0));
        metrics.add_traffic(upstreams);
        let (ready, draining) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { parts, metrics, began: clock::now(), ready, draining }
    }

    /// Calls may be sent here from now on.
    pub(super) fn is_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// No further calls should be sent here.
    pub(super) fn is_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    fn last(&self, upstream: &str) -> Option<LastResult> {
        let checked = self.parts.board.of(upstream).map(|check| LastResult {
            at_us: check.at_us,
            latency: check.latency,
            failed: (!check.is_ok).then_some(check.message),
        });
        let called = self.parts.traffic.get(upstream).and_then(|traffic| traffic.last());
        let called = called.map(|call| LastResult {
            at_us: call.at_us,
            latency: Duration::from_micros(call.duration_us),
            failed: call.reason.map(|reason| reason.as_str().to_owned()),
        });
        [checked, called].into_iter().flatten().max_by_key(|last| last.at_us)
    }

    fn in_flight(&self) -> u64 {
        self.parts.traffic.values().map(|traffic| traffic.in_flight()).sum()
    }
}

impl View for Process {
    fn breakers(&self) -> Vec<BreakerView> {
        let now = clock::now();
        let status = self.parts.fleet.borrow().clone();
        let live = status.live.max(1);
        let view = |circuit: &Arc<Circuit>| BreakerView {
            name: Arc::clone(circuit.name()),
            key: circuit.key().to_owned(),
            scope: circuit.scope(),
            snapshot: circuit.snapshot(now),
            policy: circuit.policy().clone(),
            reporters: if circuit.scope() == Scope::Fleet { live } else { 1 },
            fleet: (circuit.scope() == Scope::Fleet).then(|| facts(circuit, &status, now)),
        };
        self.parts.breakers.iter().map(view).collect()
    }

    fn services(&self) -> Vec<ServiceView> {
        let now = clock::now();
        let view = |name: &Arc<str>| {
            let snapshot = self.parts.breakers.of(name)?.snapshot(now);
            let is_felt = snapshot.mode != Mode::Shadow;
            let state = if is_felt { snapshot.state } else { State::Closed };
            Some(ServiceView { name: Arc::clone(name), state, last: self.last(name) })
        };
        self.parts.config.upstreams.keys().filter_map(view).collect()
    }

    fn traffic(&self) -> Vec<TrafficView> {
        let now = clock::now();
        let upstreams = self.parts.traffic.iter().filter(|(name, _)| &***name != NOWHERE);
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
            Tables::There => fleet.last_error.filter(|_| fleet.is_away),
        };
        StatusView {
            version: env!("CARGO_PKG_VERSION"),
            uptime: clock::now().saturating_duration_since(self.began),
            instance: parts.identity.instance.clone(),
            display_name: parts.identity.display_name.clone(),
            listeners: parts.listeners.clone(),
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
            warnings: parts.warnings.clone(),
        }
    }

    fn ready(&self) -> Result<(), String> {
        if self.draining.load(Ordering::Acquire) {
            return Err("draining".to_owned());
        }
        if self.ready.load(Ordering::Acquire) { Ok(()) } else { Err("starting".to_owned()) }
    }

    fn metrics(&self) -> String {
        self.metrics.encode()
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.parts.config)
    }
}

/// What other instances have to do with a circuit.
fn facts(circuit: &Circuit, status: &fleet::Status, now: Instant) -> FleetFacts {
    let because = status.last_error.clone();
    let sync = match status.mode {
        _ if status.live <= 1 && !status.is_away => Sync::Alone,
        _ if status.is_away => Sync::Away { since: status.lag(now).unwrap_or_default(), because },
        fleet::SyncMode::Listen => Sync::Listening,
        fleet::SyncMode::Poll => Sync::Polling { every: poll_every(status.live, false), because },
        fleet::SyncMode::Off => Sync::Alone,
    };
    FleetFacts {
        is_agreed: circuit.is_agreed(),
        epoch: circuit.snapshot(now).epoch,
        live: status.live,
        sync,
        ..FleetFacts::default()
    }
}
