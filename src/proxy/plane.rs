//! The threads of the data plane together: started once, drained once.

use std::{
    collections::HashMap,
    fmt, io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::{Semaphore, oneshot, watch};

pub use super::routes::{NOWHERE, TrafficBoard};
use super::{
    acceptor::Turns,
    socket::{SocketFile, Sockets},
    worker::{self, Accepting, Assignment, Door, Way},
};
use crate::{
    breakers::Breakers,
    config::{CallLines, Config, Listener},
    history::Recorder,
    telemetry::{
        log::{Sink, call},
        traffic::Traffic,
    },
    tls::Tls,
    upstreams::Upstreams,
};

/// For this long after the stop signal connections are still accepted, and every answer asks its
/// caller to close: a caller that is just writing is not cut off.
const LEAVING_FOR: Duration = Duration::from_secs(1);

/// Handshakes of TLS under way at a time, over all listeners. Each takes memory and time before
/// anything is known of the caller.
const MAX_HANDSHAKES: usize = 256;

/// What all threads share.
#[derive(Clone)]
pub struct Shared {
    /// The configuration that every call sees.
    pub config: Arc<Config>,
    /// The circuits.
    pub breakers: Arc<Breakers>,
    /// Hosts, limits and budgets.
    pub upstreams: Arc<Upstreams>,
    /// What TLS connections are made and accepted with.
    pub tls: Tls,
    /// Counters by upstream, see [`traffic_board`].
    pub traffic: Arc<TrafficBoard>,
}

/// Counters for every upstream of a configuration, and for calls that reach none.
pub fn traffic_board(config: &Config, now: Instant) -> TrafficBoard {
    let names = config.upstreams.keys().cloned().chain([Arc::from(NOWHERE)]);
    names.map(|name| (name, Arc::new(Traffic::new(now)))).collect::<HashMap<_, _>>()
}

/// What the threads are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Serving.
    Serving,
    /// Still accepting, and asking callers to close.
    Leaving,
    /// Closing what is idle and waiting for what is not.
    Closing,
    /// Cutting off what is left.
    Aborting,
}

/// The running data plane.
pub struct Plane {
    phase: watch::Sender<Phase>,
    workers: FuturesUnordered<oneshot::Receiver<io::Result<()>>>,
    /// Removed when the threads have ended.
    _files: Vec<SocketFile>,
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

impl Plane {
    /// Starts `workers` threads, for which the sockets were opened.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(
        shared: &Shared,
        sockets: Vec<(Listener, Sockets)>,
        workers: usize,
        recorder: &Recorder,
        sink: &Sink,
    ) -> io::Result<Self> {
        let (phase, _) = watch::channel(Phase::Serving);
        let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        let ends = FuturesUnordered::new();
        let Doors { by_thread, mut accepting, files } = Doors::open(sockets, workers);
        for (number, doors) in by_thread.into_iter().enumerate() {
            let lines = match shared.config.logs.calls {
                CallLines::None => None,
                calls => Some(call::CallLines::new(sink.lane(), calls == CallLines::Failures)),
            };
            let assignment = Assignment {
                number,
                shared: shared.clone(),
                handshakes: Arc::clone(&handshakes),
                doors,
                // The first one accepts for all.
                accepting: std::mem::take(&mut accepting),
                history: recorder.lane(number),
                lines,
                phase: phase.subscribe(),
            };
            let (ended, end) = oneshot::channel();
            thread::Builder::new().name(format!("fusebox-{number}")).spawn(move || {
                // Nobody waits any more when the process is stopping in haste.
                let _waiting = ended.send(worker::run(assignment));
            })?;
            ends.push(end);
        }
        Ok(Self { phase, workers: ends, _files: files })
    }

    /// Lets calls in flight end until `timeout` or `hurry` is over, then cuts them off. Returns
    /// whether all ended by themselves.
    pub async fn drain(mut self, timeout: Duration, hurry: impl Future<Output = ()>) -> bool {
        let complete = tokio::select! {
            () = self.close(LEAVING_FOR.min(timeout / 4)) => true,
            () = tokio::time::sleep(timeout) => false,
            () = hurry => false,
        };
        if !complete {
            self.phase.send_replace(Phase::Aborting);
            self.ended().await;
        }
        complete
    }

    /// Waits until a thread ends, which none does by itself while serving.
    pub async fn failed(&mut self) -> io::Error {
        match self.next_end().await {
            Some(Err(error)) => error,
            Some(Ok(())) | None => io::Error::other("a data-plane thread ended"),
        }
    }

    async fn close(&mut self, leaving_for: Duration) {
        self.phase.send_replace(Phase::Leaving);
        tokio::time::sleep(leaving_for).await;
        self.phase.send_replace(Phase::Closing);
        self.ended().await;
    }

    async fn ended(&mut self) {
        while let Some(end) = self.next_end().await {
            if let Err(error) = end {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a data-plane thread failed"
                );
            }
        }
    }

    /// Waits for the next thread to end; none when all have. Losing this future loses nothing.
    async fn next_end(&mut self) -> Option<io::Result<()>> {
        let end = self.workers.next().await?;
        // A thread that panicked has dropped its end.
        Some(end.unwrap_or_else(|_| Err(io::Error::other("a data-plane thread panicked"))))
    }
}

/// The sockets of all listeners, as the threads get them.
struct Doors {
    by_thread: Vec<Vec<Door>>,
    accepting: Vec<Accepting>,
    files: Vec<SocketFile>,
}

impl Doors {
    fn open(sockets: Vec<(Listener, Sockets)>, workers: usize) -> Self {
        let by_thread = (0..workers).map(|_| Vec::new()).collect();
        let mut doors = Self { by_thread, accepting: Vec::new(), files: Vec::new() };
        for (listener, sockets) in sockets {
            let room = Arc::new(Semaphore::new(listener.limits.connections.get()));
            let ways: Vec<Way> = match sockets {
                Sockets::Tcp(sockets) => {
                    sockets.into_iter().map(|socket| Way::Tcp(socket, Arc::clone(&room))).collect()
                }
                Sockets::Unix(socket, file) => {
                    let (turns, arrivals) = Turns::new(workers);
                    doors.accepting.push(Accepting { socket, room, turns });
                    doors.files.push(file);
                    arrivals.into_iter().map(Way::Unix).collect()
                }
            };
            for (doors, way) in doors.by_thread.iter_mut().zip(ways) {
                doors.push(Door { listener: listener.clone(), way });
            }
        }
        doors
    }
}
