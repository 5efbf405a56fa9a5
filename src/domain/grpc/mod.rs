//! What gRPC says in header fields and trailers: codes, messages, timeouts, and answers that are
//! made of nothing else.
//!
//! A gRPC call is an HTTP/2 request whose outcome stands in its trailers, or, when the answer has
//! no body, in the only head that there is ("trailers-only"). Here are the words; when a deadline
//! is over, [`super::deadline`] says.

mod code;
mod message;
mod timeout;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

pub use code::Code;
pub use message::{decode_message, encode_message};
pub use timeout::{read_timeout, show_timeout};

/// The code of an answer, in its trailers or in its head.
pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// What the code is about, for people.
pub const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// How long the caller waits for the whole call.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// How many milliseconds a caller that tries again waits first.
pub const GRPC_RETRY_PUSHBACK_MS: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// The content type of calls and answers.
pub const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");

/// For so long after its head the end of a stream is waited for to know how its upstream did.
pub const JUDGED_WITHIN: Duration = Duration::from_secs(10);

/// Whether a message with this content type is gRPC: `application/grpc`, alone or with what its
/// messages are written in (`+proto`) or parameters. gRPC-Web is another protocol, whose trailers
/// stand in the body.
pub fn is_grpc(content_type: &[u8]) -> bool {
    let name = CONTENT_TYPE;
    content_type.split_at_checked(name.len()).is_some_and(|(front, rest)| {
        front.eq_ignore_ascii_case(name.as_bytes())
            && matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
    })
}

/// Makes these the fields of an answer that is nothing but a code: with status 200, no body and
/// the end of the stream it is what gRPC calls trailers-only. A caller that tries again by itself
/// waits for `retry_after`.
pub fn put_trailers_only(
    fields: &mut HeaderMap,
    code: Code,
    message: &str,
    retry_after: Option<Duration>,
) {
    fields.insert(header::CONTENT_TYPE, CONTENT_TYPE);
    fields.insert(GRPC_STATUS, code.value());
    fields.insert(GRPC_MESSAGE, encode_message(message));
    if let Some(wait) = retry_after {
        // Callers read 32 bits; 24 days are for ever.
        let ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).min(i32::MAX.unsigned_abs());
        fields.insert(GRPC_RETRY_PUSHBACK_MS, HeaderValue::from(ms));
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, is_grpc, put_trailers_only};
    use http::HeaderMap;
    use std::time::Duration;

    #[test]
    fn grpc_is_told_from_what_only_begins_like_it() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc+json; charset=utf-8", true),
            ("application/grpc;a=b", true),
            ("application/grpc ; a=b", true),
            ("Application/GRPC", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/grpcx", false),
            ("application/json", false),
            ("application/grp", false),
            ("", false),
        ] {
            assert_eq!(is_grpc(content_type.as_bytes()), expected, "{content_type}");
        }
    }

    #[test]
    fn a_refusal_says_its_code_its_message_and_when_to_come_back() {
        let mut fields = HeaderMap::new();
        let wait = Some(Duration::from_millis(1_500));
        put_trailers_only(&mut fields, Code::Unavailable, "5 calls failed: 100 %", wait);
        for (name, value) in [
            ("content-type", "application/grpc"),
            ("grpc-status", "14"),
            ("grpc-message", "5 calls failed: 100 %25"),
            ("grpc-retry-pushback-ms", "1500"),
        ] {
            assert_eq!(fields[name], value, "{name}");
        }
        let forever = Some(Duration::MAX);
        put_trailers_only(&mut fields, Code::Ok, "", forever);
        assert_eq!(fields["grpc-retry-pushback-ms"], "2147483647");
        assert_eq!(fields.len(), 4, "each is there once");
    }
}
