//! What a request must look like to be sent on.
//!
//! It has been parsed; what another server might read differently is refused here, and the
//! connection is closed after it.

use http::{HeaderMap, Method, Request, Uri, Version, uri::Authority};

use super::{
    fields::{Field, Fields},
    headers,
    served::Facts,
    upgrade,
};
use crate::domain::{outcome::Reason, route::host_of};

/// The longest target, in bytes. Servers commonly take no longer one.
const MAX_TARGET: usize = 8 << 10;
/// The longest field, name and value together, in bytes. Its place is within the listener's limit
/// on the whole head.
const MAX_FIELD: usize = 16 << 10;

/// Why a request is not sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Objection {
    pub(super) reason: Reason,
    /// The same in words for the caller.
    pub(super) words: &'static str,
}

impl From<&'static str> for Objection {
    /// Nearly everything that can be wrong with a request makes it a bad one.
    fn from(words: &'static str) -> Self {
        Self { reason: Reason::BadRequest, words }
    }
}

/// Where a request came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// What addresses there begin with.
    pub(super) scheme: &'static str,
    /// Whether the path decides where it goes.
    pub(super) by_path: bool,
}

/// The host that a caller named, and its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Host<'a> {
    pub(super) name: &'a str,
    port: Option<u16>,
}

/// Checks the head of a request. `facts` is what the request itself does not tell about it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check<'a, B>(
    request: &'a Request<B>,
    fields: &Fields<'a>,
    facts: Facts,
    place: Place,
) -> Result<Host<'a>, Objection> {
    size(request, facts)?;
    framing(request, fields, facts)?;
    let host = Host::read(named(request, fields)?)?;
    target(request, host, place)?;
    Ok(host)
}

/// The sizes of the parts. The whole has been held against the listener's limit.
fn size<B>(request: &Request<B>, facts: Facts) -> Result<(), Objection> {
    let is_short = facts.length <= MAX_TARGET && request.version() != Version::HTTP_2;
    if is_short {
        return Ok(());
    }
    if target_length(request.uri()) > MAX_TARGET {
        let words = "the request target is longer than 8 KiB";
        return Err(Objection { reason: Reason::UriTooLong, words });
    }
    if longest_field(request.headers()) > MAX_FIELD {
        let words = "a field of the request head is longer than 16 KiB";
        return Err(Objection { reason: Reason::HeadTooLarge, words });
    }
    Ok(())
}

fn target_length(uri: &Uri) -> usize {
    uri.authority().map_or(0, |authority| authority.as_str().len())
        + uri.path_and_query().map_or(0, |target| target.as_str().len())
}

fn longest_field(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).max().unwrap_or(0)
}

/// The target names what the Host header names, in one way only.
fn target<B>(request: &Request<B>, host: Host<'_>, place: Place) -> Result<(), &'static str> {
    let uri = request.uri();
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
        return Err("the request target has bytes that must be percent-encoded");
    }
    if let Some(authority) = uri.authority().filter(|_| request.version() != Version::HTTP_2) {
        if uri.scheme_str() != Some(place.scheme) {
            return Err("only targets with the listener's own scheme are carried, such as http://");
        }
        if !host.is_of(authority, place) {
            return Err("the request target and the Host header name different hosts");
        }
    }
    match uri.path() {
        "*" if request.method() != Method::OPTIONS => Err("`*` is a target for OPTIONS only"),
        path if !path.starts_with('/') && path != "*" => {
            Err("the request target must begin with a slash")
        }
        path if place.by_path && has_dot_segment(path) => {
            Err("the path has `.` or `..` segments; resolve them before sending")
        }
        path if has_nul(path) => Err("the path has an encoded NUL, where many servers end it"),
        _ => Ok(()),
    }
}

/// Where the caller named its host: over HTTP/2 in the target, and nothing else in the header.
fn named<'a, B>(request: &'a Request<B>, fields: &Fields<'a>) -> Result<Field<'a>, &'static str> {
    let Some(authority) =
        request.uri().authority().filter(|_| request.version() == Version::HTTP_2)
    else {
        return Ok(fields.host);
    };
    let target = authority.as_str().as_bytes();
    if fields.host.first.is_some_and(|host| !host.eq_ignore_ascii_case(target)) {
        return Err("`:authority` and the Host header name different hosts");
    }
    Ok(Field { first: Some(target), is_repeated: fields.host.is_repeated })
}

