//! One data-plane thread: its runtime, its listeners, its connections.

use std::{
    cell::{Cell, RefCell, RefMut},
    io,
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::UnixStream,
    runtime::{Builder, LocalOptions},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
};

use super::{
    acceptor::{Arrival, Turns},
    connection::Terms,
    entrance::Entrance,
    plane::{Phase, Shared},
    routes::{self, Upstreams},
    serve::serve,
    served::Date,
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
    /// What answers tell as the time. Borrowed while it is written only.
    date: RefCell<Date>,
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

    /// What answers tell as the time.
    pub(super) fn date(&self) -> RefMut<'_, Date> {
        self.date.borrow_mut()
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
    /// Places for handshakes of TLS, for all threads.
    pub(super) handshakes: Arc<Semaphore>,
    pub(super) doors: Vec<Door>,
    /// Unix sockets that this thread accepts on, for all threads.
    pub(super) accepting: Vec<Accepting>,
    pub(super) history: Lane,
    pub(super) lines: Option<CallLines>,
    pub(super) phase: watch::Receiver<Phase>,
}

/// Where connections of a listener come in to one thread.
pub(super) struct Door {
    pub(super) listener: config::Listener,
    pub(super) way: Way,
}

/// How they come in.
pub(super) enum Way {
    /// Through a socket of the thread's own, while there is room over all threads.
    Tcp(TcpListener, Arc<Semaphore>),
    /// From the thread that accepts.
    Unix(mpsc::Receiver<Arrival>),
}

/// A Unix socket, room for its connections over all threads, and who takes them.
pub(super) struct Accepting {
    pub(super) socket: UnixListener,
    pub(super) room: Arc<Semaphore>,
    pub(super) turns: Turns,
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
    let Assignment { number, shared, handshakes, doors, accepting, history, lines, mut phase } =
        assignment;
    let worker = Rc::new(Worker {
        history,
        lines,
        leaving: Cell::new(false),
        aborting: Cell::new(false),
        date: RefCell::default(),
    });
    let upstreams = routes::upstreams(&shared, number);
    // Every connection holds a sender; when all are gone, the receiver ends.
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    for Door { listener, way } in doors {
        let Some(routes) = routes::routes(&listener, &upstreams, &shared.traffic) else { continue };
        let terms = Terms {
            worker: Rc::clone(&worker),
            routes: Rc::new(routes),
            forwarded: listener.forwarded,
            local_port: match &way {
                Way::Tcp(socket, _) => Some(socket.local_addr()?.port()),
                Way::Unix(_) => None,
            },
            limits: Rc::new(listener.limits.clone()),
            tls: shared.tls.of_listener(&listener.name).cloned(),
            handshakes: Arc::clone(&handshakes),
        };
        let reception = Reception { terms, alive: alive.clone(), phase: phase.clone() };
        match way {
            Way::Tcp(socket, room) => {
                let socket = tokio::net::TcpListener::from_std(socket)?;
                let entrance = Entrance::new(socket, room, phase.clone());
                tokio::task::spawn_local(reception.serve_tcp(entrance));
            }
            Way::Unix(arrivals) => {
                tokio::task::spawn_local(reception.serve_unix(arrivals));
            }
        }
    }
    for Accepting { socket, room, turns } in accepting {
        let socket = tokio::net::UnixListener::from_std(socket)?;
        let (entrance, alive) = (Entrance::new(socket, room, phase.clone()), alive.clone());
        tokio::task::spawn_local(async move {
            turns.serve(entrance).await;
            drop(alive);
        });
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

/// What every connection of a listener gets from its thread.
struct Reception {
    terms: Terms,
    alive: mpsc::Sender<()>,
    phase: watch::Receiver<Phase>,
}

impl Reception {
    /// Serves those who come in through a port.
    async fn serve_tcp(self, mut entrance: Entrance<tokio::net::TcpListener>) {
        while let Some(((stream, peer), room)) = entrance.next().await {
            // Without it small answers may wait for an acknowledgement. A socket that is gone
            // already says so at the first read.
            let _gone = stream.set_nodelay(true);
            self.serve(Transport::Tcp(stream), Some(peer), room);
        }
    }

    /// Serves those who come in through a Unix socket and are handed to this thread.
    async fn serve_unix(self, mut arrivals: mpsc::Receiver<Arrival>) {
        while let Some((stream, room)) = arrivals.recv().await {
            match UnixStream::from_std(stream) {
                Ok(stream) => self.serve(Transport::Unix(stream), None, room),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "cannot serve a connection");
                }
            }
        }
    }

    fn serve(&self, stream: Transport, peer: Option<SocketAddr>, room: OwnedSemaphorePermit) {
        let serving = serve(self.terms.clone(), stream, peer, self.phase.clone());
        let alive = self.alive.clone();
        tokio::task::spawn_local(async move {
            serving.await;
            drop((room, alive));
        });
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
