//! What is told to CloudWatch and to a collector of traces.

use std::{path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue, uri::PathAndQuery};

use super::Endpoint;
use crate::domain::sampling::Sampler;

/// What is told to others than logs and `/metrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// Lines for CloudWatch; none when they are off.
    pub emf: Option<Emf>,
    /// Spans; none when they go nowhere.
    pub traces: Option<Traces>,
}

/// Lines for CloudWatch, in its embedded metric format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emf {
    /// The namespace of the metrics.
    pub namespace: String,
    /// How often a line is written.
    pub every: Duration,
}

/// Spans for a collector, by OTLP over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// Where the collector is.
    pub collector: Collector,
    /// Header fields of every request to it.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The authorities of its certificate, in place of the system's.
    pub ca: Option<PathBuf>,
    /// Whether requests are compressed.
    pub compression: Compression,
    /// How long one request may take.
    pub timeout: Duration,
    /// Which traces are told.
    pub sampler: Sampler,
    /// Spans that may wait; further ones are dropped and counted.
    pub queue: usize,
    /// Spans in one request at most.
    pub batch: usize,
    /// How long a span waits at most before it is sent.
    pub every: Duration,
    /// What the resource says besides service, version, environment and instance.
    pub resource: Vec<(String, String)>,
}

/// Where a collector is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// Its host.
    pub endpoint: Endpoint,
    /// What spans are posted to.
    pub path: PathAndQuery,
}

/// What requests are compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Nothing.
    None,
    /// gzip.
    Gzip,
}

impl Compression {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
        }
    }
}

/// The samplers that OpenTelemetry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SamplerKind {
    AlwaysOn,
    AlwaysOff,
    Ratio,
    ParentOrOn,
    ParentOrOff,
    ParentOrRatio,
}
