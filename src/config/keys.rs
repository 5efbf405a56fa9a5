//! Every key of the file: its default, its bounds, the variables that stand in for it.
//!
//! This is the only place where a default or a bound is written, in the words of the file itself.
//! What a key means is in `config/example.yaml`, which a test holds against this table.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::{
    CallLines, Endpoint, Forwarded, LearnedMode, Listen, Protocol, TlsVersion, Workers,
    address::HostName,
    database_url::DatabaseUrl,
    environment::Variable,
    fallback::{AnswerBody, AnswerStatus},
    key::{About, Key, key, section},
    otel::{Fields, Target},
    setting::{Bytes, Ceiling, List, Named, Section},
    shape::Shaped,
    task::{Asked, Number, ParamType, PerMillion, PerUnit, Statuses, Told, Word},
    telemetry::{Compression, SamplerKind},
    text::{
        BreakerKey, Label, LogFilter, MetricsNamespace, Name, PathPrefix, RequestPath, Schema,
        Title, Token,
    },
};
use crate::domain::{
    breaker::{Mode, Scope},
    capture::{Pointer, Preset, Template},
    fallback::Occasion,
    grpc::Code,
    learn::contrast::Goal,
    quorum::Quorum,
    retry::Condition,
    sampling::Share,
    units::Percent,
};

/// A section with the keys of another: its own path, and that of the other.
const LIKE: (&str, &str) = ("listeners.*.routes[].breaker", "upstreams.*.breaker");

/// Where the keys of a mapping at `parent` are declared.
pub(super) fn declared_at(parent: &str) -> &str {
    if parent == LIKE.0 { LIKE.1 } else { parent }
}

/// What the key `name` is in a mapping at `parent`. None when there is no such key.
pub(super) fn find(parent: &str, name: &str) -> Option<&'static About> {
    let parent = declared_at(parent);
    let children = || ALL.iter().filter(|about| about.parent() == parent);
    children().find(|about| about.name() == name).or_else(|| children().find(|a| a.name() == "*"))
}

/// The keys of a mapping at `parent`.
pub(super) fn of(parent: &str) -> impl Iterator<Item = &'static str> {
    let parent = declared_at(parent);
    ALL.iter().filter(move |about| about.parent() == parent).map(About::name)
}

/// Whether a key of this name has a value, and never a secret one.
pub(super) fn is_harmless_value(name: &str) -> bool {
    let mut named = ALL.iter().filter(|about| about.name() == name).peekable();
    named.peek().is_some() && named.all(|about| !about.secret && !about.is_section)
}

/// Keys that are known to come, so that who reads about them is told.
pub(super) const LATER: &[&str] =
    &["listeners.*.routes[].task.recommend", "listeners.*.routes[].task.timeout"];

/// Declares the keys and the list of them.
macro_rules! keys {
    ($($name:ident: $kind:ty = $key:expr;)*) => {
        $(pub(super) const $name: Key<$kind> = $key;)*

        /// All of them, in the order of `config/example.yaml`.
        pub(super) const ALL: &[About] =
            &[$(About { shape: <$kind as Shaped>::SHAPE, ..$name.about },)*];
    };
}

