//! How each proxy is told what to do: one worker, one backend, one JSON line per call.

use std::net::SocketAddr;

use crate::{
    lab::{CERTIFICATE, KEY, Lab, nginx_frame},
    local::free_address,
};

/// What is spoken on the two sides of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    Http1,
    /// HTTP/2 with the caller by prior knowledge, HTTP/1.1 with the backend.
    Http2,
    /// HTTP/1.1 over TLS with both.
    Tls,
}

/// Lines are buffered as Fusebox buffers its own.
pub(crate) fn nginx(lab: &Lab, listen: SocketAddr, speech: Speech) -> String {
    let (frame, home) = (nginx_frame(lab.home(), "nginx"), lab.home().display());
    let (options, scheme, backend) = match speech {
        Speech::Http1 => ("", "http", lab.backend),
        Speech::Http2 => (" http2", "http", lab.backend),
        Speech::Tls => (" ssl", "https", lab.tls_backend),
    };
    format!(
        r#"{frame}
http {{
  log_format calls escape=json
    '{{"time":"$time_iso8601","correlationId":"$request_id","method":"$request_method",'
    '"path":"$uri","status":$status,"durationMs":$request_time,"upstream":"$upstream_addr",'
    '"upstreamMs":"$upstream_response_time","requestBytes":$request_length,'
    '"responseBytes":$body_bytes_sent}}';
  access_log {home}/nginx-calls.log calls buffer=64k flush=1s;
  keepalive_requests 1000000000;
  upstream backend {{
    server {backend};
    keepalive 2048;
    keepalive_requests 1000000000;
  }}
  ssl_certificate {home}/{CERTIFICATE};
  ssl_certificate_key {home}/{KEY};
  server {{
    listen {listen}{options};
    location / {{
      proxy_pass {scheme}://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Correlation-Id $request_id;
      proxy_ssl_verify on;
      proxy_ssl_name localhost;
      proxy_ssl_trusted_certificate {home}/{CERTIFICATE};
    }}
  }}
}}
"#
    )
}

pub(crate) fn haproxy(lab: &Lab, listen: SocketAddr, speech: Speech) -> String {
    let backend = lab.backend;
    let proto = if speech == Speech::Http2 { " proto h2" } else { "" };
    format!(
        r#"global
  nbthread 1
  maxconn 8192
  log stdout format raw local0 info
defaults
  mode http
  log global
  timeout connect 1s
  timeout client 60s
  timeout server 60s
frontend bench
  bind {listen}{proto}
  unique-id-format %{{+X}}o%ci%cp%fi%fp%Ts%rt%pid
  unique-id-header X-Correlation-Id
  log-format '{{"time":"%tr","correlationId":"%ID","method":"%HM","path":"%HP","status":%ST,"durationMs":%Ta,"upstream":"%si:%sp","upstreamMs":%Tr,"requestBytes":%U,"responseBytes":%B}}'
  default_backend backend
backend backend
  http-reuse always
  server backend {backend}
"#
    )
}

/// It finds out by itself whether it is spoken to in HTTP/2.
pub(crate) fn envoy(lab: &Lab, listen: SocketAddr) -> String {
    let (home, port) = (lab.home().display(), lab.backend.port());
    let listen = listen.port();
    format!(
        r#"static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {listen} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          generate_request_id: true
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: {home}/envoy-calls.log
              log_format:
                json_format:
                  time: "%START_TIME%"
                  correlationId: "%REQ(X-REQUEST-ID)%"
                  method: "%REQ(:METHOD)%"
                  path: "%REQ(:PATH)%"
                  status: "%RESPONSE_CODE%"
                  durationMs: "%DURATION%"
                  upstream: "%UPSTREAM_HOST%"
                  requestBytes: "%BYTES_RECEIVED%"
                  responseBytes: "%BYTES_SENT%"
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{ prefix: "/" }}
                route: {{ cluster: backend }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: backend
    type: STATIC
    connect_timeout: 1s
    outlier_detection: {{ consecutive_5xx: 5 }}
    circuit_breakers:
      thresholds: [{{ max_connections: 8192, max_pending_requests: 8192, max_requests: 8192 }}]
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}
"#
    )
}

pub(crate) fn fusebox(lab: &Lab, listen: SocketAddr, speech: Speech, database: &str) -> String {
    let frame = frame(lab, database);
    let home = lab.home().display();
    let (tls, backend, ca) = match speech {
        Speech::Http1 | Speech::Http2 => {
            (String::new(), format!("http://{}", lab.backend), String::new())
        }
        Speech::Tls => (
            format!(", tls: {{ certificate: {home}/{CERTIFICATE}, key: {home}/{KEY} }}"),
            format!("https://{}", lab.tls_backend),
            format!("\n    tls: {{ ca: {home}/{CERTIFICATE}, server_name: localhost }}"),
        ),
    };
    format!(
        "{frame}listeners:
  egress: {{ listen: \"{listen}\", upstream: backend{tls}, limits: {{ requests: 1000000000 }} }}
upstreams:
  backend:
    endpoints: [\"{backend}\"]
    breaker: {{ consecutive_failures: 5, open_for: 60s }}{ca}
"
    )
}

/// An upstream that nobody is: its circuit opens with the first call and stays open.
pub(crate) fn refusing(lab: &Lab, listen: SocketAddr, database: &str) -> String {
    let (frame, nobody) = (frame(lab, database), free_address());
    format!(
        "{frame}listeners:
  egress: {{ listen: \"{listen}\", upstream: backend, limits: {{ requests: 1000000000 }} }}
upstreams:
  backend:
    endpoints: [\"http://{nobody}\"]
    breaker: {{ consecutive_failures: 1, open_for: 10m }}
"
    )
}

/// So many routes by their hosts, each to an upstream of its own or all to one; every upstream is the
/// same backend.
pub(crate) fn many(
    lab: &Lab,
    listen: SocketAddr,
    (routes, upstreams): (u32, u32),
    database: &str,
) -> String {
    let (frame, backend) = (frame(lab, database), lab.backend);
    let route = |at: u32| {
        let to = (at - 1) % upstreams + 1;
        format!("      - {{ match: {{ host: u{at}.internal }}, upstream: u{to} }}\n")
    };
    let upstream = |at: u32| format!("  u{at}: {{ endpoints: [\"http://{backend}\"] }}\n");
    let routes: String = (1..=routes).map(route).collect();
    let upstreams: String = (1..=upstreams).map(upstream).collect();
    format!(
        "{frame}listeners:
  egress:
    listen: \"{listen}\"
    limits: {{ requests: 1000000000 }}
    routes:
{routes}upstreams:
{upstreams}"
    )
}

/// What every Fusebox of this benchmark begins with.
fn frame(lab: &Lab, database: &str) -> String {
    let (data, admin) = (lab.directory("data"), free_address());
    format!(
        "service: bench
workers: 1
admin: {{ listen: \"{admin}\" }}
data_dir: {}
database: {{ url: \"{database}\" }}
logs: {{ calls: all }}
",
        data.display()
    )
}
