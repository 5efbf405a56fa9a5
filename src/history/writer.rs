//! The writer: the one task that gives rows to the store.
//!
//! It never gives up on a row for the store's sake: while the store is away it tries again with
//! growing, jittered waits and goes on collecting. Only a row that the store will not take is set
//! aside. At a stop it writes until the deadline and hands over what is left.

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    future::Future,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    time::{sleep, sleep_until, timeout, timeout_at},
};
use tracing::{error, warn};

use super::{
    batch::Batch,
    counters::{self, LastError},
    lane::Shared,
    line::line,
    queue::Queue,
    upkeep,
};
use crate::{
    clock, config,
    domain::{learn::rollup, task::CallRecord, wait::Backoff},
    store::{Advance, Error, HistoryStore, Outage, causes},
};

/// How long one write may take before it counts as lost and is made again. Beyond any limit of the
/// stores themselves.
const WRITE_TIME_LIMIT: Duration = Duration::from_secs(60);

/// Waits while the store is away.
const AWAY: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));

/// Waits while the store refuses: somebody has to mend it.
const REFUSING: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(60));

/// Of the time that a stop leaves, one part in so many is kept to withdraw the batch under way.
const RESERVE: u32 = 10;

/// All lanes are one part of the journal, for one writer empties them.
const WORKER: u32 = 0;

/// The longest wait once the deadline runs.
const LAST_WAIT: Duration = Duration::from_millis(250);

/// Kinds of bad rows that are told in the log, one line each; more are only counted.
const KINDS_TOLD: usize = 16;

/// What an outage means, for the log.
const CONSEQUENCE: &str = "rows wait in memory; calls are not affected";

/// Takes rows from the lanes to the store. See the module docs.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    limits: config::History,
}

impl Writer {
    pub(super) const fn new(shared: Arc<Shared>, limits: config::History) -> Self {
        Self { shared, limits }
    }

    /// Writes until `stop` says by when to end: then what the lanes hold is written too, until all
    /// is done or nine tenths of the time are over. What is left then goes to `leftover`. A batch
    /// that was under way is withdrawn first, and handed over unless the store has it; when the
    /// store does not answer that in time, it is handed over although the store may have it.
    pub async fn run(
        self,
        store: Arc<dyn HistoryStore>,
        service: Arc<str>,
        stop: impl Future<Output = Instant>,
        mut leftover: impl FnMut(&CallRecord),
    ) {
        let (stopping, is_stopping) = watch::channel(false);
        let upkeep = upkeep::forever(&*store, self.limits.retention);
        let mut delivery = Delivery::new(&self, Arc::clone(&store), service, is_stopping);
        let give_up = async {
            let deadline = stop.await;
            stopping.send_replace(true);
            let reserve = deadline.saturating_duration_since(clock::now()) / RESERVE;
            sleep_until((deadline - reserve).into()).await;
            deadline
        };
        tokio::select! {
            biased;
            () = delivery.until_stopped() => {}
            deadline = give_up => delivery.withdraw(deadline).await,
            never = upkeep => match never {},
        }
        delivery.hand_over(&mut leftover);
    }
}

/// The state of a running writer.
struct Delivery {
    shared: Arc<Shared>,
    store: Arc<dyn HistoryStore>,
    service: Arc<str>,
    stopping: watch::Receiver<bool>,
    queue: Queue,
    batch: Batch,
    /// The number under which rows were last sent.
    position: u64,
    away: Backoff,
    refusing: Backoff,
    outage: Outage,
    kinds_told: HashSet<String>,
}

