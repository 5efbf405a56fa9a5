//! What the head of a message says of its body, as far as capturing it goes.

use http::{HeaderMap, HeaderName, header};

use crate::domain::capture::Fault;

/// What a body holds that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// One document of JSON.
    Json,
    /// Events, whose data are documents of JSON.
    Events,
    /// The fields of a form.
    Form,
    /// Something else, which is not read.
    Other,
}

/// What a body holds, by its head.
///
/// # Errors
/// It is compressed.
pub(super) fn content(headers: &HeaderMap) -> Result<Content, Fault> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings.into_iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Fault::Compressed);
    }
    let kind = word(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = |kind: &str| kind == "json" || kind.ends_with("+json");
    Ok(match kind.strip_prefix("application/") {
        Some(kind) if is_json(kind) => Content::Json,
        Some("x-www-form-urlencoded") => Content::Form,
        _ if kind == "text/event-stream" => Content::Events,
        _ => Content::Other,
    })
}

/// The value of a header as a text; of several the first.
pub(super) fn word<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName};

    use super::{Content, content};
    use crate::domain::capture::Fault;

    #[test]
    fn what_a_body_holds_is_told_unless_it_is_compressed() {
        for (kind, encoding, expected) in [
            ("application/json", "", Ok(Content::Json)),
            ("Application/JSON; charset=utf-8", "identity", Ok(Content::Json)),
            ("application/problem+json", "", Ok(Content::Json)),
            ("text/event-stream", "", Ok(Content::Events)),
            ("application/json", "gzip", Err(Fault::Compressed)),
            ("text/event-stream", "br", Err(Fault::Compressed)),
            ("application/x-www-form-urlencoded;charset=UTF-8", "", Ok(Content::Form)),
            ("application/x-www-form-urlencoded", "deflate", Err(Fault::Compressed)),
            ("application/jsonl", "", Ok(Content::Other)),
            ("multipart/form-data; boundary=x", "", Ok(Content::Other)),
            ("", "", Ok(Content::Other)),
        ] {
            let fields = [("content-type", kind), ("content-encoding", encoding)];
            let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
            let field = |(name, value): (&'static str, &str)| {
                (HeaderName::from_static(name), value.parse().unwrap())
            };
            let headers: HeaderMap = fields.map(field).collect();
            assert_eq!(content(&headers), expected, "{kind} {encoding}");
        }
    }
}
