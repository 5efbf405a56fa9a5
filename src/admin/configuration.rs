//! `/api/v1/config`: the configuration in force, with every default and without any secret.
//!
//! The keys are those of the file, not camelCase, so that both can be compared. Secrets, and
//! header values, which often are some, read `***`.

mod task;

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use serde_json::{Map, Value, json};

use super::{
    Admin,
    query::{Asked, Pairs},
    reply::{self, Answer},
};
use crate::{
    config::{
        CallLines, Collector, Config, Endpoint, Fallback, Forwarded, HeaderRules, Instead,
        Listener, Location, Protocol, Route, Secret, Telemetry, Upstream, UpstreamTls, Workers,
    },
    domain::{
        breaker::{Policy, RateRule, Scope},
        fallback::Occasion,
        retry::{self, Condition},
        units::show_duration,
    },
};

const HIDDEN: &str = "***";

/// `GET /api/v1/config`
pub(super) async fn effective(State(admin): State<Arc<Admin>>, pairs: Pairs) -> Answer {
    Asked::read(pairs, &[])?;
    Ok(reply::data(shown(&admin.sources.view.config())))
}

fn shown(config: &Config) -> Value {
    let listeners: Map<_, _> =
        config.listeners.iter().map(|one| (one.name.clone(), listener(one))).collect();
    let upstreams: BTreeMap<_, _> =
        config.upstreams.iter().map(|(name, one)| (&**name, upstream(one))).collect();
    json!({
        "service": config.service,
        "namespace": config.namespace,
        "environment": config.environment,
        "version": config.version,
        "instance": {
            "name": config.instance.name,
            "host": config.instance.host,
            "zone": config.instance.zone,
        },
        "workers": match config.workers {
            Workers::Auto => json!("auto"),
            Workers::Count(count) => json!(count),
        },
        "admin": {
            "listen": config.admin.listen,
            "token": hidden(config.admin.token.as_ref()),
            "allowed_hosts": config.admin.allowed_hosts,
        },
        "data_dir": config.data_dir,
        "database": {
            "url": hidden(config.database.url.as_ref()),
            "schema": config.database.schema,
            "migrate": config.database.migrate,
        },
        "history": {
            "retention": show_duration(config.history.retention),
            "spool_max_bytes": config.history.spool_max_bytes,
            "sample_successes": config.history.sample_successes,
            "refused_per_second": config.history.refused_per_second,
        },
        "warnings": {
            "enabled": config.warnings.enabled,
            "objective": config.warnings.objective.to_string(),
        },
        "logs": {
            "calls": match config.logs.calls {
                CallLines::All => "all",
                CallLines::Failures => "failures",
                CallLines::None => "none",
            },
            "file": config.logs.file,
            "level": config.logs.level,
        },
        "telemetry": telemetry(&config.telemetry),
        "drain_timeout": show_duration(config.drain_timeout),
        "drain_quiet": show_duration(config.drain_quiet),
        "breakers_enabled": config.breakers_enabled,
        "listeners": listeners,
        "upstreams": upstreams,
    })
}

fn telemetry(telemetry: &Telemetry) -> Value {
    json!({
        "emf": telemetry.emf.as_ref().map(|emf| json!({
            "namespace": emf.namespace,
            "every": show_duration(emf.every),
        })),
        "traces": telemetry.traces.as_ref().map(|traces| {
            let Collector { endpoint, path } = &traces.collector;
            json!({
                "endpoint": format!("{}://{}{path}", endpoint.scheme(), endpoint.authority),
                // Names only: values are keys, as often as not.
                "headers": traces.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
                "ca": traces.ca,
                "compression": traces.compression.as_str(),
                "timeout": show_duration(traces.timeout),
                "parent_based": traces.sampler.is_parent_based,
                "share_millionths": traces.sampler.share.millionths(),
                "queue": traces.queue,
                "batch": traces.batch,
                "every": show_duration(traces.every),
            })
        }),
    })
}

fn hidden(secret: Option<&Secret>) -> Option<&'static str> {
    secret.map(|_| HIDDEN)
}

