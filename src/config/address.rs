//! Addresses: where a listener is, what a call's Host is, where an upstream is.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use http::{HeaderValue, Uri};

use super::{Endpoint, Location, setting::Setting, shape::Shape, snippet::is_harmless};

impl Setting for SocketAddr {
    const WHAT: &'static str = "an address";
    const SHAPE: Shape = Shape::Address(r"^[0-9\[].*:[0-9]+$");

    fn read(text: &str) -> Result<Self, String> {
        let form = "expected an IP address and a port";
        text.parse().map_err(|_| match text.rsplit_once(':') {
            Some(("" | "*", port)) => format!("{form}; for all interfaces `0.0.0.0:{port}`"),
            Some(("localhost", port)) => format!("{form}, such as `127.0.0.1:{port}`"),
            _ => format!("{form}, such as `127.0.0.1:8080` or `[::1]:8080`"),
        })
    }
}

/// Whether two addresses cannot be bound at the same time.
pub(super) fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let is_any = |ip: IpAddr| ip.is_unspecified();
    // `[::]` takes IPv4 as well where the system says so, which is the default on Linux.
    let is_dual = |ip: IpAddr| ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let same_family = a.is_ipv4() == b.is_ipv4();
    let same_ip = a.ip() == b.ip()
        || is_dual(a.ip())
        || is_dual(b.ip())
        || (same_family && (is_any(a.ip()) || is_any(b.ip())));
    // The system picks a free port for each 0.
    a.port() != 0 && a.port() == b.port() && same_ip
}

/// A host without its port, lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostName(pub(super) String);

impl Setting for HostName {
    const WHAT: &'static str = "the name of a host";
    const SHAPE: Shape = Shape::Pattern("^[^*/]+$");

