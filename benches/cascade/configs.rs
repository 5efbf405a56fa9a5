//! How a sidecar is told what to do.

use std::net::SocketAddr;

use crate::{lab::Lab, local::free_address};

/// A sidecar that carries the calls of one service to one other.
pub(crate) struct Sidecar<'a> {
    /// Those of the same namespace share circuits.
    pub(crate) namespace: &'a str,
    pub(crate) service: &'a str,
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: &'a str,
    pub(crate) endpoints: &'a [SocketAddr],
    /// Of the upstream, in YAML.
    pub(crate) settings: &'a str,
}

impl Sidecar<'_> {
    pub(crate) fn config(&self, lab: &Lab) -> String {
        let Self { namespace, service, listen, upstream, settings, .. } = self;
        let endpoints: Vec<String> =
            self.endpoints.iter().map(|endpoint| format!("\"http://{endpoint}\"")).collect();
        let (data, admin) = (lab.path("data"), free_address());
        format!(
            "service: {service}
namespace: {namespace}
workers: 1
admin: {{ listen: \"{admin}\" }}
data_dir: {}
database: {{ url: \"{}\" }}
listeners:
  egress: {{ listen: \"{listen}\", upstream: {upstream} }}
upstreams:
  {upstream}:
    endpoints: [{}]
    {settings}
",
            data.display(),
            lab.database(),
            endpoints.join(", "),
        )
    }
}
