//! The head of an answer, as bytes, and how the body is framed behind it.
//!
//! The framing is decided and written here and nowhere else: what the fields say about it counts
//! only where there is no body to be framed.

use std::time::Instant;

use http::{Response, StatusCode, Version, header};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use super::{date::Date, head::Wishes};
use crate::proxy::{
    h1::{
        Framing,
        head::{append, encode_field, encode_framing},
    },
    headers::{self, CORRELATION_ID, TASK_ID},
    message::Reply,
    own::Ids,
};

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) framing: Framing,
    /// The connection ends with it.
    pub(super) is_last: bool,
}

/// Appends the head of this answer, with what its call is known by. `is_last` says whether the connection ends with it in any case.
pub(super) fn encode<B: Body>(
    answer: &Reply<B>,
    ids: Option<Ids<'_>>,
    wishes: Wishes,
    is_last: bool,
    date: (&mut Date, Instant),
    out: &mut Vec<u8>,
) -> Manner {
    let status = answer.status();
    let length = length(&answer.body);
    let framing = framing(length, status, wishes);
    put_status(answer, wishes.version, out);
    let mut fields = Fields::default();
    for (name, value) in answer.headers() {
        match name.as_str().len() {
            4 if name == header::DATE => fields.has_date = true,
            7 if name == header::TRAILER && framing != Framing::Chunked => continue,
            10 if name == header::CONNECTION => {
                fields.closes |= headers::has_token(value.as_bytes(), b"close");
                fields.keeps |= headers::has_token(value.as_bytes(), b"keep-alive");
            }
            // Of an answer to HEAD it is all that is told.
            14 if name == header::CONTENT_LENGTH => {
                let is_told = wishes.is_head && length == Some(0) && !has_none(status);
                if !is_told || std::mem::replace(&mut fields.has_length, true) {
                    continue;
                }
            }
            17 if name == header::TRANSFER_ENCODING => continue,
            // Ours stand in for those of the upstream.
            9 if ids.is_some() && name == TASK_ID => continue,
            16 if ids.is_some() && name == CORRELATION_ID => continue,
            _ => {}
        }
        encode_field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
    let is_switch = status == StatusCode::SWITCHING_PROTOCOLS;
    let is_last = is_last
        || !wishes.keeps_alive
        || fields.closes
        || is_switch
        || framing == Framing::UntilClose;
    match wishes.version {
        Version::HTTP_10 if !is_last && !fields.keeps => {
            out.extend_from_slice(b"connection: keep-alive\r\n");
        }
        Version::HTTP_10 => {}
        _ if is_last && !fields.closes && !is_switch => {
            out.extend_from_slice(b"connection: close\r\n");
        }
        _ => {}
    }
    if let Some(ids) = ids {
        ids.write_echo(out);
    }
    encode_framing(told(framing, length, status, wishes), out);
    if !fields.has_date {
        let (date, now) = date;
        append(out, &[b"date: ", date.at(now).as_bytes(), b"\r\n"]);
    }
    out.extend_from_slice(b"\r\n");
    Manner { framing, is_last }
}

/// What was met on the way.
#[derive(Debug, Default)]
struct Fields {
    has_date: bool,
    has_length: bool,
    closes: bool,
    keeps: bool,
}

fn put_status(answer: &Response<()>, version: Version, out: &mut Vec<u8>) {
    let reason = answer.extensions().get::<ReasonPhrase>();
    if version == Version::HTTP_11 && answer.status() == StatusCode::OK && reason.is_none() {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    let version = if version == Version::HTTP_10 { &b"HTTP/1.0 "[..] } else { b"HTTP/1.1 " };
    let usual = answer.status().canonical_reason().unwrap_or("Unknown").as_bytes();
    let reason = reason.map_or(usual, ReasonPhrase::as_bytes);
    append(out, &[version, answer.status().as_str().as_bytes(), b" ", reason, b"\r\n"]);
}

/// The length of the body, if it is known.
fn length(body: &impl Body) -> Option<u64> {
    if body.is_end_stream() { Some(0) } else { body.size_hint().exact() }
}

/// Whether an answer has no body, whatever its fields say.
fn has_none(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// How the body is framed that is sent.
fn framing(length: Option<u64>, status: StatusCode, wishes: Wishes) -> Framing {
    match length {
        _ if wishes.is_head || has_none(status) => Framing::Nothing,
        Some(0) => Framing::Nothing,
        Some(length) => Framing::Length(length),
        None if wishes.version == Version::HTTP_10 => Framing::UntilClose,
        None => Framing::Chunked,
    }
}

/// How the body is framed by what the head says: HEAD is told what a GET would get.
fn told(framing: Framing, length: Option<u64>, status: StatusCode, wishes: Wishes) -> Framing {
    match length {
        _ if has_none(status) => Framing::Nothing,
        Some(0) if wishes.is_head => Framing::Nothing,
        Some(length) => Framing::Length(length),
        None => framing,
    }
}

/// The head that is answered to what is no request.
pub(super) fn refusal(status: StatusCode, date: (&mut Date, Instant)) -> Vec<u8> {
    let wishes = Wishes {
        version: Version::HTTP_11,
        is_head: false,
        keeps_alive: false,
        takes_trailers: false,
    };
    let mut answer = Reply::new(http_body_util::Empty::<bytes::Bytes>::new());
    *answer.status_mut() = status;
    let mut out = Vec::new();
    encode(&answer, None, wishes, true, date, &mut out);
    out
}

#[cfg(test)]
mod tests;
