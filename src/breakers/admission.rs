//! The guards of attempts: each is admitted once, recorded once, and may be judged again once.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{Circuit, culprits::is_telling};
use crate::{
    clock,
    domain::{
        breaker::{Cause, Observed, Permit, Receipt, State},
        outcome::Verdict,
        task::TaskId,
    },
};

/// An admitted attempt. Dropped without a verdict it is neutral, unless it hung, and a probe's slot
/// is free again.
#[derive(Debug)]
#[must_use = "an admission that is dropped counts as given up"]
pub struct Admission {
    /// Present until it is recorded.
    held: Option<(Arc<Circuit>, Permit)>,
    /// Whose attempt it is.
    call: Option<TaskId>,
}

impl Admission {
    pub(super) const fn new(circuit: Arc<Circuit>, permit: Permit) -> Self {
        Self { held: Some((circuit, permit)), call: None }
    }

    /// It is an attempt of this call, which is named if it is one that opens the circuit.
    pub const fn of(mut self, call: TaskId) -> Self {
        self.call = Some(call);
        self
    }

    /// The state that admitted it.
    pub fn state(&self) -> State {
        self.held.as_ref().map_or(State::Closed, |(_, permit)| permit.state())
    }

    /// The attempt has waited so long for its response head, since all of the request was sent. After
    /// how long it is to say so again, if it still waits.
    pub fn waits(&mut self, waited: Duration, now: Instant) -> Option<Duration> {
        let (circuit, permit) = self.held.as_mut()?;
        circuit.change(|breaker| {
            let hung = permit.hangs();
            let (again, moved) = breaker.waits(permit, waited, now);
            let is_failed_probe =
                moved.as_ref().is_some_and(|moved| moved.cause == Cause::ProbeFailed);
            if !hung && (permit.hangs() || is_failed_probe) {
                circuit.culprits().note(self.call);
            }
            (again, moved)
        })
    }

    /// The response head has come, but not yet what is to be recorded.
    pub fn begins_to_answer(&mut self, now: Instant) {
        if let Some((circuit, permit)) = &mut self.held {
            circuit.lock().begins_to_answer(permit, now);
        }
    }

    /// Records how the attempt went, as far as its response head.
    pub fn record(mut self, observed: Observed, now: Instant) -> Recorded {
        let call = self.call;
        let held = self.held.take().map(|(circuit, permit)| {
            let receipt = record(&circuit, permit, call, observed, now);
            (circuit, receipt)
        });
        Recorded { held, call }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some((circuit, permit)) = self.held.take() {
            record(&circuit, permit, self.call, Observed::GIVEN_UP, clock::now());
        }
    }
}

/// Records a verdict, and whose it is if it is a failure. One that hangs is known already.
fn record(
    circuit: &Arc<Circuit>,
    mut permit: Permit,
    call: Option<TaskId>,
    observed: Observed,
    now: Instant,
) -> Receipt {
    if observed.verdict == Verdict::Neutral && circuit.is_stopping.load(Ordering::Relaxed) {
        permit.abandon();
    }
    circuit.change(|breaker| {
        let is_telling =
            is_telling(breaker.policy(), &observed) || breaker.has_hung(&permit, &observed, now);
        if is_telling && !permit.hangs() {
            circuit.culprits().note(call);
        }
        breaker.record(permit, observed, now)
    })
}

/// A recorded attempt, to be kept until its body has ended. Dropped, the verdict stands and the
/// body says nothing, as when the caller went away.
#[derive(Debug)]
pub struct Recorded {
    /// None when the admission was recorded already.
    held: Option<(Arc<Circuit>, Receipt)>,
    call: Option<TaskId>,
}

impl Recorded {
    /// The success turned out to be none: its body or its trailers failed. Does nothing to other
    /// verdicts.
    pub fn reclassify(self, now: Instant) {
        if let Some((circuit, receipt)) = self.held {
            circuit.reclassify(receipt, self.call, now);
        }
    }

    /// The body ended well.
    pub fn settle(self) {
        if let Some((circuit, receipt)) = self.held {
            circuit.settle(receipt);
        }
    }
}
