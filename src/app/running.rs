//! The running parts: started in the order in which they need each other, stopped in reverse.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    sync::{broadcast::error::RecvError, watch},
    task::JoinHandle,
    time::MissedTickBehavior,
};

use super::{
    App,
    store_thread::StoreThread,
    view::{Parts, Process},
};
use crate::{
    admin::{
        self,
        timeline::{Moment, Timeline},
    },
    breakers::Breakers,
    clock,
    config::Config,
    domain::breaker::{Mode, State},
    fleet::Fleet,
    history::journal::Found,
    proxy::{self, Plane, plane},
    store::Stores,
    telemetry::log::Sink,
    upstreams::System,
};

/// How long a start waits for the store's tables before it goes on without them.
const TABLES_BUDGET: Duration = Duration::from_millis(500);
/// How long the rows that are left at a stop may take to be written.
const FLUSH_BUDGET: Duration = Duration::from_secs(5);
/// How late a move may be told that time alone makes.
const TICK_EVERY: Duration = Duration::from_millis(500);

pub(super) struct Running {
    config: Arc<Config>,
    plane: Plane,
    process: Arc<Process>,
    store_thread: StoreThread,
    /// Checks, sync and the watch over certificates end when this becomes true.
    closing: watch::Sender<bool>,
    background: Vec<JoinHandle<()>>,
    /// The admin port ends last, so that it can tell of the drain.
    admin_closing: watch::Sender<bool>,
    admin: JoinHandle<()>,
    /// Writes the last lines when it is dropped.
    _sink: Sink,
}

impl Running {
    /// Starts everything. Ready when it returns.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(super) async fn start(app: App) -> io::Result<Self> {
        announce(&app);
        let (listeners, _) = app.addresses();
        let App { ref config, ref stores, ref breakers, ref recorder, ref sink, .. } = app;
        let (closing, closed) = watch::channel(false);
        let timeline = Arc::new(Timeline::default());
        tokio::spawn(tell_transitions(Arc::clone(breakers), Arc::clone(&timeline)));
        tokio::spawn(let_time_pass(Arc::clone(breakers)));

        let store_thread = StoreThread::start(config, stores, app.writer, sink.lane())?;
        let fleet = Fleet::new(breakers, Arc::clone(&stores.state));
        let fleet_status = fleet.status();
        let syncing = sync(fleet, &store_thread, closed.clone()).await;

        let board = app.checks.board();
        let checking = tokio::spawn(app.checks.run(until(closed.clone())));
        let renewing = tokio::spawn(app.certificates.run(until(closed.clone())));
        let traffic = Arc::new(plane::traffic_board(config, clock::now()));
        let shared = proxy::Shared {
            config: Arc::clone(config),
            breakers: Arc::clone(breakers),
            upstreams: Arc::clone(&app.upstreams),
            tls: app.tls.clone(),
            traffic: Arc::clone(&traffic),
        };
        let upstreams = Arc::clone(&app.upstreams);
        let resolving = tokio::spawn(async move { upstreams.run(&System, until(closed)).await });
        let plane = Plane::start(&shared, app.sockets, app.workers, recorder, sink)?;
        let process = Arc::new(Process::new(Parts {
            config: Arc::clone(config),
            warnings: app.warnings,
            listeners,
            workers: app.workers,
            identity: app.identity,
            kind: stores.kind,
            breakers: Arc::clone(breakers),
            traffic,
            recorder: recorder.clone(),
            log_losses: sink.losses(),
            tables: store_thread.standing(),
            fleet: fleet_status,
            board,
        }));
        let (view, Stores { state, history, .. }) = (process.clone(), stores.clone());
        let breakers = Arc::clone(breakers);
        let sources = admin::Sources { view, breakers, timeline, state, history };
        let (admin_closing, admin_closed) = watch::channel(false);
        let admin = administer(app.admin, Arc::clone(config), sources, admin_closed)?;
        process.is_ready();
        tracing::info!("ready");
        let (config, background, _sink) =
            (Arc::clone(config), vec![syncing, checking, renewing, resolving], app.sink);
        Ok(Self {
            config,
            plane,
            process,
            store_thread,
            closing,
            background,
            admin_closing,
            admin,
            _sink,
        })
    }

    /// Waits for what should not happen: a thread of the data plane ends.
    pub(super) async fn failed(&mut self) -> io::Error {
        self.plane.failed().await
    }

    /// How long calls in flight may take to end.
    pub(super) fn drain_timeout(&self) -> Duration {
        self.config.drain_timeout
    }

    /// Drains the data plane, writes what is left, and ends the rest.
    pub(super) async fn stop(self, hurry: impl Future<Output = &'static str>) {
        self.process.is_draining();
        let hurry = async {
            let signal = hurry.await;
            tracing::warn!(signal, "stopping without waiting for calls in flight");
        };
        let complete = self.plane.drain(self.config.drain_timeout, hurry).await;
        tracing::info!(complete, "drained");
        self.closing.send_replace(true);
        for task in self.background {
            ended(task.await);
        }
        self.store_thread.stop(clock::now() + FLUSH_BUDGET).await;
        self.admin_closing.send_replace(true);
        ended(self.admin.await);
        tracing::info!("stopped");
    }
}

