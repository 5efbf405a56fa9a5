//! The head of an answer, out of bytes.
//!
//! What another reader might understand differently is refused: the connection cannot be trusted to
//! say where the next message begins.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version, header::CONNECTION,
    header::CONTENT_LENGTH, header::TRANSFER_ENCODING,
};
use httparse::{ParserConfig, Status};
use hyper::ext::ReasonPhrase;

use super::{Broken, Framing};

/// The longest head, in bytes.
pub(super) const MAX_BYTES: usize = 0xffff;
/// The most fields in a head.
const MAX_FIELDS: usize = 100;

/// A head that has come whole.
#[derive(Debug)]
pub(super) enum Head {
    /// The answer is still to come (1xx).
    Interim,
    Final(Answer),
}

/// The head of the answer itself.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Box<Response<()>>,
    pub(super) framing: Framing,
    /// The upstream will take another request on this connection.
    pub(super) keeps_alive: bool,
}

/// What is asked of a head.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// The request's method was HEAD.
    pub(super) is_head: bool,
    /// The request asked for another protocol.
    pub(super) is_upgrade: bool,
    /// Where the fields go: an empty map with room.
    pub(super) headers: &'a mut HeaderMap,
}

/// Where a field stands in the head: beginnings and ends of its name and its value.
type Place = [u16; 4];

/// Takes a head from the front of the buffer; none until all of it is there.
///
/// # Errors
/// What is there is no head, has one that is too large, or one that can be read in two ways.
pub(super) fn take(buffer: &mut BytesMut, wanted: &mut Wanted<'_>) -> Result<Option<Head>, Broken> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut places: [Place; MAX_FIELDS] = [[0; 4]; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let read = ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        &buffer[..],
        &mut fields,
    );
    let length = match read {
        Ok(Status::Complete(length)) if length <= MAX_BYTES => length,
        Ok(Status::Partial) if buffer.len() < MAX_BYTES => return Ok(None),
        Ok(_) | Err(_) => return Err(Broken::Malformed),
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Broken::Malformed)?;
    let is_switch = status == StatusCode::SWITCHING_PROTOCOLS;
    if is_switch && !wanted.is_upgrade {
        return Err(Broken::Malformed);
    }
    if status.is_informational() && !is_switch {
        buffer.advance(length);
        return Ok(Some(Head::Interim));
    }
    let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let reason = parsed.reason.filter(|reason| Some(*reason) != status.canonical_reason());
    let reason = reason.map(|reason| Bytes::copy_from_slice(reason.as_bytes()));
    let start = buffer.as_ptr().addr();
    let place = |part: &[u8]| {
        let at = part.as_ptr().addr().checked_sub(start)?;
        Some((u16::try_from(at).ok()?, u16::try_from(at + part.len()).ok()?))
    };
    let count = parsed.headers.len();
    for (field, found) in parsed.headers.iter().zip(&mut places) {
        let name = place(field.name.as_bytes()).ok_or(Broken::Malformed)?;
        let value = place(field.value).ok_or(Broken::Malformed)?;
        *found = [name.0, name.1, value.0, value.1];
    }
    let bytes = buffer.split_to(length).freeze();
    let mut answer = Answer::new(status, version);
    let reason = reason.and_then(|reason| ReasonPhrase::try_from(reason).ok());
    reason.map(|reason| answer.response.extensions_mut().insert(reason));
    let said = fill(wanted.headers, &bytes, &places[..count])?;
    std::mem::swap(answer.response.headers_mut(), wanted.headers);
    answer.framing = said.framing(status, version, wanted.is_head)?;
    answer.keeps_alive =
        answer.framing != Framing::UntilClose && said.keeps_alive(version) && !is_switch;
    Ok(Some(Head::Final(answer)))
}

impl Answer {
    fn new(status: StatusCode, version: Version) -> Self {
        let mut response = Box::new(Response::new(()));
        *response.status_mut() = status;
        *response.version_mut() = version;
        Self { response, framing: Framing::Nothing, keeps_alive: false }
    }
}