    fn read(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return Err("expected a host without its scheme".to_owned());
        }
        if text.contains('*') {
            return Err("wildcards are not supported in this version".to_owned());
        }
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
            && let Ok(ip) = inner.parse::<Ipv6Addr>()
        {
            return Ok(Self(format!("[{ip}]")));
        }
        if let Some((host, port)) = text.rsplit_once(':')
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && !host.contains(':')
        {
            return Err("expected a host without its port; every port matches".to_owned());
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.is_empty() || text.len() > 253 || !text.bytes().all(is_plain) {
            let form = "such as `payments.internal`, `10.0.0.7` or `[::1]`";
            return Err(format!("expected the name of a host, {form}"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl Setting for Endpoint {
    const WHAT: &'static str = "a URL";
    const SHAPE: Shape = Shape::Pattern("^(https?://[^/]+/?$|unix:)");

    /// No fault quotes the text: it may hold a password.
    fn read(text: &str) -> Result<Self, String> {
        let form = "expected `http://host:port`, `https://host:port` or `unix:/path`";
        if let Some(path) = text.strip_prefix("unix:") {
            return at_socket(path);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("{form}; the scheme is missing"));
        };
        let (scheme, usual_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => ("http", 80),
            "https" => ("https", 443),
            _ => return Err(format!("{form}; no other scheme is supported")),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        for (mark, what) in [('@', "user and password"), ('?', "query"), ('#', "fragment")] {
            if authority.contains(mark) {
                return Err(format!("{form}; an endpoint has no {what}"));
            }
        }
        if authority.contains('/') {
            return Err(format!("{form}; an endpoint has no path, the call's own is used"));
        }
        let (host, port) =
            split_port(authority, usual_port).ok_or_else(|| format!("{form}; bad port"))?;
        let host = HostName::read(host).map_err(|_| format!("{form}; bad host"))?.0;
        let as_written = authority.to_ascii_lowercase();
        let uri = Uri::builder().scheme(scheme).authority(as_written.as_str()).path_and_query("/");
        let uri = uri.build().map_err(|_| form.to_owned())?;
        let host_header = HeaderValue::from_str(&as_written).map_err(|_| form.to_owned())?;
        let location = locate(&host, port);
        Ok(Self { uri, location, authority: format!("{host}:{port}").into(), host: host_header })
    }
}

/// The endpoint at a Unix socket. Whoever is there sees calls to `localhost`.
fn at_socket(path: &str) -> Result<Endpoint, String> {
    /// What a socket's address has room for on every system.
    const LONGEST: usize = 103;
    let is_plain = |c: char| is_harmless(c) && !c.is_whitespace();
    if !path.starts_with('/') || path.starts_with("//") || !path.chars().all(is_plain) {
        return Err("expected `unix:/path`, the path without white space".to_owned());
    }
    if path.len() > LONGEST {
        return Err(format!("the path of a socket has at most {LONGEST} bytes"));
    }
    Ok(Endpoint {
        uri: Uri::from_static("http://localhost/"),
        location: Location::Unix(PathBuf::from(path)),
        authority: format!("unix:{path}").into(),
        host: HeaderValue::from_static("localhost"),
    })
}

/// Where a host is: brackets are of the URL, not of the address.
fn locate(host: &str, port: u16) -> Location {
    match host.trim_matches(['[', ']']).parse() {
        Ok(ip) => Location::Address(SocketAddr::new(ip, port)),
        Err(_) => Location::Name(host.to_owned(), port),
    }
}

impl Endpoint {
    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.uri.scheme_str().unwrap_or("http")
    }

    /// Whether connections to it are to be protected.
    pub fn is_tls(&self) -> bool {
        self.scheme() == "https"
    }

    /// Its host, without the brackets of an IPv6 address.
    pub fn host_name(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_matches(['[', ']'])
    }
}

/// Host and port of an authority; the usual port unless written. None when it is no port.
fn split_port(authority: &str, usual: u16) -> Option<(&str, u16)> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = if is_number { port.parse().ok() } else { None };
            port.filter(|port| *port != 0).map(|port| (host, port))
        }
        _ => Some((authority, usual)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, HostName, Location, Setting, SocketAddr, collide};

    #[test]
    fn an_endpoint_is_a_scheme_and_an_authority() {
        for (text, authority, host) in [
            ("http://payments:8080", "payments:8080", "payments:8080"),
            ("HTTP://Payments/", "payments:80", "payments"),
            ("http://10.0.0.7", "10.0.0.7:80", "10.0.0.7"),
            ("http://[::1]:81", "[::1]:81", "[::1]:81"),
            ("http://[::1]", "[::1]:80", "[::1]"),
        ] {
            let endpoint = Endpoint::read(text).unwrap();
            assert_eq!((&*endpoint.authority, endpoint.host.to_str().unwrap()), (authority, host));
            assert_eq!(endpoint.uri.to_string(), format!("http://{host}/"));
            assert!(!endpoint.is_tls());
        }
    }

    #[test]
    fn https_has_a_port_of_its_own() {
        for (text, authority, host) in [
            ("https://payments", "payments:443", "payments"),
            ("HTTPS://Payments:8443/", "payments:8443", "payments:8443"),
            ("https://[::1]", "[::1]:443", "[::1]"),
        ] {
            let endpoint = Endpoint::read(text).unwrap();
            assert!(endpoint.is_tls(), "{text}");
            assert_eq!((&*endpoint.authority, endpoint.host.to_str().unwrap()), (authority, host));
            assert_eq!(endpoint.uri.to_string(), format!("https://{host}/"));
            assert!(["payments", "::1"].contains(&endpoint.host_name()), "{text}");
        }
    }

    #[test]
    fn an_endpoint_is_at_an_address_at_a_name_or_at_a_socket() {
        for (text, location) in [
            ("http://Payments", Location::Name("payments".to_owned(), 80)),
            ("http://10.0.0.7:81", Location::Address("10.0.0.7:81".parse().unwrap())),
            ("http://[::1]", Location::Address("[::1]:80".parse().unwrap())),
            ("https://Payments", Location::Name("payments".to_owned(), 443)),
            ("https://[::1]", Location::Address("[::1]:443".parse().unwrap())),
            ("unix:/run/a.sock", Location::Unix("/run/a.sock".into())),
        ] {
            assert_eq!(Endpoint::read(text).unwrap().location, location, "{text}");
        }
        let socket = Endpoint::read("unix:/run/a.sock").unwrap();
        assert_eq!(
            (&*socket.authority, socket.host.as_bytes()),
            ("unix:/run/a.sock", &b"localhost"[..])
        );
    }

    #[test]
    fn what_is_no_endpoint_is_refused_without_being_quoted() {
        for (text, part) in [
            ("payments:8080", "scheme is missing"),
            ("ftp://payments", "no other scheme"),
            ("https://payments/v1", "no path"),
            ("https://u:secret@payments", "no user"),
            ("http://payments/v1", "no path"),
            ("http://u:secret@payments", "no user"),
            ("http://payments?a", "no query"),
            ("http://payments#a", "no fragment"),
            ("http://", "bad host"),
            ("http://pay ments", "bad host"),
            ("http://payments:0", "bad port"),
            ("http://payments:99999", "bad port"),
            ("http://payments:", "bad port"),
            ("http://[::1", "bad"),
            ("unix:run/a.sock", "expected `unix:/path`"),
            ("unix:///run/a.sock", "expected `unix:/path`"),
            ("unix:/run/a b", "white space"),
            (&format!("unix:/{}", "x".repeat(103)), "at most 103 bytes"),
        ] {
            let fault = Endpoint::read(text).unwrap_err();
            assert!(fault.contains(part) && !fault.contains("secret"), "{text}: {fault}");
        }
    }

    #[test]
    fn addresses_collide_when_one_covers_the_other() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (a, b, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("0.0.0.0:80", "[::1]:80", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            assert_eq!(collide(address(a), address(b)), expected, "{a} {b}");
            assert_eq!(collide(address(b), address(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn a_host_is_lower_case_and_has_no_port() {
        assert_eq!(HostName::read("Payments.Internal").unwrap().0, "payments.internal");
        assert_eq!(HostName::read("[::1]").unwrap().0, "[::1]");
        for text in ["", "a:80", "http://a", "*.a", "a b", "a/b", "::1"] {
            assert!(HostName::read(text).is_err(), "{text}");
        }
    }
}