/// Adopts what the fleet knows, within bounds, and goes on to keep in step with it.
async fn sync(
    mut fleet: Fleet,
    store_thread: &StoreThread,
    closed: watch::Receiver<bool>,
) -> JoinHandle<()> {
    if store_thread.tables_within(TABLES_BUDGET).await && !fleet.adopt_at_start().await {
        tracing::warn!("starting without the fleet's breaker states: no answer in time");
    }
    let tables = store_thread.tables();
    tokio::spawn(async move {
        tokio::select! {
            // A store that never came must not hold up the stop.
            () = until(closed.clone()) => return,
            () = tables => {}
        }
        fleet.run(until(closed)).await;
    })
}

fn administer(
    listener: std::net::TcpListener,
    config: Arc<Config>,
    sources: admin::Sources,
    closed: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    Ok(tokio::spawn(async move {
        admin::serve(listener, &config.admin, sources, until(closed)).await;
    }))
}

/// A background task ended: a panic in it must not go unnoticed, and must not keep the rest from
/// stopping in order.
fn ended(end: Result<(), tokio::task::JoinError>) {
    if let Err(error) = end {
        tracing::error!(error = &error as &dyn std::error::Error, "a background task failed");
    }
}

/// Waits until the flag is set, or its owner is gone.
async fn until(mut flag: watch::Receiver<bool>) {
    // An error means that the owner is gone, which is as good.
    let _set_or_gone = flag.wait_for(|set| *set).await;
}

/// The first lines of the log: what runs here, with what, and what is odd about it.
fn announce(app: &App) {
    let (listeners, admin) = app.addresses();
    let listeners: Vec<String> =
        listeners.iter().map(|(name, address)| format!("{name}={address}")).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        namespace = app.config.namespace,
        instance = app.identity.instance,
        listeners = listeners.join(" "),
        admin = admin.map(|address| address.to_string()),
        workers = app.workers,
        upstreams = app.config.upstreams.len(),
        store = app.stores.kind.as_str(),
        "starting"
    );
    for warning in &app.warnings {
        tracing::warn!(warning, "configuration");
    }
    announce_found(app.recorder.found());
    if !app.config.breakers_enabled {
        tracing::warn!("every breaker is disabled by CIRCUIT_BREAKER_ENABLED: nothing is cut off");
    }
}

/// What the last process left in the journal.
fn announce_found(found: &Found) {
    for (file, why) in &found.unreadable {
        tracing::warn!(file, why, "a file of the journal cannot be read: it is left as it is");
    }
    if found.segments > 0 {
        let (segments, interrupted) = (found.segments, found.interrupted);
        tracing::info!(segments, interrupted, "the journal of the last process was found");
    }
}

/// Makes the moves that time alone makes, so that they are told although no call comes.
async fn let_time_pass(breakers: Arc<Breakers>) {
    let mut every = tokio::time::interval(TICK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let now = clock::now();
        breakers.iter().for_each(|circuit| circuit.tick(now));
    }
}

/// Tells the log and the timeline of every transition.
async fn tell_transitions(breakers: Arc<Breakers>, timeline: Arc<Timeline>) {
    let mut changes = breakers.changes();
    loop {
        let change = match changes.recv().await {
            Ok(change) => change,
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "transitions came too fast to be told");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let (name, transition) = (Arc::clone(change.circuit.name()), change.transition);
        let is_shadow = transition.mode == Mode::Shadow;
        if transition.to == State::Open && !is_shadow {
            let failure_count = transition.failure_count;
            tracing::warn!(upstream = &*name, failure_count, "calls are cut off");
        }
        tracing::info!(
            upstream = &*name,
            from = transition.from.as_str(),
            to = transition.to.as_str(),
            cause = transition.cause.as_str(),
            failure_count = transition.failure_count,
            open_for_ms = u64::try_from(transition.open_for.as_millis()).unwrap_or(u64::MAX),
            mode = transition.mode.as_str(),
            "{}",
            if is_shadow { "the circuit would have moved" } else { "the circuit moved" }
        );
        timeline.note(Moment { name, at_us: clock::wall_us(), transition });
    }
}