fn listener(listener: &Listener) -> Value {
    json!({
        "listen": listener.listen.to_string(),
        "tls": listener.tls.as_ref().map(|tls| json!({
            "certificate": tls.identity.certificate,
            "key": tls.identity.key,
            "client_ca": tls.client_ca,
            "min_version": tls.min_version.as_str(),
        })),
        "forwarded": match listener.forwarded {
            Forwarded::Off => "off",
            Forwarded::Replace => "replace",
            Forwarded::Append => "append",
        },
        "limits": {
            "head_bytes": listener.limits.head_bytes,
            "head_timeout": show_duration(listener.limits.head_timeout),
            "idle_timeout": show_duration(listener.limits.idle_timeout),
            "body_bytes": listener.limits.body_bytes,
            "connections": listener.limits.connections,
            "streams": listener.limits.streams,
            "requests": listener.limits.requests,
        },
        "routes": listener.routes.iter().map(route).collect::<Vec<_>>(),
    })
}

fn route(route: &Route) -> Value {
    let methods: Vec<_> = route.matches.methods.iter().map(|method| method.as_str()).collect();
    json!({
        "name": route.name,
        "match": {
            "host": route.matches.host,
            "path_prefix": route.matches.path_prefix,
            "methods": methods,
        },
        "upstream": &*route.upstream,
        "strip_prefix": route.strip_prefix,
        "preserve_host": route.preserve_host,
        "request_headers": header_rules(&route.request_headers),
        "response_headers": header_rules(&route.response_headers),
        "breaker": route.breaker.as_ref().map(|own| breaker(&own.policy, &own.key)),
        "fallback": route.fallback.as_ref().map(fallback),
        "task": task::task(route),
    })
}

fn fallback(fallback: &Fallback) -> Value {
    let on = Occasion::ALL.into_iter().filter(|&one| fallback.on.has(one));
    let on: Vec<_> = on.map(Occasion::as_str).collect();
    let (mut shown, answer) = match &fallback.to {
        Instead::Upstream(name) => (json!({ "upstream": &**name }), None),
        Instead::Upstreams(names, answer) => {
            let names: Vec<_> = names.iter().map(|name| &**name).collect();
            (json!({ "upstreams": names }), answer.as_ref())
        }
        Instead::Answer(answer) => (json!({}), Some(answer)),
    };
    shown["on"] = json!(on);
    if let Some(answer) = answer {
        shown["status"] = json!(answer.status.as_u16());
        shown["content_type"] = json!(answer.content_type.to_str().unwrap_or_default());
        shown["body"] = json!(String::from_utf8_lossy(&answer.body));
    }
    shown
}

fn header_rules(rules: &HeaderRules) -> Value {
    let set: BTreeMap<_, _> = rules.set.iter().map(|(name, _)| (name.as_str(), HIDDEN)).collect();
    let remove: Vec<_> = rules.remove.iter().map(|name| name.as_str()).collect();
    json!({ "set": set, "remove": remove })
}

