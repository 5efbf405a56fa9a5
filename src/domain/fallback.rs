//! Fallbacks: when a call is answered in another way than by its upstream.
//!
//! A route may name another upstream or a fixed answer, for calls that were refused for the
//! upstream's sake or that the upstream failed. What is the caller's own fault is told to the
//! caller, and where its answer has begun it is too late for another.

use http::StatusCode;

use super::outcome::{Outcome, Reason, Verdict};

/// What a fallback stands in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// The call was not sent on: the circuit is open, or a limit is reached.
    Refused,
    /// The upstream failed it, by the breaker's own measure.
    Failed,
}

impl Occasion {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 2] = [Self::Refused, Self::Failed];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// What a call that ended so is an occasion of.
    ///
    /// A refusal that says "not now" (503) is about the upstream, every other about the call. An
    /// upstream that asks for less, or has no more time than its caller gives it, did not fail.
    pub fn of(reason: Reason) -> Option<Self> {
        match (reason.outcome(), reason.verdict()) {
            (Outcome::Refused, _) if reason.status() == StatusCode::SERVICE_UNAVAILABLE => {
                Some(Self::Refused)
            }
            (_, Verdict::Failure) => Some(Self::Failed),
            _ => None,
        }
    }
}

/// The occasions on which a route's fallback is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Occasions {
    refused: bool,
    failed: bool,
}

impl Occasions {
    /// These.
    pub fn of(occasions: impl IntoIterator<Item = Occasion>) -> Self {
        occasions.into_iter().fold(Self::default(), |all, occasion| match occasion {
            Occasion::Refused => Self { refused: true, ..all },
            Occasion::Failed => Self { failed: true, ..all },
        })
    }

    /// Whether an occasion is one of them.
    pub const fn has(self, occasion: Occasion) -> bool {
        match occasion {
            Occasion::Refused => self.refused,
            Occasion::Failed => self.failed,
        }
    }

    /// Whether a call that ended so gets the fallback. Never when its caller has been sent a
    /// response head already.
    pub fn take(self, reason: Reason, is_head_sent: bool) -> bool {
        !is_head_sent && Occasion::of(reason).is_some_and(|occasion| self.has(occasion))
    }
}

#[cfg(test)]
mod tests {
    use super::{Occasion, Occasions};
    use crate::domain::outcome::{Outcome, Reason, Verdict};

    fn both() -> Occasions {
        Occasions::of(Occasion::ALL)
    }

    #[test]
    fn each_reason_is_an_occasion_or_none() {
        for (reason, occasion) in [
            (Reason::BreakerOpen, Some(Occasion::Refused)),
            (Reason::BulkheadFull, Some(Occasion::Refused)),
            (Reason::ConnectRefused, Some(Occasion::Failed)),
            (Reason::TimeoutFirstByte, Some(Occasion::Failed)),
            (Reason::TimeoutTotal, Some(Occasion::Failed)),
            (Reason::Http503, Some(Occasion::Failed)),
            (Reason::HttpOther, Some(Occasion::Failed)),
            (Reason::GrpcUnavailable, Some(Occasion::Failed)),
            (Reason::NoRoute, None),
            (Reason::MethodNotAllowed, None),
            (Reason::BadRequest, None),
            (Reason::HeadTooLarge, None),
            (Reason::UriTooLong, None),
            (Reason::BodyTooLarge, None),
            (Reason::ExpectationFailed, None),
            (Reason::LoopDetected, None),
            (Reason::CallerDeadline, None),
            (Reason::ClientBodyError, None),
            (Reason::Http429, None),
            (Reason::Shutdown, None),
            (Reason::Internal, None),
        ] {
            assert_eq!(Occasion::of(reason), occasion, "{reason:?}");
        }
    }

    #[test]
    fn a_fallback_is_for_the_upstreams_sake_alone_and_never_after_the_head() {
        for &reason in Reason::ALL {
            if both().take(reason, false) {
                let is_refused = reason.outcome() == Outcome::Refused;
                assert!(is_refused || reason.verdict() == Verdict::Failure, "{reason:?}");
            }
            assert!(!both().take(reason, true), "{reason:?}");
            assert!(!Occasions::default().take(reason, false), "{reason:?}");
        }
    }

    #[test]
    fn only_the_chosen_occasions_count() {
        let refused = Occasions::of([Occasion::Refused]);
        assert!(refused.take(Reason::BreakerOpen, false));
        assert!(!refused.take(Reason::Http503, false));
        let failed = Occasions::of([Occasion::Failed, Occasion::Failed]);
        assert!(failed.take(Reason::Http503, false));
        assert!(!failed.take(Reason::BreakerOpen, false));
    }
}
