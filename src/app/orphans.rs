//! Journals beside ours whose processes are gone for good: their rows are brought to the store.
//!
//! Where several tasks share a volume, each with a directory of its own below one parent, a task
//! that never comes back leaves rows behind. Whoever finds them first has them: the directory is
//! locked meanwhile, and the store's cursor keeps each row to one. Only those are taken that were
//! on their way to the same database.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::task::spawn_blocking;

use crate::{
    clock,
    config::Config,
    domain::task::Origin,
    history::{
        Recorder,
        journal::{Journal, Limits, home::Home},
    },
    store::HistoryStore,
};

/// How often the neighbours are looked at.
const EVERY: Duration = Duration::from_secs(300);

/// How long bringing in one of them may take before the next look.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Brings in what others have left, for as long as it is polled.
pub(super) async fn adopt_forever(
    config: &Config,
    place: Option<&str>,
    store: Arc<dyn HistoryStore>,
) -> Infallible {
    let mut looks = tokio::time::interval(EVERY);
    loop {
        looks.tick().await;
        let mut homes = place.map(|place| Home::orphans(&config.data_dir, place));
        while let Some(home) = homes.as_mut().and_then(Iterator::next) {
            adopt(home, config, Arc::clone(&store)).await;
        }
    }
}

async fn adopt(home: Home, config: &Config, store: Arc<dyn HistoryStore>) {
    let journal_id = home.journal_id().to_owned();
    // Nothing is kept behind the commit: nobody would be there to send it again.
    let limits = Limits { spool_max_bytes: u64::MAX, kept: Duration::ZERO };
    let history = config.history.clone();
    // All that was left is read here, which may take seconds: not on the thread of our own rows.
    let opening = spawn_blocking(move || {
        let journal = Journal::open(home, Origin::default(), 1, limits);
        let interrupted = journal.found().interrupted;
        (interrupted, Recorder::new(0, journal, &history, None))
    });
    // It fails only with a panic, which has told of itself.
    let Ok((interrupted, (recorder, writer))) = opening.await else { return };
    let deadline = clock::now() + TIME_LIMIT;
    let left = writer.run(store, std::future::ready(deadline), |_| {}).await;
    let rows = recorder.counters().rows_written();
    tracing::info!(
        journal_id,
        rows,
        interrupted,
        left,
        "the rows of a journal that was left behind"
    );
}
