//! Upstreams for tests, from the words of a configuration.

use std::sync::Arc;

use crate::config::{self, Endpoint, Environment, Source};

/// The upstream `payments` with these settings, in the file's words: `endpoints: [http://a]`.
pub(super) fn upstream(settings: &str) -> Arc<config::Upstream> {
    let listener = "egress: { listen: \"127.0.0.1:0\", upstream: payments }";
    let text =
        format!("listeners: {{ {listener} }}\nupstreams: {{ payments: {{ {settings} }} }}\n");
    let source = Source { name: "sample".to_owned(), text };
    let loaded = config::load(&source, &Environment::default());
    let config = loaded.unwrap_or_else(|problems| panic!("{problems}")).config;
    Arc::clone(&config.upstreams["payments"])
}

/// The endpoint with this URL.
pub(super) fn endpoint(url: &str) -> Endpoint {
    upstream(&format!("endpoints: [\"{url}\"]")).endpoints[0].clone()
}
