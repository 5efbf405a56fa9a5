//! One sidecar without its proxy: circuits, the task that shares them, and calls that end at once.

use std::{sync::Arc, time::Duration};

use fusebox::{
    breakers::{Breakers, Circuit},
    clock,
    domain::{
        breaker::{Observed, Policy, State},
        outcome::Verdict,
    },
    fleet::{Fleet, Status},
    store::StateStore,
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

/// Upstreams of each. All sidecars have the same.
pub(crate) const UPSTREAMS: usize = 20;

/// See the module's text.
pub(crate) struct Sidecar {
    /// The one whose upstream will fail.
    circuit: Arc<Circuit>,
    status: watch::Receiver<Status>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// What a circuit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) state: State,
    pub(crate) epoch: u64,
}

impl Sidecar {
    /// Starts one, as the program does: it knows the fleet's state when this returns.
    pub(crate) async fn start(store: Arc<dyn StateStore>, policy: &Policy) -> Self {
        let upstreams = (0..UPSTREAMS).map(|number| {
            let key = format!("upstream-{number:02}@0123456789ab");
            (Arc::from(format!("upstream-{number:02}")), key, policy.clone())
        });
        let breakers = Breakers::new(upstreams, true);
        let circuit = breakers.of("upstream-00").expect("it is the first");
        let mut fleet = Fleet::new(&breakers, store);
        let status = fleet.status();
        fleet.adopt_at_start().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            // An error says that the other end is gone, which means the same.
            fleet.run(async { drop(stopped.await) }).await;
            drop(breakers);
        });
        Self { circuit, status, stop, task }
    }

    /// A call comes, which the upstream answers or not. Whether it was let through.
    pub(crate) fn call(&self, is_well: bool) -> bool {
        let now = clock::now();
        let Ok(admission) = self.circuit.admit(true, now) else { return false };
        let observed = Observed {
            verdict: if is_well { Verdict::Success } else { Verdict::Failure },
            latency: Duration::from_millis(5),
            retry_after: None,
            by_connection: false,
        };
        admission.record(observed, now).settle();
        true
    }

    /// How its circuit is.
    pub(crate) fn see(&self) -> Seen {
        let snapshot = self.circuit.snapshot(clock::now());
        Seen { state: snapshot.state, epoch: snapshot.epoch }
    }

    /// How it stands with the fleet.
    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("it ends well");
    }
}
