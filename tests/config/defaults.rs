//! What is left out has its value.

use std::time::Duration;

use fusebox::{
    config::{CallLines, Forwarded, Listen, UpstreamLimits, Workers},
    domain::{
        breaker::{Mode, Policy, Scope},
        ejection, retry,
    },
};

use crate::{MINIMAL, read};

#[test]
fn an_upstream_has_the_defaults_of_the_product() {
    let config = read(MINIMAL, &[]).expect("a configuration").config;
    let upstream = &config.upstreams["payments"];
    assert_eq!(upstream.breaker, Policy::default());
    assert_eq!(upstream.retry, retry::Policy::default());
    assert_eq!(upstream.ejection, ejection::Policy::default());
    assert_eq!(upstream.limits, UpstreamLimits::default());
    assert_eq!(upstream.dns_refresh, Duration::from_secs(5));
    assert_eq!(upstream.health_check, None);
    assert_eq!(upstream.timeouts.total, Duration::from_secs(60));
}

#[test]
fn a_probe_may_take_a_second_longer_than_a_call_and_the_wait_for_the_trailers_of_a_stream() {
    let text = MINIMAL.replace("[http://payments]", "[http://payments], timeouts: { total: 5s }");
    let config = read(&text, &[]).expect("a configuration").config;
    assert_eq!(config.upstreams["payments"].breaker.probe_lease, Duration::from_secs(16));
}

#[test]
fn what_is_left_out_has_its_value() {
    let config = read(MINIMAL, &[]).expect("a configuration").config;
    assert_eq!((config.service.as_str(), config.namespace.as_str()), ("host", "default"));
    assert_eq!((config.environment.as_str(), config.version.as_str()), ("", ""));
    let instance = &config.instance;
    assert_eq!((&*instance.name, &*instance.host, &instance.zone), ("host", "host", &None));
    assert_eq!(config.workers, Workers::Auto);
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9901");
    assert_eq!((config.admin.token, config.database.url), (None, None));
    assert_eq!(config.logs.calls, CallLines::All);
    assert!(config.breakers_enabled && config.database.migrate);
    let [listener] = &config.listeners[..] else { panic!("one listener") };
    assert_eq!(listener.forwarded, Forwarded::Off);
    let [route] = &listener.routes[..] else { panic!("one route") };
    let names = (route.name.as_str(), route.domain.as_str(), route.action.as_str());
    assert_eq!(names, ("all", "payments", "all"));
}

#[test]
fn off_loopback_forwarded_headers_are_replaced() {
    let text = MINIMAL.replace("127.0.0.1:8080", "0.0.0.0:8080");
    let config = read(&text, &[]).expect("a configuration").config;
    assert_eq!(config.listeners[0].forwarded, Forwarded::Replace);
}

#[test]
fn at_a_unix_socket_forwarded_headers_are_as_received() {
    let text = MINIMAL.replace("127.0.0.1:8080", "unix:/run/fusebox.sock");
    let config = read(&text, &[]).expect("a configuration").config;
    assert_eq!(config.listeners[0].listen, Listen::Unix("/run/fusebox.sock".into()));
    assert_eq!(config.listeners[0].forwarded, Forwarded::Off);
}

#[test]
fn the_key_of_a_breaker_depends_on_the_set_of_its_endpoints_alone() {
    let key = |endpoints: &str| {
        let text = MINIMAL.replace("[http://payments]", endpoints);
        let config = read(&text, &[]).expect("a configuration").config;
        config.upstreams["payments"].breaker_key.clone()
    };
    let (name, digest) = key("[http://a, http://b:8080]")
        .split_once('@')
        .map_or_else(|| panic!("no digest"), |(name, digest)| (name.to_owned(), digest.to_owned()));
    assert_eq!((name.as_str(), digest.len()), ("payments", 12));
    // The digest is shared through the database, so it must never change.
    assert_eq!(key("[http://payments]"), "payments@4adcca2bd7e5");
    assert_eq!(key("[http://a, http://b:8080]"), key("[\"http://B:8080/\", \"http://a:80\"]"));
    assert_ne!(key("[http://a]"), key("[http://b]"));
    assert_eq!(key("[http://a], breaker: { key: mine }"), "mine");
}

