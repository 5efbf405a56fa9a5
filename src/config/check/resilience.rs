//! What an upstream's calls may take and what is done about those that fail: limits, ejection,
//! retries.

use crate::{
    config::{
        UpstreamLimits, keys,
        mapping::{Item, Mapping},
    },
    domain::{ejection, retry, units::show_duration},
};

/// Reads the limits.
pub(super) fn limits(limits: &Mapping<'_>) -> UpstreamLimits {
    let concurrency = limits.good(&keys::UPSTREAM_CONCURRENCY);
    // Of a wrong limit nothing follows.
    if concurrency.is_some_and(|limit| limit.0.is_none()) {
        let unused = "has no effect: `concurrency` is off, so no call waits";
        if limits.has(&keys::UPSTREAM_QUEUE) {
            limits.warning(&keys::UPSTREAM_QUEUE, unused);
        }
        if limits.has(&keys::UPSTREAM_QUEUE_TIMEOUT) {
            limits.warning(&keys::UPSTREAM_QUEUE_TIMEOUT, unused);
        }
    }
    UpstreamLimits {
        connections: limits.get(&keys::UPSTREAM_CONNECTIONS),
        pending: limits.get(&keys::UPSTREAM_PENDING),
        concurrency: concurrency.and_then(|limit| limit.0),
        queue: limits.get(&keys::UPSTREAM_QUEUE),
        queue_timeout: limits.get(&keys::UPSTREAM_QUEUE_TIMEOUT),
    }
}

/// Reads the rules of ejection.
pub(super) fn ejection(ejection: &Mapping<'_>) -> ejection::Policy {
    ejection::Policy {
        consecutive_failures: ejection.get(&keys::EJECTION_CONSECUTIVE_FAILURES),
        ejected_for: ejection.get(&keys::EJECTION_FOR),
        max_share: ejection.get(&keys::EJECTION_MAX_SHARE),
    }
}

/// Reads the rules of retries.
pub(super) fn retry(retry: &Mapping<'_>) -> retry::Policy {
    let backoff = retry.get(&keys::RETRY_BACKOFF);
    let backoff_max = retry.get(&keys::RETRY_BACKOFF_MAX);
    if backoff > backoff_max {
        let (backoff, backoff_max) = (show_duration(backoff), show_duration(backoff_max));
        let message =
            format!("must not be less than `backoff`, but {backoff_max} is less than {backoff}");
        retry.error(&keys::RETRY_BACKOFF_MAX, &message);
    }
    retry::Policy {
        attempts: retry.get(&keys::RETRY_ATTEMPTS),
        on: each_once(retry, retry.list(&keys::RETRY_ON)),
        statuses: each_once(retry, retry.list(&keys::RETRY_STATUSES)),
        budget: retry.get(&keys::RETRY_BUDGET),
        min: retry.get(&keys::RETRY_MIN),
        backoff,
        backoff_max,
        body_bytes: retry.get(&keys::RETRY_BODY_BYTES).0,
    }
}

fn each_once<T: PartialEq>(mapping: &Mapping<'_>, items: Vec<Item<T>>) -> Vec<T> {
    let mut values = Vec::new();
    for item in items {
        if values.contains(&item.value) {
            mapping.error_at(&item, "is in the list twice");
        }
        values.push(item.value);
    }
    values
}
