//! The thread of the store: migrations, the writer and what is learned from its rows, on a runtime of their own, so that neither a
//! slow store nor a full queue delays the admin port or the sync of breakers.

use std::{
    convert::Infallible,
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Builder,
    sync::{oneshot, watch},
};

use super::orphans;
use crate::{
    clock,
    config::Config,
    history::{self, Writer},
    learning,
    store::{HistoryStore, LearningStore, Outage, Stores, causes, migrate},
    telemetry::log::Lane,
};

/// The longest pause between two tries to bring the tables up to date.
const RETRY_EVERY: Duration = Duration::from_secs(5);
/// What it means that the tables cannot be brought up to date, for the log.
const CONSEQUENCE: &str =
    "the tables are not up to date; calls are not affected, rows wait in the journal";
/// The first pause, which doubles.
const RETRY_FIRST: Duration = Duration::from_millis(100);

/// How long the rows that could not be written may wait for whoever reads stdout.
const PRINT_BUDGET: Duration = Duration::from_secs(5);

/// How the tables of the store stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tables {
    /// They are being brought up to date; the last try failed for this reason.
    Pending(Option<String>),
    /// They are there.
    There,
}

/// The running thread.
#[derive(Debug)]
pub(super) struct StoreThread {
    stop: oneshot::Sender<Instant>,
    ended: oneshot::Receiver<()>,
    standing: watch::Receiver<Tables>,
}

impl StoreThread {
    /// Starts it. What cannot be written when it stops goes to `lines`, a JSON line each.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn start(
        config: &Arc<Config>,
        stores: &Stores,
        writer: Writer,
        watching: impl Future<Output = Infallible> + Send + 'static,
        lines: Lane,
    ) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let begins = if config.database.migrate { Tables::Pending(None) } else { Tables::There };
        let (tables, standing) = watch::channel(begins);
        let config = Arc::clone(config);
        let history = (Arc::clone(&stores.history), stores.place.clone());
        let learning = learn(Arc::clone(&stores.learning), watching);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("fusebox-store".into()).spawn(move || {
            runtime.block_on(work(&config, history, learning, writer, lines, stopped, &tables));
            // Nobody waits any more when the process is stopping in haste.
            let _waiting = end.send(());
        })?;
        Ok(Self { stop, ended, standing })
    }

    /// Waits until the tables are there.
    pub(super) fn tables(&self) -> impl Future<Output = ()> + use<> {
        let mut standing = self.standing.clone();
        async move {
            // An error means that the thread is stopping, and whoever waits with it.
            let _there_or_stopping = standing.wait_for(|tables| *tables == Tables::There).await;
        }
    }

    /// Where it is read how they stand.
    pub(super) fn standing(&self) -> watch::Receiver<Tables> {
        self.standing.clone()
    }

    /// Whether the tables are there within this time.
    pub(super) async fn tables_within(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.tables()).await.is_ok()
    }

    /// Writes what is left until the deadline, and ends.
    pub(super) async fn stop(self, deadline: Instant) {
        // An error means that the thread has ended already, which the next line notices.
        let _ended_already = self.stop.send(deadline);
        let _ended = self.ended.await;
    }
}

/// Adds up days, and watches the last minutes where that is wished.
async fn learn(
    lessons: Arc<dyn LearningStore>,
    watching: impl Future<Output = Infallible>,
) -> Infallible {
    tokio::select! {
        never = learning::forever(&*lessons) => never,
        never = watching => never,
    }
}

async fn work(
    config: &Config,
    (history, place): (Arc<dyn HistoryStore>, Option<String>),
    learning: impl Future<Output = Infallible>,
    writer: Writer,
    lines: Lane,
    stopped: oneshot::Receiver<Instant>,
    tables: &watch::Sender<Tables>,
) {
    let stop = async { stopped.await.unwrap_or_else(|_| clock::now()) };
    let mut deadline = None;
    let leftover = |call: &_| {
        let deadline = *deadline.get_or_insert_with(|| clock::now() + PRINT_BUDGET);
        lines.append_by(deadline, |line| line.extend_from_slice(history::line(call).as_bytes()));
    };
    let place = place.as_deref();
    let (mut there, store) = (tables.subscribe(), Arc::clone(&history));
    let adopting = async {
        // The sender is held above, so that the only end of this wait is that they are there.
        drop(there.wait_for(|tables| *tables == Tables::There).await);
        orphans::adopt_forever(config, place, store).await
    };
    let mut known = tables.subscribe();
    let learning = async {
        drop(known.wait_for(|tables| *tables == Tables::There).await);
        learning.await
    };
    let migrating = migrate_until_done(config, tables);
    let rows = tokio::select! {
        rows = writer.run_after(migrating, history, stop, leftover) => rows,
        never = adopting => match never {},
        never = learning => match never {},
    };
    if rows > 0 {
        tracing::error!(
            rows,
            "stopped before the store had every row: the rest is in the journal, and on standard output"
        );
    }
}

/// Brings the tables up to date, however long the store is away.
async fn migrate_until_done(config: &Config, tables: &watch::Sender<Tables>) {
    let (mut outage, mut pause) = (Outage::new(CONSEQUENCE), RETRY_FIRST);
    while *tables.borrow() != Tables::There {
        match migrate::up(&config.database, &config.data_dir).await {
            Ok(applied) => {
                outage.over(clock::now());
                if !applied.is_empty() {
                    tracing::info!(applied = applied.len(), "the tables are up to date");
                }
                tables.send_replace(Tables::There);
                return;
            }
            Err(cause) => {
                outage.failed(&cause, clock::now());
                tables.send_replace(Tables::Pending(Some(causes(&cause))));
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_EVERY);
    }
}
