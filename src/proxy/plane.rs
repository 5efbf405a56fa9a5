//! The threads of the data plane together: started once, drained once.

use std::{
    collections::HashMap,
    fmt, io,
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

pub use super::routes::{NOWHERE, TrafficBoard};
use super::worker::{self, Assignment};
use crate::{
    breakers::Breakers,
    clock,
    config::{CallLines, Config, Listener},
    history::Recorder,
    telemetry::{
        log::{Sink, call},
        traffic::Traffic,
    },
};

/// For this long after the stop signal connections are still accepted, and every answer asks its
/// caller to close: a caller that is just writing is not cut off.
const LEAVING_FOR: Duration = Duration::from_secs(1);

/// What all threads share.
#[derive(Clone)]
pub struct Shared {
    /// The configuration that every call sees.
    pub config: Arc<Config>,
    /// The circuits.
    pub breakers: Arc<Breakers>,
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
    workers: Vec<oneshot::Receiver<io::Result<()>>>,
}

impl fmt::Debug for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plane").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

impl Plane {
    /// Starts `workers` threads; each of the sockets' lists holds one socket per thread.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(
        shared: &Shared,
        mut sockets: Vec<(Listener, Vec<TcpListener>)>,
        workers: usize,
        recorder: &Recorder,
        sink: &Sink,
    ) -> io::Result<Self> {
        let (phase, _) = watch::channel(Phase::Serving);
        let mut ends = Vec::new();
        for number in 0..workers {
            let lines = match shared.config.logs.calls {
                CallLines::None => None,
                calls => Some(call::CallLines::new(sink.lane(), calls == CallLines::Failures)),
            };
            let take = |(listener, sockets): &mut (Listener, Vec<TcpListener>)| {
                Some((listener.clone(), sockets.pop()?))
            };
            let assignment = Assignment {
                shared: shared.clone(),
                sockets: sockets.iter_mut().filter_map(take).collect(),
                history: recorder.lane(number),
                lines,
                workers,
                phase: phase.subscribe(),
            };
            let (ended, end) = oneshot::channel();
            thread::Builder::new().name(format!("fusebox-{number}")).spawn(move || {
                // Nobody waits any more when the process is stopping in haste.
                let _waiting = ended.send(worker::run(assignment));
            })?;
            ends.push(end);
        }
        Ok(Self { phase, workers: ends })
    }

    /// Lets calls in flight end until `timeout` is over, then cuts them off. Returns whether all
    /// ended by themselves.
    pub async fn drain(mut self, timeout: Duration) -> bool {
        let deadline = clock::now() + timeout;
        self.phase.send_replace(Phase::Leaving);
        tokio::time::sleep(LEAVING_FOR.min(timeout / 4)).await;
        self.phase.send_replace(Phase::Closing);
        let left = deadline.saturating_duration_since(clock::now());
        let complete = tokio::time::timeout(left, self.ended()).await.is_ok();
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

    /// Waits for the end of the last thread that is still known; none when all have ended. Losing
    /// this future loses nothing.
    async fn next_end(&mut self) -> Option<io::Result<()>> {
        let end = self.workers.last_mut()?.await;
        self.workers.pop();
        // A thread that panicked has dropped its end.
        Some(end.unwrap_or_else(|_| Err(io::Error::other("a data-plane thread panicked"))))
    }
}
