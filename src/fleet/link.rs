//! The line on which the store hints at changes: asked for, held, and asked for again when lost.
//!
//! Asking goes on beside everything else, for it may take a while: the store tests whether hints
//! come through at all. It is a task of its own: a future that is polled only while nothing else is
//! being done would hold on to the store's connection while this task waits for that connection.

use std::{future::pending, sync::Arc, time::Instant};

use tokio::{
    task::{JoinError, JoinSet},
    time::sleep_until,
};

use crate::{
    clock,
    domain::wait::Backoff,
    store::{Error, Hints, StateStore},
};

/// What comes over the line.
#[derive(Debug)]
pub(super) enum News {
    /// Something changed, or may have changed while nobody listened: look.
    Look,
    /// There is no line, now or at all. The error says why, if there was one.
    Down(Option<Error>),
}

/// See the module docs.
pub(super) struct Link {
    store: Arc<dyn StateStore>,
    state: State,
    backoff: Backoff,
}

enum State {
    /// Holds one task, which ends with the set.
    Asking(JoinSet<Result<Option<Hints>, Error>>),
    Listening(Hints),
    Lost {
        ask_at: Instant,
    },
    /// The store has no hints to give.
    Without,
}

impl Link {
    /// Begins to ask.
    pub(super) fn new(store: Arc<dyn StateStore>, backoff: Backoff) -> Self {
        let state = State::asking(&store);
        Self { store, state, backoff }
    }

    /// Whether hints come.
    pub(super) const fn is_up(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }

    /// Asks again where there were no hints: behind a failover there may be.
    pub(super) fn ask_again(&mut self) {
        if matches!(self.state, State::Without) {
            self.state = State::asking(&self.store);
        }
    }

    /// The next news. Losing this future loses nothing.
    pub(super) async fn news(&mut self) -> News {
        loop {
            let news = match &mut self.state {
                State::Asking(asking) => match answer(asking.join_next().await) {
                    Ok(Some(hints)) => {
                        self.backoff.reset();
                        self.state = State::Listening(hints);
                        // Only now is nothing missed any more; what was missed must be read.
                        News::Look
                    }
                    Ok(None) => {
                        self.state = State::Without;
                        News::Down(None)
                    }
                    Err(cause) => self.lost(Some(cause)),
                },
                State::Listening(hints) => match hints.recv().await {
                    Some(()) => {
                        while hints.try_recv().is_ok() {}
                        News::Look
                    }
                    None => self.lost(None),
                },
                State::Lost { ask_at } => {
                    sleep_until((*ask_at).into()).await;
                    self.state = State::asking(&self.store);
                    continue;
                }
                State::Without => pending().await,
            };
            return news;
        }
    }

    fn lost(&mut self, cause: Option<Error>) -> News {
        let ask_at = clock::now() + self.backoff.next(fastrand::u64(..));
        self.state = State::Lost { ask_at };
        News::Down(cause)
    }
}

impl State {
    fn asking(store: &Arc<dyn StateStore>) -> Self {
        let store = Arc::clone(store);
        let mut asking = JoinSet::new();
        asking.spawn(async move { store.subscribe().await });
        Self::Asking(asking)
    }
}

/// What the task said; that it is gone counts as an error of the store.
fn answer(
    ended: Option<Result<Result<Option<Hints>, Error>, JoinError>>,
) -> Result<Option<Hints>, Error> {
    match ended {
        Some(Ok(answer)) => answer,
        Some(Err(panicked)) => Err(Error::Unavailable(panicked.into())),
        None => Err(Error::Unavailable("nobody asks".into())),
    }
}
