//! One instance of the simulated fleet.

use std::time::{Duration, Instant};

use crate::domain::{
    breaker::{Breaker, Observed, Permit, Policy, Refusal, State},
    fleet::{
        mind::{Company, Local, Mind, Terms},
        row::Row,
    },
    outcome::Verdict,
};

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
    /// The row as it was last read, and when that was asked for.
    pub(super) read: Option<(Option<Row>, Instant)>,
    pub(super) calls: Vec<Call>,
    /// It cannot reach the upstream, though others can.
    pub(super) is_sick: bool,
    /// It cannot reach the store.
    pub(super) is_cut_off: bool,
    /// When it last refused a call.
    pub(super) refused_at: Option<Instant>,
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
            read: None,
            calls: Vec::new(),
            is_sick: false,
            is_cut_off: false,
            refused_at: None,
        }
    }

    /// A call comes; whether it passes.
    pub(super) fn call(&mut self, now: Instant) -> Result<(), Refusal> {
        let is_probe = self.breaker.is_trying();
        match self.breaker.admit(true, now).0 {
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
        let Call { permit, began, .. } = self.calls.swap_remove(call);
        if verdict == Verdict::Neutral {
            self.breaker.release(permit, now);
            return;
        }
        let latency = now - began;
        let observed = Observed { verdict, latency, retry_after: None, by_connection: false };
        self.breaker.record(permit, observed, now);
    }

    /// Its calls say how long they have waited.
    pub(super) fn wait(&mut self, now: Instant) {
        for Call { permit, began, .. } in &mut self.calls {
            self.breaker.waits(permit, now - *began, now);
        }
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

    pub(super) fn company(&self, live: u32, now: Instant) -> Company {
        Company {
            ballot: self.ballot,
            live,
            is_settled: true,
            counted_since: now.checked_sub(Duration::from_secs(3_600)),
            poll_every: Duration::from_secs(1),
        }
    }
}
