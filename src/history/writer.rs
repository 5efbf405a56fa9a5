//! The writer: the one task that gives rows to the store.
//!
//! It reads the journal behind the store's cursor, writes a lot with the cursor's move in one
//! transaction, and goes on. Whenever it is not sure what the store has, it asks for the cursor and
//! reads again from there, so no answer is ever guessed. It never gives up on a row for the store's
//! sake; only a row that the store will not take is set aside.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    time::{sleep, sleep_until, timeout},
};

use super::{
    aside::Aside,
    content,
    counters::{self, LastError},
    journal::{Journal, Lot, Position},
    lane::Shared,
    onlooker::Onlooker,
    parts::{Part, Parts, What},
    queue::Queue,
    repeated, upkeep,
};
use crate::{
    clock, config,
    domain::{task::CallRecord, wait::Backoff},
    store::{Advance, Batch, Error, HistoryStore, Outage, causes},
};

/// How long one write may take before it counts as lost. Beyond any limit of the stores themselves.
const WRITE_TIME_LIMIT: Duration = Duration::from_secs(60);

/// Waits while the store is away.
const AWAY: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

/// Waits while the store refuses: somebody has to mend it.
const REFUSING: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(60));

/// The longest wait once the deadline runs.
const LAST_WAIT: Duration = Duration::from_millis(250);

/// Rows that are handed over at a stop at most; the journal keeps them all.
const MAX_HANDED_OVER: u64 = 50_000;

/// What an outage means, for the log.
const CONSEQUENCE: &str = "rows wait in the journal; calls are not affected";

/// Takes rows from the journal to the store. See the module docs.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    journal: Journal,
    limits: config::History,
    aside: Aside,
    onlooker: Option<Onlooker>,
}

impl Writer {
    pub(super) const fn new(
        shared: Arc<Shared>,
        journal: Journal,
        limits: config::History,
        aside: Aside,
    ) -> Self {
        Self { shared, journal, limits, aside, onlooker: None }
    }

    /// Shows somebody the calls whose rows are in the store; after an ambiguous answer of it, some
    /// of them twice.
    #[must_use]
    pub fn shown_to(self, onlooker: Onlooker) -> Self {
        Self { onlooker: Some(onlooker), ..self }
    }

    /// Writes until `stop` says by when to end: then what the lanes hold is written too, until all
    /// is done or the deadline comes. What is left then stays in the journal for the next start,
    /// and is handed to `leftover` besides, for directories that do not outlive the process.
    /// Returns how many rows were handed over.
    pub async fn run(
        self,
        store: Arc<dyn HistoryStore>,
        stop: impl Future<Output = Instant>,
        leftover: impl FnMut(&CallRecord),
    ) -> u64 {
        self.run_after(std::future::ready(()), store, stop, leftover).await
    }

    /// As [`Writer::run`]. Before the tables are there nothing is written, but lanes get their
    /// pages, however long it takes.
    pub async fn run_after(
        self,
        tables: impl Future<Output = ()>,
        store: Arc<dyn HistoryStore>,
        stop: impl Future<Output = Instant>,
        mut leftover: impl FnMut(&CallRecord),
    ) -> u64 {
        let (stopping, is_stopping) = watch::channel(false);
        let give_up = async {
            let deadline = stop.await;
            stopping.send_replace(true);
            sleep_until(deadline.into()).await;
        };
        let retention = self.limits.retention;
        let mut delivery = Delivery::new(self, Arc::clone(&store), is_stopping);
        let writing = async {
            delivery.until_there(tables).await;
            tokio::select! {
                biased;
                () = delivery.until_stopped() => {}
                never = upkeep::forever(&*store, retention) => match never {},
            }
        };
        tokio::select! {
            biased;
            () = writing => {}
            () = give_up => {}
        }
        delivery.queue.forget_committed(clock::now());
        delivery.hand_over(&mut leftover)
    }
}

/// The state of a running writer.
struct Delivery {
    shared: Arc<Shared>,
    store: Arc<dyn HistoryStore>,
    stopping: watch::Receiver<bool>,
    queue: Queue,
    journal_id: String,
    sample_successes: u32,
    aside: Aside,
    /// Whether the store's cursors are known.
    is_sure: bool,
    /// Whether somebody moved our cursor since rows were last written.
    was_moved: bool,
    /// What was sent without an answer.
    doubt: Option<Doubt>,
    away: Backoff,
    refusing: Backoff,
    outage: Outage,
    onlooker: Option<Onlooker>,
    _home: super::journal::home::Home,
}

