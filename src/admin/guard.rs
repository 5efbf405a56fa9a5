//! Who may ask: limits on the request head, the Host allow-list and the bearer token.
//!
//! One check before any handler, in the order of cost. The Host is checked because a browser on
//! the same machine can be made to call any address under a foreign name (DNS rebinding); its
//! answer would be that name's to read.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use http::{HeaderMap, Request, Uri, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{reply::Fault, throttle::Throttle};
use crate::{clock, config, domain::route::host_of};

/// The longest request target, in bytes.
const MAX_TARGET: usize = 4 * 1024;

/// The largest header section, names and values together, in bytes.
const MAX_HEADERS: usize = 8 * 1024;

/// The most header fields.
const MAX_FIELDS: usize = 64;

/// The longest body that is announced. Who reads one has a limit of its own.
const MAX_BODY: u64 = 512 * 1024;

/// Probes: no token, and under any IP address, because load balancers and orchestrators call what
/// they know a task by.
const PROBES: [&str; 4] = ["/live", "/ready", "/health", "/metrics"];

/// The dashboard's files: no token, they say nothing about this process.
fn is_shell(path: &str) -> bool {
    path == "/" || path.starts_with("/dashboard/")
}

/// Both ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

/// The rules of one admin port.
#[derive(Debug)]
pub(super) struct Guard {
    /// The digest of the token, so that the compare takes the same time whatever is sent.
    token: Option<[u8; 32]>,
    /// Names without ports, lower case.
    allowed_hosts: Vec<String>,
    // A std mutex: held for a look into a small table, and only where a token was sent.
    throttle: Mutex<Throttle>,
}

impl Guard {
    pub(super) fn new(settings: &config::Admin) -> Self {
        let configured = settings.allowed_hosts.iter().map(|host| host_of(host));
        let own = settings.listen.ip();
        let own = (!own.is_unspecified()).then(|| SocketAddr::new(own, 0).to_string());
        let allowed_hosts = ["localhost", "127.0.0.1", "[::1]"]
            .into_iter()
            .chain(own.as_deref().map(host_of))
            .chain(configured)
            .map(str::to_ascii_lowercase)
            .collect();
        Self {
            token: settings.token.as_ref().map(|token| digest(token.expose().as_bytes())),
            allowed_hosts,
            throttle: Mutex::default(),
        }
    }

    /// Lets a request pass, or says why not.
    pub(super) fn check<B>(&self, request: &Request<B>, ends: Ends) -> Result<(), Fault> {
        limits(request.uri(), request.headers())?;
        let path = request.uri().path();
        self.check_host(host(request)?, PROBES.contains(&path), ends.local)?;
        if PROBES.contains(&path) || is_shell(path) {
            return Ok(());
        }
        // The configuration forbids such a port; what changes something does not rely on that.
        let is_open = self.token.is_none() && !ends.local.ip().is_loopback();
        if is_open && !request.method().is_safe() {
            return Err(Fault::TokenNeeded);
        }
        self.check_token(request.headers(), ends.peer.ip())
    }

    fn check_host(&self, host: &str, is_probe: bool, local: SocketAddr) -> Result<(), Fault> {
        let name = host_of(host);
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let is_own = address.is_some_and(|address| is_probe || address == local.ip());
        if is_own || self.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)) {
            return Ok(());
        }
        Err(Fault::HostNotAllowed(
            "this port does not answer to that Host; add it to `admin.allowed_hosts`".to_owned(),
        ))
    }

    fn check_token(&self, headers: &HeaderMap, peer: IpAddr) -> Result<(), Fault> {
        let Some(expected) = &self.token else { return Ok(()) };
        let sent = bearer(headers).ok_or(Fault::Unauthorized)?;
        let now = clock::now();
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        if !throttle.admits(peer, now) {
            return Err(Fault::TooManyAttempts);
        }
        if bool::from(digest(sent).ct_eq(expected)) {
            return Ok(());
        }
        throttle.strike(peer, now);
        Err(Fault::Unauthorized)
    }
}

fn limits(uri: &Uri, headers: &HeaderMap) -> Result<(), Fault> {
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET {
        return Err(Fault::UriTooLong(MAX_TARGET));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > MAX_HEADERS || headers.len() > MAX_FIELDS {
        return Err(Fault::HeadersTooLarge(MAX_HEADERS, MAX_FIELDS));
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match announced.and_then(|value| value.parse::<u64>().ok()) {
        Some(length) if length > MAX_BODY => Err(Fault::BodyTooLarge(MAX_BODY)),
        _ => Ok(()),
    }
}

/// The one host that the request names: of the target when it is absolute, else of the header.
fn host<B>(request: &Request<B>) -> Result<&str, Fault> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let first = hosts.next().and_then(|host| host.to_str().ok());
    let (Some(first), None) = (first, hosts.next()) else {
        return Err(Fault::BadRequest("exactly one Host header is required".to_owned()));
    };
    Ok(request.uri().authority().map_or(first, |authority| authority.as_str()))
}

/// The token of the one `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then(|| token.trim_ascii())
}

fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::{Ends, Fault, Guard};
    use crate::config;

    fn guard(listen: &str, token: Option<&str>) -> Guard {
        Guard::new(&config::Admin {
            listen: listen.parse().unwrap(),
            token: token.map(config::Secret::new),
            allowed_hosts: vec!["Ops.example".to_owned(), "fusebox:9901".to_owned()],
        })
    }

    fn status(guard: &Guard, path: &str, headers: &[(&str, &str)]) -> &'static str {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let ends = Ends {
            peer: "192.0.2.9:5000".parse().unwrap(),
            local: "10.0.3.7:9901".parse().unwrap(),
        };
        told(guard.check(&request.body(()).unwrap(), ends))
    }

    fn told(checked: Result<(), Fault>) -> &'static str {
        match checked {
            Ok(()) => "ok",
            Err(fault) => match fault.to_string() {
                text if text.contains("without a token") => "no change",
                text if text.contains("that Host") => "host",
                text if text.contains("exactly one Host") => "no host",
                text if text.contains("bearer token") => "token",
                text if text.contains("wrong tokens") => "throttled",
                _ => "other",
            },
        }
    }

    #[test]
    fn only_own_and_configured_names_are_answered() {
        let guard = guard("0.0.0.0:9901", None);
        for (path, host, expected) in [
            ("/api/v1/status", "localhost", "ok"),
            ("/api/v1/status", "LOCALHOST:9901", "ok"),
            ("/api/v1/status", "127.0.0.1:1234", "ok"),
            ("/api/v1/status", "[::1]:9901", "ok"),
            ("/api/v1/status", "[::1]", "ok"),
            ("/api/v1/status", "ops.example:80", "ok"),
            ("/api/v1/status", "fusebox", "ok"),
            ("/api/v1/status", "10.0.3.7:9901", "ok"),
            ("/api/v1/status", "10.0.3.8:9901", "host"),
            ("/health", "10.0.3.8:9901", "ok"),
            ("/metrics", "[2001:db8::1]:9901", "ok"),
            ("/metrics", "rebound.example", "host"),
            ("/", "rebound.example:9901", "host"),
            ("/", "localhost.rebound.example", "host"),
            ("/", "", "host"),
        ] {
            assert_eq!(status(&guard, path, &[("host", host)]), expected, "{path} of {host}");
        }
        assert_eq!(status(&guard, "/live", &[]), "no host");
        assert_eq!(status(&guard, "/", &[("host", "localhost"), ("host", "a.b")]), "no host");
        let absolute = "http://rebound.example/api/v1/status";
        assert_eq!(status(&guard, absolute, &[("host", "localhost")]), "host");
    }

    #[test]
    fn an_own_address_that_was_configured_is_a_name_too() {
        let guard = guard("10.9.9.9:9901", None);
        assert_eq!(status(&guard, "/api/v1/status", &[("host", "10.9.9.9:9901")]), "ok");
    }

    #[test]
    fn probes_and_the_shell_need_no_token_and_everything_else_does() {
        let guard = guard("127.0.0.1:9901", Some("s3cret"));
        let ask = |path, token: Option<&str>| {
            let mut headers = vec![("host", "localhost")];
            headers.extend(token.map(|token| ("authorization", token)));
            status(&guard, path, &headers)
        };
        for path in ["/live", "/ready", "/health", "/metrics", "/", "/dashboard/frame.css"] {
            assert_eq!(ask(path, None), "ok", "{path}");
        }
        for path in ["/api/v1/status", "/nowhere", "/live/", "/api/v1/config"] {
            assert_eq!(ask(path, None), "token", "{path}");
            assert_eq!(ask(path, Some("Bearer s3cret")), "ok", "{path}");
        }
        assert_eq!(ask("/api/v1/status", Some("bearer s3cret")), "ok");
        for wrong in ["Basic s3cret", "Bearer", "Bearer ", "s3cret"] {
            assert_eq!(ask("/api/v1/status", Some(wrong)), "token", "{wrong}");
        }
    }

    #[test]
    fn off_loopback_nothing_is_changed_without_a_token() {
        let change = |guard: &Guard, method: &str, local: &str| {
            let request = Request::builder().method(method).uri("/api/v1/x");
            let request = request.header("host", "localhost").body(()).unwrap();
            let local = local.parse().unwrap();
            told(guard.check(&request, Ends { peer: "10.9.9.9:5000".parse().unwrap(), local }))
        };
        let open = guard("127.0.0.1:9901", None);
        for method in ["POST", "DELETE", "PUT", "PATCH"] {
            assert_eq!(change(&open, method, "10.0.3.7:9901"), "no change", "{method}");
            assert_eq!(change(&open, method, "127.0.0.1:9901"), "ok", "{method}");
            assert_eq!(change(&open, method, "[::1]:9901"), "ok", "{method}");
            let closed = guard("127.0.0.1:9901", Some("s3cret"));
            assert_eq!(change(&closed, method, "10.0.3.7:9901"), "token", "{method}");
        }
        assert_eq!(change(&open, "GET", "10.0.3.7:9901"), "ok");
    }

    #[test]
    fn guessing_is_slowed_down() {
        let guard = guard("127.0.0.1:9901", Some("s3cret"));
        let ask = |token| status(&guard, "/x", &[("host", "localhost"), ("authorization", token)]);
        for wrong in ["Bearer a", "Bearer s3cre", "Bearer s3crets", "Bearer b", "Bearer c"] {
            assert_eq!(ask(wrong), "token");
        }
        assert_eq!(ask("Bearer s3cret"), "throttled", "not even looked at");
        assert_eq!(status(&guard, "/x", &[("host", "localhost")]), "token", "none was sent");
    }
}
