//! Bodies of requests: bounded, in time, and JSON by their own word.
//!
//! A body must say that it is JSON: a web page can make a browser send anything else to this machine
//! without asking first.

use std::time::Duration;

use axum::{body::to_bytes, extract::Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::reply::Fault;

/// How long a body may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the body of a request, and hands out the head's fields with it.
pub(super) async fn read(request: Request, max: usize) -> Result<(HeaderMap, Bytes), Fault> {
    let (head, body) = request.into_parts();
    let bytes = match timeout(TIMEOUT, to_bytes(body, max)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(Fault::BodyTooLarge(max as u64)),
        Err(_) => return Err(Fault::BadRequest("the body does not arrive".to_owned())),
    };
    let kind = head.headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    let kind = kind.and_then(|kind| kind.split(|byte| *byte == b';').next()).unwrap_or_default();
    if !kind.trim_ascii().eq_ignore_ascii_case(b"application/json") {
        return Err(Fault::UnsupportedMediaType);
    }
    Ok((head.headers, bytes))
}

/// Reads JSON of a known shape.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes)
        .map_err(|error| Fault::BadRequest(format!("the body cannot be read: {error}")))
}
