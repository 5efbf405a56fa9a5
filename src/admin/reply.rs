//! What the admin port answers: the envelope, and one table from fault to status.
//!
//! Success is `{"success": true, "data": …}`, everything else
//! `{"success": false, "error": {"code", "message"}}`. A message never repeats a token, a header or
//! what the store said; the store's own words go to the log.

use std::{convert::Infallible, fmt::Display};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{breakers::KillSwitch, store};

/// A handler's answer.
pub(super) type Answer = Result<Response, Fault>;

/// Wraps what was asked for.
pub(super) fn data(data: impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Envelope<T> {
        success: bool,
        data: T,
    }
    json(StatusCode::OK, &Envelope { success: true, data })
}

/// A JSON body without the envelope.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => typed(status, "application/json", body),
        Err(_) => Fault::Internal.into_response(),
    }
}

/// A body of some type.
pub(super) fn typed(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A body that goes out in pieces, each when the one before was taken; what it holds meanwhile is given
/// back after the last.
pub(super) fn placed(bytes: Bytes, held: impl Send + 'static) -> Body {
    const PIECE: usize = 64 * 1024;
    Body::from_stream(stream::unfold((bytes, held), async |(mut rest, held)| {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some((Ok::<_, Infallible>(piece), (rest, held)))
    }))
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    BadRequest(String),
    #[error("a bearer token is required: send `Authorization: Bearer <token>`")]
    Unauthorized,
    #[error("too many wrong tokens; wait a second")]
    TooManyAttempts,
    #[error("{0}")]
    HostNotAllowed(String),
    #[error("there is no {0}")]
    NotFound(String),
    #[error("off loopback nothing is changed without a token: set `admin.token`")]
    TokenNeeded,
    #[error("the body must be JSON: send `Content-Type: application/json`")]
    UnsupportedMediaType,
    #[error(transparent)]
    KillSwitch(KillSwitch),
    #[error("this path does not take that method")]
    MethodNotAllowed,
    #[error("the request target is longer than {0} bytes")]
    UriTooLong(usize),
    #[error("the header section is larger than {0} bytes or has more than {1} fields")]
    HeadersTooLarge(usize, usize),
    #[error("the body is larger than {0} bytes")]
    BodyTooLarge(u64),
    #[error("{0} late scores wait for their rows, which is all that may")]
    TooManyScores(usize),
    #[error("rows are still on their way to the store, this one may be among them; send it again")]
    NotYet,
    #[error("{0} streams are open, which is all that there may be")]
    TooManyStreams(usize),
    #[error("{0} scrapes are being read, which is all that may")]
    TooManyScrapes(usize),
    #[error("not ready: {0}")]
    NotReady(String),
    #[error("the store does not answer; breakers and calls go on without it")]
    StoreUnavailable,
    #[error("the store refuses; its reason is in the log")]
    StoreRefused,
    #[error("something broke inside; the reason is in the log")]
    Internal,
}

impl Fault {
    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::TooManyAttempts => (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts"),
            Self::HostNotAllowed(_) => (StatusCode::MISDIRECTED_REQUEST, "host_not_allowed"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::TokenNeeded => (StatusCode::FORBIDDEN, "token_needed"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
            }
            Self::KillSwitch(_) => (StatusCode::CONFLICT, "kill_switch"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::UriTooLong(_) => (StatusCode::URI_TOO_LONG, "uri_too_long"),
            Self::HeadersTooLarge(..) => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large")
            }
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::TooManyStreams(_) => (StatusCode::SERVICE_UNAVAILABLE, "too_many_streams"),
            Self::TooManyScrapes(_) => (StatusCode::SERVICE_UNAVAILABLE, "too_many_scrapes"),
            Self::TooManyScores(_) => (StatusCode::SERVICE_UNAVAILABLE, "too_many_scores"),
            Self::NotYet => (StatusCode::SERVICE_UNAVAILABLE, "not_yet"),
            Self::NotReady(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
            Self::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            Self::StoreRefused => (StatusCode::SERVICE_UNAVAILABLE, "store_refused"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// The status of its answer.
    pub(super) fn status(&self) -> StatusCode {
        self.row().0
    }

    /// The header that comes with the status, where the status asks for one.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match self {
            Self::Unauthorized => (header::WWW_AUTHENTICATE, "Bearer realm=\"fusebox\""),
            Self::TooManyAttempts
            | Self::TooManyScores(_)
            | Self::TooManyScrapes(_)
            | Self::NotYet => (header::RETRY_AFTER, "1"),
            _ => return None,
        };
        Some((name, HeaderValue::from_static(value)))
    }

    /// A value of the query or the path that cannot be read.
    pub(super) fn unreadable(name: &str, expected: impl Display) -> Self {
        Self::BadRequest(format!("`{name}`: expected {expected}"))
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Envelope<'a> {
            success: bool,
            error: Error<'a>,
        }
        #[derive(Serialize)]
        struct Error<'a> {
            code: &'a str,
            message: String,
        }
        let (status, code) = self.row();
        let error = Error { code, message: self.to_string() };
        // Two strings and a bool always serialize.
        let body = serde_json::to_vec(&Envelope { success: false, error }).unwrap_or_default();
        let mut response = typed(status, "application/json", body);
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        let source = std::error::Error::source(&error).map(tracing::field::display);
        match error {
            // The outage has its own line, once; each read that it costs does not.
            store::Error::Unavailable(_) => {
                tracing::debug!(source, "the store did not answer a read of the admin port");
                Self::StoreUnavailable
            }
            store::Error::Refused(_) | store::Error::BadData(_) | store::Error::CursorMoved => {
                tracing::warn!(source, "the store refused a read of the admin port");
                Self::StoreRefused
            }
        }
    }
}
