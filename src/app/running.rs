//! The running parts: started in the order in which they need each other, stopped in reverse.

use std::{io, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};

use super::{
    App, advising,
    current::Current,
    emf::{self, Observed, Reported},
    reloading::{Controls, Reloading},
    renewal::{Known, Part, Reloads, Renewal},
    reports::Reports,
    store_thread::StoreThread,
    telling::tell,
    view::{Parts, Process},
    waiting, watching,
};
use crate::{
    admin::{self, timeline::Timeline},
    breakers::Breakers,
    clock,
    config::Config,
    fleet::{self, Fleet, SyncMode},
    history::journal::Found,
    learning::{Advisor, waits::Waits, warnings},
    proxy::{
        self, Plane,
        plane::{self, Drain},
    },
    store::{Identity, LearningStore, Stores},
    telemetry::{
        durations::Board,
        log::{Lane, Sink},
        traces::{self, Exporter, Tracer},
    },
    tls::Tls,
    upstreams::{System, Upstreams},
};

/// How long a start waits for the store's tables before it goes on without them.
const TABLES_BUDGET: Duration = Duration::from_millis(500);
/// How long the rows that are left at a stop may take to be written.
const FLUSH_BUDGET: Duration = Duration::from_secs(5);

pub(super) struct Running {
    current: watch::Receiver<Arc<Current>>,
    plane: Plane,
    process: Arc<Process>,
    store_thread: StoreThread,
    /// Becomes true when somebody asks for it.
    draining: watch::Receiver<bool>,
    reloading: Reloading,
    /// Sync and resolution end when this becomes true.
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
        let App { ref config, ref stores, ref breakers, ref recorder, ref sink, .. } = app;
        let ((closing, closed), reported) = (watch::channel(false), Reported::default());
        let (current, currents) = watch::channel(Arc::new(current(&app)));
        let shared = shared(&app, &currents.borrow());
        let (timeline, circuits) = tell(breakers, shared.tracer.as_ref());
        let waits = waiting::begin(config, &app.upstreams);
        let early = Arc::new(warnings::Board::new(Arc::clone(&stores.warnings)));
        let watching = watching::forever(currents.clone(), stores.clone(), Arc::clone(&early));
        let writer = app.writer.shown_to(waiting::onlooker(&waits));
        let store_thread = StoreThread::start(config, stores, writer, watching, sink.lane())?;
        let fleet = Fleet::new(breakers, Arc::clone(&stores.state));
        let (fleet, syncing) = sync(fleet, &store_thread, closed.clone()).await;

