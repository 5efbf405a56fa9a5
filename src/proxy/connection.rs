//! What all calls of one caller's connection share.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    num::NonZeroU32,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::{
    alarm::Alarm,
    pace::Pace,
    rules::{Rulebook, Rules},
    worker::Worker,
};
use crate::{clock, config::Limits, tls::ServerTls};

/// As many calls may be given up at once over one connection, if they are most of them.
const MANY_GIVEN_UP: u32 = 500;

/// Of a thousand calls that a connection may carry, as many may be left out.
const MOST_LEFT_OUT: u32 = 100;

/// What a listener gives to each of its connections.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) worker: Rc<Worker>,
    pub(super) rulebook: Rc<Rulebook>,
    /// The listener's; none for a Unix socket.
    pub(super) local_port: Option<u16>,
    /// That of the connection; none where its caller speaks in plain text.
    pub(super) tls: Option<ServerTls>,
    /// Places for handshakes of TLS, over all threads and listeners.
    pub(super) handshakes: Arc<Semaphore>,
}

impl Terms {
    /// The rules for a call that begins now.
    pub(super) fn rules(&self) -> Rc<Rules> {
        self.rulebook.current()
    }

    /// What addresses of the listener begin with.
    pub(super) const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// One caller's connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) terms: Terms,
    /// None for one who came through a Unix socket.
    pub(super) peer: Option<SocketAddr>,
    /// What the streams of HTTP/2 tell by how they get on; none over HTTP/1.1.
    pace: Option<Pace>,
    /// Bounds the wait for the caller's next head, and over HTTP/1.1, where there is one wait at a
    /// time, the one for the upstream too. Borrowed while it is polled only.
    alarm: Rc<RefCell<Alarm>>,
    /// Calls under way, and all that ever began.
    calls: Cell<usize>,
    begun: Cell<u32>,
    /// So many thousandths of the calls that it may carry are left out: connections that began
    /// together are not to end together.
    left_out: u32,
    /// Calls that are over, and those of them that the caller gave up at once.
    over: Cell<u32>,
    given_up: Cell<u32>,
    awaited: Cell<Awaited>,
}

/// What is waited for while there is no call, and since when.
#[derive(Debug, Clone, Copy)]
enum Awaited {
    /// The beginning of the next call.
    Call(Instant),
    /// The end of its head.
    Head(Instant),
}

impl Connection {
    /// `pace` is there for HTTP/2 only. The first head is awaited since the connection `began`.
    pub(super) fn new(
        terms: Terms,
        peer: Option<SocketAddr>,
        pace: Option<Pace>,
        began: Instant,
    ) -> Rc<Self> {
        let awaited = match pace {
            // A caller of HTTP/2 has said something sensible already.
            Some(_) => Awaited::Call(clock::now()),
            None => Awaited::Head(began),
        };
        let alarm = Rc::new(RefCell::new(Alarm::new(awaited.until(&terms.rules().limits))));
        Rc::new(Self {
            terms,
            peer,
            pace,
            alarm,
            calls: Cell::new(0),
            begun: Cell::new(0),
            left_out: fastrand::u32(..=MOST_LEFT_OUT),
            over: Cell::new(0),
            given_up: Cell::new(0),
            awaited: Cell::new(awaited),
        })
    }

    /// What streams tell by how they get on; none where there are no streams.
    pub(super) const fn pace(&self) -> Option<&Pace> {
        self.pace.as_ref()
    }

    /// The alarm of a call that may take until then: over HTTP/2 there are other calls beside it.
    pub(super) fn alarm(&self, deadline: Instant) -> Rc<RefCell<Alarm>> {
        match self.pace {
            None => Rc::clone(&self.alarm),
            Some(_) => Rc::new(RefCell::new(Alarm::new(deadline))),
        }
    }

    /// Whether an answer asks the caller to close; one that is the last must.
    pub(super) fn asks_to_close(&self, is_last: bool) -> bool {
        let is_leaving = || self.terms.worker.is_leaving() || self.terms.rulebook.is_leaving();
        self.pace.is_none() && (is_last || self.is_worn() || is_leaving())
    }

    /// A call began.
    pub(super) fn begin(&self) {
        self.calls.set(self.calls.get() + 1);
        self.begun.set(self.begun.get().saturating_add(1));
    }

    /// A call ended, and perhaps with it begins the wait for the next. `given_up` says that its
    /// caller went away almost at once.
    pub(super) fn end(&self, given_up: bool, now: Instant) {
        self.calls.set(self.calls.get().saturating_sub(1));
        self.over.set(self.over.get().saturating_add(1));
        self.given_up.set(self.given_up.get().saturating_add(given_up.into()));
        self.awaited.set(Awaited::Call(now));
    }

    /// Whether it has carried as many calls as it may.
    pub(super) fn is_worn(&self) -> bool {
        self.begun.get() >= lifetime(self.terms.rules().limits.requests, self.left_out)
    }

    /// Whether the caller makes calls only to give them up: each costs an upstream more than it
    /// costs the caller.
    pub(super) const fn is_abused(&self) -> bool {
        let (over, given_up) = (self.over.get(), self.given_up.get());
        given_up >= MANY_GIVEN_UP && given_up > over / 2
    }

    /// Whether the next call has taken too long to come. `has_begun` says that something of its head
    /// is there: then no more is given for the rest, however it trickles in.
    pub(super) fn poll_given_up(&self, has_begun: bool, cx: &mut Context<'_>) -> Poll<()> {
        if has_begun && let Awaited::Call(_) = self.awaited.get() {
            self.awaited.set(Awaited::Head(clock::now()));
        }
        self.poll_idle_until(self.awaited.get().until(&self.terms.rules().limits), cx)
    }

    /// The wait for the next call begins now.
    pub(super) fn waits_anew(&self) {
        self.awaited.set(Awaited::Call(clock::now()));
    }

    /// Whether there has been no call for so long.
    pub(super) fn poll_idle_for(&self, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let (Awaited::Call(since) | Awaited::Head(since)) = self.awaited.get();
        self.poll_idle_until(since + limit, cx)
    }

    /// Whether there is no call at this moment. Calls under way end by themselves.
    fn poll_idle_until(&self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.calls.get() > 0 {
            return Poll::Pending;
        }
        let mut alarm = self.alarm.borrow_mut();
        alarm.set(deadline);
        alarm.poll(cx)
    }
}

impl Awaited {
    fn until(self, limits: &Limits) -> Instant {
        match self {
            Self::Call(since) => since + limits.idle_timeout,
            Self::Head(since) => since + limits.head_timeout,
        }
    }
}

/// How many calls a connection carries that may carry so many, less some thousandths. At least one.
fn lifetime(limit: NonZeroU32, left_out: u32) -> u32 {
    let left_out = u64::from(limit.get()) * u64::from(left_out) / 1_000;
    limit.get() - u32::try_from(left_out).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{MOST_LEFT_OUT, lifetime};
    use std::num::NonZeroU32;

    #[test]
    fn a_connection_carries_as_many_calls_as_it_may_or_up_to_a_tenth_fewer() {
        for (limit, least) in [(1, 1), (9, 9), (10, 9), (10_000, 9_000), (u32::MAX, 3_865_470_566)]
        {
            let limit = NonZeroU32::new(limit).unwrap();
            assert_eq!(lifetime(limit, 0), limit.get());
            assert_eq!(lifetime(limit, MOST_LEFT_OUT), least);
        }
    }
}