#[test]
fn services_do_not_share_a_breaker_for_what_is_on_their_own_machines() {
    let key = |service: &str, endpoints: &str| {
        let text = MINIMAL.replace("[http://payments]", endpoints);
        let text = format!("{text}\nservice: {service}\n");
        let config = read(&text, &[]).expect("a configuration").config;
        config.upstreams["payments"].breaker_key.clone()
    };
    let here = [
        "[http://127.0.0.1:3000]",
        "[http://localhost:3000]",
        "[\"http://[::1]:3000\"]",
        "[unix:/run/app.sock]",
    ];
    for endpoints in here {
        assert_eq!(key("orders", endpoints), key("orders", endpoints), "{endpoints}");
        assert_ne!(key("orders", endpoints), key("billing", endpoints), "{endpoints}");
    }
    for endpoints in ["[http://10.0.0.1]", "[http://127.0.0.1:3000, http://10.0.0.1]"] {
        assert_eq!(key("orders", endpoints), key("billing", endpoints), "{endpoints}");
    }
}

#[test]
fn what_is_switched_on_has_its_defaults_too() {
    let more = "[http://payments], health_check: { path: /health }, breaker: \
                { failure_rate: { over: 50% }, slow_calls: { over: 80%, slower_than: 2s } }";
    let text = MINIMAL.replace("[http://payments]", more);
    let config = read(&text, &[]).expect("a configuration").config;
    let upstream = &config.upstreams["payments"];
    let check = upstream.health_check.as_ref().expect("a check");
    assert_eq!((check.every, check.timeout), (Duration::from_secs(5), Duration::from_secs(1)));
    let rate = upstream.breaker.failure_rate.expect("a rule");
    assert_eq!((rate.window, rate.min_calls.get()), (Duration::from_secs(30), 20));
    let slow = upstream.breaker.slow_calls.expect("a rule").rate;
    assert_eq!(
        (slow.over.to_string(), slow.window, slow.min_calls),
        ("80%".to_owned(), rate.window, rate.min_calls)
    );
}

#[test]
fn a_route_with_a_breaker_has_a_circuit_of_its_own_beside_that_of_the_upstream() {
    let text = "\
listeners:
  egress:
    listen: 127.0.0.1:8080
    routes:
      - match: { path_prefix: /v1/charges }
        upstream: payments
        breaker: { consecutive_failures: 2 }
      - match: { path_prefix: /v1/refunds, methods: [POST] }
        upstream: payments
        breaker: { key: refunds, scope: instance }
      - match: { path_prefix: /v1/bare }
        upstream: payments
        breaker: {}
      - upstream: payments
upstreams:
  payments:
    endpoints: [http://payments]
    timeouts: { total: 5s }
    breaker: { mode: shadow, quorum: 60% }
";
    let config = read(text, &[("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "7")]).expect("good").config;
    let circuits: Vec<_> = config.circuits().collect();
    let names: Vec<_> = circuits.iter().map(|(name, key, _)| (&**name, key.as_str())).collect();
    let expected = [
        ("payments", "payments@4adcca2bd7e5"),
        ("payments/v1/charges", "payments@4adcca2bd7e5/v1/charges"),
        ("payments/v1/refunds:POST", "refunds"),
        ("payments/v1/bare", "payments@4adcca2bd7e5/v1/bare"),
    ];
    assert_eq!(names, expected);
    let of = |at: usize| &circuits[at].2;
    let failures: Vec<_> = (0..4).map(|at| of(at).consecutive_failures.get()).collect();
    assert_eq!(failures, [7, 2, 7, 7], "the variable is the default of those that set none");
    assert_eq!((of(0).mode, of(0).quorum.to_string()), (Mode::Shadow, "60%".to_owned()));
    assert_eq!((of(1).mode, of(2).scope), (Mode::Auto, Scope::Instance));
    assert_eq!(
        of(1).probe_lease,
        Duration::from_secs(16),
        "as long as a call of the upstream takes"
    );
}
