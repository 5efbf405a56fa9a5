//! Spans, as a collector reads them that was made from OpenTelemetry's own protobufs.

use std::net::SocketAddr;

use serde_json::Value;

use crate::{
    certificates::{Authority, Identity},
    harness::{Fusebox, ScriptedUpstream, Setup, get, status},
    local::{free_address, wait_until},
    peer::{PATIENCE, Peer},
    python::python,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

struct Collector {
    at: SocketAddr,
    _peer: Peer,
}

impl Collector {
    /// One that answers the first so many posts with 503.
    fn start(failures: u32) -> Self {
        let at = free_address();
        let mut command = python("collector.py");
        command.args([at.port().to_string(), failures.to_string()]);
        Self { at, _peer: Peer::listening(command, at) }
    }

    /// One that listens for TLS too, and where.
    fn protected(identity: &Identity) -> (Self, SocketAddr) {
        let (at, protected) = (free_address(), free_address());
        let mut command = python("collector.py");
        command.args([&at.port().to_string(), "0", &protected.port().to_string()]);
        command.args([&identity.certificate, &identity.key]);
        (Self { at, _peer: Peer::listening(command, at) }, protected)
    }

    fn posts(&self) -> Vec<Value> {
        get(self.at, "/", &[]).json().as_array().expect("a list").clone()
    }

    /// All spans, once there are as many.
    fn spans(&self, count: usize) -> Vec<Value> {
        wait_until(&format!("{count} spans"), PATIENCE, || {
            let of = |post: Value| post["spans"].as_array().expect("a list").clone();
            let spans: Vec<Value> = self.posts().into_iter().flat_map(of).collect();
            (spans.len() >= count).then_some(spans)
        })
    }
}

/// A Fusebox that tells a collector at this address, at once.
fn telling(setup: Setup, collector: SocketAddr) -> Setup {
    setup
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{collector}"))
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
}

fn kind<'a>(spans: &'a [Value], kind: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["kind"] == kind).collect()
}

fn scraped(fusebox: &Fusebox, line: &str) -> Option<f64> {
    let scrape = get(fusebox.admin, "/metrics", &[]);
    scrape.text().lines().find_map(|other| other.strip_prefix(line)?.trim().parse().ok())
}

#[test]
fn a_call_is_a_span_of_the_server_and_below_it_one_of_the_client() {
    let (collector, upstream) = (Collector::start(0), ScriptedUpstream::start());
    let setup = telling(Setup::payments(&upstream.url(), &[]), collector.at);
    let fusebox = setup.start();
    let id = [("traceparent", SAMPLED), ("x-correlation-id", "req-abc")];
    let answer = fusebox.get("/pay/4711?card=4111", &id);
    assert_eq!(answer.status, 200);
    let spans = collector.spans(2);
    let (server, client) =
        (kind(&spans, "SPAN_KIND_SERVER")[0], kind(&spans, "SPAN_KIND_CLIENT")[0]);
    assert_eq!(server["trace"], TRACE, "{server}");
    assert_eq!(server["parent"], "00f067aa0ba902b7", "{server}");
    assert_eq!(server["name"], "GET /*", "{server}");
    let said = &server["attributes"];
    assert_eq!(said["http.request.method"], "GET", "{server}");
    assert_eq!(said["http.route"], "/*", "{server}");
    assert_eq!(said["url.scheme"], "http", "{server}");
    assert_eq!(said["http.response.status_code"], 200, "{server}");
    assert_eq!(said["fusebox.correlation.id"], "req-abc", "{server}");
    assert_eq!(said["fusebox.task.id"], answer.headers.one("x-task-id").expect("one"), "{server}");
    assert_eq!(server["status"], "STATUS_CODE_UNSET", "{server}");

    assert_eq!(client["parent"], server["id"], "{client}");
    assert_eq!((&client["trace"], &client["name"]), (&TRACE.into(), &"GET".into()));
    let (host, port) = upstream_at(&upstream);
    assert_eq!(client["attributes"]["server.address"], host, "{client}");
    assert_eq!(client["attributes"]["server.port"], port, "{client}");
    assert_eq!(client["attributes"]["http.response.status_code"], 200, "{client}");
    let ns = |span: &Value, name: &str| span[name].as_u64().expect("a time");
    assert!(ns(server, "startNs") <= ns(client, "startNs"));
    assert!(ns(client, "endNs") <= ns(server, "endNs"));
    // What the upstream does belongs to the attempt.
    let sent = format!("00-{TRACE}-{}-01", client["id"].as_str().expect("an id"));
    assert_eq!(upstream.last().headers.one("traceparent"), Some(&*sent));
    assert!(!format!("{spans:?}").contains("4711"), "paths are not told: {spans:?}");
}

