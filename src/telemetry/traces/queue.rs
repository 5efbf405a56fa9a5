//! Where sampled calls wait to be told, within a bound.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::sync::Notify;

use super::Hops;
use crate::{
    config::Traces,
    domain::{
        breaker::Transition,
        correlation::TraceContext,
        sampling::Sampler,
        task::{CallRecord, TaskId},
    },
    telemetry::metrics::{Family, Kind, Sample, Source},
};

/// Moves of circuits that are remembered, so that calls can tell of them.
const MOVES_KEPT: usize = 256;

/// The data plane's end of the queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tracer(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    sampler: Sampler,
    /// Spans that may wait.
    bound: usize,
    /// Spans that are worth sending before their time.
    batch: usize,
    /// Held for the length of one push or take.
    waiting: Mutex<Waiting>,
    is_full: Notify,
    moves: Mutex<VecDeque<Moved>>,
    sent: AtomicU64,
    /// Spans that found no room, those that could not be sent, and those that were sent in vain.
    overflowed: AtomicU64,
    unsent: AtomicU64,
    rejected: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    calls: VecDeque<Sampled>,
    spans: usize,
    /// Spans of the batch that was taken last, of which nobody knows more before the next is.
    under_way: usize,
}

/// A sampled call that ended.
#[derive(Debug, Clone)]
pub struct Sampled {
    /// The call.
    pub call: CallRecord,
    /// What it does not tell.
    pub hops: Box<Hops>,
}

impl Sampled {
    /// How many spans it has: its own, and one for each attempt.
    pub(super) fn spans(&self) -> usize {
        1 + self.call.attempts.len()
    }
}

/// A circuit moved.
#[derive(Debug, Clone)]
pub struct Moved {
    /// Its name.
    pub name: Arc<str>,
    /// From where to where, and why.
    pub transition: Transition,
    /// When, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// Calls that were the reason, some of them.
    pub task_ids: Vec<TaskId>,
}

impl Tracer {
    /// An empty queue.
    pub fn new(traces: &Traces) -> Self {
        Self(Arc::new(Queue {
            sampler: traces.sampler,
            bound: traces.queue,
            batch: traces.batch,
            waiting: Mutex::default(),
            is_full: Notify::new(),
            moves: Mutex::default(),
            sent: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        }))
    }

    /// Decides about the trace of a call.
    pub fn samples(&self, context: &mut TraceContext) -> bool {
        self.0.sampler.decide(context)
    }

    /// A sampled call ended. Where there is no room its spans are dropped.
    pub fn tell(&self, call: &CallRecord, hops: Box<Hops>) {
        let sampled = Sampled { call: call.clone(), hops };
        let spans = sampled.spans();
        let mut waiting = lock(&self.0.waiting);
        if waiting.spans + spans > self.0.bound {
            drop(waiting);
            self.0.overflowed.fetch_add(spans as u64, Relaxed);
            return;
        }
        let before = waiting.spans;
        waiting.spans += spans;
        waiting.calls.push_back(sampled);
        let is_full = before < self.0.batch && waiting.spans >= self.0.batch;
        drop(waiting);
        if is_full {
            self.0.is_full.notify_one();
        }
    }

    /// A circuit moved.
    pub fn moved(&self, moved: Moved) {
        let mut moves = lock(&self.0.moves);
        if moves.len() == MOVES_KEPT {
            moves.pop_front();
        }
        moves.push_back(moved);
    }

    /// Waits until there is a batch.
    pub(super) async fn fills(&self) {
        self.0.is_full.notified().await;
    }

    /// As many calls as fit one batch, but at least one; none when none waits.
    pub(super) fn take(&self) -> Vec<Sampled> {
        let mut waiting = lock(&self.0.waiting);
        let (mut taken, mut spans) = (Vec::new(), 0);
        while let Some(next) = waiting.calls.front() {
            let with_it = spans + next.spans();
            if !taken.is_empty() && with_it > self.0.batch {
                break;
            }
            spans = with_it;
            taken.extend(waiting.calls.pop_front());
        }
        waiting.spans -= spans;
        waiting.under_way = spans;
        taken
    }

    /// Empties the queue; how many spans there were, those under way included.
    pub(super) fn abandon(&self) -> usize {
        let waiting = std::mem::take(&mut *lock(&self.0.waiting));
        waiting.spans + waiting.under_way
    }

    /// The moves of circuits that are remembered.
    pub(super) fn moves(&self) -> Vec<Moved> {
        lock(&self.0.moves).iter().cloned().collect()
    }

    /// So many spans were sent.
    pub(super) fn sent(&self, spans: usize) {
        self.0.sent.fetch_add(spans as u64, Relaxed);
    }

    /// So many could not be.
    pub(super) fn lost(&self, spans: usize) {
        self.0.unsent.fetch_add(spans as u64, Relaxed);
    }

    /// So many the collector would not have.
    pub(super) fn rejected(&self, spans: usize) {
        self.0.rejected.fetch_add(spans as u64, Relaxed);
    }
}

impl Source for Tracer {
    fn families(&self) -> Vec<Family> {
        let dropped = [
            ("queue_full", &self.0.overflowed),
            ("not_sent", &self.0.unsent),
            ("rejected", &self.0.rejected),
        ];
        let dropped = dropped.map(|(reason, count)| {
            Sample::new(vec![("reason", reason.into())], number(count.load(Relaxed)))
        });
        vec![
            Family::single(
                "fusebox_spans_sent",
                "Spans that the collector took",
                Kind::Counter,
                number(self.0.sent.load(Relaxed)),
            ),
            Family {
                name: "fusebox_spans_dropped",
                help: "Spans that found no room, or that the collector did not take in time",
                kind: Kind::Counter,
                samples: dropped.into(),
            },
            Family::single(
                "fusebox_spans_waiting",
                "Spans that wait to be sent",
                Kind::Gauge,
                number(lock(&self.0.waiting).spans as u64),
            ),
        ]
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
const fn number(count: u64) -> f64 {
    count as f64
}

/// Between any two statements everything is consistent, so what a panic left behind is as good as
/// any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) mod tests;
