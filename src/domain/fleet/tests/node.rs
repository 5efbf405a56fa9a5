//! One instance of the simulated fleet.

use std::time::{Duration, Instant};

use crate::domain::{
    breaker::{Breaker, Evidence, Mode, Observed, Permit, Policy, Refusal, Shared, State},
    fleet::{
        alone::Alone,
        mind::{Company, Local, Mind, Terms},
        orders::{Desk, Heed},
        row::Row,
    },
    order::{Act, Signature},
    outcome::Verdict,
};

const POLL_EVERY: Duration = Duration::from_secs(1);

/// A call on its way.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) permit: Permit,
    /// It tries the upstream for the fleet.
    pub(super) is_probe: bool,
    pub(super) began: Instant,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) ballot: u32,
    pub(super) breaker: Breaker,
    pub(super) mind: Mind,
    pub(super) desk: Desk,
    /// When it tries by itself.
    pub(super) alone: Alone,
    /// The row as it was last read, and when that was asked for.
    pub(super) read: Option<(Option<Row>, Instant)>,
    pub(super) calls: Vec<Call>,
    /// It cannot reach the upstream, though others can.
    pub(super) is_sick: bool,
    /// It cannot reach the store.
    pub(super) is_cut_off: bool,
    /// When it last refused a call.
    refused_at: Option<Instant>,
    /// Whether it follows its rules, and until when others that do so again need not have said so.
    votes: bool,
    unsettled_until: Option<Instant>,
}

pub(super) fn policy() -> Policy {
    Policy { probe_lease: Duration::from_secs(61), ..Policy::default() }
}

pub(super) fn terms() -> Terms {
    Terms::of(&policy())
}

impl Node {
    pub(super) fn new(name: String, ballot: u32, now: Instant) -> Self {
        Self {
            name,
            ballot,
            breaker: Breaker::new(policy(), u64::from(ballot), now),
            mind: Mind::default(),
            desk: Desk::default(),
            alone: Alone::default(),
            read: None,
            calls: Vec::new(),
            is_sick: false,
            is_cut_off: false,
            refused_at: None,
            votes: true,
            unsettled_until: None,
        }
    }

    /// A call comes; whether it passes.
    pub(super) fn call(&mut self, now: Instant) -> Result<(), Refusal> {
        let before = self.resting(now);
        let is_probe = self.breaker.is_trying();
        let admitted = self.breaker.admit(true, now).0;
        self.assert_resting(before, now);
        match admitted {
            Ok(permit) => {
                let is_probe = is_probe && permit.state() == State::HalfOpen;
                self.calls.push(Call { permit, is_probe, began: now });
                Ok(())
            }
            Err(refusal) => {
                self.refused_at = Some(now);
                Err(refusal)
            }
        }
    }

    /// A call ends.
    pub(super) fn end(&mut self, call: usize, verdict: Verdict, now: Instant) {
        let before = self.resting(now);
        let Call { permit, began, .. } = self.calls.swap_remove(call);
        if verdict == Verdict::Neutral {
            self.breaker.release(permit, now);
        } else {
            let latency = now - began;
            let observed = Observed { verdict, latency, retry_after: None, by_connection: false };
            self.breaker.record(permit, observed, now);
        }
        self.assert_resting(before, now);
    }

    /// Its calls say how long they have waited.
    pub(super) fn wait(&mut self, now: Instant) {
        let before = self.resting(now);
        for Call { permit, began, .. } in &mut self.calls {
            self.breaker.waits(permit, now - *began, now);
        }
        self.assert_resting(before, now);
    }

    /// The automatic state, while an order has it rest.
    fn resting(&self, now: Instant) -> Option<Shared> {
        let rests = !matches!(self.breaker.mode_at(now), Mode::Auto | Mode::Shadow);
        rests.then(|| self.breaker.share(now))
    }

    fn assert_resting(&self, before: Option<Shared>, now: Instant) {
        if let Some(before) = before {
            assert_eq!(self.breaker.share(now), before, "calls move what rests under an order");
        }
    }

    /// Obeys the fleet's order where it is another than before.
    pub(super) fn obey(&mut self, heed: Heed, now: Instant) {
        match heed {
            Heed::Nothing => {}
            Heed::Obey(order) => self.steer(&order.act(now).unwrap(), now),
            Heed::Lift => self.steer(&Act::Lift(Signature::new(None, "gone").unwrap()), now),
        }
    }

    /// Orders steer, and leave the automatic state as it was.
    pub(super) fn steer(&mut self, act: &Act, now: Instant) {
        self.breaker.tick(now);
        let before = self.breaker.share(now);
        match act {
            Act::Order(order) => drop(self.breaker.steer(order.clone(), now)),
            Act::Lift(_) | Act::Reset(_) => drop(self.breaker.lift(now)),
        }
        assert_eq!(self.breaker.share(now), before, "{act:?}");
    }

    /// Notices that an order is over: then it goes on by its rules, where it was.
    pub(super) fn ends_order(&mut self, now: Instant) {
        if self.breaker.mode_at(now) == self.breaker.mode() {
            return;
        }
        let before = self.breaker.share(now);
        self.breaker.tick(now);
        let after = self.breaker.share(now);
        let told = |shared: &Shared| {
            (shared.epoch, shared.state, shared.open_for, shared.ramp_age, shared.step)
        };
        assert_eq!(told(&after), told(&before), "an order is over");
        assert_eq!(self.breaker.mode(), Mode::Auto);
    }

    pub(super) fn local(&self, now: Instant) -> Local {
        let local = self.breaker.local(now);
        let refused = self.refused_at.map(|at| now - at);
        Local { wanted: local.wanted.into_iter().chain(refused).min(), ..local }
    }

    /// What it knows of the store's row by now; none before it has looked.
    pub(super) fn row(&self, now: Instant) -> Option<Row> {
        let (row, at) = self.read.as_ref()?;
        let unseen = || self.mind.unseen(self.breaker.local(now).shared.epoch);
        Some(row.as_ref().map_or_else(unseen, |row| row.aged(now - *at)))
    }

    /// Whether it refuses calls for the fleet's sake although its open time is over.
    pub(super) fn waits_for_fleet(&self, now: Instant) -> bool {
        let local = self.breaker.local(now);
        let is_over = local.shared.state == State::Open && local.shared.open_for.is_zero();
        is_over && !local.is_trying && local.evidence != Evidence::Bad
    }

    /// Whether it follows its rules, and so has a vote.
    pub(super) fn votes(&self, now: Instant) -> bool {
        self.breaker.mode_at(now) == Mode::Auto
    }

    /// Takes note of that; whether it is news.
    pub(super) fn notes_vote(&mut self, now: Instant) -> bool {
        let votes = self.votes(now);
        if votes && !self.votes {
            self.unsettled_until = Some(now + 3 * POLL_EVERY);
        }
        std::mem::replace(&mut self.votes, votes) != votes
    }

    pub(super) fn company(&self, live: u32, now: Instant) -> Company {
        let is_settled = self.unsettled_until.is_none_or(|until| now >= until);
        Company {
            ballot: self.ballot,
            live,
            is_settled,
            counted_since: now.checked_sub(Duration::from_secs(3_600)).filter(|_| is_settled),
            poll_every: POLL_EVERY,
        }
    }
}
