//! The exchange of circuits with their rows: what others decided comes in, what was seen here goes
//! out.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};
use tracing::{debug, warn};

use super::{
    dissent::{self, Drifts},
    seat::Seat,
    status::Status,
};
use crate::{
    breakers::{Breakers, Change, Circuit, Steered},
    clock,
    domain::{
        breaker::Scope,
        fleet::{
            alone::{self, Alone},
            electorate::Electorate,
            mind::{Company, Step},
            poll_every, poll_every_of_a_voter,
            word::Word,
        },
    },
    store::{Error, Presence, StateStore},
};

/// How long the store may take to answer, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Breakers that have closed are read by everybody once, so that their epochs are known: those that did
/// since the last look, and for so much longer, for a change shows when its transaction ends.
const OVERLAP: Duration = Duration::from_secs(10);

/// Whoever has not looked for so long reads all that ever were open.
const LONG_AGO: Duration = Duration::from_secs(150);

/// See above.
const EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// So many polls after an order has ended, all have said that they vote again.
const TO_SAY_SO: u32 = 3;

/// As many steps at most are made at once about one circuit.
const MOST_STEPS: usize = 8;

/// See the module docs.
pub(super) struct Exchange {
    /// Those that are shared.
    seats: Vec<Seat>,
    store: Arc<dyn StateStore>,
    /// The number that this instance has drawn.
    ballot: u32,
    /// When the rows that were read last were asked for.
    read_at: Option<Instant>,
    /// Which of the seats vote, as the store was told last.
    told: Vec<bool>,
    /// Until then the store does not know who lives, see [`Exchange::lets_others_come`].
    unsettled_until: Option<Instant>,
    /// Since when this instance is counted among those who live, and until when that was said last.
    counted: Option<(Instant, Instant)>,
    /// When it may try upstreams without asking.
    alone: Alone,
    drifts: Drifts,
    status: watch::Sender<Status>,
}

impl Exchange {
    pub(super) fn new(
        breakers: &Breakers,
        store: Arc<dyn StateStore>,
        status: watch::Sender<Status>,
    ) -> Self {
        let seats = shared(breakers).map(Seat::new).collect();
        let (ballot, told, drifts) = (fastrand::u32(..), Vec::new(), Drifts::default());
        Self {
            seats,
            store,
            ballot,
            read_at: None,
            told,
            unsettled_until: None,
            counted: None,
            alone: Alone::default(),
            drifts,
            status,
        }
    }

    /// There are other circuits, or other rules. A seat whose circuit stays keeps what it knows.
    pub(super) fn renew(&mut self, breakers: &Breakers) {
        let (mut before, mut has_new) = (std::mem::take(&mut self.seats), false);
        let seat = |circuit| {
            let is_its = |seat: &Seat| Arc::ptr_eq(&seat.circuit, &circuit);
            match before.iter().position(is_its) {
                Some(at) => before.swap_remove(at).renewed(),
                None => {
                    has_new = true;
                    Seat::counted_anew(circuit)
                }
            }
        };
        self.seats = shared(breakers).map(seat).collect();
        if has_new {
            self.reads_all();
        }
        let is_there = |name: &str| self.seats.iter().any(|seat| &**seat.circuit.name() == name);
        self.status.send_modify(|status| status.drifts.retain(|name, _| is_there(name)));
    }

    /// The next look reads all that ever were open: what was read before is no ground to build on.
    pub(super) const fn reads_all(&mut self) {
        self.read_at = None;
    }

    /// Whether no circuit is shared at all.
    pub(super) const fn is_idle(&self) -> bool {
        self.seats.is_empty()
    }

    /// When the rows that were read last were asked for; none before the first look that succeeded.
    pub(super) const fn read_at(&self) -> Option<Instant> {
        self.read_at
    }

    /// How often it is to look while nothing is wrong.
    pub(super) fn poll_every(&self, has_hints: bool) -> Duration {
        let (live, now) = (self.company().live, clock::now());
        let epochs: Vec<u64> = self.seats.iter().map(|seat| seat.epoch(now)).collect();
        let is_asked = |epoch: &u64| Electorate::would_admit(live, self.ballot, *epoch);
        if !epochs.iter().any(is_asked) {
            return poll_every(live, has_hints);
        }
        let electorates: BTreeSet<u64> = epochs.into_iter().map(Electorate::term).collect();
        let electorates = u32::try_from(electorates.len()).unwrap_or(u32::MAX);
        poll_every_of_a_voter(live, has_hints, electorates)
    }