        let observed = Observed::of(currents.clone(), breakers, &circuits, &reported);
        let resolving = tokio::spawn(resolve(Arc::clone(&app.upstreams), closed.clone()));
        let mut background = vec![syncing, resolving, emf(config, sink.lane(), observed, &closed)];
        background.extend(export(&app.tls, &shared, &app.identity, &closed));
        let checking = Part::start(|stop| app.checks.run(until(stop)));
        let certifying = Part::start(|stop| app.certificates.run(until(stop)));
        let plane = Plane::start(&shared, app.sockets, app.workers, recorder, sink)?;
        let (reloads, reloaded) = watch::channel(Reloads::default());
        let process = Arc::new(Process::new(Parts {
            current: currents.clone(),
            reloads: reloaded,
            source: app.origin.as_ref().map(|origin| origin.path().display().to_string()),
            workers: app.workers,
            identity: app.identity,
            kind: stores.kind,
            breakers: Arc::clone(breakers),
            recorder: recorder.clone(),
            log_losses: sink.losses(),
            tables: store_thread.standing(),
            fleet,
            board: app.board.clone(),
            early: Arc::clone(&early),
            upstreams: Arc::clone(&app.upstreams),
            waits: Arc::clone(&waits),
            durations: shared.durations.clone(),
            circuits,
            tracer: shared.tracer.clone(),
        }));
        let (floor, lane) = (plane.floor(), recorder.lane(app.workers));
        let known = Known { current, reloads, floor, shared, waits: Arc::clone(&waits) };
        let renewal = Renewal { known, board: app.board, lane, checking, certifying };
        let (asking, reloading) = Reloading::start(app.origin, renewal);
        let controls = Controls::new(&process, asking);
        let draining = controls.draining();
        let reports = Reports::through(recorder.lane(app.workers), reported);
        let learned = (advise(currents.clone(), Arc::clone(&stores.learning)), waits, early);
        let sources =
            sources((&process, controls), (breakers, timeline), stores, (reports, learned));
        let (admin_closing, admin) = administer(app.admin, config, sources)?;
        process.is_ready();
        tracing::info!("ready");
        Ok(Self {
            current: currents,
            plane,
            process,
            store_thread,
            draining,
            reloading,
            closing,
            background,
            admin_closing,
            admin,
            _sink: app.sink,
        })
    }

    /// Waits for what should not happen: a thread of the data plane ends.
    pub(super) async fn failed(&mut self) -> io::Error {
        self.plane.failed().await
    }

    /// Becomes true when somebody asks the process to drain.
    pub(super) fn asked_to_drain(&self) -> watch::Receiver<bool> {
        self.draining.clone()
    }

    /// Says that it drains, and why.
    pub(super) fn tell_drain(&self, signal: &str) {
        let timeout = self.current.borrow().config.drain_timeout;
        let until_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let hint = "a second signal does not wait for calls in flight";
        tracing::info!(signal, until_ms, hint, "draining");
    }

    /// Drains the data plane, writes what is left, and ends the rest.
    pub(super) async fn stop(self, hurry: impl Future<Output = &'static str>) {
        self.process.is_draining();
        // No other configuration comes into force from here on.
        let renewal = self.reloading.stop().await;
        let drain = drain(&self.current.borrow());
        let hurry = async {
            let signal = hurry.await;
            tracing::warn!(signal, "stopping without waiting for calls in flight");
        };
        let complete = self.plane.drain(drain, hurry).await;
        tracing::info!(complete, "drained");
        self.closing.send_replace(true);
        if let Some(renewal) = renewal {
            renewal.stop().await;
        }
        // Rows have their time whatever the others do with theirs.
        let rows = self.store_thread.stop(clock::now() + FLUSH_BUDGET);
        let others = async {
            for task in self.background {
                ended(task.await);
            }
        };
        tokio::join!(rows, others);
        self.admin_closing.send_replace(true);
        ended(self.admin.await);
        tracing::info!("stopped");
    }
}

/// What was learned: which parameters work best, how long to wait, what is likely to come.
type Learned = (Arc<Advisor>, Arc<Waits>, Arc<warnings::Board>);

/// How the configuration in force wants calls to end.
fn drain(current: &Current) -> Drain {
    let (config, traffic) = (&current.config, Arc::clone(&current.traffic));
    Drain { timeout: config.drain_timeout, quiet: config.drain_quiet, traffic }
}

/// Where the admin port's answers come from.
fn sources(
    (process, controls): (&Arc<Process>, Controls),
    (breakers, timeline): (&Arc<Breakers>, Arc<Timeline>),
    stores: &Stores,
    (reports, (advisor, waits, warnings)): (Reports, Learned),
) -> admin::Sources {
    let Stores { state, history, .. } = stores.clone();
    admin::Sources {
        view: Arc::clone(process) as _,
        control: Arc::new(controls),
        breakers: Arc::clone(breakers),
        timeline,
        state,
        history,
        intake: Arc::new(reports),
        advisor,
        waits,
        warnings,
    }
}

/// The configuration of the start.
fn current(app: &App) -> Current {
    Current {
        generation: 1,
        since_us: clock::wall_us(),
        config: Arc::clone(&app.config),
        warnings: app.warnings.clone(),
        listeners: app.addresses().0,
        tls: app.tls.clone(),
        traffic: Arc::new(plane::traffic_board(&app.config, clock::now())),
        captures: Arc::new(plane::Captures::of(&app.config)),
    }
}