fn upstream_at(upstream: &ScriptedUpstream) -> (String, u16) {
    let authority = upstream.authority();
    let (host, port) = authority.rsplit_once(':').expect("a port");
    (host.to_owned(), port.parse().expect("a number"))
}

#[test]
fn the_resource_and_the_request_are_as_the_variables_say() {
    let (collector, upstream) = (Collector::start(0), ScriptedUpstream::start());
    let fusebox = telling(Setup::payments(&upstream.url(), &[]), collector.at)
        .with("environment: production")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%3Dcret")
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.4.2,team=shop%20floor")
        .start();
    fusebox.get("/", &[]);
    collector.spans(2);
    let post = &collector.posts()[0];
    assert_eq!(post["path"], "/v1/traces");
    assert_eq!(post["headers"]["content-encoding"], "gzip");
    assert_eq!(post["headers"]["content-type"], "application/x-protobuf");
    assert_eq!(post["headers"]["api-key"], "s=cret");
    assert_eq!(post["scope"], "fusebox");
    let resource = &post["resource"];
    assert_eq!(resource["service.name"], "orders", "{resource}");
    assert_eq!(resource["service.version"], "1.4.2", "{resource}");
    assert_eq!(resource["deployment.environment.name"], "production", "{resource}");
    assert_eq!(resource["team"], "shop floor", "{resource}");
    assert!(resource["service.instance.id"].is_string(), "{resource}");
    let shown = fusebox.ask("/api/v1/config").to_string();
    assert!(shown.contains("api-key") && !shown.contains("cret"), "{shown}");
}

#[test]
fn what_the_caller_said_of_sampling_counts_and_goes_on() {
    let (collector, upstream) = (Collector::start(0), ScriptedUpstream::start());
    let fusebox = telling(Setup::payments(&upstream.url(), &[]), collector.at).start();
    fusebox.get("/", &[("traceparent", UNSAMPLED)]);
    let sent = upstream.last().headers.one("traceparent").expect("it is sent on").to_owned();
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-00"), "{sent}");
    fusebox.get("/", &[]);
    let sent = upstream.last().headers.one("traceparent").expect("it is sent on").to_owned();
    assert!(sent.ends_with("-01"), "a trace that begins here is sampled: {sent}");
    let spans = collector.spans(2);
    assert!(spans.iter().all(|span| span["trace"] != TRACE), "{spans:?}");
}

