//! The exchange of circuits with their rows: what others decided comes in, what was seen here goes
//! out.

use std::{
    collections::HashMap,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};
use tracing::{debug, warn};

use super::{seat::Seat, status::Status};
use crate::{
    breakers::{Breakers, Change, Steered},
    clock,
    domain::{
        breaker::{Mode, Scope},
        fleet::{
            mind::{Company, LEASE, Step},
            poll_every,
            word::Word,
        },
    },
    store::{Error, Presence, StateStore},
};

/// How long the store may take to answer, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// How far back closed breakers are read, so that their epochs are known. Older ones are simply
/// closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(300);

/// As many steps at most are made at once about one circuit.
const MOST_STEPS: usize = 8;

/// As many instances try an upstream at once, about, when nobody can be asked who does.
const ALONE_TRY: u32 = 2;

/// See the module docs.
pub(super) struct Exchange {
    /// Those that are shared.
    seats: Vec<Seat>,
    store: Arc<dyn StateStore>,
    /// The number that this instance has drawn.
    ballot: u32,
    /// Whether the store knew less than this instance when it was last read.
    is_behind: bool,
    /// Until then the store does not know who lives: everybody has just come back to it.
    unsettled_until: Option<Instant>,
    /// When it may next try upstreams without asking.
    alone_at: Option<Instant>,
    status: watch::Sender<Status>,
}

impl Exchange {
    pub(super) fn new(
        breakers: &Breakers,
        store: Arc<dyn StateStore>,
        status: watch::Sender<Status>,
    ) -> Self {
        let shared = breakers.iter().filter(|circuit| circuit.scope() == Scope::Fleet);
        let seats = shared.map(|circuit| Seat::new(Arc::clone(circuit))).collect();
        let (ballot, is_behind, alone_at) = (fastrand::u32(..), false, None);
        let unsettled_until = None;
        Self { seats, store, ballot, is_behind, unsettled_until, alone_at, status }
    }

    /// Whether no circuit is shared at all.
    pub(super) const fn is_idle(&self) -> bool {
        self.seats.is_empty()
    }

    /// Whether something is wrong with any circuit, so that there may be something to do at any time.
    pub(super) fn is_busy(&self) -> bool {
        let now = clock::now();
        self.seats.iter().any(|seat| !seat.is_quiet(now))
    }

    /// Reads all rows, and does what is to be done about each.
    pub(super) async fn look(&mut self) -> Result<(), Error> {
        let asked_at = clock::now();
        let rows = bounded(self.store.breakers(CLOSED_WITHIN)).await?;
        self.status.send_modify(|status| status.last_ok = Some(clock::now()));
        let mut rows: HashMap<_, _> =
            rows.into_iter().map(|found| (found.key.clone(), found)).collect();
        for seat in &mut self.seats {
            let row = rows.remove(seat.circuit.key());
            seat.read(row, asked_at);
        }
        self.notice_lost_epochs(asked_at);
        self.alone_at = None;
        self.act().await
    }

    /// Somebody steered a circuit here.
    pub(super) async fn steered(&mut self, steered: Steered) -> Result<(), Error> {
        let is_it = |seat: &Seat| Arc::ptr_eq(&seat.circuit, &steered.circuit);
        let Some(at) = self.seats.iter().position(is_it) else { return Ok(()) };
        if steered.reach == Scope::Fleet {
            self.seats[at].steered(steered.act);
        }
        self.attend(at).await
    }

    /// The store was away: a vote would count only those who have come back to it already.
    pub(super) fn lets_others_return(&mut self, within: Duration) {
        self.unsettled_until = Some(clock::now() + within);
    }

    /// Does what is to be done about each circuit.
    pub(super) async fn act(&mut self) -> Result<(), Error> {
        for at in 0..self.seats.len() {
            self.attend(at).await?;
        }
        Ok(())
    }

