//! What a call is answered with when its upstream is not asked, or fails.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::{
    setting::{Setting, whole},
    shape::Shape,
};
use crate::domain::fallback::Occasions;

/// The longest body of a fixed answer, in bytes.
pub(super) const MAX_BODY_BYTES: usize = 64 << 10;

/// What a route does instead. See the module docs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// Where the answer comes from.
    pub to: Instead,
    /// When.
    pub on: Occasions,
}

/// Where an answer comes from instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instead {
    /// This upstream, which has its own breaker. Never the route's own.
    Upstream(Arc<str>),
    /// These in turn, each with its own breaker, within the time of the route's upstream; the answer,
    /// if there is one, when all of them have refused the call or failed it. No two are the same.
    Upstreams(Vec<Arc<str>>, Option<FixedAnswer>),
    /// Nowhere: it is always the same.
    Answer(FixedAnswer),
}

/// An answer that is always the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedAnswer {
    /// Its status, 200 to 599.
    pub status: StatusCode,
    /// The content type of its body.
    pub content_type: HeaderValue,
    /// Its body; empty where the status allows none.
    pub body: Bytes,
}

/// The status of a fixed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AnswerStatus(pub(super) StatusCode);

impl Setting for AnswerStatus {
    const WHAT: &'static str = "a status from 200 to 599";
    const SHAPE: Shape = Shape::Within(200, 599);

    fn read(text: &str) -> Result<Self, String> {
        let status = whole::<u16>(text).ok().filter(|status| (200..=599).contains(status));
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        status.map(Self).ok_or_else(|| format!("expected {}", Self::WHAT))
    }
}

/// The body of a fixed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnswerBody(pub(super) Bytes);

impl Setting for AnswerBody {
    const WHAT: &'static str = "a text";

    fn read(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BODY_BYTES {
            let limit = MAX_BODY_BYTES >> 10;
            return Err(format!("is {} bytes long; at most {limit}KiB are sent", text.len()));
        }
        Ok(Self(Bytes::copy_from_slice(text.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::{AnswerBody, AnswerStatus, MAX_BODY_BYTES, Setting};

    #[test]
    fn a_fixed_answer_is_final_and_small() {
        for (text, is_good) in
            [("200", true), ("599", true), ("199", false), ("600", false), ("ok", false)]
        {
            assert_eq!(AnswerStatus::read(text).is_ok(), is_good, "{text}");
        }
        assert!(AnswerBody::read(&"x".repeat(MAX_BODY_BYTES)).is_ok());
        assert!(AnswerBody::read(&"x".repeat(MAX_BODY_BYTES + 1)).is_err());
    }
}