/// Fills the map with the fields at these places, which share the bytes of the head.
fn fill(map: &mut HeaderMap, head: &Bytes, places: &[Place]) -> Result<Said, Broken> {
    let mut said = Said::default();
    map.reserve(places.len());
    for place in places {
        let [name, name_end, value, value_end] = place.map(usize::from);
        let name = HeaderName::from_bytes(&head[name..name_end]).map_err(|_| Broken::Malformed)?;
        let value = HeaderValue::from_maybe_shared(head.slice(value..value_end))
            .map_err(|_| Broken::Malformed)?;
        said.field(&name, value.as_bytes())?;
        map.append(name, value);
    }
    Ok(said)
}

/// What the fields say about the message and its connection.
#[derive(Debug, Default)]
struct Said {
    length: Option<u64>,
    is_chunked: bool,
    closes: bool,
    keeps: bool,
}

impl Said {
    fn field(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Broken> {
        if name == CONTENT_LENGTH {
            if self.length.replace(number(value).ok_or(Broken::Malformed)?).is_some() {
                return Err(Broken::Malformed);
            }
        } else if name == TRANSFER_ENCODING {
            if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Broken::Malformed);
            }
            self.is_chunked = true;
        } else if name == CONNECTION {
            for token in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                self.closes |= token.eq_ignore_ascii_case(b"close");
                self.keeps |= token.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        Ok(())
    }

    const fn keeps_alive(&self, version: Version) -> bool {
        !self.closes && (self.keeps || matches!(version, Version::HTTP_11))
    }

    /// How the body is framed (RFC 9112 §6.3).
    fn framing(
        &self,
        status: StatusCode,
        version: Version,
        is_head: bool,
    ) -> Result<Framing, Broken> {
        if self.is_chunked && (self.length.is_some() || version == Version::HTTP_10) {
            return Err(Broken::Malformed);
        }
        let has_none = matches!(
            status,
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        Ok(match self.length {
            _ if is_head || has_none => Framing::Nothing,
            Some(length) => Framing::Length(length),
            None if self.is_chunked => Framing::Chunked,
            None => Framing::UntilClose,
        })
    }
}

/// A number of nothing but digits.
pub(in crate::proxy) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::{Answer, Broken, Framing, Head, MAX_BYTES, MAX_FIELDS, Wanted};
    use bytes::BytesMut;
    use http::HeaderMap;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn take(buffer: &mut BytesMut, is_head: bool) -> Result<Option<Head>, Broken> {
        super::take(
            buffer,
            &mut Wanted { is_head, is_upgrade: false, headers: &mut HeaderMap::new() },
        )
    }

