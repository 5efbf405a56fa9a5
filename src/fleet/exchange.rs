//! The exchange of circuits with their rows: what others changed comes in, what changed here goes
//! out, and the store's compare-and-set decides who was first.

use std::{
    collections::HashMap,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};
use tracing::{debug, warn};

use super::status::Status;
use crate::{
    breakers::{Breakers, Change, Circuit},
    clock,
    domain::{
        breaker::{Cause, Mode, Scope, Shared, State, Transition},
        fleet::{Step, aged, reconcile},
    },
    store::{Error, Move, Moved, StateStore},
};

/// How long the store may take to answer, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// How far back closed breakers are read, so that their epochs are known. Older ones are simply
/// closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(300);

/// See the module docs.
pub(super) struct Exchange {
    /// Those that are shared.
    circuits: Vec<Arc<Circuit>>,
    store: Arc<dyn StateStore>,
    /// The rows as last read or written, by key, and when.
    rows: HashMap<String, (Shared, Instant)>,
    /// The last transition that each circuit made by itself, for the numbers behind it.
    moves: HashMap<Arc<str>, Transition>,
    /// Whether the store knew less than this instance when it was last read.
    is_behind: bool,
    status: watch::Sender<Status>,
}

impl Exchange {
    pub(super) fn new(
        breakers: &Breakers,
        store: Arc<dyn StateStore>,
        status: watch::Sender<Status>,
    ) -> Self {
        let circuits = breakers.iter().filter(|circuit| is_shared(circuit)).map(Arc::clone);
        let circuits = circuits.collect();
        Self {
            circuits,
            store,
            rows: HashMap::new(),
            moves: HashMap::new(),
            is_behind: false,
            status,
        }
    }

    /// Whether no circuit is shared at all.
    pub(super) const fn is_idle(&self) -> bool {
        self.circuits.is_empty()
    }

    /// Reads all rows; adopts what others changed, then publishes what they do not know.
    pub(super) async fn look(&mut self) -> Result<(), Error> {
        let rows = bounded(self.store.breakers(CLOSED_WITHIN)).await?;
        let read_at = clock::now();
        self.rows = rows.into_iter().map(|row| (row.key, (row.shared, read_at))).collect();
        self.status.send_modify(|status| status.last_ok = Some(read_at));
        self.circuits.iter().for_each(|circuit| self.adopt_if_newer(circuit));
        self.notice_lost_epochs(read_at);
        for circuit in self.circuits.clone() {
            self.publish_if_newer(&circuit).await?;
        }
        Ok(())
    }

    /// Tells, once, that the store forgot what it had: restored from a backup, or failed over to a
    /// copy that lagged. Circuits that it is behind with are on their own until it has caught up.
    fn notice_lost_epochs(&mut self, now: Instant) {
        let is_behind = self.circuits.iter().any(|circuit| {
            self.row(circuit, now).is_some_and(|row| row.epoch < circuit.share(now).epoch)
        });
        if is_behind && !self.is_behind {
            warn!("the store has lost changes of breakers: some are not shared until a restart");
        }
        self.is_behind = is_behind;
    }

    /// A circuit moved: publishes it, unless it was the fleet that moved it.
    pub(super) async fn moved(&mut self, change: Change) -> Result<(), Error> {
        self.remember(&change);
        if is_shared(&change.circuit) {
            self.publish_if_newer(&change.circuit).await?;
        }
        Ok(())
    }

    /// Keeps the numbers of a move that cannot be published now.
    pub(super) fn remember(&mut self, change: &Change) {
        if change.transition.cause != Cause::Fleet {
            let name = Arc::clone(change.circuit.name());
            self.moves.insert(name, change.transition.clone());
        }
    }

    /// Says that this instance lives; keeps how many do.
    pub(super) async fn beat(&mut self, ttl: Duration) -> Result<(), Error> {
        let live = bounded(self.store.heartbeat(ttl)).await?;
        self.status.send_modify(|status| status.live = live);
        Ok(())
    }

    fn adopt_if_newer(&self, circuit: &Arc<Circuit>) {
        let now = clock::now();
        let Some(row) = self.row(circuit, now) else { return };
        if reconcile(&circuit.share(now), Some(&row)) == Step::Adopt {
            circuit.adopt(&row, now);
            self.status.send_modify(|status| status.adopted += 1);
        }
    }

    async fn publish_if_newer(&mut self, circuit: &Arc<Circuit>) -> Result<(), Error> {
        let now = clock::now();
        let local = circuit.share(now);
        let row = self.row(circuit, now);
        // What a circuit would do is not what it does: only in automatic mode is it news.
        let is_automatic = circuit.snapshot(now).mode == Mode::Auto;
        if !is_automatic || reconcile(&local, row.as_ref()) != Step::Publish {
            return Ok(());
        }
        let fleet = row.map_or(State::Closed, |row| row.state);
        let wanted = self.wanted(circuit, &local, fleet);
        let moved = bounded(self.store.transition(&wanted)).await?;
        self.settle(circuit, local, moved);
        Ok(())
    }

    /// Takes note of what became of a move.
    fn settle(&mut self, circuit: &Arc<Circuit>, local: Shared, moved: Moved) {
        let (key, now) = (circuit.key().to_owned(), clock::now());
        match moved {
            Moved::Made(epoch) => {
                debug!(upstream = &**circuit.name(), epoch, "published the circuit's state");
                circuit.published(epoch);
                self.rows.insert(key, (Shared { epoch, ..local }, now));
                self.status.send_modify(|status| status.published += 1);
            }
            Moved::Lost(row) => {
                debug!(upstream = &**circuit.name(), "another instance was faster");
                self.status.send_modify(|status| status.lost += 1);
                match row {
                    Some(row) => self.rows.insert(key, (row.shared, now)),
                    None => self.rows.remove(&key),
                };
                self.adopt_if_newer(circuit);
            }
        }
    }

    /// The row of a circuit as it is by now.
    fn row(&self, circuit: &Circuit, now: Instant) -> Option<Shared> {
        let (row, read_at) = self.rows.get(circuit.key())?;
        Some(aged(row, now.saturating_duration_since(*read_at)))
    }

    /// The move that makes the fleet's state the circuit's.
    fn wanted(&self, circuit: &Circuit, local: &Shared, fleet: State) -> Move {
        // Numbers of an older move say nothing about this state.
        let made = self.moves.get(circuit.name()).filter(|made| made.to == local.state);
        Move {
            key: circuit.key().to_owned(),
            upstream: circuit.name().to_string(),
            from_epoch: local.epoch,
            from: fleet,
            to: local.state,
            cause: made.map_or(local.cause, |made| made.cause),
            open_for: local.open_for,
            step: local.step,
            failure_count: local.failure_count,
            window_calls: made.map_or(0, |made| made.window_calls),
            window_failures: made.map_or(0, |made| made.window_failures),
            by_connection: local.by_connection,
            task_ids: Vec::new(),
        }
    }
}

fn is_shared(circuit: &Circuit) -> bool {
    circuit.scope() == Scope::Fleet
}

/// An answer of the store that does not come is an outage.
async fn bounded<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answered = timeout(TIME_LIMIT, answer).await;
    answered.unwrap_or_else(|late| Err(Error::Unavailable(late.into())))
}
