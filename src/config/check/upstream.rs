//! An upstream: its endpoints, TLS towards them, its check, its timeouts, its pool, and the parts
//! that read themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::{breaker, provider, resilience, tls};
use crate::{
    config::{
        Endpoint, HealthCheck, LearnedTimeout, Pool, Timeouts, Upstream, keys, mapping::Mapping,
        path::shown,
    },
    domain::{breaker::Policy, units::show_duration},
};

/// Reads one upstream of this service. None when it has no endpoint that can be used. `taken` are
/// the keys of the breakers so far, each with its upstream.
pub(super) fn read(
    name: &str,
    service: &str,
    upstream: &Mapping<'_>,
    taken: &mut BTreeMap<String, String>,
) -> Option<Upstream> {
    let endpoints = endpoints(upstream);
    let protocol = upstream.get(&keys::PROTOCOL);
    let tls = tls::of_upstream(upstream, &endpoints);
    let credentials = provider::credentials(upstream);
    let health_check = upstream.optional_mapping(&keys::HEALTH_CHECK);
    let health_check = health_check.and_then(|check| read_health_check(&check));
    let timeouts = upstream.mapping(&keys::TIMEOUTS);
    let timeouts = Timeouts {
        connect: timeouts.get(&keys::CONNECT),
        first_byte: timeouts.get(&keys::FIRST_BYTE),
        total: timeouts.get(&keys::TOTAL),
        body_idle: timeouts.get(&keys::BODY_IDLE),
        attempt: attempt(&timeouts),
        tunnel_idle: timeouts.get(&keys::TUNNEL_IDLE),
        learned: learned(&timeouts.mapping(&keys::LEARNED)),
    };
    let pool = upstream.mapping(&keys::POOL);
    let pool = Pool {
        idle: pool.get(&keys::POOL_IDLE),
        idle_timeout: pool.get(&keys::POOL_IDLE_TIMEOUT),
        max_age: pool.optional(&keys::POOL_MAX_AGE),
    };
    let limits = resilience::limits(&upstream.mapping(&keys::UPSTREAM_LIMITS));
    let dns_refresh = upstream.mapping(&keys::DNS).get(&keys::DNS_REFRESH);
    let retry = resilience::retry(&upstream.mapping(&keys::RETRY));
    let ejection = resilience::ejection(&upstream.mapping(&keys::EJECTION));
    let breaker = upstream.mapping(&keys::BREAKER);
    let key = breaker.optional(&keys::BREAKER_KEY).map(|key| key.0);
    let checked_within = health_check.as_ref().map(checked_within);
    let mut policy = Policy { checked_within, ..breaker::read(&breaker, timeouts.total) };
    // A model may think for as long as it likes about one prompt and not about the next.
    if credentials.is_some() && !breaker.has(&keys::HANGS_AFTER) {
        policy.hangs_after = None;
    }
    if endpoints.is_empty() {
        return None;
    }
    let breaker_key = key.unwrap_or_else(|| breaker_key(name, service, &endpoints));
    if let Some(other) = taken.insert(breaker_key.clone(), name.to_owned()) {
        let message = format!("the upstream `{}` has this key already", shown(&other));
        breaker.error(&keys::BREAKER_KEY, &message);
    }
    Some(Upstream {
        name: Arc::from(name),
        endpoints,
        protocol,
        tls,
        credentials,
        health_check,
        timeouts,
        pool,
        limits,
        dns_refresh,
        retry,
        ejection,
        breaker: policy,
        breaker_key,
    })
}

/// What is learned about how long to wait.
fn learned(learned: &Mapping<'_>) -> LearnedTimeout {
    let mode = learned.get(&keys::LEARNED_MODE);
    let (floor, ceiling) = (learned.get(&keys::LEARNED_FLOOR), learned.get(&keys::LEARNED_CEILING));
    if floor > ceiling {
        learned.error(&keys::LEARNED_FLOOR, "the floor is above the ceiling");
    }
    LearnedTimeout { mode, floor, ceiling }
}

fn endpoints(upstream: &Mapping<'_>) -> Vec<Endpoint> {
    if !upstream.has(&keys::ENDPOINTS) {
        upstream.note_missing(&keys::ENDPOINTS);
    }
    let mut endpoints: Vec<Endpoint> = Vec::new();
    let mut authorities = BTreeSet::new();
    for endpoint in upstream.list(&keys::ENDPOINTS) {
        if !authorities.insert(Arc::clone(&endpoint.value.authority)) {
            upstream.error_at(&endpoint, "is in the list twice");
        }
        endpoints.push(endpoint.value);
    }
    endpoints
}

/// The timeout of one attempt, which only tells something below that of all.
fn attempt(timeouts: &Mapping<'_>) -> Option<Duration> {
    let (attempt, total) = (timeouts.optional(&keys::ATTEMPT)?, timeouts.get(&keys::TOTAL));
    if attempt >= total {
        let (attempt, total) = (show_duration(attempt), show_duration(total));
        let message = format!("{attempt} are never reached: all attempts together have {total}");
        timeouts.warning(&keys::ATTEMPT, &message);
    }
    Some(attempt)
}

/// Within how long a check has its result: the longest period, and the time it may take.
fn checked_within(check: &HealthCheck) -> Duration {
    check.every.saturating_add(check.every / 10).saturating_add(check.timeout)
}

fn read_health_check(check: &Mapping<'_>) -> Option<HealthCheck> {
    let path = check.required(&keys::HEALTH_PATH);
    let every = check.get(&keys::HEALTH_EVERY);
    let timeout = check.get(&keys::HEALTH_TIMEOUT);
    if timeout > every {
        let (timeout, every) = (show_duration(timeout), show_duration(every));
        let message =
            format!("must not be longer than `every`, but {timeout} is more than {every}");
        check.error(&keys::HEALTH_TIMEOUT, &message);
    }
    Some(HealthCheck { path: path?.0, every, timeout })
}

/// The key of a breaker that has none: the upstream's name and a digest of where it is, so that
/// only sidecars that mean the same share it. What is on this machine is another one beside each
/// service, wherever that is: there, the digest is of the service's name as well.
fn breaker_key(name: &str, service: &str, endpoints: &[Endpoint]) -> String {
    /// Twelve digits tell any two sets of endpoints apart that bear the same name.
    const DIGEST_BYTES: usize = 6;
    let uri = |endpoint: &Endpoint| format!("{}://{}", endpoint.scheme(), endpoint.authority);
    let mut uris: BTreeSet<String> = endpoints.iter().map(uri).collect();
    if endpoints.iter().all(|endpoint| endpoint.location.is_here()) {
        uris.insert(format!("service {service}"));
    }
    let uris: Vec<_> = uris.into_iter().collect();
    let digest = Sha256::digest(uris.join("\n"));
    let digits: String = digest[..DIGEST_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}@{digits}")
}