    /// Whether something is wrong with any circuit, so that there may be something to do at any time.
    pub(super) fn is_busy(&self) -> bool {
        let now = clock::now();
        self.seats.iter().any(|seat| !seat.is_quiet(now))
    }

    /// Whether votes are being cast about any circuit, as far as the last look knows.
    pub(super) fn is_voting(&self) -> bool {
        self.seats.iter().any(Seat::is_voted_on)
    }

    /// Reads all rows, and does what is to be done about each. Returns whether others had moved any,
    /// or opened a round of voting.
    pub(super) async fn look(&mut self) -> Result<bool, Error> {
        let asked_at = clock::now();
        let unread = self.read_at.map(|at| asked_at.saturating_duration_since(at));
        let within = unread.filter(|span| *span < LONG_AGO).map_or(EVER, |span| span + OVERLAP);
        let rows = bounded(self.store.breakers(within)).await?;
        self.read_at = Some(asked_at);
        self.status.send_modify(|status| status.last_ok = Some(clock::now()));
        let mut rows: HashMap<_, _> =
            rows.into_iter().map(|found| (found.key.clone(), found)).collect();
        let mut has_news = false;
        for seat in &mut self.seats {
            let row = rows.remove(seat.circuit.key());
            has_news |= seat.read(row, within == EVER, asked_at);
        }
        self.alone = Alone::default();
        let acted = self.act().await;
        dissent::examine(&mut self.seats, &self.status);
        acted.map(|()| has_news)
    }

    /// Somebody steered a circuit here.
    pub(super) async fn steered(&mut self, steered: Steered) -> Result<(), Error> {
        let is_it = |seat: &Seat| Arc::ptr_eq(&seat.circuit, &steered.circuit);
        let Some(at) = self.seats.iter().position(is_it) else { return Ok(()) };
        match steered.reach {
            Scope::Fleet => self.seats[at].steered(steered.act),
            Scope::Instance => self.seats[at].overruled(),
        }
        self.attend(at).await
    }

    /// A vote would count only those who have come to the store already, or back to it: it was away, or
    /// the whole fleet has just started.
    pub(super) fn lets_others_come(&mut self, within: Duration) {
        self.unsettled_until = Some(clock::now() + within);
    }

    /// Does what is to be done about each circuit.
    async fn act(&mut self) -> Result<(), Error> {
        self.attend_those(|_| true).await
    }

    /// Does what is to be done about those with which something is wrong. The others wait for the next
    /// look.
    pub(super) async fn act_where_busy(&mut self) -> Result<(), Error> {
        let now = clock::now();
        self.attend_those(|seat| !seat.is_quiet(now)).await
    }

    async fn attend_those(&mut self, choose: impl Fn(&Seat) -> bool) -> Result<(), Error> {
        dissent::hear_verdicts(&mut self.seats, &self.store, &self.status).await;
        let mut result = Ok(());
        for at in 0..self.seats.len() {
            if !choose(&self.seats[at]) {
                continue;
            }
            match self.attend(at).await {
                Err(away @ Error::Unavailable(_)) => return Err(away),
                // What the store refuses about one is no reason to leave the others alone.
                attended => result = result.and(attended),
            }
        }
        result
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
        self.seats.iter_mut().for_each(|seat| seat.keeps_lease(now));
        if !self.alone.draws(now) {
            return;
        }
        let live = self.status.borrow().live;
        for seat in &self.seats {
            if seat.waits_for_fleet(now) && alone::tries(live, fastrand::u32(..)) {
                seat.circuit.try_out(now);
            }
        }
    }

    /// Whether the store has been told otherwise than it is which of the circuits vote.
    pub(super) fn is_told_otherwise(&self) -> bool {
        self.told != self.votes()
    }

    fn votes(&self) -> Vec<bool> {
        let now = clock::now();
        self.seats.iter().map(|seat| seat.votes(now)).collect()
    }

