//! All sidecars, and the calls that go through them.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use fusebox::{
    clock,
    domain::breaker::{Policy, State},
};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{
    Result,
    lab::Lab,
    sidecar::{Seen, Sidecar},
};

/// How far apart they start, so that their polls are spread.
const APART: Duration = Duration::from_millis(7);
/// How often it is looked whose call is due. A caller calls every so many of these.
const TICK: Duration = Duration::from_millis(10);
const TICKS_BETWEEN_CALLS: usize = 10;
/// How long they may take to know of each other.
const MEETING: Duration = Duration::from_secs(180);

/// See the module's text.
pub(crate) struct Crowd {
    sidecars: Vec<Sidecar>,
    is_well: Cell<bool>,
    /// One in so many makes calls.
    one_calls_in: Cell<usize>,
    ticks: Cell<usize>,
}

impl Crowd {
    /// Starts so many, and waits until each knows how many they are, about: in a large fleet not
    /// everybody counts each time.
    pub(crate) async fn start(lab: &Lab, count: usize, policy: &Policy) -> Result<Self> {
        let mut sidecars = Vec::new();
        for number in 0..count {
            sidecars.push(Sidecar::start(lab.store(number)?, policy).await);
            sleep(APART).await;
        }
        let crowd = Self {
            sidecars,
            is_well: Cell::new(true),
            one_calls_in: Cell::new(1),
            ticks: Cell::default(),
        };
        let knows = |one: &Sidecar| one.status().live as usize >= count * 9 / 10;
        let is_met = |crowd: &Self| crowd.sidecars.iter().all(knows);
        crowd.live_until("each knows of the others", MEETING, is_met).await?;
        Ok(crowd)
    }

    /// Whether the upstream answers, from now on.
    pub(crate) fn is_well(&self, is_well: bool) {
        self.is_well.set(is_well);
    }

    /// One in so many makes calls, from now on.
    pub(crate) fn one_calls_in(&self, count: usize) {
        self.one_calls_in.set(count);
    }

    /// How their circuits are.
    pub(crate) fn see(&self) -> impl Iterator<Item = Seen> {
        self.sidecars.iter().map(Sidecar::see)
    }

    pub(crate) fn len(&self) -> usize {
        self.sidecars.len()
    }

    /// Whether all circuits are closed.
    pub(crate) fn are_closed(&self) -> bool {
        self.see().all(|seen| seen.state == State::Closed)
    }

    /// Makes calls for so long.
    pub(crate) async fn live(&self, span: Duration) {
        let until = clock::now() + span;
        drop(self.live_until("", span * 2, |_| clock::now() >= until).await);
    }

    /// Makes calls until something is so. When that was.
    pub(crate) async fn live_until(
        &self,
        what: &str,
        limit: Duration,
        mut is_so: impl FnMut(&Self) -> bool,
    ) -> Result<Instant> {
        let began = clock::now();
        let mut clock = interval(TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !is_so(self) {
            if clock::now().duration_since(began) > limit {
                return Err(format!("after {limit:?} still waiting for: {what}").into());
            }
            clock.tick().await;
            self.tick();
        }
        Ok(clock::now())
    }

    /// The calls that are due.
    fn tick(&self) {
        let due = self.ticks.replace(self.ticks.get() + 1) % TICKS_BETWEEN_CALLS;
        let calls = |number: usize| number.is_multiple_of(self.one_calls_in.get());
        let callers = self.sidecars.iter().enumerate().filter(|(number, _)| calls(*number));
        let due = callers.enumerate().filter(|(place, _)| place % TICKS_BETWEEN_CALLS == due);
        for (_, (_, sidecar)) in due {
            sidecar.call(self.is_well.get());
        }
    }

    /// Ends them.
    pub(crate) async fn stop(self) {
        for sidecar in self.sidecars {
            sidecar.stop().await;
        }
    }
}
