//! Endpoints that are the listener which leads to them: a call would come back to where it came
//! from, until it is ended as a loop.
//!
//! Only what is written as an address, or as `localhost`, is known here. What names resolve to, and
//! loops by way of others, are noticed by the calls themselves.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use crate::config::{Listen, Listener, Location, Upstream, keys, mapping::Mapping, path::shown};

/// Notes the endpoints of upstreams that a route of the same address leads to.
pub(super) fn check(
    upstreams: &[(&str, Mapping<'_>)],
    read: &BTreeMap<Arc<str>, Arc<Upstream>>,
    listeners: &[Listener],
) {
    for (name, mapping) in upstreams {
        let Some(upstream) = read.get(*name) else { continue };
        let leads_here = |listener: &&Listener| {
            listener.routes.iter().any(|route| *route.upstream == *upstream.name)
        };
        for listener in listeners.iter().filter(leads_here) {
            let own = upstream.endpoints.iter().find(|it| is_at(&it.location, &listener.listen));
            if let Some(endpoint) = own {
                let message = format!(
                    "`{}` is the listener `{}` itself, whose calls would come back to it for ever; \
                     name the address of the service",
                    endpoint.authority,
                    shown(&listener.name)
                );
                mapping.error(&keys::ENDPOINTS, &message);
            }
        }
    }
}

/// Whether whoever connects there is accepted by this listener.
fn is_at(location: &Location, listen: &Listen) -> bool {
    match (location, listen) {
        (Location::Address(address), Listen::Tcp(listen)) => accepts(*listen, *address),
        (Location::Name(name, port), Listen::Tcp(listen)) => {
            let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            let is_here = name.eq_ignore_ascii_case("localhost");
            is_here && here.into_iter().any(|ip| accepts(*listen, SocketAddr::new(ip, *port)))
        }
        (Location::Unix(path), Listen::Unix(_)) => listen.collides(&Listen::Unix(path.clone())),
        (Location::Unix(_), Listen::Tcp(_)) | (_, Listen::Unix(_)) => false,
    }
}

fn accepts(listen: SocketAddr, address: SocketAddr) -> bool {
    // Whoever connects to no address in particular reaches this machine.
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    // `[::]` takes IPv4 as well where the system says so, which is the default on Linux.
    let takes_all = listen.ip().is_unspecified() && (listen.is_ipv6() || ip.is_ipv4());
    listen.port() == address.port() && (listen.ip() == ip || (takes_all && ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::{Listen, Location, is_at};
    use crate::config::setting::Setting;

    #[test]
    fn an_endpoint_is_the_listener_when_whoever_connects_there_is_accepted_by_it() {
        let tcp = |text: &str| match text.strip_prefix("localhost:") {
            Some(port) => Location::Name("localhost".to_owned(), port.parse().unwrap()),
            None => Location::Address(text.parse().unwrap()),
        };
        for (listen, endpoint, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "localhost:8080", true),
            ("127.0.0.1:8080", "0.0.0.0:8080", true),
            ("0.0.0.0:8080", "127.0.0.1:8080", true),
            ("0.0.0.0:8080", "127.0.0.9:8080", true),
            ("[::]:8080", "127.0.0.1:8080", true),
            ("[::]:8080", "[::1]:8080", true),
            ("[::1]:8080", "localhost:8080", true),
            ("127.0.0.1:8080", "127.0.0.1:8081", false),
            ("127.0.0.1:8080", "127.0.0.2:8080", false),
            ("0.0.0.0:8080", "[::1]:8080", false),
            // The same port on another machine is what everybody has.
            ("0.0.0.0:8080", "10.0.0.7:8080", false),
            ("10.0.0.7:8080", "localhost:8080", false),
        ] {
            let is_own = is_at(&tcp(endpoint), &Listen::read(listen).unwrap());
            assert_eq!(is_own, expected, "{listen} {endpoint}");
        }
    }

    #[test]
    fn a_socket_is_the_listener_by_its_path() {
        let listen = Listen::read("unix:/run/a.sock").unwrap();
        assert!(is_at(&Location::Unix("/run/./a.sock".into()), &listen));
        assert!(!is_at(&Location::Unix("/run/b.sock".into()), &listen));
    }
}
