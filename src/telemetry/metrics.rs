//! `/metrics`: everything that is counted, in OpenMetrics text.
//!
//! Numbers live where they are counted; a scrape asks the [`Source`]s. Labels take their values
//! from the configuration and from fixed vocabularies only, never from a call.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text::encode},
    metrics::MetricType,
    registry::Registry,
};

use super::traffic::{BUCKETS_US, Traffic};

/// Something that has numbers to tell.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// Its numbers now.
    fn families(&self) -> Vec<Family>;
}

/// All samples of one name.
#[derive(Debug, Clone)]
pub struct Family {
    /// The name, without the `_total` that counters get.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// The samples, one per set of labels.
    pub samples: Vec<Sample>,
}

/// Whether a number only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One number.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its labels.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: f64,
}

impl Family {
    /// A family of one sample without labels.
    pub fn single(name: &'static str, help: &'static str, kind: Kind, value: f64) -> Self {
        Self { name, help, kind, samples: vec![Sample { labels: Vec::new(), value }] }
    }
}

/// All sources.
#[derive(Debug, Default)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// Adds a source.
    pub fn add(&mut self, source: impl Source) {
        self.registry.register_collector(Box::new(Plain(source)));
    }

    /// Adds the traffic of the upstreams.
    pub fn add_traffic(&mut self, upstreams: Vec<(Arc<str>, Arc<Traffic>)>) {
        self.registry.register_collector(Box::new(Durations(upstreams)));
    }

    /// The text of a scrape.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail; a source that broke the format would show in the tests.
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }
}

#[derive(Debug)]
struct Plain<S>(S);

impl<S: Source> Collector for Plain<S> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.0.families() {
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for sample in &family.samples {
                if sample.labels.is_empty() {
                    sample.encode(&mut metric, family.kind)?;
                } else {
                    sample.encode(&mut metric.encode_family(&sample.labels)?, family.kind)?;
                }
            }
        }
        Ok(())
    }
}

impl Sample {
    fn encode(&self, series: &mut MetricEncoder<'_>, kind: Kind) -> fmt::Result {
        match kind {
            Kind::Counter => series.encode_counter::<NoLabelSet, _, u64>(&self.value, None),
            Kind::Gauge => series.encode_gauge(&self.value),
        }
    }
}

/// `http.client.request.duration` of OpenTelemetry's conventions, by upstream.
#[derive(Debug)]
struct Durations(Vec<(Arc<str>, Arc<Traffic>)>);

impl Collector for Durations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(
            "http_client_request_duration_seconds",
            "Duration of calls through Fusebox, to the end of the response body",
            None,
            MetricType::Histogram,
        )?;
        for (upstream, traffic) in &self.0 {
            for series in traffic.series() {
                let status = series.status.map(|status| status.to_string()).unwrap_or_default();
                let labels = [
                    ("upstream", &**upstream),
                    (
                        "http_request_method",
                        series.method.as_ref().map_or("_OTHER", http::Method::as_str),
                    ),
                    ("http_response_status_code", &status),
                    ("error_type", series.reason.map_or("", |reason| reason.as_str())),
                ];
                let bounds = BUCKETS_US.iter().map(|&us| seconds(us)).chain([f64::MAX]);
                let buckets: Vec<(f64, u64)> = bounds.zip(series.buckets).collect();
                let count = series.buckets.iter().sum();
                metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                    seconds(series.sum_us),
                    count,
                    &buckets,
                    None,
                )?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds stay far below 2^52")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::{Family, Kind, Metrics, Sample, Source};

    #[derive(Debug)]
    struct Two;

    impl Source for Two {
        fn families(&self) -> Vec<Family> {
            let labels = vec![("upstream", "a\"b".to_owned())];
            let calls = Sample { labels, value: 3.0 };
            vec![
                Family {
                    name: "fusebox_calls",
                    help: "Calls",
                    kind: Kind::Counter,
                    samples: vec![calls],
                },
                Family::single("fusebox_store_up", "Whether the store answers", Kind::Gauge, 1.0),
            ]
        }
    }

    #[test]
    fn a_scrape_shows_every_family_in_openmetrics() {
        let mut metrics = Metrics::default();
        metrics.add(Two);
        let text = metrics.encode();
        assert!(text.contains("fusebox_calls_total{upstream=\"a\\\"b\"} 3.0"), "{text}");
        assert!(text.contains("fusebox_store_up 1.0\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