/// Message framing that two servers could read differently.
fn framing<B>(request: &Request<B>, fields: &Fields<'_>, facts: Facts) -> Result<(), Objection> {
    if let Some(coding) = fields.transfer_encoding.first {
        if fields.transfer_encoding.is_repeated || !coding.eq_ignore_ascii_case(b"chunked") {
            return Err("the only transfer encoding that is understood is `chunked`".into());
        }
        if fields.content_length.first.is_some() {
            return Err("Content-Length and Transfer-Encoding exclude each other".into());
        }
        if request.version() == Version::HTTP_10 {
            return Err("HTTP/1.0 has no transfer encodings".into());
        }
    }
    if !fields.content_length.is_absent_or_digits() {
        return Err("there must be one Content-Length, of digits without leading zeros".into());
    }
    if let Some(flaw) = facts.flaw {
        return Err(flaw.as_str().into());
    }
    if upgrade::is_websocket(fields) && upgrade::has_body(fields) {
        return Err("a request for a WebSocket has no body".into());
    }
    let expect = fields.expect.first;
    if expect.is_some_and(|expect| !expect.eq_ignore_ascii_case(b"100-continue")) {
        let words = "the only expectation that is understood is `100-continue`";
        return Err(Objection { reason: Reason::ExpectationFailed, words });
    }
    if fields.present.nominations && headers::nominates_framing(request.headers()) {
        return Err("Connection may not name a header that frames or routes the message".into());
    }
    Ok(())
}

impl<'a> Host<'a> {
    /// Reads the one Host header: an authority without user information.
    fn read(field: Field<'a>) -> Result<Self, &'static str> {
        const NO_HOST: &str = "the Host header is no host";
        let received = field.only().ok_or("there must be exactly one Host header")?;
        let text = std::str::from_utf8(received).map_err(|_| NO_HOST)?;
        let name = host_of(text);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        // Nearly every name is plain; what else a host may be, such as [::1], the library knows.
        let is_host = !name.is_empty()
            && (name.bytes().all(is_plain)
                || Authority::try_from(text).is_ok_and(|read| read.host() == name));
        let port = match text[name.len()..].strip_prefix(':') {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| NO_HOST)?)
            }
            Some(_) => return Err(NO_HOST),
            None => None,
        };
        if is_host { Ok(Self { name, port }) } else { Err(NO_HOST) }
    }

    /// Whether this is what a target names: the scheme's own port goes without saying.
    fn is_of(self, target: &Authority, place: Place) -> bool {
        let has_user = target.as_str().contains('@');
        let usual = if place.scheme == "https" { 443 } else { 80 };
        let port = target.port_u16().unwrap_or(usual);
        !has_user
            && target.host().eq_ignore_ascii_case(self.name)
            && port == self.port.unwrap_or(usual)
    }
}

/// Whether a segment is `.` or `..`, also when percent-encoded: routes match the path as received,
/// so a path that means another one must not pass.
fn has_dot_segment(path: &str) -> bool {
    // Cheap for nearly every path: a dot segment begins with one of these two.
    let suspicious = |pair: &[u8]| pair == b"/." || pair == b"/%";
    path.as_bytes().windows(2).any(suspicious)
        && path.split('/').any(|segment| {
            let decoded = segment.to_ascii_lowercase().replace("%2e", ".");
            decoded == "." || decoded == ".."
        })
}

/// Whether a NUL is in the path, percent-encoded: otherwise it cannot be.
fn has_nul(path: &str) -> bool {
    memchr::memchr(b'%', path.as_bytes()).is_some() && path.contains("%00")
}

#[cfg(test)]
mod tests {
    use super::{Facts, Fields, MAX_FIELD, MAX_TARGET, Place, check};
    use crate::domain::outcome::Reason;
    use http::{Request, Version};

    const PLACE: Place = Place { scheme: "http", by_path: true };