/// A part that may have been written.
#[derive(Debug)]
struct Doubt {
    reached: BTreeMap<u32, Position>,
    rows: u64,
    calls: u64,
}

impl Delivery {
    fn new(writer: Writer, store: Arc<dyn HistoryStore>, stopping: watch::Receiver<bool>) -> Self {
        let Writer { shared, journal, limits, aside, onlooker } = writer;
        Self {
            queue: Queue::new(&shared, journal.spool),
            shared,
            store,
            stopping,
            journal_id: journal.id,
            sample_successes: limits.sample_successes.get(),
            aside,
            is_sure: false,
            was_moved: false,
            doubt: None,
            away: AWAY,
            refusing: REFUSING,
            outage: Outage::new(CONSEQUENCE),
            onlooker,
            _home: journal.home,
        }
    }

    /// Collects until the tables are there, or it was told to stop.
    async fn until_there(&mut self, tables: impl Future<Output = ()>) {
        let stopping = &mut self.stopping;
        let there = async {
            tokio::select! { () = tables => {}, () = told(stopping) => {} }
        };
        self.queue.meanwhile(there).await;
    }

    /// Writes what comes; returns when it was told to stop and nothing is left.
    async fn until_stopped(&mut self) {
        loop {
            // Asked first, so that whatever was recorded before the stop is collected after it.
            let is_last_round = *self.stopping.borrow();
            if is_last_round {
                self.queue.collect_all(clock::now());
            } else {
                self.queue.collect(clock::now());
            }
            if let Err(cause) = self.deliver_all().await {
                self.wait(&cause).await;
                continue;
            }
            if is_last_round {
                return;
            }
            tokio::select! {
                () = self.queue.due() => {}
                () = told(&mut self.stopping) => {}
            }
        }
    }

    /// Writes everything that there is to read.
    ///
    /// # Errors
    /// The store's: what was read and not written is read again.
    async fn deliver_all(&mut self) -> Result<(), Error> {
        loop {
            if !self.is_sure {
                self.ask_cursors().await?;
            }
            let lot = self.queue.next();
            if lot.is_empty() {
                self.queue.take_back(lot);
                return Ok(());
            }
            let delivered = self.deliver(&lot).await;
            if delivered.is_ok()
                && let Some(onlooker) = &self.onlooker
            {
                onlooker.see(&lot.rows);
            }
            self.queue.take_back(lot);
            if let Err(error) = delivered {
                self.is_sure = false;
                // Once is a failover. Again and again is somebody else with a copy of our journal.
                let is_first = !std::mem::replace(&mut self.was_moved, true);
                if !matches!(error, Error::CursorMoved) || !is_first {
                    return Err(error);
                }
            } else {
                self.was_moved = false;
            }
        }
    }

    /// Asks the store how far it has our journal.
    async fn ask_cursors(&mut self) -> Result<(), Error> {
        let (store, journal_id) = (Arc::clone(&self.store), self.journal_id.clone());
        let asked = timeout(WRITE_TIME_LIMIT, store.cursors(&journal_id));
        let cursors = self.queue.meanwhile(asked).await;
        let cursors = cursors.unwrap_or_else(|late| Err(Error::Unavailable(late.into())))?;
        self.queue.rewind(&cursors);
        self.is_sure = true;
        if let Some(doubt) = self.doubt.take() {
            let reached = |(worker, position): (&u32, &Position)| {
                cursors.get(worker).is_some_and(|&cursor| cursor >= position.to_cursor())
            };
            if doubt.reached.iter().all(reached) {
                // The cursor has passed these rows already; they count as written instead.
                self.shared.counters.not_passed(doubt.rows);
                self.shared.counters.was_written(doubt.rows, doubt.calls);
            }
        }
        self.store_answered();
        Ok(())
    }

