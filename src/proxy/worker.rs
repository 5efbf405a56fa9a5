//! One data-plane thread: its runtime, its listeners, its connections.

use std::{
    cell::Cell,
    io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    runtime::{Builder, LocalOptions},
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};

use super::{
    connection::Terms,
    plane::{Phase, Shared},
    routes::{self, Upstreams},
    serve::serve,
    transport::Transport,
};
use crate::{
    clock, config,
    domain::task::CallRecord,
    history::{Lane, Ticket},
    telemetry::log::call::CallLines,
    upstreams::Hunger,
};

/// How often idle upstream connections are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// The pause after the process ran out of file descriptors: accepting would fail at once again.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
/// How long a closing listener looks for one more connection that the kernel has completed.
const LAST_LOOK: Duration = Duration::from_millis(10);

/// Polls of tasks, about two per call, between two looks at the sockets while there is work. Each
/// look is a system call; a thread that has nothing to do looks at once.
const POLLS_PER_LOOK: u32 = 128;

/// What every exchange of a worker ends in.
#[derive(Debug)]
pub(super) struct Worker {
    history: Lane,
    lines: Option<CallLines>,
    /// Answers ask callers to close, since the plane is about to.
    leaving: Cell<bool>,
    /// The deadline of the drain is over: what is in flight is cut off.
    aborting: Cell<bool>,
}

impl Worker {
    /// A call is about to be sent on, to this endpoint.
    pub(super) fn begin(&self, record: &CallRecord, endpoint: &Arc<str>) -> Ticket {
        self.history.begin(record, endpoint)
    }

    /// Takes the record of a call that ended. `line` is its site as it stands in log lines.
    pub(super) fn finish(&self, record: &CallRecord, begun: Option<Ticket>, line: &str) {
        if let Some(lines) = &self.lines {
            let ended_at_us = record.started_at_us.saturating_add_unsigned(record.duration_us);
            lines.write(record, line, ended_at_us);
        }
        self.history.record(record, begun);
    }

    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    pub(super) const fn is_aborting(&self) -> bool {
        self.aborting.get()
    }
}

/// What one thread is given.
pub(super) struct Assignment {
    /// Which thread it is.
    pub(super) number: usize,
    pub(super) shared: Shared,
    pub(super) doors: Vec<Door>,
    pub(super) history: Lane,
    pub(super) lines: Option<CallLines>,
    pub(super) phase: watch::Receiver<Phase>,
}

/// Where connections of a listener come in to one thread.
pub(super) struct Door {
    pub(super) listener: config::Listener,
    pub(super) socket: TcpListener,
    /// Room for the connections of the listener, over all threads.
    pub(super) room: Arc<Semaphore>,
}

/// Runs a thread of the data plane to its end.
///
/// # Errors
/// The runtime cannot be made, or a socket cannot be registered with it.
pub(super) fn run(assignment: Assignment) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(POLLS_PER_LOOK)
        .build_local(LocalOptions::default())?;
    let ended = runtime.block_on(work(assignment));
    // What is left is cut off; a name that is still being looked up is not waited for.
    runtime.shutdown_background();
    ended
}

async fn work(assignment: Assignment) -> io::Result<()> {
    let Assignment { number, shared, doors, history, lines, mut phase } = assignment;
    let worker =
        Rc::new(Worker { history, lines, leaving: Cell::new(false), aborting: Cell::new(false) });
    let upstreams = routes::upstreams(&shared, number);
    // Every connection holds a sender; when all are gone, the receiver ends.
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    for Door { listener, socket, room } in doors {
        let Some(routes) = routes::routes(&listener, &upstreams, &shared.traffic) else { continue };
        let terms = Terms {
            worker: Rc::clone(&worker),
            routes: Rc::new(routes),
            forwarded: listener.forwarded,
            local_port: Some(socket.local_addr()?.port()),
            limits: Rc::new(listener.limits.clone()),
            tls: shared.tls.of_listener(&listener.name).cloned(),
        };
        let socket = tokio::net::TcpListener::from_std(socket)?;
        tokio::task::spawn_local(accept(socket, terms, room, alive.clone(), phase.clone()));
    }
    drop(alive);
    let sweeping = tokio::task::spawn_local(sweep(upstreams, shared.upstreams.hunger()));
    loop {
        let now = *phase.borrow_and_update();
        worker.leaving.set(now != Phase::Serving);
        if now == Phase::Aborting {
            worker.aborting.set(true);
            break;
        }
        tokio::select! {
            _ = all_gone.recv() => break,
            changed = phase.changed() => if changed.is_err() { break },
        }
    }
    sweeping.abort();
    Ok(())
}

/// Accepts connections until the plane closes, and then what the kernel has completed already.
async fn accept(
    socket: tokio::net::TcpListener,
    terms: Terms,
    room: Arc<Semaphore>,
    alive: mpsc::Sender<()>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut is_failing = false;
    while let Some(accepted) = next(&socket, &mut phase).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if !is_failing {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "cannot accept connections");
                }
                is_failing = true;
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
                continue;
            }
        };
        is_failing = false;
        // One that finds no room waits here, and those behind it in the kernel. Asking for room
        // first would let a thread without connections keep it from one that has some.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        // Without it small answers may wait for an acknowledgement. A socket that is gone already
        // says so at the first read.
        let _gone = stream.set_nodelay(true);
        let stream = Transport::Tcp(stream);
        let serving = serve(terms.clone(), stream, Some(peer), phase.clone());
        let alive = alive.clone();
        tokio::task::spawn_local(async move {
            serving.await;
            drop((permit, alive));
        });
    }
}

/// The next connection; none when the plane is closing and no more have been completed.
async fn next(
    socket: &tokio::net::TcpListener,
    phase: &mut watch::Receiver<Phase>,
) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    loop {
        if matches!(*phase.borrow_and_update(), Phase::Closing | Phase::Aborting) {
            return timeout(LAST_LOOK, socket.accept()).await.ok();
        }
        tokio::select! {
            accepted = socket.accept() => return Some(accepted),
            _changed = phase.changed() => {}
        }
    }
}

async fn sweep(upstreams: Upstreams, mut hunger: Hunger) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            _moment = every.tick() => {
                let now = clock::now();
                upstreams.values().for_each(|upstream| upstream.sweep(now));
            }
            () = hunger.next() => upstreams.values().for_each(|upstream| upstream.feed()),
        }
    }
}