#[test]
fn the_state_of_a_trace_stands_on_its_spans_and_not_on_those_of_another() {
    let (collector, upstream) = (Collector::start(0), ScriptedUpstream::start());
    let fusebox = telling(Setup::payments(&upstream.url(), &[]), collector.at).start();
    let state = ("tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
    fusebox.get("/", &[("traceparent", SAMPLED), state]);
    assert_eq!(upstream.last().headers.one("tracestate"), Some(state.1));
    fusebox.get("/", &[state]);
    assert_eq!(upstream.last().headers.one("tracestate"), None, "it belongs to no trace");
    for span in collector.spans(4) {
        let expected = if span["trace"] == TRACE { state.1 } else { "" };
        assert_eq!(span["state"], expected, "{span}");
    }
}

#[test]
fn a_share_of_none_samples_nothing_that_begins_here() {
    let (collector, upstream) = (Collector::start(0), ScriptedUpstream::start());
    let fusebox = telling(Setup::payments(&upstream.url(), &[]), collector.at)
        .env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        .env("OTEL_TRACES_SAMPLER_ARG", "0")
        .start();
    fusebox.get("/", &[]);
    fusebox.get("/", &[("traceparent", SAMPLED)]);
    let spans = collector.spans(2);
    assert!(spans.iter().all(|span| span["trace"] == TRACE), "{spans:?}");
    assert!(upstream.received()[0].headers.one("traceparent").expect("one").ends_with("-00"));
}

#[test]
fn each_attempt_is_a_span_and_knows_which_one_it_is() {
    let (collector, upstream) = (Collector::start(0), ScriptedUpstream::start());
    let retry = "retry: { statuses: [503], backoff: 0s }";
    let fusebox = telling(Setup::payments(&upstream.url(), &[retry]), collector.at).start();
    upstream.answer_next([status(503), status(200)]);
    assert_eq!(fusebox.get("/", &[]).status, 200);
    let spans = collector.spans(3);
    let clients = kind(&spans, "SPAN_KIND_CLIENT");
    let (first, second) = (clients[0], clients[1]);
    assert_eq!(first["attributes"]["http.response.status_code"], 503, "{first}");
    assert_eq!(first["attributes"]["error.type"], "http_503", "{first}");
    assert_eq!(first["status"], "STATUS_CODE_ERROR", "{first}");
    assert_eq!(second["attributes"]["http.request.resend_count"], 1, "{second}");
    assert_eq!(second["status"], "STATUS_CODE_UNSET", "{second}");
    let told = |at: usize| {
        let received = upstream.received();
        received[at].headers.one("traceparent").expect("it is sent on")[36..52].to_owned()
    };
    assert_eq!((&first["id"], &second["id"]), (&told(0).into(), &told(1).into()));
}

#[test]
fn calls_tell_of_the_circuit_that_they_opened_and_of_their_refusal() {
    let (collector, upstream) = (Collector::start(0), ScriptedUpstream::start());
    let fusebox = telling(Setup::payments(&upstream.url(), &[]), collector.at).start();
    upstream.answer(status(500));
    for _ in 0..6 {
        fusebox.get("/", &[]);
    }
    let spans = collector.spans(11);
    let servers = kind(&spans, "SPAN_KIND_SERVER");
    let events: Vec<&Value> =
        servers.iter().flat_map(|span| span["events"].as_array().expect("a list")).collect();
    let moved = events.iter().find(|event| event["name"] == "fusebox.breaker.transition");
    let moved = &moved.expect("the transition is told")["attributes"];
    assert_eq!(moved["fusebox.breaker.to"], "open", "{moved}");
    assert_eq!(moved["fusebox.breaker.cause"], "consecutive_failures", "{moved}");
    let refused = events.iter().find(|event| event["name"] == "fusebox.refused");
    assert!(refused.is_some(), "{events:?}");
    assert!(servers.iter().all(|span| span["status"] == "STATUS_CODE_ERROR"), "{servers:?}");
}

#[test]
fn what_the_collector_does_not_take_for_now_it_gets_again() {
    let (collector, upstream) = (Collector::start(3), ScriptedUpstream::start());
    let fusebox = telling(Setup::payments(&upstream.url(), &[]), collector.at).start();
    for _ in 0..5 {
        fusebox.get("/", &[]);
    }
    assert_eq!(collector.spans(10).len(), 10, "each once");
    wait_until("they are counted", PATIENCE, || {
        (scraped(&fusebox, "fusebox_spans_sent_total") == Some(10.0)).then_some(())
    });
    assert_eq!(scraped(&fusebox, "fusebox_spans_dropped_total{reason=\"not_sent\"}"), Some(0.0));
}

#[test]
fn a_collector_that_is_away_concerns_no_call_and_spans_are_counted() {
    let upstream = ScriptedUpstream::start();
    let setup = telling(Setup::payments(&upstream.url(), &[]), free_address());
    let mut fusebox = setup
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "10")
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
        .start();
    for _ in 0..50 {
        assert_eq!(fusebox.get("/", &[]).status, 200);
    }
    let dropped = "fusebox_spans_dropped_total{reason=\"queue_full\"}";
    // Ten wait at most, and one batch is under way.
    assert!(scraped(&fusebox, dropped) >= Some(84.0), "{:?}", scraped(&fusebox, dropped));
    fusebox.wait_for_line("a warning, once", |line| {
        line["message"] == "the collector of traces does not take spans"
    });
    assert!(fusebox.terminate().success());
}

