//! An answer that has begun: who gives it, and what it says about the upstream.
//!
//! The verdict stands at the head, and the rest of the answer may still turn a success into a
//! failure. A gRPC server says only at the end whether it succeeded, so there the verdict waits for
//! that, unless the stream lasts.

use std::{rc::Rc, time::Instant};

use super::{attempts::Said, endpoint::Endpoint};
use crate::{
    breakers::{Admission, Recorded},
    domain::{
        breaker::Observed,
        deadline::Deadline,
        grpc::Code,
        outcome::{Reason, Verdict},
    },
    upstreams::{InFlight, Retry},
};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Answered {
    endpoint: Rc<Endpoint>,
    /// Counted at its host, and in the budget of retries, for as long as it lasts.
    _counted: (InFlight, Option<Retry>),
    standing: Standing,
    /// What it says of itself.
    said: Said,
    deadline: Deadline,
    /// The verdict did not wait for its end.
    has_lasted: bool,
}

/// Where the verdict stands.
#[derive(Debug)]
pub(super) enum Standing {
    /// Recorded at the head.
    Recorded(Recorded),
    /// To be recorded as this, or worse, when more is known.
    Awaited(Admission, Observed),
    /// Nothing can change it any more.
    Settled,
}

impl Answered {
    pub(super) const fn new(
        endpoint: Rc<Endpoint>,
        counted: (InFlight, Option<Retry>),
        standing: Standing,
        said: Said,
        deadline: Deadline,
    ) -> Self {
        Self { endpoint, _counted: counted, standing, said, deadline, has_lasted: false }
    }

    /// Who gives it.
    pub(super) const fn endpoint(&self) -> &Rc<Endpoint> {
        &self.endpoint
    }

    /// What its head said.
    pub(super) const fn said(&self) -> &Said {
        &self.said
    }

    /// Why it is no success, as far as it says.
    pub(super) const fn reason(&self) -> Option<Reason> {
        self.said.reason
    }

    /// Whether the verdict waits for the end.
    pub(super) const fn is_awaited(&self) -> bool {
        matches!(self.standing, Standing::Awaited(..))
    }

    /// Its end says so.
    pub(super) fn says(&mut self, code: Code, now: Instant) {
        let reason = Reason::of_grpc(code, &self.endpoint.settings().breaker.failure_grpc_statuses);
        self.said.reason = reason.map(|reason| self.deadline.blame(reason, now));
    }

    /// It lasts: the verdict is not waited for any longer.
    pub(super) fn lasts(&mut self, now: Instant) {
        let standing = std::mem::replace(&mut self.standing, Standing::Settled);
        self.standing = match standing {
            Standing::Awaited(admission, observed) => {
                self.has_lasted = true;
                Standing::Recorded(admission.record(observed, now))
            }
            other => other,
        };
    }

    /// It is complete.
    pub(super) fn ended(&mut self, now: Instant) {
        let verdict = self.said.reason.map_or(Verdict::Success, Reason::verdict);
        match std::mem::replace(&mut self.standing, Standing::Settled) {
            Standing::Awaited(admission, observed) => {
                admission.record(Observed { verdict, ..observed }, now).settle();
                self.endpoint.record(verdict, now);
            }
            Standing::Recorded(recorded) if self.said.reason.is_none() => {
                recorded.settle();
                self.endpoint.record(Verdict::Success, now);
            }
            // A stream that lasted and failed in the end; of other failures it is known.
            Standing::Recorded(recorded) if verdict == Verdict::Failure => {
                recorded.reclassify(now);
                if self.has_lasted {
                    self.endpoint.record(verdict, now);
                }
            }
            Standing::Recorded(recorded) => recorded.settle(),
            Standing::Settled => {}
        }
    }

    /// It broke off.
    pub(super) fn failed(&mut self, reason: Reason, now: Instant) {
        let verdict = reason.verdict();
        match std::mem::replace(&mut self.standing, Standing::Settled) {
            Standing::Awaited(admission, observed) => {
                admission.record(Observed { verdict, ..observed }, now).settle();
            }
            Standing::Recorded(recorded) if verdict == Verdict::Failure => {
                recorded.reclassify(now);
            }
            Standing::Recorded(_) | Standing::Settled => return,
        }
        if self.said.reason.is_none() {
            self.endpoint.record(verdict, now);
        }
    }
}
