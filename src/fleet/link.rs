//! The line on which the store hints at changes: asked for, held, doubted, and asked for again.
//!
//! Asking goes on beside everything else, for it may take a while: the store tests whether hints
//! come through at all. It is a task of its own: a future that is polled only while nothing else is
//! being done would hold on to the store's connection while this task waits for that connection.
//!
//! A line may also die in silence. Testing it now and then would wake every listener each time, and
//! a thousand of them a thousand times as often; so it is doubted only on evidence: something changed
//! of which a hint must have come. Looks at the store go on all the time, so that until then nothing
//! is missed for longer than the time between two of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::{JoinError, JoinSet},
    time::{sleep_until, timeout_at},
};

use crate::{
    clock,
    domain::wait::Backoff,
    store::{Error, Hints, StateStore},
};

/// How long a hint may take.
const GRACE: Duration = Duration::from_secs(2);

/// Waits before the store is asked again for hints that do not come through. That may pass: with the
/// connection, or with whatever stands in between. Each time costs the database a connection.
const IN_VAIN: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(600));

/// What comes over the line.
#[derive(Debug)]
pub(super) enum News {
    /// Something changed, or may have changed while nobody listened: look.
    Look,
    /// There is no line for now.
    Down(Why),
}

/// Why there is no line.
#[derive(Debug)]
pub(super) enum Why {
    /// It broke, or could not be had.
    Broken(Option<Error>),
    /// The store gives no hints, or they do not come through.
    Without,
    /// Hints were due and did not come.
    Silent,
}

/// See the module docs.
pub(super) struct Link {
    store: Arc<dyn StateStore>,
    state: State,
    /// Waits after failures, and after asking in vain.
    broken: Backoff,
    in_vain: Backoff,
    /// When the last hint came.
    heard_at: Option<Instant>,
}

enum State {
    /// Holds one task, which ends with the set.
    Asking(JoinSet<Result<Option<Hints>, Error>>),
    /// A hint is due by then, if any is.
    Listening {
        hints: Hints,
        due: Option<Instant>,
    },
    Down {
        ask_at: Instant,
    },
}

impl Link {
    /// Begins to ask. `broken` are the waits after failures.
    pub(super) fn new(store: Arc<dyn StateStore>, broken: Backoff) -> Self {
        let state = State::asking(&store);
        Self { store, state, broken, in_vain: IN_VAIN, heard_at: None }
    }

    /// Whether hints come.
    pub(super) const fn is_up(&self) -> bool {
        matches!(self.state, State::Listening { .. })
    }

    /// Asks again where there were no hints: behind a failover there may be.
    pub(super) fn ask_again(&mut self) {
        if matches!(self.state, State::Down { .. }) {
            self.state = State::asking(&self.store);
        }
    }

    /// Something has changed since then of which the store tells: if no hint has come, one is due.
    pub(super) fn expect_hint(&mut self, since: Instant) {
        let has_come = self.heard_at.is_some_and(|at| at >= since);
        if let State::Listening { due, .. } = &mut self.state
            && !has_come
        {
            due.get_or_insert(clock::now() + GRACE);
        }
    }

    /// The next news. Losing this future loses nothing.
    pub(super) async fn news(&mut self) -> News {
        loop {
            match &mut self.state {
                State::Asking(asking) => {
                    let answer = answer(asking.join_next().await);
                    return self.answered(answer);
                }
                State::Listening { hints, due } => {
                    let heard = match *due {
                        Some(at) => timeout_at(at.into(), hints.recv()).await,
                        None => Ok(hints.recv().await),
                    };
                    match heard {
                        Ok(Some(())) => {
                            while hints.try_recv().is_ok() {}
                            (*due, self.heard_at) = (None, Some(clock::now()));
                            self.in_vain.reset();
                            return News::Look;
                        }
                        Ok(None) => return self.lost(None),
                        Err(_) => {
                            // Not all at once: a server that is late would be later still.
                            let ask_at = clock::now() + self.in_vain.next(fastrand::u64(..));
                            self.state = State::Down { ask_at };
                            return News::Down(Why::Silent);
                        }
                    }
                }
                State::Down { ask_at } => {
                    sleep_until((*ask_at).into()).await;
                    self.state = State::asking(&self.store);
                }
            }
        }
    }

    fn answered(&mut self, answer: Result<Option<Hints>, Error>) -> News {
        match answer {
            Ok(Some(hints)) => {
                self.broken.reset();
                self.heard_at = Some(clock::now());
                self.state = State::Listening { hints, due: None };
                // Only now is nothing missed any more; what was missed must be read.
                News::Look
            }
            Ok(None) => {
                let ask_at = clock::now() + self.in_vain.next(fastrand::u64(..));
                self.state = State::Down { ask_at };
                News::Down(Why::Without)
            }
            Err(cause) => self.lost(Some(cause)),
        }
    }

    fn lost(&mut self, cause: Option<Error>) -> News {
        let ask_at = clock::now() + self.broken.next(fastrand::u64(..));
        self.state = State::Down { ask_at };
        News::Down(Why::Broken(cause))
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
