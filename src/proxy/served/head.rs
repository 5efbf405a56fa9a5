//! The head of a request, out of bytes.
//!
//! What makes no sense as a head is refused here. What does, but could be read in another way too,
//! is told as a [`Flaw`]: the call that begins with it is answered and recorded like any other that
//! is not sent on, and is the last of its connection.

use std::mem::MaybeUninit;

use bytes::{Buf, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use httparse::{ParserConfig, Status};

use crate::proxy::{
    h1::{Framing, number},
    headers,
};

/// The most fields in a head.
const MAX_FIELDS: usize = 100;
/// The longest target that the library holds, in bytes.
const MAX_TARGET: usize = (u16::MAX - 1) as usize;

/// A head that has come whole.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request: Box<Request<()>>,
    pub(super) facts: Facts,
    pub(super) wishes: Wishes,
    pub(super) framing: Framing,
    /// The caller waits for leave to send the body.
    pub(super) waits: bool,
}

/// What a head says about its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes {
    pub(super) version: Version,
    /// The method is HEAD.
    pub(super) is_head: bool,
    /// Another call may follow.
    pub(super) keeps_alive: bool,
    pub(super) takes_trailers: bool,
}

/// What a request does not tell about its head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::proxy) struct Facts {
    /// Its length in bytes.
    pub(in crate::proxy) length: usize,
    /// What is wrong with it.
    pub(in crate::proxy) flaw: Option<Flaw>,
}

/// What another server might read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Flaw {
    /// A line ends with LF alone.
    BareLf,
    /// There is a `#` in the request line.
    Fragment,
    /// The length of the body is told in no way, or in two.
    Framing,
}

impl Flaw {
    /// The flaw in words for the caller.
    pub(in crate::proxy) const fn as_str(self) -> &'static str {
        match self {
            Self::BareLf => "lines of the request head must end with CR LF",
            Self::Fragment => "the request target may have no `#`: fragments are not sent",
            Self::Framing => "the length of the request body must be told in one way",
        }
    }
}

/// What is no head, and how that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused(pub(super) StatusCode);

const MALFORMED: Refused = Refused(StatusCode::BAD_REQUEST);
const TOO_LARGE: Refused = Refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
const TARGET_TOO_LONG: Refused = Refused(StatusCode::URI_TOO_LONG);

/// Where a field stands in the head: beginnings and ends of its name and its value.
type Place = [u32; 4];

/// Takes a head from the front of the buffer; none until all of it is there. Its fields go into the
/// map, which is empty, and with the request. A head that is longer than `limit` may be taken, and
/// tells; what has become longer without an end is refused.
///
/// # Errors
/// What is there is no head, or too much of one.
pub(super) fn take(
    buffer: &mut BytesMut,
    limit: usize,
    map: &mut HeaderMap,
) -> Result<Option<Head>, Refused> {
    skip_empty_lines(buffer);
    if buffer.is_empty() {
        return Ok(None);
    }
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut places: [Place; MAX_FIELDS] = [[0; 4]; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let read = ParserConfig::default().parse_request_with_uninit_headers(
        &mut parsed,
        &buffer[..],
        &mut fields,
    );
    let length = match read {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if buffer.len() < limit => return Ok(None),
        Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => return Err(TOO_LARGE),
        Err(_) => return Err(MALFORMED),
    };
    let method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes());
    let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let start = buffer.as_ptr().addr();
    let place = |part: &[u8]| {
        let at = part.as_ptr().addr().checked_sub(start)?;
        Some([u32::try_from(at).ok()?, u32::try_from(at + part.len()).ok()?])
    };
    let target = parsed.path.unwrap_or_default().as_bytes();
    let [target, target_end] = place(target).ok_or(MALFORMED)?.map(|at| at as usize);
    let count = parsed.headers.len();
    for (field, found) in parsed.headers.iter().zip(&mut places) {
        let [name, name_end] = place(field.name.as_bytes()).ok_or(MALFORMED)?;
        let [value, value_end] = place(field.value).ok_or(MALFORMED)?;
        *found = [name, name_end, value, value_end];
    }
    let head = buffer.split_to(length).freeze();
    if target_end - target > MAX_TARGET {
        return Err(TARGET_TOO_LONG);
    }
    let mut request = Box::new(Request::new(()));
    *request.method_mut() = method.map_err(|_| MALFORMED)?;
    *request.uri_mut() =
        Uri::from_maybe_shared(head.slice(target..target_end)).map_err(|_| MALFORMED)?;
    *request.version_mut() = version;
    let mut said = Said::default();
    map.reserve(count);
    for place in &places[..count] {
        let [name, name_end, value, value_end] = place.map(|at| at as usize);
        let name = HeaderName::from_bytes(&head[name..name_end]).map_err(|_| MALFORMED)?;
        let value =
            HeaderValue::from_maybe_shared(head.slice(value..value_end)).map_err(|_| MALFORMED)?;
        said.field(&name, value.as_bytes());
        map.append(name, value);
    }
    std::mem::swap(request.headers_mut(), map);
    let framing = said.framing(version);
    let flaw = flaw(&head, &places[..count]).or_else(|| framing.is_none().then_some(Flaw::Framing));
    let wishes = Wishes {
        version,
        is_head: *request.method() == Method::HEAD,
        keeps_alive: flaw.is_none() && said.keeps_alive(version),
        takes_trailers: said.takes_trailers,
    };
    let framing = framing.unwrap_or(Framing::Nothing);
    let waits = said.waits && version == Version::HTTP_11 && framing != Framing::Nothing;
    Ok(Some(Head { request, facts: Facts { length, flaw }, wishes, framing, waits }))
}