    /// Writes a lot, in as many parts as it takes.
    async fn deliver(&mut self, lot: &Lot) -> Result<(), Error> {
        let mut parts = Parts::new(lot.rows.len());
        while let Some(part) = parts.next() {
            match self.write(lot, &part).await {
                Ok(()) => {
                    parts.written();
                    self.store_answered();
                }
                Err(Error::BadData(cause)) if part.what != What::Nothing => {
                    self.store_answered();
                    if let Some(row) = parts.refused().and_then(|row| lot.rows.get(row)) {
                        self.set_aside(row, &Error::BadData(cause));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.queue.settled(clock::now());
        Ok(())
    }

    /// Writes a part of a lot, and moves the cursors behind it.
    async fn write(&mut self, lot: &Lot, part: &Part) -> Result<(), Error> {
        let rows = lot.rows.get(part.rows.clone()).unwrap_or_default();
        let counts = (rows.len() as u64, rows.iter().map(|row| u64::from(row.weight)).sum());
        let news = self.queue.meanwhile(repeated::without(&*self.store, rows)).await?;
        let rows = news.as_deref().unwrap_or(rows);
        let reached = lot.reach(part.rows.clone());
        let advances: Vec<Advance> = reached
            .iter()
            .map(|(&worker, to)| Advance {
                worker,
                from: self.queue.cursor(worker).to_cursor(),
                to: to.to_cursor(),
            })
            .collect();
        let (stored, deltas) = content::of(lot, rows, part.what, self.sample_successes);
        let stored = stored.as_deref().unwrap_or(rows);
        let batch = Batch {
            journal_id: &self.journal_id,
            origin: &lot.origin,
            advances: &advances,
            rows: stored,
            deltas: &deltas,
        };
        let written = part.what == What::Rows;
        let (rows, calls) = if written { counts } else { (0, 0) };
        let write = timeout(WRITE_TIME_LIMIT, self.store.write(&batch));
        let result = self.queue.meanwhile(write).await;
        let result = result.unwrap_or_else(|late| Err(Error::Unavailable(late.into())));
        match &result {
            Ok(()) => {
                self.queue.moved(&reached);
                self.shared.counters.was_written(rows, calls);
            }
            Err(Error::Unavailable(_)) => self.doubt = Some(Doubt { reached, rows, calls }),
            Err(_) => {}
        }
        result
    }

    fn set_aside(&mut self, row: &CallRecord, cause: &Error) {
        let counters = &self.shared.counters;
        counters::add(&counters.set_aside, u64::from(row.weight));
        counters::add(&counters.rows_set_aside, 1);
        let message = causes(cause);
        self.aside.keep(row, &message);
        counters.went_wrong(true, LastError { at_us: clock::wall_us(), message });
    }

    fn store_answered(&mut self) {
        self.outage.over(clock::now());
        self.shared.counters.went_well();
        self.away.reset();
        self.refusing.reset();
    }

    /// The store is away or refuses: lets some time pass.
    async fn wait(&mut self, cause: &Error) {
        self.outage.failed(cause, clock::now());
        let error = LastError { at_us: clock::wall_us(), message: causes(cause) };
        self.shared.counters.went_wrong(false, error);
        let waits = match cause {
            Error::Refused(_) | Error::BadData(_) | Error::CursorMoved => &mut self.refusing,
            Error::Unavailable(_) => &mut self.away,
        };
        let wait = waits.next(fastrand::u64(..));
        let stopping = &mut self.stopping;
        let pause = async {
            if !*stopping.borrow() {
                tokio::select! {
                    () = sleep(wait) => {}
                    () = told(stopping) => {}
                }
            } else {
                sleep(wait.min(LAST_WAIT)).await;
            }
        };
        self.queue.meanwhile(pause).await;
    }

    /// Hands over what is still in the journal behind the store's cursor.
    fn hand_over(&mut self, leftover: &mut impl FnMut(&CallRecord)) -> u64 {
        self.queue.collect_all(clock::now());
        self.queue.go_back();
        let mut rows = 0_u64;
        while rows < MAX_HANDED_OVER {
            let lot = self.queue.next();
            if lot.is_empty() {
                break;
            }
            lot.rows.iter().for_each(&mut *leftover);
            rows += lot.rows.len() as u64;
        }
        rows
    }
}

/// Waits for the stop.
async fn told(stopping: &mut watch::Receiver<bool>) {
    // The sender lives as long as the writer runs, so the only end of this wait is the stop.
    drop(stopping.wait_for(|is_stopping| *is_stopping).await);
}
