//! TLS of a listener and of an upstream: what must be together, and what would do nothing.

use crate::config::{Endpoint, IdentityFiles, ListenerTls, UpstreamTls, keys, mapping::Mapping};

/// Reads that of a listener.
pub(super) fn of_listener(listener: &Mapping<'_>) -> Option<ListenerTls> {
    let tls = listener.optional_mapping(&keys::LISTENER_TLS)?;
    let certificate = tls.required(&keys::LISTENER_CERTIFICATE);
    let key = tls.required(&keys::LISTENER_KEY);
    let client_ca = tls.optional(&keys::CLIENT_CA);
    let min_version = tls.get(&keys::LISTENER_MIN_VERSION);
    let identity = IdentityFiles { certificate: certificate?, key: key? };
    Some(ListenerTls { identity, client_ca, min_version })
}

/// Reads that of an upstream with these endpoints.
pub(super) fn of_upstream(upstream: &Mapping<'_>, endpoints: &[Endpoint]) -> UpstreamTls {
    let Some(tls) = upstream.optional_mapping(&keys::UPSTREAM_TLS) else {
        return UpstreamTls::default();
    };
    if !endpoints.is_empty() && !endpoints.iter().any(Endpoint::is_tls) {
        // Whoever writes this expects that nobody can listen.
        let message = "no endpoint of this upstream is https://, so nothing would be encrypted";
        upstream.error(&keys::UPSTREAM_TLS, message);
    }
    UpstreamTls {
        ca: tls.optional(&keys::CA),
        identity: identity(&tls),
        server_name: tls.optional(&keys::SERVER_NAME).map(|name| name.0),
        min_version: tls.get(&keys::UPSTREAM_MIN_VERSION),
    }
}

fn identity(tls: &Mapping<'_>) -> Option<IdentityFiles> {
    match (tls.has(&keys::UPSTREAM_CERTIFICATE), tls.has(&keys::UPSTREAM_KEY)) {
        (true, false) => {
            tls.error(&keys::UPSTREAM_CERTIFICATE, "a certificate needs its `key` beside it");
        }
        (false, true) => {
            tls.error(&keys::UPSTREAM_KEY, "a key needs its `certificate` beside it");
        }
        _ => {}
    }
    let certificate = tls.optional(&keys::UPSTREAM_CERTIFICATE);
    let key = tls.optional(&keys::UPSTREAM_KEY);
    Some(IdentityFiles { certificate: certificate?, key: key? })
}
