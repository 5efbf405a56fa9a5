//! The fleet: breaker states to and from the store.
//!
//! One task. It looks at what the circuits say and at what the store says, and does what the
//! protocol ([`crate::domain::fleet`]) says next, never by replaying messages: a hint only says
//! "look". Callers never wait for it: breakers act on their own, and while the store is away they do
//! so alone.

mod dissent;
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
use tracing::{debug, warn};

use crate::{
    breakers::{Breakers, Change, Steered},
    clock,
    domain::{
        fleet::{beat_every, look_in_round, poll_every},
        units::Percent,
        wait::{Backoff, spread},
    },
    store::{Error, Outage, StateStore, causes},
};
use exchange::Exchange;
use link::{Link, News, Why};

pub use status::{Sick, Status, SyncMode};

/// How often circuits are looked at while something is wrong with any.
const ATTEND_EVERY: Duration = Duration::from_millis(50);

/// And while nothing is: changes and looks bring what there is to know.
const AT_REST: Duration = Duration::from_secs(3_600);

/// How often the store is polled while something is wrong.
const BUSY_POLL: Duration = Duration::from_secs(1);

/// How long a start may wait for the fleet's state.
const START_BUDGET: Duration = Duration::from_millis(500);

/// The shortest time between two looks that hints ask for. It begins short, for the first hint is that
/// of a vote and the next may be that of its end, and doubles while they go on: a burst is read as one.
const HINT_SPACING: Duration = Duration::from_millis(5);
const MOST_HINT_SPACING: Duration = Duration::from_millis(50);

/// After so long without hints it is short again.
const NO_HINTS: Duration = Duration::from_secs(1);

/// The time between the first two heartbeats, which doubles until it is the usual one: a fleet that
/// starts soon knows how large it is.
const FIRST_BEATS: Duration = Duration::from_secs(1);

/// Instances that start together have said so after this long.
const ALL_START: Duration = Duration::from_millis(500);

/// A heartbeat counts for this many of its periods.
const BEATS_MISSED: u32 = 3;

/// How far apart instances that started together drift: 10 %. More would delay what the last of many
/// hears of.
const JITTER: Option<Percent> = Percent::from_basis_points(1_000);

/// Waits while the store is away, for looks and for the line of hints.
const AWAY: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));

/// What an outage means, for the log.
const CONSEQUENCE: &str = "breakers go on by themselves and share nothing";

/// The task that keeps circuits and store in step. See the module docs.
pub struct Fleet {
    breakers: Arc<Breakers>,
    /// There are other circuits.
    renewals: watch::Receiver<()>,
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
    /// The time between two heartbeats by now.
    grown: Duration,
    attend_at: Instant,
    /// When the last hint came, and how far apart looks are kept by then.
    hinted: (Instant, Duration),
}

impl Fleet {
    /// Changes from now on will be published once it runs.
    pub fn new(breakers: &Arc<Breakers>, store: Arc<dyn StateStore>) -> Self {
        let (status, _) = watch::channel(Status::new(SyncMode::Poll));
        let changes = breakers.changes();
        let mut exchange = Exchange::new(breakers, Arc::clone(&store), status.clone());
        exchange.lets_others_come(ALL_START);
        if exchange.is_idle() {
            status.send_modify(|status| status.mode = SyncMode::Off);
        }
        let now = clock::now();
        Self {
            breakers: Arc::clone(breakers),
            renewals: breakers.renewals(),
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
            grown: FIRST_BEATS,
            attend_at: now,
            hinted: (now, HINT_SPACING),
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
        self.looked(looked.map(drop));
        is_known
    }

    /// Keeps circuits and store in step until `stop`.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        // Whatever is cut off is put right by whoever looks next.
        tokio::select! {
            () = stop => {}
            never = self.forever() => match never {},
        }
    }

    async fn forever(&mut self) -> Infallible {
        loop {
            while self.exchange.is_idle() {
                // The sender is held here, so that there is no end to this.
                drop(self.renewals.changed().await);
                self.renewed();
            }
            self.share().await;
            self.status.send_modify(|status| *status = Status::new(SyncMode::Off));
        }
    }

    /// Keeps them in step for as long as any circuit is shared.
    async fn share(&mut self) {
        self.status.send_modify(|status| status.mode = SyncMode::Poll);
        let mut link = Link::new(Arc::clone(&self.store), AWAY);
        // Before anything else is said: those who are asked are counted among those who live.
        self.exchange.lets_others_come(ALL_START);
        self.beat().await;
        while !self.exchange.is_idle() {
            tokio::select! {
                change = self.changes.recv() => self.hear(change).await,
                steered = self.orders.recv() => self.steered(steered).await,
                Ok(()) = self.renewals.changed() => self.renewed(),
                news = link.news() => self.heed(news, &link),
                () = sleep_until(self.look_at.into()) => self.look(&mut link).await,
                () = sleep_until(self.attend_at.into()) => self.attend().await,
                () = sleep_until(self.beat_at.into()) => self.beat().await,
            }
            self.plan();
        }
    }

    /// There are other circuits, or other rules: what the store says of them is read at once.
    fn renewed(&mut self) {
        self.exchange.renew(&self.breakers);
        (self.look_at, self.beat_at) = (clock::now(), clock::now());
    }