/// What the threads of the data plane share.
fn shared(app: &App, current: &Current) -> proxy::Shared {
    proxy::Shared {
        config: Arc::clone(&current.config),
        breakers: Arc::clone(&app.breakers),
        upstreams: Arc::clone(&app.upstreams),
        tls: current.tls.clone(),
        traffic: Arc::clone(&current.traffic),
        captures: Arc::clone(&current.captures),
        durations: Board::default(),
        tracer: current.config.telemetry.traces.as_ref().map(Tracer::new),
    }
}

/// Sends spans to the collector, where there is one.
fn export(
    tls: &Tls,
    shared: &proxy::Shared,
    identity: &Identity,
    closed: &watch::Receiver<bool>,
) -> Option<JoinHandle<()>> {
    let (traces, tracer) = (shared.config.telemetry.traces.clone()?, shared.tracer.clone()?);
    let resource = traces::resource(&shared.config, &identity.instance, &traces.resource);
    let exporter = Exporter::new(tracer, traces, tls.of_collector().cloned(), resource);
    Some(tokio::spawn(exporter.run(closed.clone())))
}

/// Writes lines for CloudWatch, where they are wanted.
fn emf(
    config: &Arc<Config>,
    lane: Lane,
    observed: Observed,
    closed: &watch::Receiver<bool>,
) -> JoinHandle<()> {
    let (config, closed) = (Arc::clone(config), until(closed.clone()));
    tokio::spawn(async move { emf::tell(&config, lane, observed, closed).await })
}

/// Learns which parameters work best, and lets answers tell it.
fn advise(currents: watch::Receiver<Arc<Current>>, store: Arc<dyn LearningStore>) -> Arc<Advisor> {
    let advisor = Arc::new(Advisor::new(store));
    let captures = move || Arc::clone(&currents.borrow().captures);
    tokio::spawn(advising::forever(captures, Arc::clone(&advisor)));
    advisor
}

/// Adopts what the fleet knows, within bounds, and goes on to keep in step with it.
async fn sync(
    mut fleet: Fleet,
    store_thread: &StoreThread,
    closed: watch::Receiver<bool>,
) -> (watch::Receiver<fleet::Status>, JoinHandle<()>) {
    let status = fleet.status();
    let is_known = store_thread.tables_within(TABLES_BUDGET).await && fleet.adopt_at_start().await;
    let is_shared = status.borrow().mode != SyncMode::Off;
    if is_shared && !is_known {
        tracing::warn!("starting without the fleet's breaker states: no answer in time");
    }
    let tables = store_thread.tables();
    let syncing = tokio::spawn(async move {
        tokio::select! {
            // A store that never came must not hold up the stop.
            () = until(closed.clone()) => return,
            () = tables => {}
        }
        fleet.run(until(closed)).await;
    });
    (status, syncing)
}

/// Keeps the names of upstreams resolved.
async fn resolve(upstreams: Arc<Upstreams>, closed: watch::Receiver<bool>) {
    upstreams.run(&System, until(closed)).await;
}

fn administer(
    listener: std::net::TcpListener,
    config: &Arc<Config>,
    sources: admin::Sources,
) -> io::Result<(watch::Sender<bool>, JoinHandle<()>)> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (config, (closing, closed)) = (Arc::clone(config), watch::channel(false));
    let serving = tokio::spawn(async move {
        admin::serve(listener, &config.admin, sources, until(closed)).await;
    });
    Ok((closing, serving))
}

/// A background task ended: a panic in it must not go unnoticed, and must not keep the rest from
/// stopping in order.
pub(super) fn ended(end: Result<(), tokio::task::JoinError>) {
    if let Err(error) = end {
        tracing::error!(error = &error as &dyn std::error::Error, "a background task failed");
    }
}

/// Waits until the flag is set, or its owner is gone.
pub(super) async fn until(mut flag: watch::Receiver<bool>) {
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
