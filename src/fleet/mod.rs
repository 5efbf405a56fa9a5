//! The fleet: breaker states to and from the store.
//!
//! One task. It looks at what the circuits say and at what the store says, and does what the
//! protocol ([`crate::domain::fleet`]) says next, never by replaying messages: a hint only says
//! "look". Callers never wait for it: breakers act on their own, and while the store is away they do
//! so alone.

mod exchange;
mod link;
mod seat;
mod status;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
    time::{sleep_until, timeout},
};
use tracing::debug;

use crate::{
    breakers::{Breakers, Change, Steered},
    clock,
    domain::{
        fleet::{beat_every, poll_every},
        units::Percent,
        wait::{Backoff, spread},
    },
    store::{Error, Outage, StateStore, causes},
};
use exchange::Exchange;
use link::{Link, News};

pub use status::{Status, SyncMode};

/// How often circuits are looked at while something is wrong with any.
const ATTEND_EVERY: Duration = Duration::from_millis(50);

/// And while nothing is: changes and looks bring what there is to know.
const AT_REST: Duration = Duration::from_secs(3_600);

/// How often the store is polled while something is wrong.
const BUSY_POLL: Duration = Duration::from_secs(1);

/// How long a start may wait for the fleet's state.
const START_BUDGET: Duration = Duration::from_millis(500);

/// The shortest time between two looks that hints ask for: a burst is read as one.
const HINT_SPACING: Duration = Duration::from_millis(50);

/// A heartbeat counts for this many of its periods.
const BEATS_MISSED: u32 = 3;

/// How far apart instances that started together drift: 20 %.
const JITTER: Option<Percent> = Percent::from_basis_points(2_000);

/// Waits while the store is away, for looks and for the line of hints.
const AWAY: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));

/// What an outage means, for the log.
const CONSEQUENCE: &str = "breakers go on by themselves and share nothing";

/// The task that keeps circuits and store in step. See the module docs.
pub struct Fleet {
    exchange: Exchange,
    store: Arc<dyn StateStore>,
    changes: broadcast::Receiver<Change>,
    orders: broadcast::Receiver<Steered>,
    status: watch::Sender<Status>,
    outage: Outage,
    away: Backoff,
    looked_at: Instant,
    look_at: Instant,
    beat_at: Instant,
    attend_at: Instant,
}

impl Fleet {
    /// Changes from now on will be published once it runs.
    pub fn new(breakers: &Breakers, store: Arc<dyn StateStore>) -> Self {
        let (status, _) = watch::channel(Status::new(SyncMode::Poll));
        let changes = breakers.changes();
        let exchange = Exchange::new(breakers, Arc::clone(&store), status.clone());
        if exchange.is_idle() {
            status.send_modify(|status| status.mode = SyncMode::Off);
        }
        let now = clock::now();
        Self {
            exchange,
            store,
            changes,
            orders: breakers.orders(),
            status,
            outage: Outage::new(CONSEQUENCE),
            away: AWAY,
            looked_at: now,
            look_at: now,
            beat_at: now,
            attend_at: now,
        }
    }

    /// Where the status is read, now and later.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Takes over what the fleet knows, before the instance is ready. Waits no longer than half a
    /// second; false when that did not suffice, and then the breakers begin closed.
    pub async fn adopt_at_start(&mut self) -> bool {
        if self.exchange.is_idle() {
            return true;
        }
        let looked = timeout(START_BUDGET, self.exchange.look()).await;
        let looked = looked.unwrap_or_else(|late| Err(Error::Unavailable(late.into())));
        let is_known = looked.is_ok();
        self.looked(looked);
        is_known
    }