    /// Says that this instance lives; keeps how many do.
    pub(super) async fn beat(&mut self, ttl: Duration) -> Result<(), Error> {
        // One that does not act by its rules has no vote, and is not waited for.
        let votes = self.votes();
        let voting = self.seats.iter().zip(&votes).filter(|(_, votes)| **votes);
        let voting = voting.map(|(seat, _)| seat);
        let told = |seat: &Seat| (seat.circuit.key().to_owned(), seat.rules().to_string());
        let (keys, rules) = voting.map(told).unzip();
        let presence = Presence { ttl, keys, rules, ballot: self.ballot };
        let asked_at = clock::now();
        let roll = bounded(self.store.heartbeat(&presence)).await?;
        self.told = votes;
        let now = clock::now();
        let since =
            self.counted.filter(|(_, until)| asked_at < *until).map_or(now, |(since, _)| since);
        self.counted = Some((since, asked_at + ttl));
        self.status.send_modify(|status| status.live = roll.live);
        self.drifts.hear((roll, &presence), &self.seats, &self.store, &self.status).await;
        Ok(())
    }

    /// Does what is to be done about a circuit.
    async fn attend(&mut self, at: usize) -> Result<(), Error> {
        self.advance(at).await?;
        // What the store has forgotten of orders comes after what it has forgotten of the state: it is
        // as if the row were written now, and so would seem to be newer than what is known of it.
        let Some(seat) = self.seats.get_mut(at) else { return Ok(()) };
        if seat.decree(clock::now()).is_none()
            && let Some(forgotten) = seat.forgotten(clock::now())
        {
            bounded(self.store.decree(&forgotten)).await?;
            seat.told();
        }
        Ok(())
    }

    /// Tells what was ordered here, and goes on step by step.
    async fn advance(&mut self, at: usize) -> Result<(), Error> {
        let company = self.company();
        let Some(seat) = self.seats.get_mut(at) else { return Ok(()) };
        if let Some(decree) = seat.decree(clock::now()) {
            bounded(self.store.decree(&decree)).await?;
            seat.told();
        }
        // Until it is closed: the fleet may move on in between. What is not by then is the next time.
        for _ in 0..MOST_STEPS {
            if !seat.is_to_be_reset() {
                break;
            }
            let said = seat.said(Word::Reset, clock::now());
            let heard = bounded(self.store.say(&said)).await?;
            seat.read(heard.row, false, clock::now());
        }
        for _ in 0..MOST_STEPS {
            let now = clock::now();
            let is_automatic = seat.notes_vote(now, TO_SAY_SO * company.poll_every);
            match seat.next(&seat.company(&company, now), now) {
                Step::Rest => return Ok(()),
                // What a circuit would do is not what it does: only in automatic mode is it news.
                Step::Say(word) if !is_automatic && !matches!(word, Word::Restore(_)) => {
                    return Ok(());
                }
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
                    if heard.is_done && matches!(said.word, Word::Restore(_)) {
                        let (upstream, epoch) = (said.upstream.as_str(), said.epoch);
                        warn!(upstream, epoch, "the store went back to this epoch: put right");
                    }
                    let is_in_vain = heard.row.is_none();
                    let moves = said.is_transition();
                    self.status.send_modify(|status| {
                        status.published += u64::from(heard.is_done && moves);
                        status.lost += u64::from(!heard.is_done && moves);
                    });
                    seat.read(heard.row, false, now);
                    // What is there is of a newer version.
                    if is_in_vain {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn company(&self) -> Company {
        let live = self.status.borrow().live.max(1);
        let now = clock::now();
        let is_settled = self.unsettled_until.is_none_or(|until| now >= until);
        let counted = self.counted.filter(|(_, until)| now < *until);
        let counted_since = counted.map(|(since, _)| since);
        let poll_every = poll_every(live, false);
        Company { ballot: self.ballot, live, is_settled, counted_since, poll_every }
    }
}

/// The circuits that are shared.
fn shared(breakers: &Breakers) -> impl Iterator<Item = Arc<Circuit>> + use<> {
    breakers.iter().filter(|circuit| circuit.scope() == Scope::Fleet)
}

/// An answer of the store that does not come is an outage.
pub(super) async fn bounded<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answered = timeout(TIME_LIMIT, answer).await;
    answered.unwrap_or_else(|late| Err(Error::Unavailable(late.into())))
}
