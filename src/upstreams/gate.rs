//! Room for so many at a time, and a line of bounded length for those who wait, first come first
//! served.
//!
//! Who finds room, and who leaves while nobody waits, does so with one atomic operation. Only when
//! somebody waits is there a lock: then a place is handed to the first in line and never becomes
//! free in between, so that nobody overtakes. How many are inside and how many wait is one word,
//! so neither can change unseen by who looks at the other.
//!
//! Who is inside may also give something to one who waits for just that, a `G`, in place of a place.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, time::timeout_at};

use crate::clock;

/// For so long the first in line may be passed over by gifts to others: what they get is of no use
/// to it, but the place that comes with it would be.
const PATIENCE: Duration = Duration::from_millis(20);

/// See the module's text.
#[derive(Debug)]
pub(super) struct Gate<G> {
    /// How many may be inside.
    limit: u32,
    /// How many may wait.
    longest: u32,
    /// Inside in the lower half, waiting in the upper. Waiting changes under the lock only.
    counts: AtomicU64,
    line: Mutex<Line<G>>,
}

#[derive(Debug)]
struct Line<G> {
    /// The number of the next who comes.
    next: u64,
    /// In the order of their numbers.
    waiters: VecDeque<Waiter<G>>,
}

#[derive(Debug)]
struct Waiter<G> {
    number: u64,
    since: Instant,
    /// Which gifts it can use.
    wish: Option<Wish>,
    turn: oneshot::Sender<Option<G>>,
}

/// A kind of gift: what is at this host, on this thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) host: usize,
    pub(super) thread: usize,
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

impl<G> Gate<G> {
    pub(super) fn new(limit: u32, longest: u32) -> Arc<Self> {
        let line = Mutex::new(Line { next: 0, waiters: VecDeque::new() });
        let counts = AtomicU64::new(0);
        Arc::new(Self { limit, longest, counts, line })
    }

    /// A place, if there is one and nobody waits for it.
    pub(super) fn try_enter(self: &Arc<Self>) -> Option<Place<G>> {
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
    pub(super) async fn enter(self: &Arc<Self>, until: Instant) -> Result<Turn<G>, Turned> {
        match self.join(None)? {
            Entry::Inside(place) => Ok(Turn::Place(place)),
            Entry::InLine(wait) => timeout_at(until.into(), wait).await.map_err(|_| Turned::Late),
        }
    }

    /// Takes a place, or one in the line, there perhaps with a wish.
    ///
    /// # Errors
    /// The line is full.
    pub(super) fn join(self: &Arc<Self>, wish: Option<Wish>) -> Result<Entry<G>, Turned> {
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
        line.waiters.push_back(Waiter { number, since: clock::now(), wish, turn });
        Ok(Entry::InLine(Wait { number, called, gate: Some(Arc::clone(self)) }))
    }

    /// Gives something to the first in line that wishes for it. It comes back when there is none,
    /// or when the very first has been passed over for long enough.
    pub(super) fn give(&self, wish: Wish, mut gift: G, now: Instant) -> Result<(), G> {
        while self.waiting() > 0 {
            let waiter = {
                let mut line = self.lock();
                let at = line.waiters.iter().position(|waiter| waiter.wish == Some(wish));
                let first = line.waiters.front().map_or(now, |waiter| waiter.since);
                let is_patient = now.saturating_duration_since(first) <= PATIENCE;
                let at = at.filter(|at| *at == 0 || is_patient);
                let waiter = at.and_then(|at| line.waiters.remove(at));
                if waiter.is_some() {
                    self.counts.fetch_sub(WAITING, Ordering::AcqRel);
                }
                waiter
            };
            let Some(waiter) = waiter else { return Err(gift) };
            match waiter.turn.send(Some(gift)) {
                // It went away in the same moment.
                Err(Some(back)) => gift = back,
                Ok(()) | Err(None) => return Ok(()),
            }
        }
        Err(gift)
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
        first.is_some_and(|waiter| waiter.turn.send(None).is_ok())
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

    fn lock(&self) -> MutexGuard<'_, Line<G>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place inside. Dropped, it is free again, or the next one's.
#[derive(Debug)]
pub(super) struct Place<G> {
    gate: Arc<Gate<G>>,
}

impl<G> Drop for Place<G> {
    fn drop(&mut self) {
        self.gate.leave();
    }
}

/// How somebody came in.
#[derive(Debug)]
pub(super) enum Entry<G> {
    Inside(Place<G>),
    InLine(Wait<G>),
}

/// What the one who waited got.
#[derive(Debug)]
pub(super) enum Turn<G> {
    Place(Place<G>),
    /// What was wished for.
    Gift(G),
}

/// A place in the line. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct Wait<G> {
    number: u64,
    /// Told of a gift, or of a place.
    called: oneshot::Receiver<Option<G>>,
    /// None once the turn has come.
    gate: Option<Arc<Gate<G>>>,
}

impl<G> Future for Wait<G> {
    type Output = Turn<G>;

    /// # Panics
    /// It is polled after it was ready, or the gate forgot it, which it does not.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn<G>> {
        let called = ready!(Pin::new(&mut self.called).poll(cx));
        let gift = called.expect("a turn for each who waits");
        let gate = self.gate.take().expect("one turn only");
        Poll::Ready(gift.map_or_else(|| Turn::Place(Place { gate }), Turn::Gift))
    }
}

impl<G> Drop for Wait<G> {
    fn drop(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        // From here on nobody can call it any more.
        self.called.close();
        match self.called.try_recv() {
            Ok(None) => gate.leave(),
            // Nobody else has it, so it ends here.
            Ok(Some(gift)) => drop(gift),
            Err(_) => gate.step_out(self.number),
        }
    }
}

#[cfg(test)]
mod tests;