    /// Keeps circuits and store in step until `stop`.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        if self.exchange.is_idle() {
            return stop.await;
        }
        // Whatever is cut off is put right by whoever looks next.
        tokio::select! {
            () = stop => {}
            never = self.forever() => match never {},
        }
    }

    async fn forever(&mut self) -> Infallible {
        let mut link = Link::new(Arc::clone(&self.store), AWAY);
        loop {
            tokio::select! {
                change = self.changes.recv() => self.hear(change).await,
                steered = self.orders.recv() => self.steered(steered).await,
                news = link.news() => self.heed(news, &link),
                () = sleep_until(self.look_at.into()) => self.look(&mut link).await,
                () = sleep_until(self.attend_at.into()) => self.attend().await,
                () = sleep_until(self.beat_at.into()) => self.beat().await,
            }
            self.plan();
        }
    }

    /// Reads the store, and notices when it is back.
    async fn look(&mut self, link: &mut Link) {
        let was_away = self.outage.is_on();
        if was_away {
            let live = self.status.borrow().live;
            self.exchange.lets_others_return(2 * beat_every(live));
        }
        let looked = self.exchange.look().await;
        self.looked(looked);
        if was_away && !self.outage.is_on() {
            link.ask_again();
            self.beat_at = clock::now();
        }
    }

    /// A circuit changed, here.
    async fn hear(&mut self, change: Result<Change, RecvError>) {
        match change {
            // What the store cannot be told now, the first look after the outage tells it.
            Ok(_) if self.outage.is_on() => {}
            Ok(change) => {
                let told = self.exchange.moved(&change).await;
                if let Err(cause) = told {
                    self.looked(Err(cause));
                }
            }
            // States count, not messages: one look makes up for all that were missed.
            Err(RecvError::Lagged(_)) => self.look_at = clock::now(),
            Err(RecvError::Closed) => unreachable!("circuits hold the sending end"),
        }
    }

    /// When circuits are looked at next.
    fn plan(&mut self) {
        let now = clock::now();
        let is_busy = self.outage.is_on() || self.exchange.is_busy();
        let wait = if is_busy { ATTEND_EVERY } else { AT_REST };
        if !is_busy || self.attend_at > now + ATTEND_EVERY {
            self.attend_at = now + wait;
        }
    }

    /// Looks at the circuits, while something is wrong with any: what is next may be a matter of time.
    async fn attend(&mut self) {
        let now = clock::now();
        self.attend_at = now + ATTEND_EVERY;
        if self.outage.is_on() {
            self.exchange.act_alone();
        } else if self.exchange.is_busy() {
            self.look_at = self.look_at.min(self.looked_at + BUSY_POLL);
            if let Err(cause) = self.exchange.act().await {
                self.looked(Err(cause));
            }
        }
    }

    /// Somebody steered a circuit, here. What the store cannot be told now it is told later.
    async fn steered(&mut self, steered: Result<Steered, RecvError>) {
        let Ok(steered) = steered else { return };
        if let Err(cause) = self.exchange.steered(steered).await {
            self.looked(Err(cause));
        }
    }

    /// Something came over the line of hints.
    fn heed(&mut self, news: News, link: &Link) {
        let mode = if link.is_up() { SyncMode::Listen } else { SyncMode::Poll };
        self.status.send_if_modified(|status| std::mem::replace(&mut status.mode, mode) != mode);
        match news {
            News::Look => self.look_at = self.look_at.min(self.looked_at + HINT_SPACING),
            News::Down(cause) => {
                if !self.outage.is_on() {
                    self.look_at = self.look_at.min(clock::now() + self.pause());
                }
                if let Some(cause) = cause {
                    let message = causes(&cause);
                    debug!(error = message, "no hints from the store for now");
                    self.status.send_modify(|status| status.last_error = Some(message));
                }
            }
        }
    }

    /// Takes note of how a look, or a word to the store, went, and sets the time of the next look.
    fn looked(&mut self, result: Result<(), Error>) {
        let now = clock::now();
        self.looked_at = now;
        match result {
            Ok(()) => {
                self.outage.over(now);
                self.away.reset();
                self.look_at = now + self.pause();
            }
            Err(cause) => {
                self.outage.failed(&cause, now);
                self.look_at = now + self.away.next(fastrand::u64(..));
                let message = causes(&cause);
                self.status.send_modify(|status| status.last_error = Some(message));
            }
        }
        self.status.send_modify(|status| status.is_away = self.outage.is_on());
    }

    /// Says that this instance lives.
    async fn beat(&mut self) {
        let period = beat_every(self.status.borrow().live);
        // A store that is away is asked by looks alone; when one succeeds, the heart beats at once.
        if !self.outage.is_on()
            && let Err(cause) = self.exchange.beat(period * BEATS_MISSED).await
        {
            self.looked(Err(cause));
        }
        self.beat_at = clock::now() + jittered(period);
    }

    /// The time between two looks.
    fn pause(&self) -> Duration {
        let status = self.status.borrow();
        jittered(poll_every(status.live, status.mode == SyncMode::Listen))
    }
}

fn jittered(period: Duration) -> Duration {
    spread(period, JITTER.unwrap_or(Percent::ALL), fastrand::u64(..))
}