#[test]
fn spans_that_the_collector_rejects_are_counted_and_told_once() {
    let (collector, upstream) = (Collector::start(0), ScriptedUpstream::start());
    let setup = telling(Setup::payments(&upstream.url(), &[]), collector.at);
    let fusebox = setup.env("OTEL_EXPORTER_OTLP_HEADERS", "x-reject=1").start();
    for calls in 1..=2 {
        fusebox.get("/", &[]);
        collector.spans(2 * calls);
    }
    // Two posts of two spans, or one of four.
    let rejected = || scraped(&fusebox, "fusebox_spans_dropped_total{reason=\"rejected\"}");
    let sent = || scraped(&fusebox, "fusebox_spans_sent_total");
    wait_until("they are counted", PATIENCE, || {
        (rejected().zip(sent()).map(|(rejected, sent)| rejected + sent) == Some(4.0)).then_some(())
    });
    assert_eq!(rejected(), Some(f64::from(u32::try_from(collector.posts().len()).unwrap())));
    let says = |line: &Value| line["message"] == "the collector has something against spans";
    assert_eq!(fusebox.wait_for_line("the reason", says)["because"], "too old");
    let lines = fusebox.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("against spans")).count(), 1, "{lines:?}");
}

#[test]
fn spans_go_over_tls_to_whom_the_configured_authority_vouches_for() {
    let (authority, upstream) = (Authority::new(), ScriptedUpstream::start());
    let (collector, at) = Collector::protected(&authority.issue("IP:127.0.0.1", "2"));
    let fusebox = telling(Setup::payments(&upstream.url(), &[]), at)
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("https://{at}/v1/traces"))
        .env("OTEL_EXPORTER_OTLP_CERTIFICATE", &authority.file())
        .start();
    fusebox.get("/", &[]);
    assert_eq!(collector.spans(2).len(), 2);
}

#[test]
fn the_last_spans_are_sent_at_the_stop() {
    let (collector, upstream) = (Collector::start(0), ScriptedUpstream::start());
    let setup = telling(Setup::payments(&upstream.url(), &[]), collector.at);
    let mut fusebox = setup.with("telemetry: { traces: { every: 10m } }").start();
    fusebox.get("/", &[]);
    assert!(fusebox.terminate().success());
    assert_eq!(collector.spans(2).len(), 2);
}

#[test]
fn the_switch_of_opentelemetry_wins_over_the_file() {
    let (collector, upstream) = (Collector::start(0), ScriptedUpstream::start());
    let setup = telling(Setup::payments(&upstream.url(), &[]), collector.at);
    let mut fusebox = setup.env("OTEL_SDK_DISABLED", "true").start();
    fusebox.get("/", &[("traceparent", SAMPLED)]);
    let sent = upstream.last().headers.one("traceparent").expect("it is sent on").to_owned();
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-01"), "{sent}");
    assert!(fusebox.terminate().success());
    assert_eq!(collector.posts(), Vec::<Value>::new());
}