    fn taken(text: &str) -> Result<Answer, Broken> {
        match take(&mut BytesMut::from(text), false)? {
            Some(Head::Final(answer)) => Ok(answer),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    fn framed(fields: &str) -> Result<Framing, Broken> {
        taken(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).map(|answer| answer.framing)
    }

    #[test]
    fn a_body_is_framed_by_length_or_chunks_or_the_end() {
        assert_eq!(framed("content-length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(framed("Content-Length: 007\r\n"), Ok(Framing::Length(7)));
        assert_eq!(framed("transfer-encoding: Chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(framed(""), Ok(Framing::UntilClose));
    }

    #[test]
    fn an_answer_that_can_be_read_in_two_ways_is_refused() {
        for fields in [
            "content-length: 5\r\ncontent-length: 5\r\n",
            "content-length: 5\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: identity\r\n",
            "content-length: 5, 5\r\n",
            "content-length: +5\r\n",
            "content-length: -5\r\n",
            "content-length:\r\n",
            "content-length: 0x5\r\n",
            "content-length: 18446744073709551616\r\n",
            "content-length : 5\r\n",
            "x-a: 1\r\n content-length: 5\r\n",
            "x-a: \0\r\n",
        ] {
            assert_eq!(framed(fields), Err(Broken::Malformed), "{fields:?}");
        }
        let old = taken("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(old.map(|answer| answer.framing), Err(Broken::Malformed));
    }

    #[test]
    fn some_answers_have_no_body_whatever_the_fields_say() {
        for line in ["204 No Content", "304 Not Modified"] {
            let answer = taken(&format!("HTTP/1.1 {line}\r\ncontent-length: 5\r\n\r\n")).unwrap();
            assert_eq!(answer.framing, Framing::Nothing, "{line}");
        }
        let head = take(&mut BytesMut::from("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"), true);
        assert!(matches!(head, Ok(Some(Head::Final(Answer { framing: Framing::Nothing, .. })))));
    }

    #[test]
    fn a_connection_is_kept_unless_the_upstream_or_the_body_closes_it() {
        for (head, keeps_alive) in [
            ("HTTP/1.1 200 OK\r\n", true),
            ("HTTP/1.1 200 OK\r\nconnection: close\r\n", false),
            ("HTTP/1.1 200 OK\r\nconnection: x, Close\r\nconnection: keep-alive\r\n", false),
            ("HTTP/1.0 200 OK\r\n", false),
            ("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\n", true),
            ("HTTP/1.0 200 OK\r\nconnection: keep-alive, close\r\n", false),
        ] {
            let answer = taken(&format!("{head}content-length: 0\r\n\r\n")).unwrap();
            assert_eq!(answer.keeps_alive, keeps_alive, "{head:?}");
            assert!(!taken(&format!("{head}\r\n")).unwrap().keeps_alive, "{head:?}");
        }
    }

    #[test]
    fn an_interim_answer_is_taken_alone_and_a_switch_of_protocols_is_refused() {
        let mut buffer = BytesMut::from("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP");
        assert!(matches!(take(&mut buffer, false), Ok(Some(Head::Interim))));
        assert_eq!(buffer, "HTTP");
        let mut buffer = BytesMut::from("HTTP/1.1 101 Switching Protocols\r\n\r\n");
        assert!(matches!(take(&mut buffer, false), Err(Broken::Malformed)));
    }

    #[test]
    fn the_words_of_the_status_line_are_kept_when_they_are_unusual() {
        let phrase = |line: &str| {
            let answer = taken(&format!("HTTP/1.1 {line}\r\n\r\n")).unwrap();
            let phrase = answer.response.extensions().get::<hyper::ext::ReasonPhrase>();
            phrase.map(|phrase| String::from_utf8(phrase.as_bytes().to_vec()).unwrap())
        };
        assert_eq!(phrase("200 OK"), None);
        assert_eq!(phrase("200 Fine").as_deref(), Some("Fine"));
    }

    #[test]
    fn a_head_has_limits() {
        let many = |count| "x-a: 1\r\n".repeat(count);
        assert_eq!(framed(&many(MAX_FIELDS)), Ok(Framing::UntilClose));
        assert_eq!(framed(&many(MAX_FIELDS + 1)), Err(Broken::Malformed));
        let long = |length| format!("x-a: {}\r\n", "a".repeat(length));
        assert_eq!(framed(&long(MAX_BYTES - 100)), Ok(Framing::UntilClose));
        assert_eq!(framed(&long(MAX_BYTES)), Err(Broken::Malformed));
        let mut endless = BytesMut::from("HTTP/1.1 200 OK\r\nx-a: ");
        endless.resize(MAX_BYTES, b'a');
        assert!(matches!(take(&mut endless, false), Err(Broken::Malformed)));
    }

    proptest! {
        #[test]
        fn a_head_is_taken_when_it_is_whole_and_not_before(cut in 0_usize..58) {
            let whole = "HTTP/1.1 404 Not Found\r\nX-A:\r\nx-b:  2 \r\ncontent-length: 0\r\n\r\n";
            let mut part = BytesMut::from(&whole[..cut]);
            prop_assert!(matches!(take(&mut part, false), Ok(None)));
            prop_assert_eq!(part.len(), cut, "nothing is taken");
            part.extend_from_slice(&whole.as_bytes()[cut..]);
            part.extend_from_slice(b"rest");
            let Ok(Some(Head::Final(answer))) = take(&mut part, false) else { panic!() };
            prop_assert_eq!(answer.response.status(), 404);
            prop_assert_eq!(&answer.response.headers()["x-a"], "");
            prop_assert_eq!(&answer.response.headers()["x-b"], "2");
            prop_assert_eq!(&part[..], b"rest");
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            for start in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: "] {
                let mut buffer = BytesMut::from(start);
                buffer.extend_from_slice(&bytes);
                let before = buffer.len();
                let taken = take(&mut buffer, false);
                prop_assert!(!matches!(taken, Ok(None)) || buffer.len() == before);
            }
        }
    }
}
