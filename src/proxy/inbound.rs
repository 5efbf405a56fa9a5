//! What a request must look like to be sent on.
//!
//! hyper has parsed it; what hyper lets through and another server might read differently is
//! refused here: every refusal is a 400, and the connection is closed after it.

use http::{Method, Request, Version, uri::Authority};

use super::{
    fields::{Field, Fields},
    headers,
};
use crate::domain::route::host_of;

/// Why a request is not sent on, in words for the caller.
pub(super) type Objection = &'static str;

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

/// Checks the head of a request. `had_content_length` says whether the bytes had one, see
/// [`super::framing`].
///
/// # Errors
/// What is wrong with it.
pub(super) fn check<'a, B>(
    request: &'a Request<B>,
    fields: &Fields<'a>,
    had_content_length: bool,
    place: Place,
) -> Result<Host<'a>, Objection> {
    framing(request, fields, had_content_length)?;
    let uri = request.uri();
    let host = Host::read(named(request, fields)?)?;
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
        _ => Ok(host),
    }
}

/// Where the caller named its host: over HTTP/2 in the target, and nothing else in the header.
fn named<'a, B>(request: &'a Request<B>, fields: &Fields<'a>) -> Result<Field<'a>, Objection> {
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
fn framing<B>(
    request: &Request<B>,
    fields: &Fields<'_>,
    had_content_length: bool,
) -> Result<(), Objection> {
    if let Some(coding) = fields.transfer_encoding.first {
        if fields.transfer_encoding.is_repeated || !coding.eq_ignore_ascii_case(b"chunked") {
            return Err("the only transfer encoding that is understood is `chunked`");
        }
        if had_content_length {
            return Err("Content-Length and Transfer-Encoding exclude each other");
        }
        if request.version() == Version::HTTP_10 {
            return Err("HTTP/1.0 has no transfer encodings");
        }
    }
    if !fields.content_length.is_absent_or_digits() {
        return Err("there must be one Content-Length, of digits only");
    }
    let expect = fields.expect.first;
    if expect.is_some_and(|expect| !expect.eq_ignore_ascii_case(b"100-continue")) {
        return Err("the only expectation that is understood is `100-continue`");
    }
    if fields.present.nominations && headers::nominates_framing(request.headers()) {
        return Err("Connection may not name a header that frames or routes the message");
    }
    Ok(())
}

impl<'a> Host<'a> {
    /// Reads the one Host header: an authority without user information.
    fn read(field: Field<'a>) -> Result<Self, Objection> {
        const NO_HOST: Objection = "the Host header is no host";
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

#[cfg(test)]
mod tests {
    use super::{Fields, Place, check};
    use http::Request;

    const PLACE: Place = Place { scheme: "http", by_path: true };

    fn objection(method: &str, target: &str, headers: &[(&str, &str)]) -> Option<&'static str> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        check(&request, &Fields::of(request.headers()), false, PLACE).err()
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
        for length in ["+5", "5, 5", "-1", "0x5"] {
            assert!(
                objection("POST", "/", &[("host", "a"), ("content-length", length)]).is_some(),
                "{length}"
            );
        }
        let request = Request::post("/").header("host", "a").header("transfer-encoding", "chunked");
        let request = request.body(()).unwrap();
        assert!(check(&request, &Fields::of(request.headers()), true, PLACE).is_err());
        assert!(
            objection("GET", "/", &[("host", "a"), ("connection", "close, content-length")])
                .is_some()
        );
    }

    #[test]
    fn a_target_that_means_another_one_is_refused() {
        for target in ["/a/../b", "/a/%2e%2E/b", "/./a", "/a/.."] {
            assert!(objection("GET", target, &[("host", "a")]).is_some(), "{target}");
        }
        assert!(objection("GET", "*", &[("host", "a")]).is_some());
        assert!(objection("GET", "http://b/", &[("host", "a")]).is_some());
        assert!(objection("GET", "http://a:81/", &[("host", "a")]).is_some());
        assert!(objection("GET", "http://x@a/", &[("host", "a")]).is_some());
        assert!(objection("GET", "https://a/", &[("host", "a")]).is_some());
    }
}