    /// A circuit moved, here.
    pub(super) async fn moved(&mut self, change: &Change) -> Result<(), Error> {
        let is_it = |seat: &Seat| Arc::ptr_eq(&seat.circuit, &change.circuit);
        match self.seats.iter().position(is_it) {
            Some(at) => self.attend(at).await,
            None => Ok(()),
        }
    }

    /// Tries upstreams whose open time is over, now and then, while nobody can be asked who does. It
    /// is for the whole fleet that cannot ask that this is rare.
    pub(super) fn act_alone(&mut self) {
        let now = clock::now();
        if self.alone_at.is_some_and(|at| now < at) {
            return;
        }
        let is_first = self.alone_at.replace(now + LEASE).is_none();
        let live = self.status.borrow().live.max(1);
        for seat in &self.seats {
            if !is_first && seat.waits_for_fleet(now) && fastrand::u32(..live) < ALONE_TRY {
                seat.circuit.try_out(now);
            }
        }
    }

    /// Says that this instance lives; keeps how many do.
    pub(super) async fn beat(&mut self, ttl: Duration) -> Result<(), Error> {
        let keys = self.seats.iter().map(|seat| seat.circuit.key().to_owned()).collect();
        let presence = Presence { ttl, keys, ballot: self.ballot };
        let live = bounded(self.store.heartbeat(&presence)).await?;
        self.status.send_modify(|status| status.live = live);
        Ok(())
    }

    /// Does what is to be done about a circuit, step by step.
    async fn attend(&mut self, at: usize) -> Result<(), Error> {
        let company = self.company();
        let is_settled = self.unsettled_until.is_none_or(|until| clock::now() >= until);
        let Some(seat) = self.seats.get_mut(at) else { return Ok(()) };
        if let Some(decree) = seat.decree(clock::now()) {
            bounded(self.store.decree(&decree)).await?;
            if seat.told() {
                let said = seat.said(Word::Reset, clock::now());
                let heard = bounded(self.store.say(&said)).await?;
                seat.read(heard.row, clock::now());
            }
        }
        for _ in 0..MOST_STEPS {
            let now = clock::now();
            let is_automatic = seat.circuit.snapshot(now).mode == Mode::Auto;
            match seat.next(&company, now) {
                Step::Rest => return Ok(()),
                // What a circuit would do is not what it does: only in automatic mode is it news.
                Step::Say(_) if !is_automatic => return Ok(()),
                Step::Say(Word::Suspect { .. }) if !is_settled => return Ok(()),
                Step::Adopt => {
                    seat.adopt(now);
                    self.status.send_modify(|status| status.adopted += 1);
                }
                Step::TryOut => seat.circuit.try_out(now),
                Step::StopTrying => seat.circuit.stop_trying(now),
                Step::Say(word) => {
                    let said = seat.said(word, now);
                    let heard = bounded(self.store.say(&said)).await?;
                    debug!(upstream = said.upstream, word = ?said.word, done = heard.is_done, "said");
                    let moves = said.is_transition();
                    self.status.send_modify(|status| {
                        status.published += u64::from(heard.is_done && moves);
                        status.lost += u64::from(!heard.is_done && moves);
                    });
                    seat.read(heard.row, now);
                }
            }
        }
        Ok(())
    }

    /// Tells, once, that the store forgot what it had: restored from a backup, or failed over to a
    /// copy that lagged.
    fn notice_lost_epochs(&mut self, now: Instant) {
        let is_behind = self.seats.iter().any(|seat| seat.is_ahead(now));
        if is_behind && !self.is_behind {
            warn!("the store has lost changes of breakers: some are not shared until a restart");
        }
        self.is_behind = is_behind;
    }

    fn company(&self) -> Company {
        let live = self.status.borrow().live.max(1);
        Company { ballot: self.ballot, live, poll_every: poll_every(live, false) }
    }
}

/// An answer of the store that does not come is an outage.
async fn bounded<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answered = timeout(TIME_LIMIT, answer).await;
    answered.unwrap_or_else(|late| Err(Error::Unavailable(late.into())))
}