    fn objection(method: &str, target: &str, headers: &[(&str, &str)]) -> Option<()> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        reason(&request).map(|_reason| ())
    }

    fn reason(request: &Request<()>) -> Option<Reason> {
        let facts = Facts { length: 99_999, ..Facts::default() };
        check(request, &Fields::of(request.headers()), facts, PLACE).err().map(|why| why.reason)
    }

    #[test]
    fn ordinary_requests_pass() {
        for (method, target) in
            [("GET", "/"), ("GET", "/a/..b/.c?x=../"), ("OPTIONS", "*"), ("GET", "http://a:80/x")]
        {
            assert_eq!(objection(method, target, &[("host", "a:80")]), None, "{method} {target}");
        }
        for (target, host) in [("http://a:80/", "a"), ("http://A/", "a:80")] {
            assert_eq!(objection("GET", target, &[("host", host)]), None, "{target} {host}");
        }
        for host in ["a", "a.b:1", "[::1]:80", "[::1]", "127.0.0.1", "A_b-c.d:65535", "a~b:1"] {
            assert_eq!(objection("GET", "/", &[("host", host)]), None, "{host}");
        }
    }

    #[test]
    fn a_host_that_is_missing_double_or_no_host_is_refused() {
        assert!(objection("GET", "/", &[]).is_some());
        assert!(objection("GET", "/", &[("host", "a"), ("host", "a")]).is_some());
        for host in [
            "", "u:p@a", "u@a", "a/b", "a, b", "a b", "a:", "a:port", "a:+80", "a:99999", ":80",
            "a:1:2", "[::1", "[::1]x", "::1", "a]b:80", "é",
        ] {
            assert!(objection("GET", "/", &[("host", host)]).is_some(), "{host}");
        }
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        for coding in ["gzip, chunked", "chunked, chunked", "identity", "xchunked"] {
            assert!(
                objection("POST", "/", &[("host", "a"), ("transfer-encoding", coding)]).is_some(),
                "{coding}"
            );
        }
        let twice =
            [("host", "a"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        assert!(objection("POST", "/", &twice).is_some());
        for length in ["+5", "5, 5", "-1", "0x5", "05", "00"] {
            assert!(
                objection("POST", "/", &[("host", "a"), ("content-length", length)]).is_some(),
                "{length}"
            );
        }
        let both = [("host", "a"), ("transfer-encoding", "chunked"), ("content-length", "5")];
        assert!(objection("POST", "/", &both).is_some());
        assert!(
            objection("GET", "/", &[("host", "a"), ("connection", "close, content-length")])
                .is_some()
        );
    }

    #[test]
    fn a_target_that_means_another_one_is_refused() {
        for target in ["/a/../b", "/a/%2e%2E/b", "/./a", "/a/..", "/a%2Fb%00"] {
            assert!(objection("GET", target, &[("host", "a")]).is_some(), "{target}");
        }
        assert!(objection("GET", "*", &[("host", "a")]).is_some());
        assert!(objection("GET", "http://b/", &[("host", "a")]).is_some());
        assert!(objection("GET", "http://a:81/", &[("host", "a")]).is_some());
        assert!(objection("GET", "http://x@a/", &[("host", "a")]).is_some());
        assert!(objection("GET", "https://a/", &[("host", "a")]).is_some());
    }

    #[test]
    fn what_is_too_long_or_expects_too_much_has_a_reason_of_its_own() {
        let request = |target: usize, value: usize| {
            let request = Request::get("/".repeat(target)).header("host", "a");
            request.header("x", "x".repeat(value)).body(()).unwrap()
        };
        assert_eq!(reason(&request(MAX_TARGET, MAX_FIELD - 1)), None);
        assert_eq!(reason(&request(MAX_TARGET + 1, 1)), Some(Reason::UriTooLong));
        assert_eq!(reason(&request(1, MAX_FIELD)), Some(Reason::HeadTooLarge));
        let mut over_http2 = request(1, MAX_FIELD);
        *over_http2.version_mut() = Version::HTTP_2;
        assert_eq!(reason(&over_http2), Some(Reason::HeadTooLarge));
        let mut expects = request(1, 1);
        expects.headers_mut().insert("expect", "100-continue, x".parse().unwrap());
        assert_eq!(reason(&expects), Some(Reason::ExpectationFailed));
    }

    #[test]
    fn a_websocket_has_no_body() {
        let asks = [("host", "a"), ("connection", "upgrade"), ("upgrade", "WebSocket")];
        let with = |field: (&str, &str)| objection("GET", "/", &[&asks[..], &[field]].concat());
        assert_eq!(with(("content-length", "0")), None);
        assert!(with(("content-length", "1")).is_some());
        assert!(with(("transfer-encoding", "chunked")).is_some());
    }
}
