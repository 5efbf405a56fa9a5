//! The head of a request, and the fields of any message, as bytes.
//!
//! The framing of the body is written here and nowhere else: what the fields say about it is left
//! out, so that a message can never be framed in two ways.

use http::{HeaderMap, Request, header, uri::PathAndQuery};

use super::Framing;
use crate::proxy::own::Own;

/// Appends the head of this request, with what we say ourselves.
pub(super) fn encode((request, own): (&Request<()>, Own<'_>), framing: Framing, out: &mut Vec<u8>) {
    let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    append(out, &[request.method().as_str().as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1\r\n"]);
    if let Some(host) = own.host {
        encode_field(b"host", host.as_bytes(), out);
    }
    let mut has_length = false;
    for (name, value) in request.headers() {
        if name == header::CONTENT_LENGTH {
            has_length = true;
        } else if name == header::HOST && own.host.is_some() {
            // The caller's.
        } else if name != header::TRANSFER_ENCODING {
            encode_field(name.as_str().as_bytes(), value.as_bytes(), out);
        }
    }
    if let Some(ids) = own.ids {
        ids.write(out);
    }
    encode_framing(
        if has_length && framing == Framing::Nothing { Framing::Length(0) } else { framing },
        out,
    );
    out.extend_from_slice(b"\r\n");
}

/// Appends the field that says how the body is framed, if one has to.
pub(in crate::proxy) fn encode_framing(framing: Framing, out: &mut Vec<u8>) {
    match framing {
        Framing::Nothing | Framing::UntilClose => {}
        Framing::Length(length) => {
            let mut digits = itoa::Buffer::new();
            append(out, &[b"content-length: ", digits.format(length).as_bytes(), b"\r\n"]);
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
}

/// Appends a field.
pub(in crate::proxy) fn encode_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    append(out, &[name, b": ", value, b"\r\n"]);
}

/// Appends fields and the empty line behind them.
pub(super) fn encode_fields(fields: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in fields {
        encode_field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends these parts.
pub(in crate::proxy) fn append(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.reserve(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::{super::Framing, encode};
    use crate::proxy::own::Own;
    use http::{HeaderValue, Request};

    fn encoded(target: &str, fields: &[(&str, &str)], framing: Framing) -> String {
        encoded_with(Own::default(), target, fields, framing)
    }

    fn encoded_with(
        own: Own<'_>,
        target: &str,
        fields: &[(&str, &str)],
        framing: Framing,
    ) -> String {
        let mut request = Request::builder().method("POST").uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut out = Vec::new();
        encode((&request.body(()).unwrap(), own), framing, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_head_is_its_line_and_its_fields() {
        assert_eq!(
            encoded("/a%2F?b=c", &[("host", "up:1"), ("x-a", "1"), ("x-a", "")], Framing::Nothing),
            "POST /a%2F?b=c HTTP/1.1\r\nhost: up:1\r\nx-a: 1\r\nx-a: \r\n\r\n"
        );
    }

    #[test]
    fn the_endpoint_stands_in_for_the_host_that_the_caller_named() {
        let host = HeaderValue::from_static("up:1");
        let own = Own { host: Some(&host), ids: None };
        let fields = [("x-a", "1"), ("host", "b"), ("x-b", "2")];
        assert_eq!(
            encoded_with(own, "/", &fields, Framing::Nothing),
            "POST / HTTP/1.1\r\nhost: up:1\r\nx-a: 1\r\nx-b: 2\r\n\r\n"
        );
    }

    #[test]
    fn the_target_is_in_origin_form() {
        for (uri, target) in [("http://evil:1/a", "/a"), ("http://evil:1", "/"), ("*", "*")] {
            let head = encoded(uri, &[], Framing::Nothing);
            assert_eq!(head, format!("POST {target} HTTP/1.1\r\n\r\n"));
        }
    }

    #[test]
    fn a_body_is_framed_once_whatever_the_fields_say() {
        let fields =
            [("content-length", "9"), ("transfer-encoding", "gzip"), ("content-length", "8")];
        for (framing, expected) in [
            (Framing::Nothing, "content-length: 0"),
            (Framing::Length(3), "content-length: 3"),
            (Framing::Chunked, "transfer-encoding: chunked"),
        ] {
            let head = encoded("/", &fields, framing);
            assert_eq!(head, format!("POST / HTTP/1.1\r\n{expected}\r\n\r\n"));
        }
    }
}
