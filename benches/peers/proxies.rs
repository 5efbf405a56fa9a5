//! The proxies: how each is configured and started. One worker each, all in front of the same
//! backend, each with one JSON line per call.

use std::{error::Error, fs, net::SocketAddr, path::PathBuf, process::Stdio};

use crate::{
    lab::{Lab, Process, find, log_file, nginx_frame, setting},
    local::free_address,
    rows::Rows,
};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Copies bytes: nothing that understands HTTP can be cheaper.
    Relay,
    Nginx,
    HaProxy,
    Envoy,
    Fusebox,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Relay, Self::Nginx, Self::HaProxy, Self::Envoy, Self::Fusebox];

    /// What the table calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Relay => "byte relay",
            Self::Nginx => "nginx",
            Self::HaProxy => "HAProxy",
            Self::Envoy => "Envoy",
            Self::Fusebox => "Fusebox",
        }
    }

    /// What it does besides carrying the call.
    pub(crate) const fn does(self) -> &'static str {
        match self {
            Self::Relay => "copies bytes, no HTTP",
            Self::Nginx => "JSON access log (buffered), request id",
            Self::HaProxy => "JSON access log, unique id",
            Self::Envoy => "JSON access log, outlier detection, request id",
            Self::Fusebox => "breaker, correlation, trace, metrics, JSON log, a row per call",
        }
    }

    /// The program, or none where it is not installed.
    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Relay => std::env::current_exe().ok(),
            Self::Nginx => find("nginx"),
            Self::HaProxy => find("haproxy"),
            Self::Envoy => setting("ENVOY_BIN")
                .map(PathBuf::from)
                .filter(|bin| bin.is_file())
                .or_else(|| find("envoy")),
            Self::Fusebox => Some(PathBuf::from(env!("CARGO_BIN_EXE_fusebox"))),
        }
    }
}

/// A proxy that takes calls.
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) listen: SocketAddr,
    pub(crate) process: Process,
    /// Where its rows arrive, for the one that writes rows.
    pub(crate) rows: Option<Rows>,
}

impl Proxy {
    /// Starts one, or says with none that it is not installed.
    pub(crate) fn start(kind: Kind, lab: &Lab) -> Result<Option<Self>, Box<dyn Error>> {
        let Some(program) = kind.program() else { return Ok(None) };
        let listen = free_address();
        let rows = if kind == Kind::Fusebox { Some(Rows::open()?) } else { None };
        let mut command = lab.as_proxy(program);
        match kind {
            Kind::Relay => {
                command.args(["relay", &listen.to_string(), &lab.backend.to_string()]);
            }
            Kind::Nginx => {
                command.arg("-c").arg(written(lab, "nginx.conf", &nginx(lab, listen))?);
            }
            Kind::HaProxy => {
                command.arg("-f").arg(written(lab, "haproxy.cfg", &haproxy(lab, listen))?);
            }
            Kind::Envoy => {
                command.args(["--concurrency", "1", "--disable-hot-restart"]);
                command.args(["--log-level", "error", "--config-path"]);
                command.arg(written(lab, "envoy.yaml", &envoy(lab, listen))?);
            }
            Kind::Fusebox => {
                let database = rows.as_ref().map(Rows::url).unwrap_or_default();
                let config = fusebox(lab, listen, database);
                command.args(["run", "--config"]).arg(written(lab, "fusebox.yaml", &config)?);
                // Its settings are those of the file, whatever this shell exports.
                command.env_clear().env("PATH", setting("PATH").unwrap_or_default());
            }
        }
        let log = lab.file(&format!("{kind:?}.log"));
        command.stdout(log_file(&log)?).stderr(Stdio::null());
        let process = Process::listening(command, listen)?;
        if let Some(rows) = &rows {
            rows.wait_for_tables();
        }
        Ok(Some(Self { kind, listen, process, rows }))
    }
}

fn written(lab: &Lab, name: &str, text: &str) -> std::io::Result<PathBuf> {
    let file = lab.file(name);
    fs::write(&file, text)?;
    Ok(file)
}

/// Lines are buffered as Fusebox buffers its own.
fn nginx(lab: &Lab, listen: SocketAddr) -> String {
    let (frame, home, backend) =
        (nginx_frame(lab.home(), "nginx"), lab.home().display(), lab.backend);
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
    keepalive 128;
    keepalive_requests 1000000000;
  }}
  server {{
    listen {listen};
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Correlation-Id $request_id;
    }}
  }}
}}
"#
    )
}

fn haproxy(lab: &Lab, listen: SocketAddr) -> String {
    let backend = lab.backend;
    format!(
        r#"global
  nbthread 1
  maxconn 4096
  log stdout format raw local0 info
defaults
  mode http
  log global
  timeout connect 1s
  timeout client 60s
  timeout server 60s
frontend bench
  bind {listen}
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

fn envoy(lab: &Lab, listen: SocketAddr) -> String {
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
    load_assignment:
      cluster_name: backend
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}
"#
    )
}

fn fusebox(lab: &Lab, listen: SocketAddr, database: &str) -> String {
    let (data, admin, backend) = (lab.file("data"), free_address(), lab.backend);
    format!(
        "service: bench
workers: 1
admin: {{ listen: \"{admin}\" }}
data_dir: {}
database: {{ url: \"{database}\" }}
logs: {{ calls: all }}
listeners:
  egress: {{ listen: \"{listen}\", upstream: backend }}
upstreams:
  backend:
    endpoints: [\"http://{backend}\"]
    breaker: {{ consecutive_failures: 5, open_for: 60s }}
",
        data.display()
    )
}