    /// Reads the store, and notices when it is back.
    async fn look(&mut self, link: &mut Link) {
        let was_away = self.outage.is_on();
        if was_away {
            let live = self.status.borrow().live;
            self.exchange.lets_others_come(2 * beat_every(live));
            self.exchange.reads_all();
        }
        let before = self.exchange.read_at();
        let looked = self.exchange.look().await;
        // One that may be read and not be told who lives is not back: nobody could vote.
        let looked = match looked {
            Ok(news) if was_away => self.beats().await.map(|()| news),
            looked => looked,
        };
        let has_news = matches!(looked, Ok(true));
        // What is new came after what was read before, not after a word that failed meanwhile.
        if let Some(before) = before.filter(|_| has_news) {
            link.expect_hint(before);
        }
        self.looked(looked.map(drop));
        let has_hints = self.status.borrow().mode == SyncMode::Listen;
        if !has_hints && self.exchange.is_voting() {
            let live = self.status.borrow().live;
            self.look_at = self.look_at.min(clock::now() + jittered(look_in_round(live)));
        }
        if was_away && !self.outage.is_on() {
            link.ask_again();
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

    /// When circuits are looked at next, and the heart beats.
    fn plan(&mut self) {
        let now = clock::now();
        let is_busy = self.outage.is_on() || self.exchange.is_busy();
        let wait = if is_busy { ATTEND_EVERY } else { AT_REST };
        if !is_busy || self.attend_at > now + ATTEND_EVERY {
            self.attend_at = now + wait;
        }
        // Whether it has a vote goes with the mode, whoever has changed that.
        if !self.outage.is_on() && self.exchange.is_told_otherwise() {
            self.beat_at = now;
        }
    }

    /// Looks at the circuits, while something is wrong with any: what is next may be a matter of time.
    async fn attend(&mut self) {
        let now = clock::now();
        self.attend_at = now + ATTEND_EVERY;
        if self.outage.is_on() {
            self.exchange.act_alone();
        } else if self.exchange.is_busy() {
            let live = self.status.borrow().live;
            self.look_at =
                self.look_at.min(self.looked_at + BUSY_POLL.max(poll_every(live, false)));
            if let Err(cause) = self.exchange.act_where_busy().await {
                self.looked(Err(cause));
            }
        }
    }

    /// Somebody steered a circuit, here. What the store cannot be told now it is told later.
    async fn steered(&mut self, steered: Result<Steered, RecvError>) {
        let Ok(steered) = steered else {
            warn!("too many orders at once: some hold on this instance alone");
            return;
        };
        if let Err(cause) = self.exchange.steered(steered).await {
            self.looked(Err(cause));
        }
    }

    /// Something came over the line of hints.
    fn heed(&mut self, news: News, link: &Link) {
        let mode = if link.is_up() { SyncMode::Listen } else { SyncMode::Poll };
        self.status.send_if_modified(|status| std::mem::replace(&mut status.mode, mode) != mode);
        let why = match news {
            News::Look => return self.hinted(),
            News::Down(why) => why,
        };
        if !self.outage.is_on() {
            self.look_at = self.look_at.min(clock::now() + self.pause());
        }
        let because = match why {
            Why::Broken(None) => "the connection that told broke".to_owned(),
            Why::Broken(Some(cause)) => causes(&cause),
            Why::Without => "notifications do not come through".to_owned(),
            Why::Silent => {
                warn!("something changed and no notification came: listening anew, and polling");
                "notifications have stopped coming".to_owned()
            }
        };
        debug!(because, "no hints from the store for now");
        self.status.send_modify(|status| status.because = Some(because));
    }

    /// Something changed.
    fn hinted(&mut self) {
        let (now, (before, spacing)) = (clock::now(), self.hinted);
        let is_burst = now.saturating_duration_since(before) < NO_HINTS;
        let spacing = if is_burst { spacing } else { HINT_SPACING };
        let at = self.looked_at + spacing;
        let is_sooner = at < self.look_at;
        self.look_at = self.look_at.min(at);
        let next = if is_sooner { (2 * spacing).min(MOST_HINT_SPACING) } else { spacing };
        self.hinted = (now, next);
        self.status.send_if_modified(|status| status.because.take().is_some());
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

    /// Says that this instance lives. A store that is away is asked by looks alone; with the first one
    /// that succeeds, the heart beats.
    async fn beat(&mut self) {
        if self.outage.is_on() {
            self.beat_at = clock::now() + beat_every(self.status.borrow().live);
        } else if let Err(cause) = self.beats().await {
            self.looked(Err(cause));
        }
    }

    async fn beats(&mut self) -> Result<(), Error> {
        let period = beat_every(self.status.borrow().live);
        let beaten = self.exchange.beat(period * BEATS_MISSED).await;
        self.beat_at = clock::now() + jittered(self.grown.min(period));
        self.grown = (2 * self.grown).min(period);
        beaten
    }

    /// The time between two looks.
    fn pause(&self) -> Duration {
        let has_hints = self.status.borrow().mode == SyncMode::Listen;
        jittered(self.exchange.poll_every(has_hints))
    }
}

fn jittered(period: Duration) -> Duration {
    spread(period, JITTER.unwrap_or(Percent::ALL), fastrand::u64(..))
}