/// Empty lines before a request line are no head (RFC 9112 §2.2).
fn skip_empty_lines(buffer: &mut BytesMut) {
    while let Some(line @ (b"\r\n" | [b'\n', ..])) = buffer.get(..2).or_else(|| buffer.get(..1)) {
        let length = if line[0] == b'\n' { 1 } else { 2 };
        buffer.advance(length);
    }
}

/// What of a head another server might read differently: the first that there is.
fn flaw(head: &[u8], places: &[Place]) -> Option<Flaw> {
    // A field begins where the line before it ends.
    let first = places.first().map_or(head.len() - 2, |place| place[0] as usize);
    if memchr::memchr(b'#', &head[..first]).is_some() {
        return Some(Flaw::Fragment);
    }
    let is_ended = |place: &Place| head[..place[0] as usize].ends_with(b"\r\n");
    let is_clean = places.iter().all(is_ended) && head.ends_with(b"\r\n\r\n");
    (!is_clean).then_some(Flaw::BareLf)
}

/// What the fields say about the message and its connection.
#[derive(Debug, Default)]
struct Said {
    /// A length; none that is no number.
    length: Option<Option<u64>>,
    /// A coding, and whether it is `chunked`.
    coding: Option<bool>,
    /// One of them is there twice.
    is_repeated: bool,
    closes: bool,
    keeps: bool,
    waits: bool,
    takes_trailers: bool,
}

impl Said {
    fn field(&mut self, name: &HeaderName, value: &[u8]) {
        match name.as_str().len() {
            2 if name == header::TE => {
                self.takes_trailers |= headers::has_token(value, b"trailers")
            }
            6 if name == header::EXPECT => self.waits = value.eq_ignore_ascii_case(b"100-continue"),
            10 if name == header::CONNECTION => {
                self.closes |= headers::has_token(value, b"close");
                self.keeps |= headers::has_token(value, b"keep-alive");
            }
            14 if name == header::CONTENT_LENGTH => {
                self.is_repeated |= self.length.replace(number(value)).is_some();
            }
            17 if name == header::TRANSFER_ENCODING => {
                let is_chunked = value.eq_ignore_ascii_case(b"chunked");
                self.is_repeated |= self.coding.replace(is_chunked).is_some();
            }
            _ => {}
        }
    }

    const fn keeps_alive(&self, version: Version) -> bool {
        !self.closes && (self.keeps || matches!(version, Version::HTTP_11))
    }

    /// How the body is framed (RFC 9112 §6.3); none if that can be read in two ways.
    fn framing(&self, version: Version) -> Option<Framing> {
        match (self.length, self.coding) {
            _ if self.is_repeated => None,
            (None, None) => Some(Framing::Nothing),
            (Some(length), None) => length.map(Framing::Length),
            (None, Some(true)) if version == Version::HTTP_11 => Some(Framing::Chunked),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
