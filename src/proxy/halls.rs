//! The listeners of one thread: opened, renewed and closed while calls go on.

use std::{cell::RefCell, io, net::SocketAddr, rc::Rc, sync::Arc};

use tokio::{
    net::UnixStream,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
};

use super::{
    acceptor::Arrival,
    connection::Terms,
    doors::{Accepting, Door, Way},
    entrance::Entrance,
    plane::{LEAVING_FOR, Phase, Shared},
    routes::{self, Upstreams},
    rules::{Rulebook, Rules},
    serve::serve,
    transport::Transport,
    worker::Worker,
};
use crate::config::{Config, Listener};

/// What one thread is told when there is another configuration.
pub(super) struct Update {
    pub(super) shared: Shared,
    /// Listeners that are new.
    pub(super) doors: Vec<Door>,
    /// Unix sockets among them that this thread accepts on, for all threads.
    pub(super) accepting: Vec<Accepting>,
    /// Dropped when all is done.
    pub(super) done: mpsc::Sender<()>,
}

/// See the module docs.
pub(super) struct Halls {
    worker: Rc<Worker>,
    /// The thread's number.
    number: usize,
    shared: Shared,
    /// The thread's upstreams, for those who look after idle connections too.
    upstreams: Rc<RefCell<Upstreams>>,
    /// Places for handshakes of TLS, over all threads.
    handshakes: Arc<Semaphore>,
    open: Vec<Hall>,
    /// Every connection holds one of these; none when no listener is to be opened any more.
    alive: Option<mpsc::Sender<()>>,
}

/// One listener.
struct Hall {
    listener: Listener,
    rulebook: Rc<Rulebook>,
    phase: watch::Sender<Phase>,
}

impl Halls {
    pub(super) fn new(
        worker: Rc<Worker>,
        number: usize,
        shared: Shared,
        handshakes: Arc<Semaphore>,
        alive: mpsc::Sender<()>,
    ) -> Self {
        let upstreams = routes::upstreams(&shared, number, &Upstreams::default());
        let upstreams = Rc::new(RefCell::new(upstreams));
        let (open, alive) = (Vec::new(), Some(alive));
        Self { worker, number, shared, upstreams, handshakes, open, alive }
    }

    /// The thread's upstreams, as they are at each time.
    pub(super) fn upstreams(&self) -> Rc<RefCell<Upstreams>> {
        Rc::clone(&self.upstreams)
    }

    /// Opens listeners.
    ///
    /// # Errors
    /// A socket cannot be registered with the thread's runtime.
    pub(super) fn open(&mut self, doors: Vec<Door>, accepting: Vec<Accepting>) -> io::Result<()> {
        let Some(alive) = self.alive.clone() else { return Ok(()) };
        for Door { listener, way } in doors {
            let Some(rules) = self.rules(&listener) else { continue };
            let rulebook = Rulebook::new(rules);
            let (phase, phases) = watch::channel(Phase::Serving);
            let terms = Terms {
                worker: Rc::clone(&self.worker),
                rulebook: Rc::clone(&rulebook),
                local_port: match &way {
                    Way::Tcp(socket, _) => Some(socket.local_addr()?.port()),
                    Way::Unix(_) => None,
                },
                tls: None,
                handshakes: Arc::clone(&self.handshakes),
            };
            let reception = Reception { terms, alive: alive.clone(), phase: phases };
            match way {
                Way::Tcp(socket, room) => {
                    let socket = tokio::net::TcpListener::from_std(socket)?;
                    let entrance = Entrance::new(socket, room, phase.subscribe());
                    tokio::task::spawn_local(reception.serve_tcp(entrance));
                }
                Way::Unix(arrivals) => {
                    tokio::task::spawn_local(reception.serve_unix(arrivals));
                }
            }
            self.open.push(Hall { listener, rulebook, phase });
        }
        for Accepting { listener, socket, room, turns } in accepting {
            let Some(hall) = self.open.iter().find(|hall| hall.is_for(&listener)) else { continue };
            let socket = tokio::net::UnixListener::from_std(socket)?;
            let entrance = Entrance::new(socket, room, hall.phase.subscribe());
            let alive = alive.clone();
            tokio::task::spawn_local(async move {
                turns.serve(entrance).await;
                drop(alive);
            });
        }
        Ok(())
    }

    /// Takes over another configuration. Calls in flight go on with theirs.
    pub(super) fn renew(&mut self, update: Update) {
        let Update { shared, doors, accepting, done } = update;
        self.shared = shared;
        let upstreams = routes::upstreams(&self.shared, self.number, &self.upstreams.borrow());
        let before = self.upstreams.replace(upstreams);
        let mut closed = Vec::new();
        for mut hall in std::mem::take(&mut self.open) {
            let Some(listener) = hall.of(&self.shared.config) else {
                closed.push(hall);
                continue;
            };
            hall.listener = listener.clone();
            if let Some(rules) = self.rules(&hall.listener) {
                hall.rulebook.renew(rules);
            }
            self.open.push(hall);
        }
        closed.into_iter().for_each(Hall::close);
        if let Err(error) = self.open(doors, accepting) {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "a new listener cannot be served");
        }
        drop((before, done));
    }

    /// The plane enters another phase.
    pub(super) fn enter(&mut self, phase: Phase) {
        if phase != Phase::Serving {
            self.alive = None;
        }
        for hall in &self.open {
            let phase = phase.of(&hall.listener);
            hall.phase.send_if_modified(|now| std::mem::replace(now, phase) != phase);
        }
    }

    fn rules(&self, listener: &Listener) -> Option<Rules> {
        let counted = routes::Counted::new(&self.shared, self.number);
        let routes = routes::routes(listener, &self.upstreams.borrow(), &counted)?;
        Some(Rules {
            routes,
            forwarded: listener.forwarded,
            limits: listener.limits.clone(),
            tls: self.shared.tls.of_listener(&listener.name).cloned(),
        })
    }
}

impl Hall {
    fn is_for(&self, listener: &Listener) -> bool {
        self.listener.is_where(listener)
    }

    /// What a configuration says of it, if it is still there.
    fn of<'a>(&self, config: &'a Config) -> Option<&'a Listener> {
        config.listeners.iter().find(|listener| self.is_for(listener))
    }

    /// Lets callers go, and those in who have come already.
    fn close(self) {
        self.rulebook.leave();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(LEAVING_FOR).await;
            self.phase.send_replace(Phase::Closing);
            // Who listens to it would take its end for one more change.
            self.phase.closed().await;
        });
    }
}

/// What every connection of a listener gets from its thread.
struct Reception {
    /// Those of a connection, without its TLS.
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
        let terms = Terms { tls: self.terms.rules().tls.clone(), ..self.terms.clone() };
        let serving = serve(terms, stream, peer, self.phase.clone());
        let alive = self.alive.clone();
        tokio::task::spawn_local(async move {
            serving.await;
            drop((room, alive));
        });
    }
}