fn upstream(upstream: &Upstream) -> Value {
    let endpoints = upstream.endpoints.iter().map(|endpoint| {
        // Put together from parts, so that a password in the URL cannot come along.
        if matches!(endpoint.location, Location::Unix(_)) {
            return endpoint.authority.to_string();
        }
        format!("{}://{}", endpoint.scheme(), endpoint.authority)
    });
    let is_tls = upstream.endpoints.iter().any(Endpoint::is_tls);
    let health_check = upstream.health_check.as_ref().map(|check| {
        json!({
            "path": check.path,
            "every": show_duration(check.every),
            "timeout": show_duration(check.timeout),
        })
    });
    json!({
        "endpoints": endpoints.collect::<Vec<_>>(),
        "protocol": match upstream.protocol {
            Protocol::Auto => "auto",
            Protocol::Http1 => "http1",
            Protocol::Http2 => "http2",
        },
        "tls": is_tls.then(|| upstream_tls(&upstream.tls)),
        "provider": upstream.credentials.as_ref().map(|known| known.provider.as_str()),
        "api_key": upstream.credentials.as_ref().map(|_| HIDDEN),
        "health_check": health_check,
        "timeouts": {
            "connect": show_duration(upstream.timeouts.connect),
            "first_byte": show_duration(upstream.timeouts.first_byte),
            "total": show_duration(upstream.timeouts.total),
            "body_idle": show_duration(upstream.timeouts.body_idle),
            "attempt": upstream.timeouts.attempt.map(show_duration),
            "tunnel_idle": show_duration(upstream.timeouts.tunnel_idle),
        },
        "pool": {
            "idle": upstream.pool.idle,
            "idle_timeout": show_duration(upstream.pool.idle_timeout),
        },
        "limits": {
            "connections": upstream.limits.connections,
            "pending": upstream.limits.pending,
            "concurrency": upstream.limits.concurrency.map_or_else(|| json!("off"), |limit| json!(limit)),
            "queue": upstream.limits.queue,
            "queue_timeout": show_duration(upstream.limits.queue_timeout),
        },
        "dns": { "refresh": show_duration(upstream.dns_refresh) },
        "retry": retry(&upstream.retry),
        "ejection": {
            "consecutive_failures": upstream.ejection.consecutive_failures,
            "for": show_duration(upstream.ejection.ejected_for),
            "max_share": upstream.ejection.max_share.to_string(),
        },
        "breaker": breaker(&upstream.breaker, &upstream.breaker_key),
    })
}

fn upstream_tls(tls: &UpstreamTls) -> Value {
    let identity = tls.identity.as_ref();
    json!({
        "ca": tls.ca,
        "certificate": identity.map(|files| &files.certificate),
        "key": identity.map(|files| &files.key),
        "server_name": tls.server_name,
        "min_version": tls.min_version.as_str(),
    })
}

fn retry(policy: &retry::Policy) -> Value {
    let on = policy.on.iter().map(|condition| match condition {
        Condition::Unsent => "unsent",
        Condition::Reset => "reset",
        Condition::Timeout => "timeout",
    });
    let statuses: Vec<_> = policy.statuses.iter().map(|status| status.as_u16()).collect();
    json!({
        "attempts": policy.attempts,
        "on": on.collect::<Vec<_>>(),
        "statuses": statuses,
        "budget": policy.budget.to_string(),
        "min": policy.min,
        "backoff": show_duration(policy.backoff),
        "backoff_max": show_duration(policy.backoff_max),
        "body_bytes": policy.body_bytes,
    })
}

/// The rules of a breaker.
pub(super) fn breaker(policy: &Policy, key: &str) -> Value {
    let statuses: Vec<_> = policy.failure_statuses.iter().map(|status| status.as_u16()).collect();
    let grpc_statuses: Vec<_> =
        policy.failure_grpc_statuses.iter().map(|code| code.as_str()).collect();
    let slow_calls = policy.slow_calls.map(|rule| {
        let mut shown = rate_rule(&rule.rate);
        shown["slower_than"] = show_duration(rule.slower_than).into();
        shown
    });
    json!({
        "key": key,
        "mode": policy.mode.as_str(),
        "consecutive_failures": policy.consecutive_failures,
        "open_for": show_duration(policy.open_for),
        "open_for_max": show_duration(policy.open_for_max),
        "close_after": policy.close_after,
        "ramp": show_duration(policy.ramp),
        "hangs_after": policy.hangs_after.map(show_duration),
        "failure_rate": policy.failure_rate.as_ref().map(rate_rule),
        "slow_calls": slow_calls,
        "probe_lease": show_duration(policy.probe_lease),
        "failure_statuses": statuses,
        "failure_grpc_statuses": grpc_statuses,
        "scope": match policy.scope {
            Scope::Fleet => "fleet",
            Scope::Instance => "instance",
        },
        "quorum": policy.quorum.to_string(),
    })
}

fn rate_rule(rule: &RateRule) -> Value {
    json!({
        "over": rule.over.to_string(),
        "window": show_duration(rule.window),
        "min_calls": rule.min_calls,
    })
}