impl Delivery {
    fn new(
        writer: &Writer,
        store: Arc<dyn HistoryStore>,
        service: Arc<str>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let limits = &writer.limits;
        let queue = Queue::new(&writer.shared, limits.queue_rows.get(), limits.refused_per_second);
        Self {
            shared: Arc::clone(&writer.shared),
            store,
            service,
            stopping,
            queue,
            batch: Batch::default(),
            position: 0,
            away: AWAY,
            refusing: REFUSING,
            outage: Outage::new(CONSEQUENCE),
            kinds_told: HashSet::new(),
        }
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
            loop {
                self.batch = Batch::new(self.queue.take_batch());
                if self.batch.is_done() {
                    break;
                }
                self.deliver().await;
                self.queue.batch_done();
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

    /// Writes the batch, however long it takes.
    async fn deliver(&mut self) {
        while !self.batch.is_done() {
            self.position += u64::from(self.batch.send());
            let advance = self.advance();
            let rows = self.batch.next().unwrap_or_default();
            let deltas = rollup::deltas(&self.service, rows);
            let write = timeout(WRITE_TIME_LIMIT, self.store.write(advance, rows, &deltas));
            let written = meanwhile_collecting(&mut self.queue, write).await;
            match written.unwrap_or_else(|late| Err(Error::Unavailable(late.into()))) {
                Ok(()) => self.written(),
                Err(Error::BadData(cause)) => self.refused(&Error::BadData(cause)),
                Err(cause) => self.wait(&cause).await,
            }
        }
    }

    /// Where the rows that were last sent take the cursor.
    const fn advance(&self) -> Advance {
        Advance { worker: WORKER, position: self.position }
    }

    /// Gives up on the batch that is under way, in time to learn what became of it. Asked once:
    /// when the answer is lost, a second one could not tell the batch from its withdrawal.
    async fn withdraw(&mut self, deadline: Instant) {
        if !self.batch.is_sent() {
            return;
        }
        let withdrawal = self.store.withdraw(self.advance());
        match timeout_at(deadline.into(), withdrawal).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => self.written(),
            Ok(Err(_)) | Err(_) => {
                warn!("the store may have the rows of the last batch that are on standard output");
            }
        }
    }

    fn written(&mut self) {
        let counters = &self.shared.counters;
        let rows = self.batch.next().unwrap_or_default();
        counters::add(&counters.written, rows.iter().map(|row| u64::from(row.weight)).sum());
        counters::add(&counters.rows_written, rows.len() as u64);
        counters::add(&counters.batches, 1);
        self.batch.written();
        self.store_answered();
    }

    /// The store will not take these rows: the batch is cut, or the one bad row set aside.
    fn refused(&mut self, cause: &Error) {
        self.store_answered();
        let Some(row) = self.batch.refused() else { return };
        let counters = &self.shared.counters;
        counters::add(&counters.set_aside, u64::from(row.weight));
        let message = causes(cause);
        counters.went_wrong(true, LastError { at_us: clock::wall_us(), message: message.clone() });
        if self.kinds_told.len() < KINDS_TOLD && !self.kinds_told.contains(&message) {
            warn!(
                error = message,
                row = line(row),
                "the store does not take a row: it is set aside"
            );
            self.kinds_told.insert(message);
        }
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
            Error::Refused(_) => &mut self.refusing,
            Error::Unavailable(_) | Error::BadData(_) => &mut self.away,
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
        meanwhile_collecting(&mut self.queue, pause).await;
    }

    /// Hands over every row that was not written.
    fn hand_over(&mut self, leftover: &mut impl FnMut(&CallRecord)) {
        let mut rows = 0_u64;
        let mut hand = |row: &CallRecord| {
            rows += 1;
            leftover(row);
        };
        self.batch.rest().for_each(&mut hand);
        self.queue.batch_done();
        self.queue.collect_all(clock::now());
        loop {
            let batch = self.queue.take_batch();
            if batch.is_empty() {
                break;
            }
            batch.iter().for_each(&mut hand);
        }
        self.queue.batch_done();
        if rows > 0 {
            error!(rows, "stopped before the store had every row: the rest is on standard output");
        }
    }
}

/// Waits for the stop.
async fn told(stopping: &mut watch::Receiver<bool>) {
    // The sender lives as long as the writer runs, so the only end of this wait is the stop.
    drop(stopping.wait_for(|is_stopping| *is_stopping).await);
}

/// Does `work`, and goes on collecting meanwhile, so that lanes do not overflow.
async fn meanwhile_collecting<T>(queue: &mut Queue, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = queue.due() => queue.collect(clock::now()),
        }
    }
}
