//! The wait for room at an upstream that carries as many calls as it may.

use std::pin::pin;

use futures_util::future::{Either, select};

use super::{Call, Ended};
use crate::{
    clock,
    domain::{breaker::Refusal, outcome::Reason},
    proxy::{exchange::Exchange, reply::Problem, upstream::Upstream},
    upstreams,
};

/// Why there is to be no attempt.
pub(super) enum NotAdmitted {
    /// There was no room.
    Full(Reason),
    /// The circuit refuses it.
    Refused(Refusal),
}

/// Waits for room in the upstream's queue. Whoever the circuit would refuse is refused without it:
/// at once, or when the circuit opens.
pub(super) async fn room(upstream: &Upstream, call: &Call) -> Result<upstreams::Call, NotAdmitted> {
    let refused = pin!(upstream.circuit.refuses(call.is_safe_probe));
    let room = pin!(upstream.live.admit(call.deadline.at()));
    match select(refused, room).await {
        Either::Left((refusal, _)) => Err(NotAdmitted::Refused(refusal)),
        Either::Right((room, _)) => room.map_err(NotAdmitted::Full),
    }
}

impl NotAdmitted {
    /// Ends the call with it.
    pub(super) fn ended(self, upstream: &Upstream, call: &Call, exchange: &mut Exchange) -> Ended {
        match self {
            Self::Full(reason) => {
                Ended::without(Problem::of(call.deadline.waited(reason, clock::now())))
            }
            Self::Refused(refusal) => {
                exchange.note(|record| record.breaker_state = refusal.state);
                Ended::without(Problem::circuit_open(upstream.circuit.name(), &refusal))
            }
        }
    }
}
