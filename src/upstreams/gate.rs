//! Room for so many at a time, and a line of bounded length for those who wait, first come first
//! served.
//!
//! Who finds room, and who leaves while nobody waits, does so with one atomic operation. Only when
//! somebody waits is there a lock: then a place is handed to the first in line and never becomes
//! free in between, so that nobody overtakes. How many are inside and how many wait is one word,
//! so neither can change unseen by who looks at the other.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::{sync::oneshot, time::timeout_at};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Gate {
    /// How many may be inside.
    limit: u32,
    /// How many may wait.
    longest: u32,
    /// Inside in the lower half, waiting in the upper. Waiting changes under the lock only.
    counts: AtomicU64,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    /// The number of the next who comes.
    next: u64,
    /// In the order of their numbers.
    waiters: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    turn: oneshot::Sender<()>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turned {
    /// The line is full.
    Away,
    /// The wait was too long.
    Late,
}

const INSIDE: u64 = 1;
const WAITING: u64 = 1 << 32;

/// How many are inside.
fn inside(counts: u64) -> u32 {
    u32::try_from(counts & (WAITING - 1)).unwrap_or(u32::MAX)
}

/// How many wait.
fn waiting(counts: u64) -> u32 {
    u32::try_from(counts >> 32).unwrap_or(u32::MAX)
}

impl Gate {
    pub(super) fn new(limit: u32, longest: u32) -> Arc<Self> {
        let (counts, line) = (AtomicU64::new(0), Mutex::default());
        Arc::new(Self { limit, longest, counts, line })
    }

    /// A place, if there is one and nobody waits for it.
    pub(super) fn try_enter(self: &Arc<Self>) -> Option<Place> {
        let mut counts = self.counts.load(Ordering::Relaxed);
        while inside(counts) < self.limit && waiting(counts) == 0 {
            match self.swap(counts, counts + INSIDE) {
                Ok(()) => return Some(Place { gate: Arc::clone(self) }),
                Err(current) => counts = current,
            }
        }
        None
    }

    /// Waits for a place, until then at most.
    ///
    /// # Errors
    /// The line is full, or the wait was too long.
    pub(super) async fn enter(self: &Arc<Self>, until: Instant) -> Result<Place, Turned> {
        match self.join()? {
            Entry::Inside(place) => Ok(place),
            Entry::InLine(wait) => timeout_at(until.into(), wait).await.map_err(|_| Turned::Late),
        }
    }

    /// Takes a place, or one in the line.
    ///
    /// # Errors
    /// The line is full.
    pub(super) fn join(self: &Arc<Self>) -> Result<Entry, Turned> {
        if let Some(place) = self.try_enter() {
            return Ok(Entry::Inside(place));
        }
        let mut line = self.lock();
        let mut counts = self.counts.load(Ordering::Relaxed);
        loop {
            let has_room = inside(counts) < self.limit && waiting(counts) == 0;
            if !has_room && waiting(counts) >= self.longest {
                return Err(Turned::Away);
            }
            let step = if has_room { INSIDE } else { WAITING };
            match self.swap(counts, counts + step) {
                Ok(()) if has_room => {
                    return Ok(Entry::Inside(Place { gate: Arc::clone(self) }));
                }
                Ok(()) => break,
                Err(current) => counts = current,
            }
        }
        let (turn, called) = oneshot::channel();
        let number = line.next;
        line.next += 1;
        line.waiters.push_back(Waiter { number, turn });
        Ok(Entry::InLine(Wait { number, called, gate: Some(Arc::clone(self)) }))
    }

    /// How many are inside.
    pub(super) fn inside(&self) -> u32 {
        inside(self.counts.load(Ordering::Relaxed))
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u32 {
        waiting(self.counts.load(Ordering::Relaxed))
    }

    /// Gives a place back, or to the first in line.
    fn leave(&self) {
        let mut counts = self.counts.load(Ordering::Relaxed);
        loop {
            if waiting(counts) > 0 {
                if self.call_first() {
                    return;
                }
                // The first went away in the same moment.
                counts = self.counts.load(Ordering::Relaxed);
                continue;
            }
            match self.swap(counts, counts - INSIDE) {
                Ok(()) => return,
                Err(current) => counts = current,
            }
        }
    }

    /// Whether somebody took over the place of who leaves.
    fn call_first(&self) -> bool {
        let first = {
            let mut line = self.lock();
            let first = line.waiters.pop_front();
            if first.is_some() {
                self.counts.fetch_sub(WAITING, Ordering::AcqRel);
            }
            first
        };
        first.is_some_and(|waiter| waiter.turn.send(()).is_ok())
    }

    /// Somebody in line does not wait any longer.
    fn step_out(&self, number: u64) {
        let mut line = self.lock();
        // Not found when its turn has come but could not be told any more.
        if let Ok(at) = line.waiters.binary_search_by_key(&number, |waiter| waiter.number) {
            line.waiters.remove(at);
            self.counts.fetch_sub(WAITING, Ordering::AcqRel);
        }
    }

    fn swap(&self, from: u64, to: u64) -> Result<(), u64> {
        self.counts.compare_exchange_weak(from, to, Ordering::AcqRel, Ordering::Relaxed).map(|_| ())
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place inside. Dropped, it is free again, or the next one's.
#[derive(Debug)]
pub(super) struct Place {
    gate: Arc<Gate>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.leave();
    }
}

/// How somebody came in.
#[derive(Debug)]
pub(super) enum Entry {
    Inside(Place),
    InLine(Wait),
}

/// A place in the line. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct Wait {
    number: u64,
    called: oneshot::Receiver<()>,
    /// None once the turn has come.
    gate: Option<Arc<Gate>>,
}

impl Future for Wait {
    type Output = Place;

    /// # Panics
    /// It is polled after it was ready, or the gate forgot it, which it does not.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Place> {
        let called = ready!(Pin::new(&mut self.called).poll(cx));
        let gate = called.ok().and_then(|()| self.gate.take());
        Poll::Ready(Place { gate: gate.expect("one turn for each who waits") })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        // From here on nobody can call it any more.
        self.called.close();
        match self.called.try_recv() {
            Ok(()) => gate.leave(),
            Err(_) => gate.step_out(self.number),
        }
    }
}

#[cfg(test)]
mod tests;
