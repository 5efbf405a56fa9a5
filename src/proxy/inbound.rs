//! What a request must look like to be sent on.
//!
//! hyper has parsed it; what hyper lets through and another server might read differently is
//! refused here: every refusal is a 400, and the connection is closed after it.

use http::{Method, Request, Version, header, uri::Authority};

use super::headers;

/// A request that may be routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The host that the caller named, without its port.
    pub(super) host: String,
    /// Whether the target was in absolute form, as sent to a proxy.
    pub(super) absolute: bool,
}

/// Why a request is not sent on, in words for the caller.
pub(super) type Objection = &'static str;

/// Checks the head of a request. `had_content_length` says whether the bytes had one, see
/// [`super::framing`]; `by_path` whether the path decides where it goes.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check<B>(
    request: &Request<B>,
    had_content_length: bool,
    by_path: bool,
) -> Result<Target, Objection> {
    framing(request, had_content_length)?;
    let authority = host(request)?;
    let uri = request.uri();
    if uri.path().bytes().chain(uri.query().unwrap_or("").bytes()).any(|b| b <= b' ' || b >= 0x7f) {
        return Err("the request target has bytes that must be percent-encoded");
    }
    let absolute = uri.authority().is_some();
    if absolute {
        if uri.scheme_str() != Some("http") {
            return Err("only http:// targets are carried");
        }
        if !uri.authority().is_some_and(|target| is_same(target, &authority)) {
            return Err("the request target and the Host header name different hosts");
        }
    }
    match uri.path() {
        "*" if request.method() != Method::OPTIONS => Err("`*` is a target for OPTIONS only"),
        path if !path.starts_with('/') && path != "*" => {
            Err("the request target must begin with a slash")
        }
        path if by_path && has_dot_segment(path) => {
            Err("the path has `.` or `..` segments; resolve them before sending")
        }
        _ => Ok(Target { host: authority.host().to_ascii_lowercase(), absolute }),
    }
}

/// Message framing that two servers could read differently.
fn framing<B>(request: &Request<B>, had_content_length: bool) -> Result<(), Objection> {
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err("the only transfer encoding that is understood is `chunked`");
        }
        if had_content_length {
            return Err("Content-Length and Transfer-Encoding exclude each other");
        }
        if request.version() == Version::HTTP_10 {
            return Err("HTTP/1.0 has no transfer encodings");
        }
    }
    let mut lengths = request.headers().get_all(header::CONTENT_LENGTH).iter();
    let first = lengths.next();
    if lengths.next().is_some()
        || first.is_some_and(|length| !length.as_bytes().iter().all(u8::is_ascii_digit))
    {
        return Err("there must be one Content-Length, of digits only");
    }
    let expect = request.headers().get(header::EXPECT);
    if expect.is_some_and(|expect| !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err("the only expectation that is understood is `100-continue`");
    }
    if headers::nominates_framing(request.headers()) {
        return Err("Connection may not name a header that frames or routes the message");
    }
    Ok(())
}

/// The one Host header, as an authority without user information.
fn host<B>(request: &Request<B>) -> Result<Authority, Objection> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err("there must be exactly one Host header");
    };
    let authority =
        Authority::try_from(host.as_bytes()).map_err(|_| "the Host header is no host")?;
    let has_port = authority.as_str().len() > authority.host().len();
    let is_host = !authority.host().is_empty() && !authority.as_str().contains('@');
    if !is_host || (has_port && authority.port_u16().is_none()) {
        return Err("the Host header is no host");
    }
    Ok(authority)
}

/// Whether two authorities of `http` are the same: port 80 goes without saying.
fn is_same(target: &Authority, host: &Authority) -> bool {
    let port = |authority: &Authority| authority.port_u16().unwrap_or(80);
    let has_user = target.as_str().contains('@');
    !has_user && target.host().eq_ignore_ascii_case(host.host()) && port(target) == port(host)
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
    use super::check;
    use http::Request;

    fn objection(method: &str, target: &str, headers: &[(&str, &str)]) -> Option<&'static str> {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap(), false, true).err()
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
        for host in ["a", "a.b:1", "[::1]:80", "127.0.0.1"] {
            assert_eq!(objection("GET", "/", &[("host", host)]), None, "{host}");
        }
    }

    #[test]
    fn a_host_that_is_missing_double_or_no_host_is_refused() {
        assert!(objection("GET", "/", &[]).is_some());
        assert!(objection("GET", "/", &[("host", "a"), ("host", "a")]).is_some());
        for host in ["", "u:p@a", "a/b", "a, b", "a b", "a:", "a:port", "a:99999", ":80"] {
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
        assert!(check(&request.body(()).unwrap(), true, true).is_err());
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
