//! The configuration of the made-up instance, with a secret wherever there can be one.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use fusebox::{
    config::{self, Config, Secret},
    domain::{
        breaker::{Mode, Policy},
        fallback::{Occasion, Occasions},
        learn::contrast::Goal,
        route::Match,
        sampling::{Sampler, Share},
        units::Percent,
    },
};
use http::{HeaderValue, StatusCode, Uri, header};

pub(crate) const DATABASE_PASSWORD: &str = "hunter2-database";
pub(crate) const HEADER_SECRET: &str = "hunter2-header";

const OBJECTIVE: Percent = Percent::from_basis_points(9_990).expect("it is a share");

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn configuration(token: Option<&str>) -> Config {
    let upstream = upstream();
    let url = format!("postgres://fusebox:{DATABASE_PASSWORD}@db/fusebox");
    Config {
        service: "orders".to_owned(),
        namespace: "production".to_owned(),
        environment: "production".to_owned(),
        version: "1.4.2".to_owned(),
        instance: config::Instance {
            machine: "orders-3".to_owned(),
            name: "orders-3".to_owned(),
            host: "ip-10-0-3-7".to_owned(),
            zone: Some("eu-west-1b".to_owned()),
        },
        workers: config::Workers::Auto,
        admin: config::Admin {
            listen: ([127, 0, 0, 1], 9901).into(),
            token: token.map(Secret::new),
            allowed_hosts: vec!["ops.example".to_owned()],
        },
        data_dir: "./data".into(),
        database: config::Database {
            url: Some(Secret::new(url)),
            schema: "public".to_owned(),
            migrate: true,
            aws: Arc::default(),
        },
        history: config::History {
            retention: SECOND * 86_400 * 14,
            spool_max_bytes: 1 << 30,
            sample_successes: NonZeroU32::MIN,
            refused_per_second: 100,
        },
        warnings: config::Warnings { enabled: true, objective: OBJECTIVE },
        logs: config::Logs { calls: config::CallLines::All, file: None, level: "info".to_owned() },
        telemetry: telemetry(),
        drain_timeout: SECOND * 25,
        drain_quiet: SECOND * 5,
        breakers_enabled: true,
        listeners: vec![listener(&upstream.name)],
        upstreams: [(Arc::clone(&upstream.name), Arc::new(upstream))].into(),
    }
}

fn telemetry() -> config::Telemetry {
    let endpoint = upstream().endpoints.remove(0);
    let path = http::uri::PathAndQuery::from_static("/v1/traces");
    let secret = HeaderValue::from_static(HEADER_SECRET);
    config::Telemetry {
        emf: Some(config::Emf { namespace: "Fusebox".to_owned(), every: SECOND * 60 }),
        traces: Some(config::Traces {
            collector: config::Collector { endpoint, path },
            headers: vec![(header::AUTHORIZATION, secret)],
            ca: None,
            compression: config::Compression::Gzip,
            timeout: SECOND * 10,
            sampler: Sampler { is_parent_based: true, share: Share::ALL },
            queue: 2_048,
            batch: 512,
            every: SECOND * 5,
            resource: Vec::new(),
        }),
    }
}

fn listener(upstream: &Arc<str>) -> config::Listener {
    config::Listener {
        name: "egress".to_owned(),
        listen: config::Listen::Tcp(([127, 0, 0, 1], 8080).into()),
        tls: None,
        forwarded: config::Forwarded::Off,
        limits: config::Limits {
            head_bytes: 32_768,
            head_timeout: SECOND * 10,
            idle_timeout: SECOND * 60,
            body_bytes: None,
            connections: NonZeroUsize::MIN,
            streams: NonZeroU32::MIN.saturating_add(99),
            requests: NonZeroU32::MIN.saturating_add(9_999),
        },
        routes: vec![config::Route {
            name: "payments".to_owned(),
            matches: Match::default(),
            upstream: Arc::clone(upstream),
            strip_prefix: false,
            preserve_host: false,
            request_headers: config::HeaderRules {
                set: vec![(header::AUTHORIZATION, HeaderValue::from_static(HEADER_SECRET))],
                remove: vec![header::COOKIE],
            },
            response_headers: config::HeaderRules::default(),
            breaker: Some(config::RouteBreaker {
                name: Arc::from("payments/payments"),
                key: "payments-0123456789abcdef/payments".to_owned(),
                policy: Policy { mode: Mode::Shadow, ..Policy::default() },
            }),
            fallback: Some(config::Fallback {
                to: config::Instead::Upstreams(
                    vec!["payments-standby".into(), "payments-last".into()],
                    Some(config::FixedAnswer {
                        status: StatusCode::OK,
                        content_type: HeaderValue::from_static("application/json"),
                        body: "[]".into(),
                    }),
                ),
                on: Occasions::of([Occasion::Refused]),
            }),
            domain: "payments".to_owned(),
            action: "payments".to_owned(),
            actions: None,
            plan: None,
            goal: Goal::Success,
            advice_header: false,
        }],
    }
}

fn upstream() -> config::Upstream {
    config::Upstream {
        name: Arc::from("payments"),
        endpoints: vec![config::Endpoint {
            uri: Uri::from_static("http://payments:8080"),
            location: config::Location::Name("payments".to_owned(), 8080),
            authority: Arc::from("payments:8080"),
            host: HeaderValue::from_static("payments:8080"),
        }],
        protocol: config::Protocol::Auto,
        tls: config::UpstreamTls::default(),
        credentials: None,
        health_check: Some(config::HealthCheck {
            path: "/health".to_owned(),
            every: SECOND * 5,
            timeout: SECOND,
        }),
        timeouts: config::Timeouts {
            connect: SECOND,
            first_byte: SECOND * 30,
            total: SECOND * 60,
            body_idle: SECOND * 60,
            attempt: None,
            tunnel_idle: SECOND * 60,
            learned: config::LearnedTimeout::default(),
        },
        pool: config::Pool { idle: 32, idle_timeout: SECOND * 4, max_age: None },
        limits: Default::default(),
        dns_refresh: SECOND * 5,
        retry: Default::default(),
        ejection: Default::default(),
        breaker: Policy::default(),
        breaker_key: "payments-0123456789abcdef".to_owned(),
    }
}