keys! {
    SERVICE: Title = key("service")
        .variables(&[Variable::Plain("OTEL_SERVICE_NAME"), Variable::Attribute("service.name")]);
    NAMESPACE: Name = key("namespace").default("default");
    ENVIRONMENT: Label = key("environment").default("").variables(&[
        Variable::Plain("FUSEBOX_ENV"),
        Variable::Plain("NODE_ENV"),
        Variable::Attribute("deployment.environment.name"),
        Variable::Attribute("deployment.environment"),
    ]);
    VERSION: Label = key("version")
        .default("").variables(&[Variable::Attribute("service.version")]);
    INSTANCE: Section = section("instance");
    INSTANCE_NAME: Title = key("instance.name")
        .variables(&[Variable::Plain("FUSEBOX_INSTANCE_NAME")]);
    INSTANCE_HOST: Title = key("instance.host").variables(&[
        Variable::Plain("FUSEBOX_HOST"),
        Variable::Attribute("host.name"),
    ]);
    INSTANCE_ZONE: Label = key("instance.zone").default("").variables(&[
        Variable::Plain("FUSEBOX_ZONE"),
        Variable::Attribute("cloud.availability_zone"),
    ]);
    WORKERS: Workers = key("workers").default("auto").bounds("1", "1024");

    ADMIN: Section = section("admin");
    ADMIN_LISTEN: SocketAddr = key("admin.listen").default("127.0.0.1:9901");
    ADMIN_TOKEN: Token = key("admin.token").default("").secret()
        .variables(&[Variable::Plain("FUSEBOX_ADMIN_TOKEN"), Variable::Plain("JARVIS_AUTH_TOKEN")]);
    ADMIN_ALLOWED_HOSTS: List<HostName> = key("admin.allowed_hosts")
        .default("[]").bounds("0", "64");

    DATA_DIR: PathBuf = key("data_dir").default("./data");

    DATABASE: Section = section("database");
    DATABASE_URL: DatabaseUrl = key("database.url")
        .default("").secret().variables(&[Variable::Plain("DATABASE_URL")]);
    DATABASE_SCHEMA: Schema = key("database.schema").default("public");
    DATABASE_MIGRATE: bool = key("database.migrate").default("true");

    HISTORY: Section = section("history");
    RETENTION: Duration = key("history.retention").default("14d").bounds("1d", "3650d");
    SPOOL_MAX_BYTES: Bytes = key("history.spool_max_bytes")
        .default("1GiB").bounds("16MiB", "1024GiB");
    REFUSED_PER_SECOND: u32 = key("history.refused_per_second")
        .default("100").bounds("0", "100000");
    SAMPLE_SUCCESSES: NonZeroU32 = key("history.sample_successes")
        .default("1").bounds("1", "100000");

    WARNINGS: Section = section("warnings");
    WARNINGS_ENABLED: bool = key("warnings.enabled").default("true");
    WARNINGS_OBJECTIVE: Percent = key("warnings.objective").default("99.9%").bounds("50%", "99.99%");

    LOGS: Section = section("logs");
    LOG_CALLS: CallLines = key("logs.calls").default("all");
    LOG_FILE: PathBuf = key("logs.file");
    LOG_LEVEL: LogFilter = key("logs.level")
        .default("info").variables(&[Variable::Plain("LOG_LEVEL")]);

    TELEMETRY: Section = section("telemetry");
    EMF: Section = section("telemetry.emf");
    EMF_ENABLED: bool = key("telemetry.emf.enabled")
        .default("false").variables(&[Variable::Plain("FUSEBOX_EMF")]);
    EMF_NAMESPACE: MetricsNamespace = key("telemetry.emf.namespace").default("Fusebox");
    EMF_EVERY: Duration = key("telemetry.emf.every").default("60s").bounds("1s", "1h");
    TRACES: Section = section("telemetry.traces");
    TRACES_ENDPOINT: Target = key("telemetry.traces.endpoint").default("").variables(&[
        Variable::Plain("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        Variable::Base("OTEL_EXPORTER_OTLP_ENDPOINT"),
    ]);
    TRACES_HEADERS: Fields = key("telemetry.traces.headers").default("").secret().variables(&[
        Variable::Plain("OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
        Variable::Plain("OTEL_EXPORTER_OTLP_HEADERS"),
    ]);
    TRACES_CA: PathBuf = key("telemetry.traces.ca").variables(&[
        Variable::Plain("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"),
        Variable::Plain("OTEL_EXPORTER_OTLP_CERTIFICATE"),
    ]);
    TRACES_COMPRESSION: Compression = key("telemetry.traces.compression").default("none")
        .variables(&[
            Variable::Plain("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"),
            Variable::Plain("OTEL_EXPORTER_OTLP_COMPRESSION"),
        ]);
    TRACES_TIMEOUT: Duration = key("telemetry.traces.timeout")
        .default("10s").bounds("10ms", "10m").variables(&[
            Variable::Millis("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"),
            Variable::Millis("OTEL_EXPORTER_OTLP_TIMEOUT"),
            Variable::Millis("OTEL_BSP_EXPORT_TIMEOUT"),
        ]);
    TRACES_SAMPLER: SamplerKind = key("telemetry.traces.sampler")
        .default("parentbased_always_on").variables(&[Variable::Plain("OTEL_TRACES_SAMPLER")]);
    TRACES_RATIO: Share = key("telemetry.traces.ratio").default("100%").bounds("0%", "100%")
        .variables(&[Variable::Plain("OTEL_TRACES_SAMPLER_ARG")]);
    TRACES_QUEUE: NonZeroUsize = key("telemetry.traces.queue").default("2048")
        .bounds("1", "1000000").variables(&[Variable::Plain("OTEL_BSP_MAX_QUEUE_SIZE")]);
    TRACES_BATCH: NonZeroUsize = key("telemetry.traces.batch").default("512")
        .bounds("1", "100000").variables(&[Variable::Plain("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")]);
    TRACES_EVERY: Duration = key("telemetry.traces.every").default("5s").bounds("10ms", "10m")
        .variables(&[Variable::Millis("OTEL_BSP_SCHEDULE_DELAY")]);

    DRAIN_TIMEOUT: Duration = key("drain_timeout").default("25s").bounds("0s", "1h");
    DRAIN_QUIET: Duration = key("drain_quiet").default("5s").bounds("0s", "1h");

    LISTENERS: Named = section("listeners").required().bounds("1", "64");
    LISTENER: Section = section("listeners.*");
    LISTEN: Listen = key("listeners.*.listen").required();
    LISTENER_UPSTREAM: Name = key("listeners.*.upstream");
    LISTENER_TLS: Section = section("listeners.*.tls");
    LISTENER_CERTIFICATE: PathBuf = key("listeners.*.tls.certificate").required();
    LISTENER_KEY: PathBuf = key("listeners.*.tls.key").required();
    CLIENT_CA: PathBuf = key("listeners.*.tls.client_ca");
    LISTENER_MIN_VERSION: TlsVersion = key("listeners.*.tls.min_version").default("1.2");
    FORWARDED: Forwarded = key("listeners.*.forwarded");
    LIMITS: Section = section("listeners.*.limits");
    HEAD_BYTES: Bytes = key("listeners.*.limits.head_bytes")
        .default("64KiB").bounds("8KiB", "1MiB");
    HEAD_TIMEOUT: Duration = key("listeners.*.limits.head_timeout")
        .default("10s").bounds("100ms", "1h");
    IDLE_TIMEOUT: Duration = key("listeners.*.limits.idle_timeout")
        .default("60s").bounds("100ms", "1h");
    BODY_BYTES: Bytes = key("listeners.*.limits.body_bytes").bounds("1KiB", "1024GiB");
    CONNECTIONS: NonZeroUsize = key("listeners.*.limits.connections")
        .default("10000").bounds("1", "1000000");
    STREAMS: NonZeroU32 = key("listeners.*.limits.streams")
        .default("100").bounds("1", "10000");
    REQUESTS: NonZeroU32 = key("listeners.*.limits.requests")
        .default("10000").bounds("1", "1000000000");

    ROUTES: List<Section> = section("listeners.*.routes").bounds("1", "1000");
    ROUTE_NAME: Title = key("listeners.*.routes[].name");
    MATCH: Section = section("listeners.*.routes[].match");
    MATCH_HOST: HostName = key("listeners.*.routes[].match.host");
    MATCH_PATH_PREFIX: PathPrefix = key("listeners.*.routes[].match.path_prefix").default("/");
    MATCH_METHODS: List<Method> = key("listeners.*.routes[].match.methods").bounds("1", "8");
    ROUTE_UPSTREAM: Name = key("listeners.*.routes[].upstream").required();
    STRIP_PREFIX: bool = key("listeners.*.routes[].strip_prefix").default("false");
    PRESERVE_HOST: bool = key("listeners.*.routes[].preserve_host").default("false");
    REQUEST_HEADERS: Section = section("listeners.*.routes[].request_headers");
    REQUEST_HEADERS_SET: Named = key("listeners.*.routes[].request_headers.set").secret();
    REQUEST_HEADERS_REMOVE: List<HeaderName> = key("listeners.*.routes[].request_headers.remove")
        .default("[]").bounds("0", "64");
    RESPONSE_HEADERS: Section = section("listeners.*.routes[].response_headers");
    RESPONSE_HEADERS_SET: Named = key("listeners.*.routes[].response_headers.set").secret();
    RESPONSE_HEADERS_REMOVE: List<HeaderName> = key("listeners.*.routes[].response_headers.remove")
        .default("[]").bounds("0", "64");
    FALLBACK: Section = section("listeners.*.routes[].fallback");
    FALLBACK_ON: List<Occasion> = key("listeners.*.routes[].fallback.on")
        .default("[refused, failed]").bounds("1", "2");
    FALLBACK_UPSTREAM: Name = key("listeners.*.routes[].fallback.upstream");
    FALLBACK_UPSTREAMS: List<Name> = key("listeners.*.routes[].fallback.upstreams")
        .bounds("1", "8");
    FALLBACK_STATUS: AnswerStatus = key("listeners.*.routes[].fallback.status").default("200");
    FALLBACK_CONTENT_TYPE: HeaderValue = key("listeners.*.routes[].fallback.content_type")
        .default("text/plain; charset=utf-8");
    FALLBACK_BODY: AnswerBody = key("listeners.*.routes[].fallback.body").default("");
    ROUTE_BREAKER: Section = section("listeners.*.routes[].breaker");
    TASK: Section = section("listeners.*.routes[].task");
    TASK_PATH: Template = key("listeners.*.routes[].task.path");
    TASK_DOMAIN: Title = key("listeners.*.routes[].task.domain");
    TASK_ACTION: Title = key("listeners.*.routes[].task.action");
    PARAMS: Named = section("listeners.*.routes[].task.params").bounds("0", "16");
    PARAM: Section = section("listeners.*.routes[].task.params.*");
    PARAM_FROM: Asked = key("listeners.*.routes[].task.params.*.from").required();
    PARAM_POINTER: Pointer = key("listeners.*.routes[].task.params.*.pointer");
    PARAM_NAME: Title = key("listeners.*.routes[].task.params.*.name");
    PARAM_SEGMENT: Title = key("listeners.*.routes[].task.params.*.segment");
    PARAM_TYPE: ParamType = key("listeners.*.routes[].task.params.*.type").required();
    PARAM_MIN: Number = key("listeners.*.routes[].task.params.*.min");
    PARAM_MAX: Number = key("listeners.*.routes[].task.params.*.max");
    PARAM_MAX_VALUES: usize = key("listeners.*.routes[].task.params.*.max_values")
        .default("32").bounds("1", "256");
    GOAL: Goal = key("listeners.*.routes[].task.goal").default("success_rate");
    ADVICE_HEADER: bool = key("listeners.*.routes[].task.advice_header").default("false");
    SUCCESS: Section = section("listeners.*.routes[].task.success");
    SUCCESS_STATUSES: List<Statuses> = key("listeners.*.routes[].task.success.statuses")
        .default("[2xx]").bounds("1", "16");
    UNLESS: Section = section("listeners.*.routes[].task.success.unless");
    UNLESS_FROM: Told = key("listeners.*.routes[].task.success.unless.from").required();
    UNLESS_POINTER: Pointer = key("listeners.*.routes[].task.success.unless.pointer");
    UNLESS_NAME: Title = key("listeners.*.routes[].task.success.unless.name");
    UNLESS_EQUALS: Word = key("listeners.*.routes[].task.success.unless.equals").required();
    IMPACT: Section = section("listeners.*.routes[].task.impact");
    IMPACT_FROM: Told = key("listeners.*.routes[].task.impact.from").required();
    IMPACT_POINTER: Pointer = key("listeners.*.routes[].task.impact.pointer");
    IMPACT_NAME: Title = key("listeners.*.routes[].task.impact.name");
    IMPACT_RANGE: List<Number> = key("listeners.*.routes[].task.impact.range")
        .default("[0, 100]").bounds("2", "2");
    COST: List<Section> = section("listeners.*.routes[].task.cost").bounds("0", "8");
    FIXED_USD: PerUnit = key("listeners.*.routes[].task.cost[].fixed_usd");
    COST_FROM: Told = key("listeners.*.routes[].task.cost[].from");
    COST_POINTER: Pointer = key("listeners.*.routes[].task.cost[].pointer");
    COST_NAME: Title = key("listeners.*.routes[].task.cost[].name");
    USD_PER_UNIT: PerUnit = key("listeners.*.routes[].task.cost[].usd_per_unit");
    COST_REQUIRED: bool = key("listeners.*.routes[].task.cost[].required").default("true");
    PRESET: Preset = key("listeners.*.routes[].task.preset");
    PRICES: List<Section> = section("listeners.*.routes[].task.prices").bounds("0", "128");
    PRICE_MODEL: Title = key("listeners.*.routes[].task.prices[].model").required();
    PRICE_INPUT: PerMillion = key("listeners.*.routes[].task.prices[].input").required();
    PRICE_OUTPUT: PerMillion = key("listeners.*.routes[].task.prices[].output").required();
    PRICE_CACHED_INPUT: PerMillion = key("listeners.*.routes[].task.prices[].cached_input");
    PRICE_CACHE_WRITE: PerMillion = key("listeners.*.routes[].task.prices[].cache_write");

    UPSTREAMS: Named = section("upstreams").required().bounds("1", "1000");
    UPSTREAM: Section = section("upstreams.*");
    ENDPOINTS: List<Endpoint> = key("upstreams.*.endpoints").bounds("1", "256");
    PROVIDER: Preset = key("upstreams.*.provider");
    API_KEY: Token = key("upstreams.*.api_key").secret();
    PROTOCOL: Protocol = key("upstreams.*.protocol").default("auto");
    UPSTREAM_TLS: Section = section("upstreams.*.tls");
    CA: PathBuf = key("upstreams.*.tls.ca");
    UPSTREAM_CERTIFICATE: PathBuf = key("upstreams.*.tls.certificate");
    UPSTREAM_KEY: PathBuf = key("upstreams.*.tls.key");
    SERVER_NAME: HostName = key("upstreams.*.tls.server_name");
    UPSTREAM_MIN_VERSION: TlsVersion = key("upstreams.*.tls.min_version").default("1.2");
    HEALTH_CHECK: Section = section("upstreams.*.health_check");
    HEALTH_PATH: RequestPath = key("upstreams.*.health_check.path").required();
    HEALTH_EVERY: Duration = key("upstreams.*.health_check.every")
        .default("5s").bounds("100ms", "1h");
    HEALTH_TIMEOUT: Duration = key("upstreams.*.health_check.timeout")
        .default("1s").bounds("10ms", "10m");
    TIMEOUTS: Section = section("upstreams.*.timeouts");
    CONNECT: Duration = key("upstreams.*.timeouts.connect").default("1s").bounds("1ms", "10m");
    FIRST_BYTE: Duration = key("upstreams.*.timeouts.first_byte")
        .default("30s").bounds("1ms", "1d");
    TOTAL: Duration = key("upstreams.*.timeouts.total").default("60s").bounds("1ms", "1d");
    BODY_IDLE: Duration = key("upstreams.*.timeouts.body_idle").default("60s").bounds("1ms", "1d");
    ATTEMPT: Duration = key("upstreams.*.timeouts.attempt").bounds("1ms", "1d");
    TUNNEL_IDLE: Duration = key("upstreams.*.timeouts.tunnel_idle")
        .default("5m").bounds("100ms", "1d");
    LEARNED: Section = section("upstreams.*.timeouts.learned");
    LEARNED_MODE: LearnedMode = key("upstreams.*.timeouts.learned.mode").default("observe");
    LEARNED_FLOOR: Duration = key("upstreams.*.timeouts.learned.floor")
        .default("500ms").bounds("1ms", "1d");
    LEARNED_CEILING: Duration = key("upstreams.*.timeouts.learned.ceiling")
        .default("60s").bounds("1ms", "1d");
    POOL: Section = section("upstreams.*.pool");
    POOL_IDLE: usize = key("upstreams.*.pool.idle").default("64").bounds("0", "10000");
    POOL_IDLE_TIMEOUT: Duration = key("upstreams.*.pool.idle_timeout")
        .default("4s").bounds("100ms", "1h");
    POOL_MAX_AGE: Duration = key("upstreams.*.pool.max_age").bounds("1s", "1d");

    UPSTREAM_LIMITS: Section = section("upstreams.*.limits");
    UPSTREAM_CONNECTIONS: NonZeroU32 = key("upstreams.*.limits.connections")
        .default("1024").bounds("1", "1000000");
    UPSTREAM_PENDING: u32 = key("upstreams.*.limits.pending")
        .default("1024").bounds("0", "1000000");
    UPSTREAM_CONCURRENCY: Ceiling = key("upstreams.*.limits.concurrency")
        .default("off").bounds("1", "1000000");
    UPSTREAM_QUEUE: u32 = key("upstreams.*.limits.queue").default("128").bounds("0", "100000");
    UPSTREAM_QUEUE_TIMEOUT: Duration = key("upstreams.*.limits.queue_timeout")
        .default("250ms").bounds("1ms", "10m");
    DNS: Section = section("upstreams.*.dns");
    DNS_REFRESH: Duration = key("upstreams.*.dns.refresh").default("5s").bounds("100ms", "1h");

    RETRY: Section = section("upstreams.*.retry");
    RETRY_ATTEMPTS: NonZeroU32 = key("upstreams.*.retry.attempts").default("2").bounds("1", "10");
    RETRY_ON: List<Condition> = key("upstreams.*.retry.on").default("[unsent]").bounds("0", "3");
    RETRY_STATUSES: List<StatusCode> = key("upstreams.*.retry.statuses")
        .default("[]").bounds("0", "100");
    RETRY_BUDGET: Percent = key("upstreams.*.retry.budget").default("20%").bounds("0%", "100%");
    RETRY_MIN: u32 = key("upstreams.*.retry.min").default("3").bounds("0", "10000");
    RETRY_BACKOFF: Duration = key("upstreams.*.retry.backoff").default("25ms").bounds("0s", "1m");
    RETRY_BACKOFF_MAX: Duration = key("upstreams.*.retry.backoff_max")
        .default("250ms").bounds("0s", "1m");
    RETRY_BODY_BYTES: Bytes = key("upstreams.*.retry.body_bytes")
        .default("64KiB").bounds("0B", "1MiB");

    EJECTION: Section = section("upstreams.*.ejection");
    EJECTION_CONSECUTIVE_FAILURES: NonZeroU32 = key("upstreams.*.ejection.consecutive_failures")
        .default("5").bounds("1", "10000");
    EJECTION_FOR: Duration = key("upstreams.*.ejection.for").default("30s").bounds("10ms", "1d");
    EJECTION_MAX_SHARE: Percent = key("upstreams.*.ejection.max_share")
        .default("50%").bounds("0%", "100%");

    BREAKER: Section = section("upstreams.*.breaker");
    BREAKER_KEY: BreakerKey = key("upstreams.*.breaker.key");
    MODE: Mode = key("upstreams.*.breaker.mode").default("auto");
    CONSECUTIVE_FAILURES: NonZeroU32 = key("upstreams.*.breaker.consecutive_failures")
        .default("5").bounds("1", "10000")
        .variables(&[Variable::Plain("CIRCUIT_BREAKER_FAILURE_THRESHOLD")]);
    OPEN_FOR: Duration = key("upstreams.*.breaker.open_for").default("60s").bounds("10ms", "1d")
        .variables(&[Variable::Millis("CIRCUIT_BREAKER_TIMEOUT_MS")]);
    OPEN_FOR_MAX: Duration = key("upstreams.*.breaker.open_for_max")
        .default("10m").bounds("10ms", "1d");
    CLOSE_AFTER: NonZeroU32 = key("upstreams.*.breaker.close_after")
        .default("2").bounds("1", "1000");
    RAMP: Duration = key("upstreams.*.breaker.ramp").default("10s").bounds("0s", "1h");
    HANGS_AFTER: Duration = key("upstreams.*.breaker.hangs_after").default("2s").bounds("0s", "1d");
    FAILURE_RATE: Section = section("upstreams.*.breaker.failure_rate");
    FAILURE_RATE_OVER: Percent = key("upstreams.*.breaker.failure_rate.over").required().bounds("1%", "99%");
    FAILURE_RATE_WINDOW: Duration = key("upstreams.*.breaker.failure_rate.window")
        .default("30s").bounds("1s", "1h");
    FAILURE_RATE_MIN_CALLS: NonZeroU32 = key("upstreams.*.breaker.failure_rate.min_calls")
        .default("20").bounds("1", "1000000");
    SLOW_CALLS: Section = section("upstreams.*.breaker.slow_calls");
    SLOW_CALLS_OVER: Percent = key("upstreams.*.breaker.slow_calls.over").required().bounds("1%", "99%");
    SLOWER_THAN: Duration = key("upstreams.*.breaker.slow_calls.slower_than").required().bounds("1ms", "1d");
    SLOW_CALLS_WINDOW: Duration = key("upstreams.*.breaker.slow_calls.window")
        .default("30s").bounds("1s", "1h");
    SLOW_CALLS_MIN_CALLS: NonZeroU32 = key("upstreams.*.breaker.slow_calls.min_calls")
        .default("20").bounds("1", "1000000");
    FAILURE_STATUSES: List<StatusCode> = key("upstreams.*.breaker.failure_statuses")
        .default("[500, 502, 503, 504]").bounds("0", "100");
    FAILURE_GRPC_STATUSES: List<Code> = key("upstreams.*.breaker.failure_grpc_statuses")
        .default("[UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, DATA_LOSS]").bounds("0", "16");
    SCOPE: Scope = key("upstreams.*.breaker.scope").default("fleet");
    QUORUM: Quorum = key("upstreams.*.breaker.quorum").default("majority");
}

#[cfg(test)]
mod tests;
