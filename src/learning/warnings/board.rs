//! The warnings that are active, as every instance shows them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;
use tracing::{info, warn};

use crate::{
    domain::learn::warn::{Signal, score::Score},
    store::{Error, Merit, Prediction, WarningStore, Which},
};

/// Active warnings that are shown at most, the newest: more than those who watch 500 operations make
/// in an outage of everything.
const SHOWN: u32 = 1_000;

/// Beginnings and ends that a slow listener may be behind before it misses some.
const BACKLOG: usize = 256;

/// A warning that began, or ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// When it was noticed here, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// The warning.
    pub prediction: Arc<Prediction>,
    /// Whether it began.
    pub begins: bool,
}

/// See the module docs.
pub struct Board {
    store: Arc<dyn WarningStore>,
    // A std mutex: it is held for a copy of some pointers, never across an await.
    shown: Mutex<Shown>,
    heard: broadcast::Sender<Moment>,
}

#[derive(Default)]
struct Shown {
    active: Vec<Arc<Prediction>>,
    /// There are more.
    is_cut: bool,
    scores: Vec<Merit>,
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board").field("active", &self.active().len()).finish_non_exhaustive()
    }
}

impl Board {
    /// One on which there is nothing yet.
    pub fn new(store: Arc<dyn WarningStore>) -> Self {
        Self { store, shown: Mutex::default(), heard: broadcast::Sender::new(BACKLOG) }
    }

    /// The warnings that are active, those of silent signals left out.
    pub fn active(&self) -> Vec<Arc<Prediction>> {
        self.shown().active.clone()
    }

    /// Whether there are more active ones, older than these.
    pub fn is_cut(&self) -> bool {
        self.shown().is_cut
    }

    /// Warnings that began and ended, from now on.
    pub fn listen(&self) -> broadcast::Receiver<Moment> {
        self.heard.subscribe()
    }

    /// How good a signal was when that was last looked at.
    pub fn score(&self, signal: Signal) -> Score {
        let shown = self.shown();
        let found = shown.scores.iter().find(|(of, _)| *of == signal);
        found.map(|(_, score)| *score).unwrap_or_default()
    }

    /// Warnings that are active, newest first, also those of silent signals.
    ///
    /// # Errors
    /// The store is away or refuses.
    pub async fn said(&self, limit: u32) -> Result<Vec<Prediction>, Error> {
        self.store.predictions(Which::Active, limit).await
    }

    /// Warnings that were made at this time or later, newest first.
    ///
    /// # Errors
    /// The store is away or refuses.
    pub async fn past(&self, since_us: i64, limit: u32) -> Result<Vec<Prediction>, Error> {
        self.store.predictions(Which::Since(since_us), limit).await
    }

    /// How good each signal was when that was last looked at.
    ///
    /// # Errors
    /// The store is away or refuses.
    pub async fn scores(&self) -> Result<Vec<Merit>, Error> {
        self.store.scores().await
    }

    /// Reads what is active, and tells what is new and what is over.
    ///
    /// # Errors
    /// The store is away or refuses, and then what is shown stays.
    pub async fn refresh(&self, now_us: i64) -> Result<(), Error> {
        let active = self.store.predictions(Which::Shown, SHOWN).await?;
        let is_cut = active.len() >= SHOWN as usize;
        let active: Vec<Arc<Prediction>> = active.into_iter().map(Arc::new).collect();
        let oldest_us = active.iter().map(|it| it.made_at_us).min().filter(|_| is_cut);
        let scores = self.store.scores().await?;
        let shown = Shown { active: active.clone(), is_cut, scores };
        let before = std::mem::replace(&mut *self.shown(), shown);
        if is_cut && !before.is_cut {
            warn!(shown = SHOWN, "there are more early warnings than are shown");
        }
        let is_in = |all: &[Arc<Prediction>], id| all.iter().any(|it| it.id == id);
        for new in active.iter().filter(|it| !is_in(&before.active, it.id)) {
            self.tell(new, now_us, true);
        }
        // What is older than all that is shown may go on.
        let is_known =
            |it: &&Arc<Prediction>| oldest_us.is_none_or(|oldest| it.made_at_us > oldest);
        let gone = before.active.iter().filter(|it| !is_in(&active, it.id));
        for old in gone.filter(is_known) {
            self.tell(old, now_us, false);
        }
        Ok(())
    }

    fn tell(&self, prediction: &Arc<Prediction>, at_us: i64, begins: bool) {
        let notice = &prediction.notice;
        let (signal, upstream) = (notice.signal.as_str(), &*notice.subject.upstream);
        let (domain, action) = (&*notice.subject.domain, &*notice.subject.action);
        if begins {
            let probability = notice.probability;
            warn!(signal, upstream, domain, action, probability, "early warning: {}", notice.claim);
        } else {
            info!(signal, upstream, domain, action, "an early warning is over: {}", notice.claim);
        }
        let moment = Moment { at_us, prediction: Arc::clone(prediction), begins };
        // An error only says that nobody listens.
        self.heard.send(moment).ok();
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
