//! A request to go on in another protocol over the same connection (RFC 9110 §7.8), such as
//! WebSocket.

use http::{HeaderMap, HeaderValue, Method, Request, Version, header};

use super::{answer_fields::AnswerFields, fields::Fields};

/// The protocol that is asked for, as the caller wrote it.
#[derive(Debug, Clone)]
pub(super) struct Upgrade(HeaderValue);

impl Upgrade {
    /// What a request asks for. One that has a body, or that asks for another version of HTTP, is an
    /// ordinary request: a server may ignore the wish.
    pub(super) fn wanted<B>(request: &Request<B>, fields: &Fields<'_>) -> Option<Self> {
        let protocol = fields.upgrade.only()?;
        let is_http = protocol.get(..2).is_some_and(|name| name.eq_ignore_ascii_case(b"h2"))
            || protocol.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"http"));
        let is_meant = request.version() == Version::HTTP_11
            && request.method() == Method::GET
            && fields.present.upgrade;
        if is_http || has_body(fields) || !is_meant {
            return None;
        }
        HeaderValue::from_bytes(protocol).ok().map(Self)
    }

    /// Says it in a message whose hop-by-hop fields have been removed.
    pub(super) fn put(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, self.0.clone());
    }

    /// Whether an answer that switches protocols switches to this one.
    pub(super) fn is_granted(&self, answer: &AnswerFields<'_>) -> bool {
        answer.upgrade.only().is_some_and(|said| said.eq_ignore_ascii_case(self.0.as_bytes()))
    }
}

/// Whether a request asks for WebSocket. Callers may send its frames without waiting for the
/// answer, so what follows such a request can be no HTTP even where the answer is no.
pub(super) fn is_websocket(fields: &Fields<'_>) -> bool {
    fields.present.upgrade
        && fields.upgrade.first.is_some_and(|asked| asked.eq_ignore_ascii_case(b"websocket"))
}

/// Whether a request has a body, by its fields.
pub(super) fn has_body(fields: &Fields<'_>) -> bool {
    fields.content_length.first.is_some_and(|length| length != b"0")
        || fields.transfer_encoding.first.is_some()
}

#[cfg(test)]
mod tests {
    use super::{AnswerFields, Fields, Upgrade};
    use http::{Method, Request, Version, header};

    fn wants(change: impl FnOnce(&mut Request<()>)) -> bool {
        let mut request = Request::new(());
        let headers = request.headers_mut();
        headers.insert(header::CONNECTION, "keep-alive, Upgrade".parse().unwrap());
        headers.insert(header::UPGRADE, "websocket".parse().unwrap());
        change(&mut request);
        Upgrade::wanted(&request, &Fields::of(request.headers())).is_some()
    }

    #[test]
    fn only_a_bare_get_that_says_so_twice_asks_for_another_protocol() {
        assert!(wants(|_| {}));
        assert!(wants(|request| {
            request.headers_mut().insert(header::CONTENT_LENGTH, "0".parse().unwrap());
        }));
        assert!(!wants(|request| *request.method_mut() = Method::POST));
        assert!(!wants(|request| *request.version_mut() = Version::HTTP_10));
        for (name, value) in [
            (header::CONNECTION, "keep-alive"),
            (header::UPGRADE, "h2c"),
            (header::UPGRADE, "HTTP/2.0"),
            (header::CONTENT_LENGTH, "3"),
            (header::TRANSFER_ENCODING, "chunked"),
        ] {
            let name_of = name.clone();
            assert!(
                !wants(|request| {
                    request.headers_mut().insert(name, value.parse().unwrap());
                }),
                "{name_of}: {value}"
            );
        }
    }

    #[test]
    fn an_answer_must_switch_to_what_was_asked_for() {
        let mut request = Request::new(());
        let headers = request.headers_mut();
        headers.insert(header::CONNECTION, "upgrade".parse().unwrap());
        headers.insert(header::UPGRADE, "WebSocket".parse().unwrap());
        let wanted = Upgrade::wanted(&request, &Fields::of(request.headers())).unwrap();
        for (said, is_granted) in [("websocket", true), ("h2c", false), ("", false)] {
            let mut headers = http::HeaderMap::new();
            headers.insert(header::UPGRADE, said.parse().unwrap());
            assert_eq!(wanted.is_granted(&AnswerFields::of(&headers)), is_granted, "{said}");
        }
    }
}
