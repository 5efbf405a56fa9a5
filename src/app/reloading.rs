//! When the configuration is read again: its file changed, SIGHUP came, or somebody asked.

use std::{convert::Infallible, sync::Arc};

use async_trait::async_trait;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    file::Watched,
    renewal::Renewal,
    running::{ended, until},
    view::Process,
};
use crate::{
    admin::{Control, view::ConfigurationView},
    config::Origin,
};

/// Those who have asked and wait. Each has a connection of the admin port, of which there are few.
const ASKED: usize = 64;

/// The task that reads it again when there is reason to.
pub(super) struct Reloading {
    stop: watch::Sender<bool>,
    task: JoinHandle<Renewal>,
}

struct Work {
    origin: Option<Origin>,
    renewal: Renewal,
    asked: mpsc::Receiver<oneshot::Sender<()>>,
}

/// Where it is asked for.
#[derive(Debug, Clone)]
pub(super) struct Asking(mpsc::Sender<oneshot::Sender<()>>);

impl Reloading {
    /// Of this file; of none, it says so when it is asked.
    pub(super) fn start(origin: Option<Origin>, renewal: Renewal) -> (Asking, Self) {
        let (asking, asked) = mpsc::channel(ASKED);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(Work { origin, renewal, asked }.run(until(stopped)));
        (Asking(asking), Self { stop, task })
    }

    /// Stops, and hands back what is to be stopped later; none if the task broke.
    pub(super) async fn stop(self) -> Option<Renewal> {
        self.stop.send_replace(true);
        self.task.await.map_err(|error| ended(Err(error))).ok()
    }
}

impl Work {
    async fn run(mut self, stop: impl Future<Output = ()>) -> Renewal {
        tokio::select! {
            () = stop => {}
            never = self.forever() => match never {},
        }
        self.renewal
    }

    async fn forever(&mut self) -> Infallible {
        let mut file = self.origin.as_ref().map(|origin| Watched::new(origin.path()));
        if let Some(origin) = &self.origin {
            // It may have changed after it was first read, and before anybody watched it.
            self.renewal.catch_up(origin, "file").await;
        }
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let changed = async {
                match &mut file {
                    Some(file) => file.changed().await,
                    None => std::future::pending().await,
                }
            };
            let hung_up = async {
                let signal = hangup.as_mut().map(|signal| signal.recv());
                match signal {
                    Some(signal) => signal.await,
                    None => std::future::pending().await,
                }
            };
            let (trigger, who) = tokio::select! {
                () = changed => ("file", None),
                _ = hung_up => ("signal", None),
                Some(who) = self.asked.recv() => ("api", Some(who)),
            };
            self.renewal.reload(self.origin.as_ref(), trigger).await;
            if let Some(who) = who {
                // Whoever asked may have gone.
                let _gone = who.send(());
            }
        }
    }
}

/// What the admin port may do to the process.
#[derive(Debug)]
pub(super) struct Controls {
    process: Arc<Process>,
    asking: Asking,
    draining: watch::Sender<bool>,
}

impl Controls {
    /// Over this process.
    pub(super) fn new(process: &Arc<Process>, asking: Asking) -> Self {
        let (draining, _) = watch::channel(false);
        Self { process: Arc::clone(process), asking, draining }
    }

    /// Becomes true when somebody asks it to drain.
    pub(super) fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }
}

#[async_trait]
impl Control for Controls {
    async fn reload(&self) -> ConfigurationView {
        let (done, is_done) = oneshot::channel();
        // Neither is left while the process is stopping, and then nothing is read again.
        if self.asking.0.send(done).await.is_ok() {
            let _done_or_stopping = is_done.await;
        }
        self.process.configuration()
    }

    fn drain(&self) {
        tracing::info!("asked to drain");
        self.draining.send_replace(true);
    }
}
