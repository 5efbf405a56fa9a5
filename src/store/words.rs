//! What both stores make of a word.

use serde_json::{Value, json};

use super::{Said, decree::signed};
use crate::domain::{
    breaker::{Cause, State},
    fleet::word::{Opening, Word},
    order::Signature,
};

impl Said {
    /// The numbers behind it, for its event.
    pub(super) fn detail(&self) -> Value {
        let mut detail = json!({
            "windowCalls": self.window_calls,
            "windowFailures": self.window_failures,
        });
        if let Some(opening) = self.opening() {
            put_opening(&mut detail, opening);
        }
        if let Some(Signature { by, reason }) = &self.signature {
            let numbers = std::mem::replace(&mut detail, signed("reset", by, reason));
            detail["windowCalls"] = numbers["windowCalls"].clone();
            detail["windowFailures"] = numbers["windowFailures"].clone();
        }
        if let Word::Restore(known) = &self.word {
            detail["restored"] = known.shared.epoch.into();
        }
        detail
    }

    /// The calls behind it, as JSON.
    pub(super) fn calls(&self) -> Value {
        self.task_ids.iter().map(|id| Value::from(id.to_string())).collect()
    }

    /// Whether it moves the breaker.
    pub const fn is_transition(&self) -> bool {
        self.leads_to().is_some()
    }

    /// How the circuit opens by it.
    pub(super) const fn opening(&self) -> Option<&Opening> {
        match &self.word {
            Word::Suspect { opening, .. }
            | Word::Fail { opening, .. }
            | Word::Confirm { opening, .. } => Some(opening),
            _ => None,
        }
    }

    /// The state that it leads to and why; none for a word that moves nothing.
    pub(super) const fn leads_to(&self) -> Option<(State, Cause)> {
        Some(match &self.word {
            Word::Suspect { .. } | Word::Vote(_) | Word::Renew { .. } => return None,
            // Where it leads is for the store to say.
            Word::Restore(_) => return None,
            // The cause is that of the round.
            Word::Trip { .. } => (State::Open, Cause::Fleet),
            Word::Acquire { .. } => (State::HalfOpen, Cause::OpenTimeOver),
            Word::Pass { ramp, .. } if ramp.is_zero() => (State::Closed, Cause::ProbesSucceeded),
            Word::Pass { .. } => (State::Ramping, Cause::ProbesSucceeded),
            Word::Fail { .. } | Word::Confirm { .. } => (State::Open, Cause::ProbeFailed),
            Word::Release { .. } => (State::Open, Cause::OpenTimeOver),
            Word::Close { .. } => (State::Closed, Cause::RampOver),
            Word::Reset => (State::Closed, Cause::Override),
        })
    }
}

/// How a circuit opens, for people.
pub(super) fn put_opening(detail: &mut Value, opening: &Opening) {
    detail["failureCount"] = opening.failure_count.into();
    detail["step"] = opening.step.into();
    detail["openForMs"] = u64::try_from(opening.open_for.as_millis()).unwrap_or(u64::MAX).into();
    detail["byConnection"] = opening.by_connection.into();
}
