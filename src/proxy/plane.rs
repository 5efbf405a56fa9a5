//! The threads of the data plane together: started once, drained once.

use std::{
    collections::HashMap,
    fmt, io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

pub use super::{
    advice::{Advice, Advised},
    routes::{NOWHERE, TrafficBoard},
    tasks::Captures,
};
use super::{
    doors::Doors,
    floor::Floor,
    quiet,
    socket::Sockets,
    worker::{self, Assignment},
};
use crate::{
    breakers::Breakers,
    config::{CallLines, Config, Listener},
    history::Recorder,
    telemetry::{
        durations,
        log::{Labels, Sink, call},
        traces::Tracer,
        traffic::Traffic,
    },
    tls::Tls,
    upstreams::Upstreams,
};

/// For this long after the stop signal connections are still accepted, and every answer asks its
/// caller to close: a caller that is just writing is not cut off.
pub(super) const LEAVING_FOR: Duration = Duration::from_secs(1);

/// Handshakes of TLS under way at a time, over all listeners. Each takes memory and time before
/// anything is known of the caller.
const MAX_HANDSHAKES: usize = 256;

/// Other configurations that a thread has not taken over yet. Whoever sends one waits for that.
const UPDATES: usize = 1;

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
    /// What is captured of calls.
    pub captures: Arc<Captures>,
    /// How long calls took.
    pub durations: durations::Board,
    /// Who is told of sampled calls; none where nobody is.
    pub tracer: Option<Tracer>,
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
    /// The same for the service's own calls; of others, closing.
    Lingering,
    /// Closing what is idle and waiting for what is not.
    Closing,
    /// Cutting off what is left.
    Aborting,
}

impl Phase {
    /// What it means for one listener.
    pub(super) fn of(self, listener: &Listener) -> Self {
        match self {
            Self::Lingering if listener.is_egress() => Self::Leaving,
            Self::Lingering => Self::Closing,
            phase => phase,
        }
    }
}

/// How the plane drains.
#[derive(Debug)]
pub struct Drain {
    /// After so long calls in flight are cut off.
    pub timeout: Duration,
    /// Without a call for so long, the service's own are over; zero not to wait for them.
    pub quiet: Duration,
    /// The calls.
    pub traffic: Arc<TrafficBoard>,
}

/// The running data plane.
pub struct Plane {
    phase: watch::Sender<Phase>,
    workers: FuturesUnordered<oneshot::Receiver<io::Result<()>>>,
    /// The files of sockets go with it, when the threads have ended.
    floor: Floor,
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
        let Doors { by_thread, mut accepting, opened } = Doors::open(sockets, workers);
        let mut threads = Vec::new();
        let labels = Labels::of(&shared.config);
        for (number, doors) in by_thread.into_iter().enumerate() {
            let lines = match shared.config.logs.calls {
                CallLines::None => None,
                calls => {
                    let failures_only = calls == CallLines::Failures;
                    Some(call::CallLines::new(sink.lane(), &labels, failures_only))
                }
            };
            let (update, updates) = mpsc::channel(UPDATES);
            threads.push(update);
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
                updates,
            };
            let (ended, end) = oneshot::channel();
            thread::Builder::new().name(format!("fusebox-{number}")).spawn(move || {
                // Nobody waits any more when the process is stopping in haste.
                let _waiting = ended.send(worker::run(assignment));
            })?;
            ends.push(end);
        }
        Ok(Self { phase, workers: ends, floor: Floor::new(threads, opened) })
    }

    /// Where its listeners are, and where they are told of other configurations.
    pub fn floor(&self) -> Floor {
        self.floor.clone()
    }

    /// Lets calls in flight end, and the service beside us make its last ones, until the time or
    /// `hurry` is over; then cuts off what is left. Returns whether all ended by themselves.
    pub async fn drain(mut self, drain: Drain, hurry: impl Future<Output = ()>) -> bool {
        let complete = tokio::select! {
            () = self.close(&drain) => true,
            () = tokio::time::sleep(drain.timeout) => false,
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

    async fn close(&mut self, drain: &Drain) {
        let phase = self.phase.clone();
        let leaving_for = LEAVING_FOR.min(drain.timeout / 4);
        phase.send_replace(Phase::Leaving);
        let others = async {
            tokio::time::sleep(leaving_for).await;
            phase.send_replace(Phase::Lingering);
        };
        // What comes just before the deadline would be cut off.
        let own = quiet::wait(&drain.traffic, drain.quiet);
        let own = tokio::time::timeout(drain.timeout - leaving_for, own);
        tokio::select! {
            _quiet_or_late = async { tokio::join!(others, own) } => {}
            // No listener was for calls of the service.
            () = self.ended() => {}
        }
        phase.send_replace(Phase::Closing);
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
