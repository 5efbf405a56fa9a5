//! A listener: its address, its certificate, its limits, and either one upstream or routes.

use super::{Upstreams, route, tls};
use crate::config::{Forwarded, Limits, Listener, Route, keys, mapping::Mapping};

/// Reads one listener. None when its address is missing or wrong.
pub(super) fn read(
    name: &str,
    listener: &Mapping<'_>,
    upstreams: &Upstreams<'_>,
) -> Option<Listener> {
    let listen = listener.required(&keys::LISTEN);
    let forwarded = listener.optional(&keys::FORWARDED);
    let limits = listener.mapping(&keys::LIMITS);
    let limits = Limits {
        head_bytes: limits.get(&keys::HEAD_BYTES).0,
        head_timeout: limits.get(&keys::HEAD_TIMEOUT),
        idle_timeout: limits.get(&keys::IDLE_TIMEOUT),
        body_bytes: limits.optional(&keys::BODY_BYTES).map(|size| size.0 as u64),
        connections: limits.get(&keys::CONNECTIONS),
        streams: limits.get(&keys::STREAMS),
        requests: limits.get(&keys::REQUESTS),
    };
    let tls = tls::of_listener(listener);
    let routes = routes(listener, upstreams);
    let listen = listen?;
    let usual = if listen.is_local() { Forwarded::Off } else { Forwarded::Replace };
    let forwarded = forwarded.unwrap_or(usual);
    Some(Listener { name: name.to_owned(), listen, tls, forwarded, limits, routes })
}

fn routes(listener: &Mapping<'_>, upstreams: &Upstreams<'_>) -> Vec<Route> {
    match (listener.has(&keys::LISTENER_UPSTREAM), listener.has(&keys::ROUTES)) {
        (true, true) => {
            let message = "either `upstream` or `routes`; this listener has both";
            listener.error(&keys::LISTENER_UPSTREAM, message);
            Vec::new()
        }
        (false, false) => {
            listener.error_here("`upstream` or `routes` is missing");
            Vec::new()
        }
        (true, false) => route::to_upstream(listener, upstreams).into_iter().collect(),
        (false, true) => route::read_all(&listener.mappings(&keys::ROUTES), upstreams),
    }
}
